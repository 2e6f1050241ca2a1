/* Models by name. A pull is: is it there? If not, the sources are asked for it (hub_sources.c). */
#include "hub/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/model_files.h"
#include "hub/hub_internal.h"
#include "io/closest.h"
#include "system/temporary.h"

#define DEFAULT_ORG "sentence-transformers"

const char *sv_hub_pin(const sv_hub_known *known, const char *file) {
    for (size_t i = 0; known && known->pins[i].file; i++)
        if (strcmp(known->pins[i].file, file) == 0)
            return known->pins[i].sha256;
    return NULL;
}

bool sv_hub_takes(const sv_hub_known *known, const char *name) {
    return sv_hub_file_is_wanted(name) && (!known || known->partial || sv_hub_pin(known, name));
}

const char *sv_hub_missing(const sv_hub_known *known, const json_t *stamp) {
    const json_t *files = json_object_get(stamp, "files");
    for (size_t i = 0; known && known->pins[i].file; i++)
        if (!json_object_get(files, known->pins[i].file))
            return known->pins[i].file;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------ names */

#define PLAIN_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* Plain characters, and neither "." nor ".." nor hidden. */
static bool is_plain_part(const char *part, size_t length) {
    return length > 0 && part[0] != '.' && strspn(part, PLAIN_CHARACTERS) >= length;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* At the top: configuration, vocabulary, weights. Below: the modules' own, whose folders are numbered ("1_Pooling"); others
 * hold the model in formats for other programs (onnx/, openvino/). Never a file of senvec's own: a stamp and a calibration are
 * made here, and a repository that brings one would have it believed. */
bool sv_hub_file_is_wanted(const char *name) {
    const char *slash = strchr(name, '/'), *file = slash ? slash + 1 : name;
    if (strlen(name) >= SV_HUB_FILE_NAME_SIZE || strstr(name, "..") || !is_plain_part(file, strlen(file)) ||
        (slash && !is_plain_part(name, (size_t)(slash - name))) || strncasecmp(file, "senvec", 6) == 0)
        return false;
    if (!slash)
        return ends_with(name, ".json") || strcmp(name, SV_MODEL_VOCABULARY) == 0 || strcmp(name, SV_MODEL_WEIGHTS) == 0;
    return sv_model_is_module_folder(name) && (ends_with(name, ".json") || ends_with(name, ".safetensors"));
}

static senvec_status parse_name(const char *name, sv_hub_name *out, senvec_error *err) {
    const char *slash = strchr(name, '/');
    const char *org = slash ? name : DEFAULT_ORG, *repo = slash ? slash + 1 : name;
    size_t org_length = slash ? (size_t)(slash - name) : strlen(DEFAULT_ORG);
    if (org_length >= SV_HUB_NAME_SIZE || strlen(repo) >= SV_HUB_NAME_SIZE || !is_plain_part(org, org_length) ||
        !is_plain_part(repo, strlen(repo)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "\"%.200s\" is no model's name; give NAME, ORG/NAME or a folder", name);
    memcpy(out->org, org, org_length);
    out->org[org_length] = '\0';
    snprintf(out->repo, sizeof out->repo, "%s", repo);
    return SENVEC_OK;
}

/* ------------------------------------------------------------------------------------------------------------ resolve */

/* Is it a folder or a file rather than a name? */
static bool is_path(const char *name) {
    return name[0] == '/' || name[0] == '.' || sv_path_is_file(name) || sv_model_is_described(name);
}

/* The name of the registry that somebody may have meant, or NULL. */
static const char *closest_name(const char *name) {
    enum { MOST = 128 };
    const char *names[MOST + 1] = {NULL};
    size_t count;
    const sv_registry_entry *entries = sv_registry_entries(&count);
    for (size_t i = 0; i < count && i < MOST; i++)
        names[i] = entries[i].name;
    return sv_closest_model(name, names);
}

/* What the registry knows of a name's files, or NULL. */
static const sv_hub_known *known_files(const char *name) {
    const sv_registry_entry *entry = sv_registry_find(name);
    return entry && entry->files.pins[0].file ? &entry->files : NULL;
}

senvec_status sv_hub_resolve(const char *name, char out[SV_MAX_PATH], senvec_error *err) {
    if (!*name)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "an empty model name; give NAME, ORG/NAME or a folder");
    if (is_path(name)) {
        sv_model_form form = sv_model_form_at(name);
        if (form == SV_MODEL_MISSING)
            return sv_fail(err, SENVEC_NOT_FOUND, 0, "%.900s: no such folder", name);
        return form == SV_MODEL_NATIVE ? sv_path_join("", name, out, err) : sv_path_join(name, "", out, err);
    }
    sv_hub_name parsed;
    char directory[SV_MAX_PATH], hugging_face[SV_MAX_PATH];
    SENVEC_TRY(parse_name(name, &parsed, err));
    SENVEC_TRY(sv_cache_directory(&parsed, directory, err));
    if (sv_model_is_complete(directory)) {
        memcpy(out, directory, sizeof directory);
        return SENVEC_OK;
    }
    if (sv_cache_find_hugging_face(&parsed, out))
        return SENVEC_OK;
    SENVEC_TRY(sv_cache_hugging_face(hugging_face, err));
    const char *meant = closest_name(name);
    if (meant && strcasecmp(meant, name) != 0)
        return sv_fail(err, SENVEC_NOT_FOUND, 0,
                       "model %s: not in %.300s, and no folder of that name; did you mean %s? 'senvec "
                       "pull %s' fetches it",
                       name, directory, meant, meant);
    return sv_fail(err, SENVEC_NOT_FOUND, 0, "model %s: neither in %.300s nor in %.300s; fetch it with 'senvec pull %s'", name,
                   directory, hugging_face, name);
}

/* ------------------------------------------------------------------------------------------------------------ pull */

static bool is_offline(void) {
    const char *value = getenv("HF_HUB_OFFLINE");
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 ||
                     strcasecmp(value, "on") == 0);
}

senvec_status sv_hub_pull_known(const char *name, const sv_hub_known *known, const sv_hub_options *options,
                                char directory[SV_MAX_PATH], bool *fetched, senvec_error *err) {
    if (is_path(name))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%.900s: a folder, not a name; there is nothing to fetch", name);
    sv_hub_name parsed;
    char target[SV_MAX_PATH];
    SENVEC_TRY(parse_name(name, &parsed, err));
    SENVEC_TRY(sv_cache_directory(&parsed, target, err));
    if (known && (strcmp(known->org, parsed.org) != 0 || strcmp(known->repo, parsed.repo) != 0))
        known = NULL;
    bool there = !options->force && sv_stamp_holds(target);
    if (!there && !options->force && sv_cache_find_hugging_face(&parsed, directory)) {
        *fetched = false;
        return SENVEC_OK;
    }
    if (!there && is_offline())
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: not in the cache, and HF_HUB_OFFLINE forbids fetching it; unset it",
                       name);
    bool came = false;
    if (!there)
        SENVEC_TRY(sv_sources_pull(&parsed, known, target, options, &came, err));
    memcpy(directory, target, sizeof target);
    *fetched = came;
    return SENVEC_OK;
}

