/* The caches. senvec's own:
 *
 *     models/ORG--NAME/            a whole, verified model with its stamp, senvec.json
 *     models/.ORG--NAME.lock       held (flock) by the process that fetches
 *     models/.ORG--NAME.hub/       what an interrupted fetch has so far
 *     models/.ORG--NAME.package/   the same for the package
 *
 * A folder is built beside its place and renamed into it, so nobody ever sees half a model. Hugging Face's cache is only read:
 * models--ORG--NAME/refs/main holds a commit, and snapshots/COMMIT/ the files, as links to blobs that exist once they are
 * complete. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/model_files.h"
#include "hub/hub_internal.h"
#include "system/temporary.h"

#define STAMP "senvec.json"

/* ------------------------------------------------------------------------------------------------------------ places */

/* $VARIABLE/below, if the variable is set and not empty. */
static bool below_variable(const char *variable, const char *below, char out[SV_MAX_PATH], senvec_status *status,
                           senvec_error *err) {
    const char *value = getenv(variable);
    if (!value || !*value)
        return false;
    *status = sv_path_join(value, below, out, err);
    return true;
}

senvec_status sv_cache_models(char out[SV_MAX_PATH], senvec_error *err) {
    return sv_cache_path("models", out, err);
}

senvec_status sv_cache_hugging_face(char out[SV_MAX_PATH], senvec_error *err) {
    senvec_status status = SENVEC_OK;
    if (below_variable("HF_HUB_CACHE", "", out, &status, err) || below_variable("HF_HOME", "hub", out, &status, err) ||
        below_variable("XDG_CACHE_HOME", "huggingface/hub", out, &status, err) ||
        below_variable("HOME", ".cache/huggingface/hub", out, &status, err))
        return status;
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "no place for models: set HOME or SENVEC_CACHE");
}

senvec_status sv_cache_directory(const sv_hub_name *name, char out[SV_MAX_PATH], senvec_error *err) {
    char models[SV_MAX_PATH], folder[2 * SV_HUB_NAME_SIZE + 8];
    SENVEC_TRY(sv_cache_models(models, err));
    snprintf(folder, sizeof folder, "%s--%s", name->org, name->repo);
    return sv_path_join(models, folder, out, err);
}

senvec_status sv_cache_sibling(const sv_hub_name *name, const char *suffix, char out[SV_MAX_PATH], senvec_error *err) {
    char models[SV_MAX_PATH], folder[2 * SV_HUB_NAME_SIZE + 32];
    SENVEC_TRY(sv_cache_models(models, err));
    snprintf(folder, sizeof folder, ".%s--%s.%s", name->org, name->repo, suffix);
    return sv_path_join(models, folder, out, err);
}

/* A model in one cache that has Hugging Face's layout. */
static bool find_in(const char *hub, const sv_hub_name *name, char out[SV_MAX_PATH]) {
    char repository[2 * SV_HUB_NAME_SIZE + 32], path[SV_MAX_PATH], commit[80];
    snprintf(repository, sizeof repository, "models--%s--%s/refs/main", name->org, name->repo);
    FILE *file = sv_path_join(hub, repository, path, NULL) == SENVEC_OK ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    size_t length = fread(commit, 1, sizeof commit - 1, file);
    fclose(file);
    commit[length] = '\0';
    commit[strcspn(commit, "\r\n")] = '\0';
    if (!*commit || commit[strspn(commit, "0123456789abcdef")])
        return false;
    char snapshot[2 * SV_HUB_NAME_SIZE + 128], found[SV_MAX_PATH];
    snprintf(snapshot, sizeof snapshot, "models--%s--%s/snapshots/%s", name->org, name->repo, commit);
    if (sv_path_join(hub, snapshot, found, NULL) != SENVEC_OK || !sv_model_is_complete(found))
        return false;
    memcpy(out, found, sizeof found);
    return true;
}

bool sv_cache_find_hugging_face(const sv_hub_name *name, char out[SV_MAX_PATH]) {
    const char *sentence_transformers = getenv("SENTENCE_TRANSFORMERS_HOME"); /* which its users set to keep models elsewhere */
    char hub[SV_MAX_PATH];
    if (sentence_transformers && *sentence_transformers && find_in(sentence_transformers, name, out))
        return true;
    return sv_cache_hugging_face(hub, NULL) == SENVEC_OK && find_in(hub, name, out);
}

