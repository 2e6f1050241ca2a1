/* Digests of a model's files take long to compute, so they are remembered in senvec's cache. A record is named after a stamp,
 * which is a hash of the files' sizes, times and inodes, so a changed file has no record. A record that somebody else could
 * have written is ignored. If records can't be written, digests are computed anew each time. */
#ifndef SV_MODEL_REMEMBERED_H
#define SV_MODEL_REMEMBERED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/sha256.h"
#include "common/status.h"

/* The path folder/below; `folder` NULL: the user's cache folder (sv_cache_path). Errors: as sv_cache_path. */
senvec_status sv_cache_below(const char *folder, const char *below, char out[SV_MAX_PATH], senvec_error *err);

/* Reads the record of a kind ("weights") and a stamp; false if there is none. `check` must equal the value that the record was
 * made with. */
bool sv_remembered(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, char out[SV_SHA256_TEXT]);

/* Makes a record. Failing to do so is no error. */
void sv_remember(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, const char *digest);

#endif
