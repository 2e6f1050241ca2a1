/* From token vectors to a text's vector. */
#ifndef SV_MODEL_POOLING_H
#define SV_MODEL_POOLING_H

#include "model/config.h"

/* out (h) = the mean, the first or the element-wise maximum of x (n, h), divided by its length (at least 1e-12) if `normalize`.
 * n is at least 1. The sums run over the tokens in order: the same bits in every batch. */
void sv_pool(sv_pooling pooling, bool normalize, const float *x, size_t n, size_t h, float *out);

#endif
