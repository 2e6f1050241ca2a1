/* Source 1: a Hugging Face hub, the real one or a mirror.
 *
 * GET api/models/ORG/NAME/revision/main?blobs=true names the commit that `main` stands for and lists its files with what they
 * must be: the SHA-256 of large files ("lfs"), the git object id of small ones ("blobId"). Each wanted file then comes from
 * ORG/NAME/resolve/COMMIT/FILE, into FILE.partial first and to its name once verified. The staging folder remembers its commit,
 * so that parts of two commits are never mixed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/model_files.h"
#include "hub/hub_internal.h"
#include "system/temporary.h"

#define DEFAULT_ENDPOINT "https://huggingface.co"

typedef struct remote_file {
    const char *name;
    uint64_t size;
    const char *sha256, *git_id; /* one of them may be NULL */
} remote_file;

static bool is_hex(const char *text, size_t length) {
    return text && strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

/* Asks for the listing and checks its shape; *commit points into it. */
static senvec_status get_listing(sv_http *http, const char *endpoint, const sv_hub_name *name, json_t **listing,
                                 const char **commit, senvec_error *err) {
    char url[SV_MAX_PATH];
    int length = snprintf(url, sizeof url, "%s/api/models/%s/%s/revision/main?blobs=true", endpoint, name->org, name->repo);
    if (length < 0 || (size_t)length >= sizeof url)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "HF_ENDPOINT: too long");
    char *body;
    size_t body_length;
    SENVEC_TRY(sv_http_get(http, url, &body, &body_length, err));
    json_t *answer = json_loadb(body, body_length, 0, NULL);
    free(body);
    const char *sha = json_string_value(json_object_get(answer, "sha"));
    json_t *siblings = json_object_get(answer, "siblings");
    if (!is_hex(sha, 40) || !json_is_array(siblings) || json_array_size(siblings) > SV_MAX_HUB_FILES) {
        json_decref(answer);
        return sv_fail(err, SENVEC_NETWORK, 0, "%s: the answer is not a hub's (a proxy or a login page?); check HF_ENDPOINT",
                       url);
    }
    *listing = answer;
    *commit = sha;
    return SENVEC_OK;
}

/* One entry of "siblings". Error: INTEGRITY for a wanted file without a size and digest, or one that can't be the pinned one.
 */
static senvec_status read_sibling(const json_t *sibling, const sv_hub_known *known, remote_file *out, bool *wanted,
                                  senvec_error *err) {
    const json_t *lfs = json_object_get(sibling, "lfs");
    const json_t *size = json_object_get(lfs, "size");
    *out = (remote_file){.name = json_string_value(json_object_get(sibling, "rfilename"))};
    *wanted = out->name && sv_hub_takes(known, out->name);
    if (!*wanted)
        return SENVEC_OK;
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
    const char *git_id = json_string_value(json_object_get(sibling, "blobId"));
    if (!json_is_integer(size))
        size = json_object_get(sibling, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 || (uint64_t)json_integer_value(size) > SV_MAX_HUB_FILE_BYTES)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: the hub gives no usable size, so it can't be verified", out->name);
    out->size = (uint64_t)json_integer_value(size);
    out->sha256 = is_hex(sha256, 64) ? sha256 : NULL;
    /* For a large file the blob is a pointer, not the bytes. */
    out->git_id = !lfs && is_hex(git_id, 40) ? git_id : NULL;
    const char *pin = sv_hub_pin(known, out->name);
    if (pin && out->sha256 && strcmp(pin, out->sha256) != 0)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: the hub's file has SHA-256 %s, the published one %s; check HF_ENDPOINT",
                       out->name, out->sha256, pin);
    if (pin)
        out->sha256 = pin;
    if (!out->sha256 && !out->git_id)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: the hub gives no SHA-256, so it can't be verified", out->name);
    return SENVEC_OK;
}

static bool is_right(const remote_file *file, const sv_digest *digest) {
    return digest->size == file->size && (!file->sha256 || strcmp(digest->sha256, file->sha256) == 0) &&
           (!file->git_id || strcmp(digest->git_id, file->git_id) == 0);
}

/* Makes staging/file right: it may be already, or a part of it may be there. A finished download with wrong bytes is thrown
 * away and tried once more, since the fault may lie in a part from an earlier call. */
