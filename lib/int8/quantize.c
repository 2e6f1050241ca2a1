/* Memory of a quantised model, and the scale of a row of weights. */
#include "int8/quantize.h"

#include <math.h>
#include <string.h>

/* A row without any larger weight is one of zeros: a scale has to be a normal number. */
#define LEAST 0x1p-100f

/* Weights and floats of one layer, all arrays counted. */
static size_t layer_weights(const sv_config *config) {
    return 4 * config->hidden * config->hidden + 2 * config->hidden * config->inner;
}

static size_t layer_floats(const sv_config *config) {
    return 2 * (3 * config->hidden + config->hidden + config->inner + config->hidden) + 2 * config->hidden + config->inner + 1;
}

senvec_status sv_quantized_make(const sv_config *config, bool smoothed, sv_arena *arena, sv_quantized *out,
                                sv_quantized_room **rooms, senvec_error *err) {
    size_t h = config->hidden, inner = config->inner;
    void *layers, *list, *weights, *floats;
    SENVEC_TRY(sv_arena_alloc(arena, config->layers, sizeof(sv_quantized_layer), "quantised layers", &layers, err));
    SENVEC_TRY(sv_arena_alloc(arena, config->layers * SV_QUANTIZED_LINEARS, sizeof(sv_quantized_room), "quantised layers",
                              &list, err));
    SENVEC_TRY(sv_arena_alloc(arena, config->layers, layer_weights(config), "int8 weights", &weights, err));
    SENVEC_TRY(
        sv_arena_alloc(arena, config->layers * layer_floats(config), sizeof(float), "scales of int8 weights", &floats, err));
    int8_t *next_weight = weights;
    float *next_float = floats;
    *rooms = list;
    *out = (sv_quantized){.layers = layers};
    const struct {
        size_t n, k;
        bool smoothed;
    } shapes[SV_QUANTIZED_LINEARS] = {
        [SV_QUANTIZED_QKV] = {3 * h, h, true},
        [SV_QUANTIZED_ATTENTION_OUT] = {h, h, false},
        [SV_QUANTIZED_UP] = {inner, h, true},
        [SV_QUANTIZED_DOWN] = {h, inner, true},
    };
    for (size_t l = 0; l < config->layers; l++) {
        sv_quantized_layer *layer = &out->layers[l];
        sv_quantized_linear *linears[SV_QUANTIZED_LINEARS] = {&layer->qkv, &layer->attention_out, &layer->up, &layer->down};
        for (size_t i = 0; i < SV_QUANTIZED_LINEARS; i++) {
            sv_quantized_room *room = &(*rooms)[l * SV_QUANTIZED_LINEARS + i];
            *room = (sv_quantized_room){.n = shapes[i].n, .k = shapes[i].k};
            room->w = next_weight;
            next_weight += room->n * room->k;
            room->scale = next_float;
            room->bias = room->scale + room->n;
            next_float = room->bias + room->n;
            if (smoothed && shapes[i].smoothed) {
                room->multiplier = next_float;
                next_float += room->k;
            }
            if (i == SV_QUANTIZED_UP && config->activation == SV_ACTIVATION_GELU)
                room->exponent = next_float++;
            *linears[i] = (sv_quantized_linear){room->w,        room->scale, room->bias, room->multiplier,
                                                room->exponent, room->n,     room->k,    NULL};
        }
    }
    return SENVEC_OK;
}

uint64_t sv_quantized_parameters(const sv_config *config) {
    return config->layers * (layer_weights(config) + 5 * config->hidden + config->inner);
}

float sv_quantized_scale(const float *row, size_t k) {
    float largest = 0;
    for (size_t i = 0; i < k; i++)
        largest = fmaxf(largest, fabsf(row[i]));
    return largest > LEAST ? largest / SV_INT8_LIMIT : 1;
}
