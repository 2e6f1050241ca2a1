/* As the paper has it; names are its own. */
#include "batcher/text_key.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

static void rounds(uint64_t v[4], int count) {
    while (count-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* Up to 8 bytes, little endian. */
static uint64_t read_word(const uint8_t *bytes, size_t count) {
    uint64_t word = 0;
    memcpy(&word, bytes, count);
    return le64toh(word);
}

static void add_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

static uint64_t end(uint64_t v[4]) {
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

sv_text_key sv_text_key_of(const uint64_t secret[2], const void *data, size_t size) {
    uint64_t v[4] = {UINT64_C(0x736f6d6570736575) ^ secret[0], UINT64_C(0x646f72616e646f6d) ^ secret[1] ^ 0xee,
                     UINT64_C(0x6c7967656e657261) ^ secret[0], UINT64_C(0x7465646279746573) ^ secret[1]};
    const uint8_t *bytes = data;
    size_t whole = size / 8 * 8;
    for (size_t i = 0; i < whole; i += 8)
        add_word(v, read_word(bytes + i, 8));
    add_word(v, (uint64_t)size << 56 | read_word(bytes + whole, size - whole));
    sv_text_key key;
    v[2] ^= 0xee;
    key.halves[0] = end(v);
    v[1] ^= 0xdd;
    key.halves[1] = end(v);
    return key;
}
