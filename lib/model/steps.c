/* See steps.h. */
#include "model/steps.h"

#include <assert.h>
#include <math.h>

void sv_sum_embeddings(const sv_config *config, const sv_weights *weights, uint32_t id, size_t position, float *out) {
    assert(id < config->vocabulary && position < config->positions);
    const float *word = weights->word + id * config->hidden, *place = weights->position + position * config->hidden;
    for (size_t j = 0; j < config->hidden; j++)
        out[j] = word[j] + weights->token_type[j] + place[j];
}

size_t sv_attention_element(const sv_attention *attention) {
    return attention->bf16 ? sizeof(uint16_t) : sizeof(float);
}

void sv_attend(const sv_attention *attention, const sv_config *config, const void *qkv, size_t n, size_t heads, float *out,
               void *scratch) {
    const size_t h = config->hidden, d = h / config->heads, third = h * sv_attention_element(attention);
    attention->run(&(sv_attention_args){
        .q = qkv,
        .k = (const char *)qkv + third,
        .v = (const char *)qkv + 2 * third,
        .ld = 3 * h,
        .out = out,
        .ld_out = h,
        .n = n,
        .queries = n,
        .heads = heads,
        .d = d,
        .scale = 1 / sqrtf((float)d),
        .scratch = scratch,
    });
}
