/* Steps of the network that the encoder and calibration both take. */
#ifndef SV_MODEL_STEPS_H
#define SV_MODEL_STEPS_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/weights.h"

/* out (H) = word[id] + type[0] + position[i], before the LayerNorm. The order of the sum is PyTorch's. */
void sv_sum_embeddings(const sv_config *config, const sv_weights *weights, uint32_t id, size_t position, float *out);

/* Bytes of an element of what attention reads. */
size_t sv_attention_element(const sv_attention *attention);

/* out (n, heads * d), ld H: attention of a text of n tokens, for `heads` of its heads; `qkv` (n, 3H), in the attention's
 * elements, and `out` are at the column of the first one. `scratch` as in sv_attention_args. */
void sv_attend(const sv_attention *attention, const sv_config *config, const void *qkv, size_t n, size_t heads, float *out,
               void *scratch);

#endif
