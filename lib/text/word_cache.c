/* The cache of words: four slots of a cache line each, chosen by a hash of the word. */
#include "text/word_cache.h"

#include <string.h>

_Static_assert(sizeof(sv_cached_word) == SV_CACHE_LINE, "a slot is a cache line");

enum { FREE, WRITING, THERE };

senvec_status sv_word_cache_init(sv_word_cache *cache, sv_arena *arena, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, SV_CACHE_SLOTS, sizeof(sv_cached_word), "the cache of words", &memory, err));
    cache->slots = memory;
    return SENVEC_OK;
}

static uint64_t hash_of(const uint8_t *word, size_t size) {
    uint64_t hash = size * UINT64_C(0x9ae16a3b2f90404f), part;
    for (; size >= 8; word += 8, size -= 8) {
        memcpy(&part, word, 8);
        hash = (hash ^ part) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    part = 0;
    for (size_t i = 0; i < size; i++)
        part = part << 8 | word[i];
    hash = (hash ^ part) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static sv_cached_word *bucket(const sv_word_cache *cache, uint64_t hash) {
    return cache->slots + (hash & (SV_CACHE_SLOTS - 1) & ~(uint64_t)(SV_CACHE_WAYS - 1));
}

const sv_cached_word *sv_word_cache_find(const sv_word_cache *cache, const uint8_t *word, size_t size, uint64_t *hash) {
    *hash = hash_of(word, size);
    const sv_cached_word *slots = bucket(cache, *hash);
    for (size_t i = 0; i < SV_CACHE_WAYS; i++) {
        uint8_t state = atomic_load_explicit(&slots[i].state, memory_order_acquire);
        if (state == FREE)
            return NULL;
        if (state == THERE && slots[i].size == size && memcmp(slots[i].word, word, size) == 0)
            return &slots[i];
    }
    return NULL;
}

void sv_word_cache_put(const sv_word_cache *cache, const uint8_t *word, size_t size, uint64_t hash, const uint32_t *ids,
                       size_t count) {
    sv_cached_word *slots = bucket(cache, hash);
    for (size_t i = 0; i < SV_CACHE_WAYS; i++) {
        uint8_t expected = FREE;
        if (!atomic_compare_exchange_strong_explicit(&slots[i].state, &expected, WRITING, memory_order_relaxed,
                                                     memory_order_relaxed))
            continue;
        slots[i].size = (uint8_t)size;
        slots[i].count = (uint8_t)count;
        memcpy(slots[i].word, word, size);
        memcpy(slots[i].ids, ids, count * sizeof *ids);
        atomic_store_explicit(&slots[i].state, THERE, memory_order_release);
        return;
    }
}
