/* A cache of vectors, which also knows the vectors that are being computed. A text's vector doesn't depend on its batch, so the
 * cached bits are the bits that computing it again would give.
 *
 *     switch (sv_result_cache_claim(cache, key, out, &slot)) {
 *     case SV_CLAIM_HIT: ...                                        it is in `out`
 *     case SV_CLAIM_OWN: compute; sv_result_cache_publish(cache, slot, vector) or _abandon(cache, slot)
 *     case SV_CLAIM_BUSY: do something else; sv_result_cache_wait(cache, key, out) or compute
 *     case SV_CLAIM_NO_ROOM: compute
 *     }
 *
 * All memory is taken by sv_result_cache_open, within the bound; the system gives it page by page as it is used. All functions
 * but open and close are thread safe. */
#ifndef SV_BATCHER_RESULT_CACHE_H
#define SV_BATCHER_RESULT_CACHE_H

#include <stdbool.h>

#include "batcher/text_key.h"
#include "common/status.h"

typedef struct sv_result_cache sv_result_cache;

/* For vectors of `dimensions` floats, in at most `bytes` in all. *out <- NULL where that is too little for a single one.
 * Errors: OUT_OF_MEMORY. */
senvec_status sv_result_cache_open(size_t bytes, size_t dimensions, sv_result_cache **out, senvec_error *err);
/* NULL is accepted. */
void sv_result_cache_close(sv_result_cache *cache);

/* The key of `size` bytes, by the cache's secret. */
sv_text_key sv_result_cache_key(const sv_result_cache *cache, const void *data, size_t size);

typedef enum sv_claim {
    SV_CLAIM_HIT,     /* the vector was copied to `out` */
    SV_CLAIM_OWN,     /* the caller is to compute it, and must publish or abandon the slot */
    SV_CLAIM_BUSY,    /* another claimer, or the caller itself, is computing it */
    SV_CLAIM_NO_ROOM, /* the caller is to compute it, and it isn't kept */
} sv_claim;

sv_claim sv_result_cache_claim(sv_result_cache *cache, sv_text_key key, float *out, uint32_t *slot);
/* Keeps (dimensions) floats. */
void sv_result_cache_publish(sv_result_cache *cache, uint32_t slot, const float *vector);
/* It couldn't be computed. */
void sv_result_cache_abandon(sv_result_cache *cache, uint32_t slot);
/* Waits until nobody computes it any more. True: it was copied to `out`. Whoever waits must not hold a slot, or two could wait
 * for each other. */
bool sv_result_cache_wait(sv_result_cache *cache, sv_text_key key, float *out);
/* Whether the vector is cached now. For predicting the work; it doesn't count as a use. */
bool sv_result_cache_has(sv_result_cache *cache, sv_text_key key);

typedef struct sv_result_cache_stats {
    uint64_t hits, joined, misses; /* texts: were there, were waited for, had to be computed */
    uint64_t evicted;
    size_t entries, bytes, most_bytes; /* kept now, and what they take; the bound */
} sv_result_cache_stats;
/* Of no cache (NULL): zeros. */
void sv_result_cache_read_stats(sv_result_cache *cache, sv_result_cache_stats *out);

#endif
