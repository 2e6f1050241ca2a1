/* A cache of words and their ids. An entry is written once and never changed or removed, so any number of threads read the
 * cache without a lock. When it is full, further words are encoded anew each time. */
#ifndef SV_TEXT_WORD_CACHE_H
#define SV_TEXT_WORD_CACHE_H

#include <stdatomic.h>

#include "text/tokenizer_internal.h"

enum {
    SV_CACHED_BYTES = 29,   /* bytes of the longest word that is cached */
    SV_CACHED_IDS = 8,      /* of a word */
    SV_CACHE_SLOTS = 16384, /* a power of two: a megabyte */
    SV_CACHE_WAYS = 4,      /* slots that a word may be in */
};

typedef struct sv_cached_word {
    _Atomic uint8_t state; /* 0: free, 1: being written, 2: there */
    uint8_t size, count;
    uint8_t word[SV_CACHED_BYTES];
    uint32_t ids[SV_CACHED_IDS];
} sv_cached_word;

senvec_status sv_word_cache_init(sv_word_cache *cache, sv_arena *arena, senvec_error *err);

/* The slot of a word of at most SV_CACHED_BYTES, or NULL. *hash is for sv_word_cache_put. */
const sv_cached_word *sv_word_cache_find(const sv_word_cache *cache, const uint8_t *word, size_t size, uint64_t *hash);
/* Puts a word in if there is a place. */
void sv_word_cache_put(const sv_word_cache *cache, const uint8_t *word, size_t size, uint64_t hash, const uint32_t *ids,
                       size_t count);

#endif
