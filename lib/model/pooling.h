/* From token vectors to one vector of a text. */
#ifndef SV_MODEL_POOLING_H
#define SV_MODEL_POOLING_H

#include "model/config.h"

/* out (pooling_count * h) = the poolings of `config`, side by side, of the rows skip .. n of x (n, h); `skip`, below n, is the
 * number of a prompt's tokens that are left out. The sums run over the tokens in order: the same bits in every batch. */
void sv_pool(const sv_config *config, const float *x, size_t n, size_t skip, size_t h, float *out);

/* Divides x (count) by its length, or by 1e-12 if that is larger. */
void sv_divide_by_length(float *x, size_t count);

#endif
