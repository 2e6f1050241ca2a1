/* See steps.h. */
#include "model/steps.h"

#include <assert.h>
#include <math.h>

void sv_sum_embeddings(const sv_config *config, const sv_weights *weights, const sv_text_ids *text, size_t begin, size_t end,
                       float *out) {
    const size_t e = sv_weights_embedding(config);
    size_t place = config->first_position; /* of the next token that takes one */
    assert(text->length <= config->positions);
    for (size_t i = 0; i < end; i++) {
        const bool padding = config->first_position && text->ids[i] == config->padding;
        const size_t row = padding ? config->first_position - 1 : place++;
        if (i < begin)
            continue;
        assert(text->ids[i] < config->vocabulary);
        const float *word = weights->word + text->ids[i] * e, *position = weights->position + row * e;
        if (config->token_types) {
            const bool second = text->second && i >= text->second && config->token_types > 1;
            const float *type = weights->token_type + (second ? e : 0);
            for (size_t j = 0; j < e; j++)
                out[j] = word[j] + type[j] + position[j];
        } else {
            for (size_t j = 0; j < e; j++)
                out[j] = word[j] + position[j];
        }
        out += e;
    }
}

/* The row of the table for a distance of query to key (modeling_mpnet.py, relative_position_bucket, which is T5's): one row for
 * each small one, then rows whose distances grow by factors, up to 128; the upper half for keys behind the query. Computed in
 * float as there, since at powers of two the last bit decides. */
static size_t bucket_of(ptrdiff_t distance) {
    enum { HALF = 16, EXACT = HALF / 2, LARGEST = 128 };
    const size_t base = distance < 0 ? HALF : 0, n = (size_t)(distance < 0 ? -distance : distance);
    if (n < EXACT)
        return base + n;
    const float octaves = logf((float)n / EXACT) / (float)log((double)LARGEST / EXACT);
    const size_t row = EXACT + (size_t)(octaves * (HALF - EXACT));
    return base + (row < HALF ? row : HALF - 1);
}

senvec_status sv_position_bias_make(const sv_config *config, const sv_weights *weights, sv_arena *arena, sv_position_bias *out,
                                    senvec_error *err) {
    *out = (sv_position_bias){0};
    if (!config->buckets)
        return SENVEC_OK;
    const size_t longest = config->positions, ld = 2 * longest - 1;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, config->heads * ld, sizeof(float), "bias by relative position", &memory, err));
    float *bias = (float *)memory + longest - 1;
    for (size_t head = 0; head < config->heads; head++)
        for (ptrdiff_t distance = 1 - (ptrdiff_t)longest; distance < (ptrdiff_t)longest; distance++)
            bias[(ptrdiff_t)(head * ld) + distance] = weights->relative[bucket_of(distance) * config->heads + head];
    *out = (sv_position_bias){bias, ld};
    return SENVEC_OK;
}

size_t sv_attention_element(const sv_attention *attention) {
    return attention->bf16 ? sizeof(uint16_t) : sizeof(float);
}

void sv_attend(const sv_attention *attention, const sv_config *config, const sv_position_bias *bias, const sv_attending *text) {
    const size_t h = config->hidden, d = h / config->heads;
    attention->run(&(sv_attention_args){
        .q = text->q,
        .k = text->k,
        .v = text->v,
        .ld = 3 * h,
        .out = text->out,
        .ld_out = h,
        .n = text->n,
        .heads = text->heads,
        .d = d,
        .queries = text->queries,
        .scale = 1 / sqrtf((float)d),
        .bias = bias->bias ? bias->bias + text->first * bias->ld : NULL,
        .ld_bias = bias->ld,
        .scratch = text->scratch,
    });
}
