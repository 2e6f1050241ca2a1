/* Slots of one size in one block, found by a chained hash table.
 *
 * Eviction is S3-FIFO (J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi, "FIFO queues are all you need for cache eviction", SOSP
 * 2023). A new entry stands in a small queue; if nobody asked for it before it gets to the end, it is let go, else it moves to
 * the main queue, where each further use is another round. So a corpus that is embedded once only passes through the small
 * queue, a tenth of the slots, and what is asked for again and again stays. An LRU would be swept out by it. An entry that was
 * let go unused leaves a ghost, its key's hash; if its text comes again soon, it goes into the main queue at once. That serves
 * a set of texts that come again more slowly than the small queue moves. The ghosts are a table without chains, in which a
 * later one replaces an earlier one; that costs a wrong guess now and then.
 *
 * A hit costs a copy and a few bits; queues are only moved by what is computed, which takes a thousand times as long. */
#include "batcher/result_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/status.h"

#define NONE UINT32_MAX
#define SMALL_PART 10 /* the small queue has one slot in so many */
#define MOST_HITS 3   /* are counted between two looks */

typedef enum state { FREE, COMPUTED, SMALL, MAIN } state; /* COMPUTED: just now, by whoever claimed it */

typedef struct entry {
    sv_text_key key;
    uint32_t chain; /* next of its bucket */
    uint32_t next;  /* in its queue, or free */
    uint8_t state, hits;
} entry;

typedef struct queue {
    uint32_t first, last;
    size_t count;
} queue;

struct sv_result_cache {
    size_t dimensions, capacity, bucket_mask;
    uint64_t secret[2];
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t computed;
    entry *entries;    /* (capacity) */
    float *vectors;    /* (capacity, dimensions) */
    uint32_t *buckets; /* (bucket_mask + 1) */
    uint64_t *ghosts;  /* (capacity) */
    queue small, main;
    uint32_t free; /* list of slots that were given back */
    size_t fresh;  /* slots from here on were never used */
    sv_result_cache_stats stats;
};

/* ------------------------------------------------------------------ lookup */

static uint32_t *bucket_of(const sv_result_cache *cache, sv_text_key key) {
    return &cache->buckets[key.halves[1] & cache->bucket_mask];
}

static uint32_t find(const sv_result_cache *cache, sv_text_key key) {
    uint32_t slot = *bucket_of(cache, key);
    while (slot != NONE && memcmp(&cache->entries[slot].key, &key, sizeof key) != 0)
        slot = cache->entries[slot].chain;
    return slot;
}

static void unlink_slot(sv_result_cache *cache, uint32_t slot) {
    uint32_t *at = bucket_of(cache, cache->entries[slot].key);
    while (*at != slot)
        at = &cache->entries[*at].chain;
    *at = cache->entries[slot].chain;
}

static void set_free(sv_result_cache *cache, uint32_t slot) {
    unlink_slot(cache, slot);
    cache->entries[slot] = (entry){.state = FREE, .next = cache->free};
    cache->free = slot;
    cache->stats.entries--;
}

/* ---------------------------------------------------------------- eviction */

static void push(sv_result_cache *cache, queue *q, state where, uint32_t slot) {
    entry *e = &cache->entries[slot];
    e->state = (uint8_t)where;
    e->next = NONE;
    if (q->count++ == 0)
        q->first = slot;
    else
        cache->entries[q->last].next = slot;
    q->last = slot;
}

static uint32_t pop(sv_result_cache *cache, queue *q) {
    uint32_t slot = q->first;
    q->first = cache->entries[slot].next;
    q->count--;
    return slot;
}

static uint64_t *ghost_of(const sv_result_cache *cache, sv_text_key key) {
    return &cache->ghosts[key.halves[0] % cache->capacity];
}

/* False: all slots are being computed. */
static bool evict(sv_result_cache *cache) {
    while (cache->small.count || cache->main.count) {
        bool from_small = cache->small.count > cache->capacity / SMALL_PART || cache->main.count == 0;
        uint32_t slot = pop(cache, from_small ? &cache->small : &cache->main);
        entry *e = &cache->entries[slot];
        if (e->hits) {
            e->hits = from_small ? 0 : e->hits - 1;
            push(cache, &cache->main, MAIN, slot);
            continue;
        }
        if (from_small)
            *ghost_of(cache, e->key) = e->key.halves[0];
        set_free(cache, slot);
        cache->stats.evicted++;
        return true;
    }
    return false;
}

static uint32_t take_slot(sv_result_cache *cache) {
    if (cache->free == NONE && cache->fresh < cache->capacity)
        return (uint32_t)cache->fresh++;
    if (cache->free == NONE && !evict(cache))
        return NONE;
    uint32_t slot = cache->free;
    cache->free = cache->entries[slot].next;
    return slot;
}

/* ----------------------------------------------------------------- callers */

sv_text_key sv_result_cache_key(const sv_result_cache *cache, const void *data, size_t size) {
    return sv_text_key_of(cache->secret, data, size);
}

static void use(sv_result_cache *cache, uint32_t slot, float *out) {
    entry *e = &cache->entries[slot];
    e->hits += e->hits < MOST_HITS;
    memcpy(out, cache->vectors + slot * cache->dimensions, cache->dimensions * sizeof(float));
}

