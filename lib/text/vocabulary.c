/* The vocabulary's hash table.
 *
 * Why a hash and not a trie: nine words of ten in English are tokens themselves, and a hash finds those with one probe (a slot
 * and its bytes), where a trie follows one dependent load for each byte. For the others WordPiece tries prefixes from the
 * longest down; those probes are independent of each other and mostly end at the first tag, so they are cheap as well. */
#include "text/vocabulary.h"

#include <assert.h>

senvec_status sv_vocabulary_init(sv_vocabulary *vocabulary, size_t keys, size_t text_size, sv_arena *arena, senvec_error *err) {
    unsigned bits = 4;
    while (((size_t)3 << bits) / 4 < keys)
        bits++;
    void *slots, *text;
    SENVEC_TRY(sv_arena_alloc(arena, (size_t)1 << bits, sizeof(sv_vocabulary_slot), "the vocabulary", &slots, err));
    SENVEC_TRY(sv_arena_alloc(arena, text_size, 1, "the vocabulary's text", &text, err));
    *vocabulary = (sv_vocabulary){
        .slots = slots, .text = text, .mask = ((size_t)1 << bits) - 1, .shift = 64 - bits, .text_size = text_size};
    return SENVEC_OK;
}

void sv_vocabulary_add(sv_vocabulary *vocabulary, sv_piece piece, const uint8_t *bytes, size_t length, uint32_t id) {
    uint64_t hash = sv_vocabulary_hash_start(piece);
    for (size_t i = 0; i < length; i++)
        hash = sv_vocabulary_hash_step(hash, bytes[i]);
    uint32_t tag = (uint32_t)(hash >> 16);
    uint32_t key = (uint32_t)(length * 2 + piece);
    size_t i = hash >> vocabulary->shift;
    for (;; i = (i + 1) & vocabulary->mask) {
        sv_vocabulary_slot *slot = &vocabulary->slots[i];
        if (slot->key == 0)
            break;
        if (slot->tag == tag && slot->key == key && memcmp(vocabulary->text + slot->offset, bytes, length) == 0) {
            slot->id = id;
            return;
        }
    }
    assert(length > 0 && vocabulary->text_size - vocabulary->text_used >= length);
    memcpy(vocabulary->text + vocabulary->text_used, bytes, length);
    vocabulary->slots[i] = (sv_vocabulary_slot){tag, key, (uint32_t)vocabulary->text_used, id};
    vocabulary->text_used += length;
    if (length > vocabulary->longest[piece])
        vocabulary->longest[piece] = length;
}

bool sv_vocabulary_get(const sv_vocabulary *vocabulary, sv_piece piece, const uint8_t *bytes, size_t length, uint32_t *id) {
    if (length == 0 || !vocabulary->slots)
        return false;
    uint64_t hash = sv_vocabulary_hash_start(piece);
    for (size_t i = 0; i < length; i++)
        hash = sv_vocabulary_hash_step(hash, bytes[i]);
    return sv_vocabulary_find(vocabulary, hash, piece, bytes, length, id);
}
