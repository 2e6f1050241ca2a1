/* Unigram, sentencepiece's model: the pieces of a word whose scores have the greatest sum. */
#ifndef SV_TEXT_UNIGRAM_H
#define SV_TEXT_UNIGRAM_H

#include "text/prefix_tree.h"
#include "text/work.h"

typedef struct sv_unigram {
    sv_prefix_tree tree;
    const double *scores; /* [size] by id */
    double unknown_score; /* score of one unknown code point */
    uint32_t unknown;
    bool byte_fallback;
    uint32_t bytes[256]; /* ids of <0x00> .. <0xFF>, where byte_fallback */
    bool has_byte[256];
} sv_unigram;

/* The id of a whole string; false: it is no piece. */
bool sv_unigram_find(const sv_unigram *model, const uint8_t *text, size_t size, uint32_t *id);

void sv_unigram_encode(sv_work *work, const uint8_t *piece, size_t size);

#endif
