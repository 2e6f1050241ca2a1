/* The keys against OpenSSL's SipHash, and what the cache keeps, within what bound, and who computes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "batcher/result_cache.h"

enum { DIMENSIONS = 4, KEYS = 100000 };

/* openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 SIPHASH, of the bytes 0, 1, 2, ... */
static void keys_are_siphash(void **state) {
    (void)state;
    static const struct {
        size_t size;
        uint8_t key[16];
    } known[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82, 0x39}},
        {8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
        {9, {0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab, 0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d, 0x71, 0xed}},
        {63, {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd, 0x7c}},
    };
    const uint64_t secret[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t data[64];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sv_text_key key = sv_text_key_of(secret, data, known[i].size);
        assert_memory_equal(&key, known[i].key, sizeof key);
    }
}

static sv_result_cache *open_cache(size_t bytes) {
    sv_result_cache *cache = NULL;
    assert_int_equal(sv_result_cache_open(bytes, DIMENSIONS, &cache, NULL), SENVEC_OK);
    return cache;
}

static sv_text_key key_of(const sv_result_cache *cache, size_t number) {
    return sv_result_cache_key(cache, &number, sizeof number);
}

/* Asks for a text as a worker does; its vector is its number. True: it was there. */
static bool ask(sv_result_cache *cache, size_t number) {
    float out[DIMENSIONS], vector[DIMENSIONS];
    uint32_t slot;
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector[i] = (float)(number * DIMENSIONS + i);
    sv_claim claim = sv_result_cache_claim(cache, key_of(cache, number), out, &slot);
    if (claim == SV_CLAIM_HIT)
        assert_memory_equal(out, vector, sizeof out);
    else if (claim == SV_CLAIM_OWN)
        sv_result_cache_publish(cache, slot, vector);
    return claim == SV_CLAIM_HIT;
}

static void the_bound_holds(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 300000; bytes = bytes * 3 + 1) {
        sv_result_cache *cache = open_cache(bytes);
        sv_result_cache_stats stats;
        for (size_t i = 0; cache && i < 20000; i++) {
            ask(cache, i % 7000);
            sv_result_cache_read_stats(cache, &stats);
            assert_true(stats.bytes <= bytes);
            assert_int_equal(stats.hits + stats.misses, i + 1);
        }
        sv_result_cache_close(cache);
    }
    sv_result_cache_stats none;
    sv_result_cache_read_stats(NULL, &none);
    assert_int_equal(none.most_bytes, 0);
    sv_result_cache_close(NULL);
}

/* What is asked for again and again stays, however many texts are asked for once. */
static void a_scan_passes_through(void **state) {
    (void)state;
    sv_result_cache *cache = open_cache(100000);
    sv_result_cache_stats stats;
    enum { HOT = 500 };
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < HOT; i++)
            ask(cache, i);
    for (size_t i = 0; i < KEYS; i++)
        ask(cache, HOT + i);
    size_t kept = 0;
    for (size_t i = 0; i < HOT; i++)
        kept += ask(cache, i);
    sv_result_cache_read_stats(cache, &stats);
    assert_true(stats.evicted > KEYS / 2);
    assert_int_equal(kept, HOT);
    /* and a set that comes again more slowly than the small queue moves gets in by its ghosts */
    size_t all = stats.entries, set = all * 8 / 10, found = 0;
    for (size_t round = 0; round < 8; round++) {
        found = 0;
        for (size_t i = 0; i < set; i++)
            found += ask(cache, 10 * KEYS + i);
    }
    assert_true(found > set / 2);
    sv_result_cache_close(cache);
}

static void one_computes_and_others_wait(void **state) {
    (void)state;
    sv_result_cache *cache = open_cache(100000);
    const float vector[DIMENSIONS] = {1, 2, 3, 4};
    float out[DIMENSIONS] = {0};
    uint32_t slot, other;
    sv_text_key key = key_of(cache, 1);
    assert_false(sv_result_cache_has(cache, key));
    assert_int_equal(sv_result_cache_claim(cache, key, out, &slot), SV_CLAIM_OWN);
    assert_int_equal(sv_result_cache_claim(cache, key, out, &other), SV_CLAIM_BUSY);
    assert_false(sv_result_cache_has(cache, key));
    sv_result_cache_abandon(cache, slot);
    assert_false(sv_result_cache_wait(cache, key, out));
    assert_int_equal(sv_result_cache_claim(cache, key, out, &slot), SV_CLAIM_OWN);
    sv_result_cache_publish(cache, slot, vector);
    assert_true(sv_result_cache_wait(cache, key, out));
    assert_memory_equal(out, vector, sizeof out);
    assert_true(sv_result_cache_has(cache, key));
    sv_result_cache_close(cache);
}

static void slots_that_are_computed_stay(void **state) {
    (void)state;
    sv_result_cache *cache = open_cache(2000);
    float out[DIMENSIONS];
    uint32_t slots[100], slot;
    size_t owned = 0;
    while (sv_result_cache_claim(cache, key_of(cache, owned), out, &slot) == SV_CLAIM_OWN)
        slots[owned++] = slot;
    assert_true(owned > 1 && owned < 100);
    assert_int_equal(sv_result_cache_claim(cache, key_of(cache, 1000), out, &slot), SV_CLAIM_NO_ROOM);
    for (size_t i = 0; i < owned; i++)
        sv_result_cache_abandon(cache, slots[i]);
    assert_false(ask(cache, 1000));
    assert_true(ask(cache, 1000));
    sv_result_cache_close(cache);
}

typedef struct shared {
    sv_result_cache *cache;
    atomic_size_t computed[64];
} shared;

static void *work(void *context) {
    shared *s = context;
    for (size_t i = 0; i < 64 * 50; i++) {
        float out[DIMENSIONS], vector[DIMENSIONS];
        size_t number = i / 50;
        uint32_t slot;
        for (size_t k = 0; k < DIMENSIONS; k++)
            vector[k] = (float)number;
        sv_text_key key = key_of(s->cache, number);
        switch (sv_result_cache_claim(s->cache, key, out, &slot)) {
        case SV_CLAIM_OWN:
            atomic_fetch_add(&s->computed[number], 1);
            sv_result_cache_publish(s->cache, slot, vector);
            break;
        case SV_CLAIM_BUSY:
            assert_true(sv_result_cache_wait(s->cache, key, out));
            assert_memory_equal(out, vector, sizeof out);
            break;
        default:
            assert_memory_equal(out, vector, sizeof out);
        }
    }
    return NULL;
}

static void each_is_computed_once(void **state) {
    (void)state;
    shared s = {.cache = open_cache(1000000)};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &s), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(atomic_load(&s.computed[i]), 1);
    sv_result_cache_close(s.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_siphash),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(a_scan_passes_through),
        cmocka_unit_test(one_computes_and_others_wait),
        cmocka_unit_test(slots_that_are_computed_stay),
        cmocka_unit_test(each_is_computed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
