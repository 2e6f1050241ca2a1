/* The memory and the scales of a sv_quantized that is being made. */
#ifndef SV_INT8_QUANTIZE_H
#define SV_INT8_QUANTIZE_H

#include "model/quantized.h"

#define SV_INT8_LIMIT 127 /* weights are -127 .. 127 */

/* A layer that is being made: the arrays of sv_quantized_linear, writable. */
typedef struct sv_quantized_room {
    int8_t *w;         /* (n, k) */
    float *scale;      /* (n) */
    float *bias;       /* (n) */
    float *multiplier; /* (k); NULL: the layer has none */
    float *exponent;   /* (1); NULL: no GELU follows the layer */
    size_t n, k;
} sv_quantized_room;

enum { SV_QUANTIZED_QKV, SV_QUANTIZED_ATTENTION_OUT, SV_QUANTIZED_UP, SV_QUANTIZED_DOWN, SV_QUANTIZED_LINEARS };

/* Allocates all arrays of a model in `arena`, and lists them by layer: rooms[layer * SV_QUANTIZED_LINEARS + which]. With
 * `smoothed`, qkv, up and down have multipliers. *out, and the rooms, whose list is in the arena too, are
 * valid as long as the arena. Error: OUT_OF_MEMORY. */
senvec_status sv_quantized_make(const sv_config *config, bool smoothed, sv_arena *arena, sv_quantized *out,
                                sv_quantized_room **rooms, senvec_error *err);

/* The number of weights and biases of all linear layers. */
uint64_t sv_quantized_parameters(const sv_config *config);

/* The scale of a row of weights by its largest absolute value; 1 for a row of zeros, or of
 * values under 2^-100. */
float sv_quantized_scale(const float *row, size_t k);

#endif