/* ------------------------------------------------------------------------------------------------------------ stamp */

json_t *sv_stamp_new(const char *source, const char *revision) {
    return json_pack("{s:s, s:s, s:{}}", "source", source, "revision", revision, "files");
}

bool sv_stamp_add(json_t *stamp, const char *file, const sv_digest *digest) {
    json_t *entry = json_pack("{s:I, s:s}", "size", (json_int_t)digest->size, "sha256", digest->sha256);
    return json_object_set_new(json_object_get(stamp, "files"), file, entry) == 0;
}

senvec_status sv_stamp_write(const char *directory, const json_t *stamp, senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, STAMP, path, err));
    sv_atomic_file file;
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    if (json_dumpf(stamp, file.stream, JSON_INDENT(1)) != 0) {
        sv_atomic_file_abort(&file);
        return sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
    }
    fputc('\n', file.stream);
    return sv_atomic_file_commit(&file, err);
}

json_t *sv_stamp_load(const char *directory) {
    char path[SV_MAX_PATH];
    return sv_path_join(directory, STAMP, path, NULL) == SENVEC_OK ? json_load_file(path, 0, NULL) : NULL;
}

bool sv_stamp_holds(const char *directory) {
    json_t *stamp = sv_stamp_load(directory);
    json_t *files = json_object_get(stamp, "files"), *entry;
    const char *name;
    bool holds = json_object_size(files) > 0;
    json_object_foreach(files, name, entry) {
        char path[SV_MAX_PATH];
        struct stat facts;
        holds = holds && sv_path_join(directory, name, path, NULL) == SENVEC_OK && stat(path, &facts) == 0 &&
                S_ISREG(facts.st_mode) && facts.st_size == json_integer_value(json_object_get(entry, "size"));
    }
    json_decref(stamp);
    return holds;
}

void sv_stamp_revision(const char *directory, char *out, size_t size) {
    json_t *stamp = sv_stamp_load(directory);
    const char *revision = json_string_value(json_object_get(stamp, "revision"));
    snprintf(out, size, "%s", revision ? revision : "");
    json_decref(stamp);
}

/* ------------------------------------------------------------------------------------------------------------ folders */

senvec_status sv_cache_lock(const char *path, const sv_hub_options *options, int *descriptor, senvec_error *err) {
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be made: %s; set SENVEC_CACHE to a folder that can be written", path,
                       strerror(errno));
    int result = flock(lock, LOCK_EX | LOCK_NB);
    if (result != 0 && errno == EWOULDBLOCK) {
        if (options->notice)
            options->notice(options->context, "another senvec is fetching this model; waiting for it");
        do
            result = flock(lock, LOCK_EX);
        while (result != 0 && errno == EINTR);
    }
    if (result != 0) {
        senvec_status status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be locked: %s", path, strerror(errno));
        close(lock);
        return status;
    }
    *descriptor = lock;
    return SENVEC_OK;
}

senvec_status sv_cache_install(const char *staged, const char *directory, senvec_error *err) {
    bool done = rename(staged, directory) == 0;
    if (!done && (errno == ENOTEMPTY || errno == EEXIST)) {
        done = renameat2(AT_FDCWD, staged, AT_FDCWD, directory, RENAME_EXCHANGE) == 0;
        if (done)
            return sv_remove_tree(staged, err);
        if (errno == EINVAL || errno == ENOSYS) { /* this filesystem can't exchange */
            SENVEC_TRY(sv_remove_tree(directory, err));
            done = rename(staged, directory) == 0;
        }
    }
    if (!done)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be put in place: %s", directory, strerror(errno));
    return SENVEC_OK;
}

senvec_status sv_cache_make_parents(const char *directory, const char *name, char path[SV_MAX_PATH], senvec_error *err) {
    SENVEC_TRY(sv_path_join(directory, name, path, err));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    senvec_status status = sv_make_directories(path, err);
    *slash = '/';
    return status;
}