sv_claim sv_result_cache_claim(sv_result_cache *cache, sv_text_key key, float *out, uint32_t *slot) {
    sv_claim claim = SV_CLAIM_NO_ROOM;
    pthread_mutex_lock(&cache->lock);
    uint32_t found = find(cache, key);
    if (found != NONE && cache->entries[found].state == COMPUTED) {
        claim = SV_CLAIM_BUSY;
    } else if (found != NONE) {
        use(cache, found, out);
        cache->stats.hits++;
        claim = SV_CLAIM_HIT;
    } else {
        cache->stats.misses++;
        *slot = take_slot(cache);
        if (*slot != NONE) {
            uint32_t *bucket = bucket_of(cache, key);
            cache->entries[*slot] = (entry){.key = key, .state = COMPUTED, .chain = *bucket};
            *bucket = *slot;
            cache->stats.entries++;
            claim = SV_CLAIM_OWN;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return claim;
}

void sv_result_cache_publish(sv_result_cache *cache, uint32_t slot, const float *vector) {
    pthread_mutex_lock(&cache->lock);
    uint64_t *ghost = ghost_of(cache, cache->entries[slot].key);
    bool again = *ghost == cache->entries[slot].key.halves[0];
    memcpy(cache->vectors + slot * cache->dimensions, vector, cache->dimensions * sizeof(float));
    if (again)
        *ghost = 0;
    push(cache, again ? &cache->main : &cache->small, again ? MAIN : SMALL, slot);
    pthread_cond_broadcast(&cache->computed);
    pthread_mutex_unlock(&cache->lock);
}

void sv_result_cache_abandon(sv_result_cache *cache, uint32_t slot) {
    pthread_mutex_lock(&cache->lock);
    set_free(cache, slot);
    pthread_cond_broadcast(&cache->computed);
    pthread_mutex_unlock(&cache->lock);
}

bool sv_result_cache_wait(sv_result_cache *cache, sv_text_key key, float *out) {
    uint32_t slot;
    pthread_mutex_lock(&cache->lock);
    while ((slot = find(cache, key)) != NONE && cache->entries[slot].state == COMPUTED)
        pthread_cond_wait(&cache->computed, &cache->lock);
    bool there = slot != NONE;
    if (there)
        use(cache, slot, out);
    cache->stats.joined += there;
    cache->stats.misses += !there;
    pthread_mutex_unlock(&cache->lock);
    return there;
}

bool sv_result_cache_has(sv_result_cache *cache, sv_text_key key) {
    pthread_mutex_lock(&cache->lock);
    uint32_t slot = find(cache, key);
    bool there = slot != NONE && cache->entries[slot].state != COMPUTED;
    pthread_mutex_unlock(&cache->lock);
    return there;
}

/* -------------------------------------------------------------- life cycle */

/* Of one more text, its share of the tables included. */
static size_t bytes_of_slot(size_t dimensions) {
    return sizeof(entry) + sizeof(uint64_t) + 2 * sizeof(uint32_t) + dimensions * sizeof(float);
}

void sv_result_cache_read_stats(sv_result_cache *cache, sv_result_cache_stats *out) {
    *out = (sv_result_cache_stats){0};
    if (!cache)
        return;
    pthread_mutex_lock(&cache->lock);
    *out = cache->stats;
    out->bytes = sizeof *cache + out->entries * bytes_of_slot(cache->dimensions);
    pthread_mutex_unlock(&cache->lock);
}

static senvec_status take_memory(sv_result_cache *cache, senvec_error *err) {
    size_t buckets = 1; /* a half to one for each slot */
    while (2 * buckets <= cache->capacity)
        buckets *= 2;
    cache->bucket_mask = buckets - 1;
    cache->entries = calloc(cache->capacity, sizeof *cache->entries);
    cache->vectors = calloc(cache->capacity, cache->dimensions * sizeof(float)); /* untouched until used, unlike malloc's */
    cache->ghosts = calloc(cache->capacity, sizeof *cache->ghosts);
    cache->buckets = malloc(buckets * sizeof *cache->buckets);
    if (!cache->entries || !cache->vectors || !cache->ghosts || !cache->buckets)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a cache of %zu vectors", cache->capacity);
    memset(cache->buckets, 0xff, buckets * sizeof *cache->buckets); /* NONE */
    return SENVEC_OK;
}

senvec_status sv_result_cache_open(size_t bytes, size_t dimensions, sv_result_cache **out, senvec_error *err) {
    sv_result_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a cache");
    size_t slots = bytes > sizeof *cache ? (bytes - sizeof *cache) / bytes_of_slot(dimensions) : 0;
    cache->dimensions = dimensions;
    cache->capacity = slots < NONE ? slots : NONE - 1;
    cache->free = NONE;
    cache->stats.most_bytes = bytes;
    if (getrandom(cache->secret, sizeof cache->secret, GRND_NONBLOCK) < 0)
        cache->secret[0] = sv_clock_ns();
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->computed, NULL);
    senvec_status status = cache->capacity ? take_memory(cache, err) : SENVEC_OK;
    if (status != SENVEC_OK || !cache->capacity) {
        sv_result_cache_close(cache);
        cache = NULL;
    }
    if (status == SENVEC_OK)
        *out = cache;
    return status;
}

void sv_result_cache_close(sv_result_cache *cache) {
    if (!cache)
        return;
    pthread_cond_destroy(&cache->computed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->entries);
    free(cache->vectors);
    free(cache->ghosts);
    free(cache->buckets);
    free(cache);
}
