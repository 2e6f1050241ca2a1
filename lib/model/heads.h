/* The head on top of an encoder: a classifier's layers, which give a score for each label from a text's first token, or a
 * masked language model's layers, which give a score for each word of the vocabulary from every token. Heads are computed in
 * fp32 in every precision, because a classifier's layers cost little next to the encoder and its scores are the whole answer.
 */
#ifndef SV_MODEL_HEADS_H
#define SV_MODEL_HEADS_H

#include "model/linear.h"
#include "model/weights.h"

/* The number of words of the vocabulary that are scored at a time. */
#define SV_HEAD_WORDS 512

typedef struct sv_head_layers {
    sv_math math;              /* fp32; its activation stands between the layers unless `tanh` is set */
    bool tanh;                 /* tanh stands between the layers */
    sv_linear dense;           /* (H, H); n is 0: the model has no head */
    const float *gamma, *beta; /* LayerNorm behind it; NULL: none */
    float eps;
    sv_linear out; /* (labels, H) or (V, H) */
    bool log_twice;
} sv_head_layers;

/* Packs the head's layers into `arena`; nothing if the configuration's task needs none. The weights' vectors must outlive it.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_head_init(sv_head_layers *head, const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                           sv_arena *arena, senvec_error *err);

/* Takes x (rows, H) through all layers of the head except the last; out (rows, H), which must not be x, gets the input of the
 * last layer. */
void sv_head_transform(const sv_head_layers *head, const float *x, size_t rows, float *out);

/* out (labels) = the logits for x (H), a text's first token. `scratch` has H floats. */
void sv_head_score(const sv_head_layers *head, const float *x, float *scratch, float *out);

/* out (rows, SV_HEAD_WORDS) = the logits of the words [first, last), at most SV_HEAD_WORDS of them, for tokens that
 * sv_head_transform made t (rows, H) of. `first` is a multiple of head->out.gemm.nr. */
void sv_head_logits(const sv_head_layers *head, const float *t, size_t rows, size_t first, size_t last, float *out);

/* out (words) = the weights of those words for a text of n tokens, whose logits are (n, SV_HEAD_WORDS): the largest of
 * log(1 + max(logit, 0)). */
void sv_head_weigh(const sv_head_layers *head, const float *logits, size_t n, size_t words, float *out);

#endif
