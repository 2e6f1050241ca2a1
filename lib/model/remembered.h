/* Digests of a model's files that took long to compute, remembered in senvec's cache. A record's name is a stamp, a hash of the
 * sizes, times and inodes of what the digest is of, so that a changed file has no record; a record that somebody else could
 * have written isn't believed. Without a place for records they are computed again. */
#ifndef SV_MODEL_REMEMBERED_H
#define SV_MODEL_REMEMBERED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/sha256.h"
#include "common/status.h"

/* folder/below of senvec's cache; `folder` NULL: the user's (sv_cache_path). Errors: as sv_cache_path. */
senvec_status sv_cache_below(const char *folder, const char *below, char out[SV_MAX_PATH], senvec_error *err);

/* The record of this kind ("weights") with this stamp; false if there is none. `check` has to be what it was when the record
 * was made. */
bool sv_remembered(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, char out[SV_SHA256_TEXT]);

/* Makes one. What hinders it is no error. */
void sv_remember(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, const char *digest);

#endif
