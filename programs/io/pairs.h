/* Pairs of texts with a label that says how alike people find them: the judgement that vectors are for. */
#ifndef SV_IO_PAIRS_H
#define SV_IO_PAIRS_H

#include "io/texts.h"

typedef struct sv_pairs {
    sv_texts texts; /* pair i is texts 2i and 2i + 1 */
    double *labels; /* [texts.count / 2] */
} sv_pairs;

/* Reads a CSV file: first text, second text, label; further columns are ignored, and so is a first line whose label isn't a
 * number. Errors: those of sv_corpus_open; FORMAT (names the line), TOO_LARGE (SV_MAX_STUDY_TEXTS), OUT_OF_MEMORY. */
senvec_status sv_pairs_load(sv_pairs *pairs, const char *path, senvec_error *err);
/* A zeroed one is accepted. */
void sv_pairs_release(sv_pairs *pairs);

#endif
