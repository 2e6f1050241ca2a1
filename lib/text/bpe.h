/* BPE: byte pair encoding, over characters or over bytes. */
#ifndef SV_TEXT_BPE_H
#define SV_TEXT_BPE_H

#include "text/vocabulary.h"
#include "text/work.h"

typedef struct sv_merge {
    uint64_t pair; /* left << 32 | right; SV_NO_PAIR: a free slot */
    uint32_t rank, id;
} sv_merge;
#define SV_NO_PAIR UINT64_MAX

typedef struct sv_bpe {
    sv_vocabulary pieces; /* the tokens: as bytes if byte_level, else as they are in the vocabulary */
    sv_merge *merges;     /* a power of two of slots, at most half used; linear probing */
    size_t merge_mask;
    bool byte_level;    /* text comes as bytes, each of which is a character of the vocabulary */
    bool ignore_merges; /* a piece of text that is a token is that token */
    bool byte_fallback, fuse_unknown;
    bool has_unknown;
    uint32_t unknown;
    uint32_t bytes[256]; /* byte_level: ids of single bytes; byte_fallback: ids of <0x00> .. <0xFF> */
    bool has_byte[256];
} sv_bpe;

/* The merge of a pair, or NULL. */
static inline const sv_merge *sv_bpe_merge(const sv_bpe *model, uint32_t left, uint32_t right) {
    uint64_t pair = (uint64_t)left << 32 | right;
    for (size_t i = (size_t)((pair * UINT64_C(0x9e3779b97f4a7c15)) >> 24);; i++) {
        const sv_merge *merge = &model->merges[i & model->merge_mask];
        if (merge->pair == pair)
            return merge;
        if (merge->pair == SV_NO_PAIR)
            return NULL;
    }
}

void sv_bpe_encode(sv_work *work, const uint8_t *piece, size_t size);

#endif
