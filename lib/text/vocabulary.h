/* The vocabulary: which strings are tokens, and their ids. A hash table, filled once. */
#ifndef SV_TEXT_VOCABULARY_H
#define SV_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/memory.h"

/* A token starts a word or continues one ("##ing" is the continuation "ing"). The two are different keys. */
typedef enum sv_piece { SV_PIECE_START = 0, SV_PIECE_REST = 1 } sv_piece;

typedef struct sv_vocabulary_slot {
    uint32_t tag;    /* the middle bits of the hash; most unequal keys differ here already */
    uint32_t key;    /* length * 2 + sv_piece; 0: the slot is free, as no key is empty */
    uint32_t offset; /* of the bytes in `text` */
    uint32_t id;
} sv_vocabulary_slot;

typedef struct sv_vocabulary {
    sv_vocabulary_slot *slots; /* a power of two of them, at most three quarters used; linear probing */
    uint8_t *text;             /* the keys' bytes, end to end */
    size_t mask;               /* number of slots - 1 */
    unsigned shift;            /* 64 - log2(number of slots) */
    size_t text_used, text_size;
    size_t longest[2]; /* bytes of the longest key, by sv_piece */
} sv_vocabulary;

/* Room for `keys` keys with `text_size` bytes together (below 2^32). Errors: OUT_OF_MEMORY. */
senvec_status sv_vocabulary_init(sv_vocabulary *vocabulary, size_t keys, size_t text_size, sv_arena *arena, senvec_error *err);

/* Adds a key of `length` bytes (1 .. SV_MAX_TOKEN_BYTES) within the room that was asked for. A key that is there already gets
 * the new id. */
void sv_vocabulary_add(sv_vocabulary *vocabulary, sv_piece piece, const uint8_t *bytes, size_t length, uint32_t id);

/* The hash is made byte by byte, so that one pass over a word gives the hash of each prefix. */
static inline uint64_t sv_vocabulary_hash_start(sv_piece piece) {
    return piece == SV_PIECE_START ? UINT64_C(0x9ae16a3b2f90404f) : UINT64_C(0xc3a5c85c97cb3127);
}

static inline uint64_t sv_vocabulary_hash_step(uint64_t hash, uint8_t byte) {
    return (hash ^ byte) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The id of a key of at least one byte, whose hash is `hash`; false if it isn't there. */
static inline bool sv_vocabulary_find(const sv_vocabulary *vocabulary, uint64_t hash, sv_piece piece, const uint8_t *bytes,
                                      size_t length, uint32_t *id) {
    uint32_t tag = (uint32_t)(hash >> 16);
    uint32_t key = (uint32_t)(length * 2 + piece);
    for (size_t i = hash >> vocabulary->shift;; i++) {
        const sv_vocabulary_slot *slot = &vocabulary->slots[i & vocabulary->mask];
        if (slot->key == 0)
            return false;
        if (slot->tag == tag && slot->key == key && memcmp(vocabulary->text + slot->offset, bytes, length) == 0) {
            *id = slot->id;
            return true;
        }
    }
}

/* The same for a key of any length that hasn't been hashed yet; a vocabulary without keys is accepted. */
bool sv_vocabulary_get(const sv_vocabulary *vocabulary, sv_piece piece, const uint8_t *bytes, size_t length, uint32_t *id);

#endif