senvec_status sv_hub_pull(const char *name, const sv_hub_options *options, char directory[SV_MAX_PATH], bool *fetched,
                          senvec_error *err) {
    static const sv_hub_options defaults;
    return sv_hub_pull_known(name, known_files(name), options ? options : &defaults, directory, fetched, err);
}

senvec_status sv_hub_verify_known(const char *name, const sv_hub_known *known, char directory[SV_MAX_PATH], size_t *count,
                                  senvec_error *err) {
    if (is_path(name))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%.900s: a folder, not a name; nothing is known of its files", name);
    sv_hub_name parsed;
    SENVEC_TRY(parse_name(name, &parsed, err));
    if (known && (strcmp(known->org, parsed.org) != 0 || strcmp(known->repo, parsed.repo) != 0))
        known = NULL;
    SENVEC_TRY(sv_hub_resolve(name, directory, err));
    return sv_hub_verify_directory(directory, known, count, err);
}

senvec_status sv_hub_verify(const char *name, char directory[SV_MAX_PATH], size_t *count, senvec_error *err) {
    return sv_hub_verify_known(name, known_files(name), directory, count, err);
}

void sv_hub_each_unpinned(const char *name, const char *directory, sv_hub_file_fn *each, void *context) {
    const sv_hub_known *known = known_files(name);
    json_t *stamp = sv_stamp_load(directory), *entry;
    const char *file;
    json_object_foreach(json_object_get(stamp, "files"), file, entry) {
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        if (sha256 && !sv_hub_pin(known, file))
            each(context, file, sha256);
    }
    json_decref(stamp);
}