static senvec_status fetch_file(sv_http *http, const char *url, const remote_file *file, const char *staging,
                                const sv_hub_options *options, json_t *stamp, senvec_error *err) {
    char path[SV_MAX_PATH], partial[SV_MAX_PATH], partial_name[SV_HUB_FILE_NAME_SIZE + 16];
    snprintf(partial_name, sizeof partial_name, "%s.partial", file->name);
    SENVEC_TRY(sv_cache_make_parents(staging, file->name, path, err));
    SENVEC_TRY(sv_path_join(staging, partial_name, partial, err));
    sv_digest digest;
    bool right = sv_path_is_file(path) && sv_digest_file(path, &digest, NULL) == SENVEC_OK && is_right(file, &digest);
    for (int attempt = 0; !right; attempt++) {
        senvec_status status = sv_http_download(http, url, partial, file->size, file->name, options, err);
        if (status != SENVEC_OK && status != SENVEC_INTEGRITY)
            return status;
        if (status == SENVEC_OK) {
            SENVEC_TRY(sv_digest_file(partial, &digest, err));
            right = is_right(file, &digest);
        }
        if (right && rename(partial, path) != 0)
            return sv_fail(err, SENVEC_IO, 0, "%s: cannot be renamed: %s", partial, strerror(errno));
        if (right)
            break;
        unlink(partial);
        if (attempt == 1 && status == SENVEC_OK)
            return sv_fail(err, SENVEC_INTEGRITY, 0,
                           "%s: %llu bytes with SHA-256 %.16s... came, not the %llu published ones; they were thrown away", url,
                           (unsigned long long)digest.size, digest.sha256, (unsigned long long)file->size);
        if (attempt == 1)
            return status;
    }
    if (!sv_stamp_add(stamp, file->name, &digest))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", file->name);
    return SENVEC_OK;
}

/* Lets `staging` be for `commit`: what another commit left is removed. */
static senvec_status prepare_staging(const char *staging, const char *commit, senvec_error *err) {
    char before[64];
    sv_stamp_revision(staging, before, sizeof before);
    if (strcmp(before, commit) == 0)
        return SENVEC_OK;
    SENVEC_TRY(sv_remove_tree(staging, err));
    SENVEC_TRY(sv_make_directories(staging, err));
    json_t *stamp = sv_stamp_new("unfinished", commit);
    senvec_status status = stamp ? sv_stamp_write(staging, stamp, err) : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory");
    json_decref(stamp);
    return status;
}

static senvec_status fetch_files(sv_http *http, const char *endpoint, const sv_hub_name *name, const sv_hub_known *known,
                                 const char *staging, const json_t *listing, const char *commit, const sv_hub_options *options,
                                 json_t *stamp, senvec_error *err) {
    json_t *siblings = json_object_get(listing, "siblings"), *sibling;
    bool has_config = false, has_weights = false;
    size_t i;
    json_array_foreach(siblings, i, sibling) {
        remote_file file;
        bool wanted;
        SENVEC_TRY(read_sibling(sibling, known, &file, &wanted, err));
        has_config |= wanted && strcmp(file.name, SV_MODEL_CONFIG) == 0;
        has_weights |= wanted && strcmp(file.name, SV_MODEL_WEIGHTS) == 0;
    }
    if (!has_config || !has_weights)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s/%s: the repository has no %s at its top; only such models can be opened",
                       name->org, name->repo, has_config ? SV_MODEL_WEIGHTS : SV_MODEL_CONFIG);
    json_array_foreach(siblings, i, sibling) {
        remote_file file;
        bool wanted;
        SENVEC_TRY(read_sibling(sibling, known, &file, &wanted, err));
        if (!wanted)
            continue;
        char url[SV_MAX_PATH];
        int length = snprintf(url, sizeof url, "%s/%s/%s/resolve/%s/%s", endpoint, name->org, name->repo, commit, file.name);
        if (length < 0 || (size_t)length >= sizeof url)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "HF_ENDPOINT: too long");
        SENVEC_TRY(fetch_file(http, url, &file, staging, options, stamp, err));
    }
    const char *missing = sv_hub_missing(known, stamp);
    if (missing)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s/%s: the hub has no %s, which the published model has; check HF_ENDPOINT",
                       name->org, name->repo, missing);
    return SENVEC_OK;
}

senvec_status sv_remote_fetch(const sv_hub_name *name, const sv_hub_known *known, const char *staging,
                              const sv_hub_options *options, json_t **stamp, senvec_error *err) {
    const char *configured = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN");
    char endpoint[SV_MAX_PATH / 2];
    int length = snprintf(endpoint, sizeof endpoint, "%s", configured && *configured ? configured : DEFAULT_ENDPOINT);
    if (length < 0 || (size_t)length >= sizeof endpoint)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "HF_ENDPOINT: too long");
    while (length > 0 && endpoint[length - 1] == '/')
        endpoint[--length] = '\0';

    sv_http *http = NULL;
    json_t *listing = NULL, *made = NULL;
    const char *commit = NULL;
    senvec_status status = sv_http_open(endpoint, token && *token ? token : NULL, &http, err);
    if (status == SENVEC_OK)
        status = get_listing(http, endpoint, name, &listing, &commit, err);
    if (status == SENVEC_OK)
        status = prepare_staging(staging, commit, err);
    if (status == SENVEC_OK && !(made = sv_stamp_new(endpoint, commit)))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory");
    if (status == SENVEC_OK)
        status = fetch_files(http, endpoint, name, known, staging, listing, commit, options, made, err);
    json_decref(listing);
    sv_http_close(http);
    if (status != SENVEC_OK) {
        json_decref(made);
        return status;
    }
    *stamp = made;
    return SENVEC_OK;
}
