/* How far vectors are from reference vectors of the same texts. */
#ifndef SV_STUDY_COMPARE_H
#define SV_STUDY_COMPARE_H

#include <stddef.h>

#include "common/status.h"

#define SV_NEIGHBOURS 10

typedef struct sv_comparison {
    double pairwise_error_max;  /* largest |cosine(i, j) - reference cosine(i, j)| over all pairs; NaN below two texts */
    double pairwise_error_mean; /* their mean */
    double neighbours; /* of each text's 10 nearest by the reference (all others where there are fewer), the part that is among
                          its nearest here too; the mean over the texts; NaN below two texts */
} sv_comparison;

/* `vectors` and `reference`: [count, dimensions]. cosines[i] gets the cosine of vector i and its reference (0 if either is
 * zero). Error: OUT_OF_MEMORY. */
senvec_status sv_compare_vectors(const float *vectors, const float *reference, size_t count, size_t dimensions, double *cosines,
                                 sv_comparison *out, senvec_error *err);

/* out[i * SV_NEIGHBOURS ...] gets the texts nearest to text i by the cosines of `vectors` [count, dimensions], all others where
 * there are fewer; `out` has room for count * SV_NEIGHBOURS. Error: OUT_OF_MEMORY. */
senvec_status sv_find_neighbours(const float *vectors, size_t count, size_t dimensions, size_t *out, senvec_error *err);

/* What sv_comparison calls neighbours, of two results of sv_find_neighbours for the same `count` texts. */
double sv_common_neighbours(const size_t *left, const size_t *right, size_t count);

/* `vectors`: [2 * pairs, dimensions], pair i being vectors 2i and 2i + 1. *out is Spearman's rank correlation of the pairs'
 * cosines and their labels. Error: OUT_OF_MEMORY. */
senvec_status sv_score_pairs(const float *vectors, const double *labels, size_t pairs, size_t dimensions, double *out,
                             senvec_error *err);

#endif
