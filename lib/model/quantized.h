/* The linear layers of an encoder in int8, which calibration makes and the int8 forward pass reads.
 *
 * A layer computes y = (x * multiplier) W' + b with W[c][i] = scale[c] * w[c][i], w in -127 .. 127; activations are quantised
 * at run time, each row by its own range (kernels.h, sv_gemm). Smoothing divides a column of weights by a factor. The factor is
 * in `multiplier`, or it was folded into the layer before, so the layer computes the same product as the original one except
 * for quantisation. A layer that int8 can't hold is wide: it keeps its weights as floats and is computed in bf16, or in fp32 if
 * the CPU has no product in bf16. */
#ifndef SV_MODEL_QUANTIZED_H
#define SV_MODEL_QUANTIZED_H

#include "common/memory.h"
#include "model/config.h"

/* The exponent that says that the GELU is computed in float; only then the multiplier of `down` is used. */
#define SV_QUANTIZED_FLOAT (-1.0f)

typedef struct sv_quantized_linear {
    const int8_t *w;         /* (n, k), row-major; NULL in a wide layer, as are scale, multiplier and exponent */
    const float *scale;      /* (n) */
    const float *bias;       /* (n) */
    const float *multiplier; /* (k); NULL: all ones */
    const float *exponent;   /* (1): gelu_exponent of sv_gemm_args, for `up`, or SV_QUANTIZED_FLOAT; NULL: no GELU follows */
    size_t n, k;
    const float *wide; /* (n, k), row-major; NULL: the layer is in int8 */
} sv_quantized_linear;

typedef struct sv_quantized_layer {
    sv_quantized_linear qkv;           /* (3H, H): query, key, value; wide if attention_out is, and only then */
    sv_quantized_linear attention_out; /* (H, H) */
    sv_quantized_linear up;            /* (I, H); not in fixed point if `down` is wide */
    sv_quantized_linear down;          /* (H, I) */
} sv_quantized_layer;

typedef struct sv_quantized {
    sv_quantized_layer *layers; /* (L) */
    /* The mean and the least cosine with the vectors of fp32, as calibration measured them on texts that it hadn't used. */
    float cosine_mean, cosine_least;
} sv_quantized;

#endif
