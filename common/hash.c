/* Eight lanes of 64 bits, so that the multiplications overlap. A step, h = rotate(h xor word) * odd, is one to one in h for a
 * given word and in the word for a given h, so a changed word always changes its lane. The rotation brings high bits down: with
 * the multiplication alone two flipped signs would cancel each other. */
#include "common/hash.h"

#include <string.h>

#define LANES 8
#define FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */

static uint64_t step(uint64_t hash, uint64_t word) {
    hash ^= word;
    return (hash << 29 | hash >> 35) * FACTOR;
}

uint64_t sv_hash(uint64_t seed, const void *data, size_t bytes) {
    const uint8_t *next = data;
    uint64_t lanes[LANES], words[LANES], hash = step(seed, bytes);
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = step(seed, i);
    size_t left = bytes;
    for (; left >= sizeof words; left -= sizeof words, next += sizeof words) {
        memcpy(words, next, sizeof words);
        for (size_t i = 0; i < LANES; i++)
            lanes[i] = step(lanes[i], words[i]);
    }
    memset(words, 0, sizeof words);
    if (left)
        memcpy(words, next, left);
    for (size_t i = 0; i < LANES; i++)
        hash = step(hash, step(lanes[i], words[i]));
    return hash ^ hash >> 32;
}
