/* Steps of the network that the encoder and calibration both take. */
#ifndef SV_MODEL_STEPS_H
#define SV_MODEL_STEPS_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/weights.h"

/* Tokens of a text, as the embedding takes them. */
typedef struct sv_text_ids {
    const uint32_t *ids; /* (length), each below the vocabulary */
    size_t length;       /* 1 .. positions */
    size_t second;       /* the tokens from here on have token type 1, where there is such a type; 0: all have type 0 */
} sv_text_ids;

/* out (rows, E) = the embeddings of the tokens [begin, end) before the LayerNorm: word[id] + type + position[i]. The order of
 * the sum is PyTorch's. */
void sv_sum_embeddings(const sv_config *config, const sv_weights *weights, const sv_text_ids *text, size_t begin, size_t end,
                       float *out);

/* The bias of attention by relative position: B[query][key] of head h is bias[h * ld + query - key]. */
typedef struct sv_position_bias {
    const float *bias; /* distance 0 of the first head; NULL: there is none */
    size_t ld;
} sv_position_bias;

/* Makes the bias from weights->relative, in `arena`. Error: OUT_OF_MEMORY. */
senvec_status sv_position_bias_make(const sv_config *config, const sv_weights *weights, sv_arena *arena, sv_position_bias *out,
                                    senvec_error *err);

/* The bytes of one element of q, k and v, as attention reads them. */
size_t sv_attention_element(const sv_attention *attention);

/* The inputs and the output of attention of one text for some of its heads. */
typedef struct sv_attending {
    const void *q, *k, *v; /* (n, 3H) each, in the attention's elements, at the first head's column */
    size_t n, queries;     /* the number of tokens, and how many of them, from the first on, are queries */
    size_t first, heads;   /* which heads */
    float *out;            /* (queries, H), at the first head's column */
    void *scratch;         /* as in sv_attention_args */
} sv_attending;

void sv_attend(const sv_attention *attention, const sv_config *config, const sv_position_bias *bias, const sv_attending *text);

#endif
