/* Linear layers. A packed layer is one piece of memory: the matrix, then its vectors, each on a cache line of its own. */
#include "model/linear.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/limits.h"

const sv_precision *sv_math_precision(const sv_math *math) {
    const sv_kernels *kernels = &math->kernels;
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return &kernels->int8;
    case SENVEC_PRECISION_BF16:
        return &kernels->bf16;
    default:
        return &kernels->fp32;
    }
}

const sv_gemm *sv_math_wide(const sv_math *math) {
    const sv_gemm *bf16 = &math->kernels.bf16.gemm;
    return bf16->run ? bf16 : &math->kernels.fp32.gemm;
}

size_t sv_linear_size(const sv_gemm *gemm, size_t n, size_t k) {
    const size_t outputs = sv_whole_lines(n * sizeof(float)), inputs = sv_whole_lines(k * sizeof(float));
    const size_t vectors = gemm->ranged ? 3 * outputs + inputs : outputs;
    return sv_whole_lines(gemm->packed_size(n, k)) + vectors;
}

/* The next `count` floats behind *next, which moves on to the following cache line. */
static float *take(unsigned char **next, size_t count) {
    float *vector = (float *)(void *)*next;
    *next += sv_whole_lines(count * sizeof(float));
    return vector;
}

static void store_times(float *to, const float *from, size_t count, float factor) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[i] * factor;
}

/* The sum of each row of W, in the unit of `scale`. */
static void store_sums(float *to, const sv_quantized_linear *from, const float *scale) {
    for (size_t c = 0; c < from->n; c++) {
        int32_t total = 0;
        for (size_t i = 0; i < from->k; i++)
            total += from->w[c * from->k + i];
        to[c] = scale[c] * (float)total;
    }
}

static sv_linear pack_floats(const sv_gemm *gemm, const float *w, const float *bias, size_t n, size_t k, bool filled,
                             void *block) {
    assert(!gemm->ranged);
    unsigned char *next = (unsigned char *)block + sv_whole_lines(gemm->packed_size(n, k));
    float *copy = take(&next, n);
    if (!filled) {
        gemm->pack(block, w, k, n, k);
        memcpy(copy, bias, n * sizeof(float));
    }
    return (sv_linear){.gemm = *gemm, .packed = block, .bias = copy, .n = n, .k = k};
}

sv_linear sv_linear_pack(const sv_gemm *gemm, const float *w, const float *bias, size_t n, size_t k, void *block) {
    return pack_floats(gemm, w, bias, n, k, false, block);
}

sv_linear sv_linear_pack_quantized(const sv_gemm *gemm, const sv_quantized_linear *from, bool filled, void *block) {
    const size_t n = from->n, k = from->k;
    if (from->wide)
        return pack_floats(gemm, from->wide, from->bias, n, k, filled, block);
    assert(gemm->ranged);
    unsigned char *next = (unsigned char *)block + sv_whole_lines(gemm->packed_size(n, k));
    const bool fixed_point = from->exponent && *from->exponent >= 0;
    const unsigned exponent = fixed_point ? (unsigned)*from->exponent : 0;
    float *scale = take(&next, n), *sum = take(&next, n), *bias = take(&next, n);
    float *multiplier = from->multiplier ? take(&next, k) : NULL;
    if (!filled) {
        const float unit = fixed_point ? ldexpf(SV_GELU_UNIT, -(int)exponent) : 1;
        gemm->pack(block, from->w, k, n, k);
        store_times(scale, from->scale, n, unit);
        store_sums(sum, from, scale);
        store_times(bias, from->bias, n, unit);
        if (multiplier)
            memcpy(multiplier, from->multiplier, k * sizeof(float));
    }
    return (sv_linear){
        .gemm = *gemm,
        .packed = block,
        .bias = bias,
        .scale = scale,
        .sum = sum,
        .multiplier = multiplier,
        .fixed_point = fixed_point,
        .gelu_exponent = exponent,
        .n = n,
        .k = k,
    };
}

sv_linear sv_linear_part(const sv_linear *layer, size_t first, size_t last) {
    const sv_gemm *gemm = &layer->gemm;
    assert(!gemm->ranged && first % gemm->nr == 0 && first <= last && last <= layer->n);
    sv_linear part = *layer;
    part.packed += first / gemm->nr * gemm->packed_size(gemm->nr, layer->k);
    part.bias += first;
    part.n = last - first;
    return part;
}

size_t sv_operand_size(const sv_linear *layer, size_t rows) {
    const sv_gemm *gemm = &layer->gemm;
    return gemm->prepare ? rows * gemm->stride(layer->k) * gemm->element : 0;
}

void sv_operand_prepare(const sv_linear *layer, const sv_operand_buffer *buffer, const float *x, size_t ldx, size_t begin,
                        size_t end) {
    const sv_gemm *gemm = &layer->gemm;
    if (!gemm->prepare)
        return;
    unsigned char *rows = (unsigned char *)buffer->rows + sv_operand_size(layer, begin);
    gemm->prepare(rows, gemm->stride(layer->k), gemm->ranged ? buffer->range + begin : NULL, x + begin * ldx, ldx,
                  layer->multiplier, end - begin, layer->k);
}

void sv_operand_prepare_activated(const sv_linear *layer, const sv_linear *from, const sv_operand_buffer *buffer, const void *x,
                                  size_t begin, size_t end) {
    const size_t k = layer->k;
    if (!from->fixed_point) {
        sv_operand_prepare(layer, buffer, x, k, begin, end);
        return;
    }
    assert(!layer->multiplier && layer->gemm.prepare_gelu);
    layer->gemm.prepare_gelu((unsigned char *)buffer->rows + sv_operand_size(layer, begin), layer->gemm.stride(k),
                             buffer->range + begin, (const int16_t *)x + begin * k, k, from->gelu_exponent, end - begin, k);
}

sv_operand sv_operand_of(const sv_linear *layer, const sv_operand_buffer *buffer, const float *x, size_t ldx) {
    const sv_gemm *gemm = &layer->gemm;
    if (!gemm->prepare)
        return (sv_operand){x, ldx, NULL};
    return (sv_operand){buffer->rows, gemm->stride(layer->k), gemm->ranged ? buffer->range : NULL};
}

void sv_activate(const sv_kernels *kernels, sv_activation activation, float *x, size_t ldx, size_t rows, size_t n) {
    for (size_t row = 0; row < rows; row++, x += ldx)
        switch (activation) {
        case SV_ACTIVATION_GELU:
            kernels->gelu_f32(x, n);
            break;
        case SV_ACTIVATION_GELU_TANH:
            kernels->gelu_tanh_f32(x, n);
            break;
        case SV_ACTIVATION_RELU:
            for (size_t i = 0; i < n; i++)
                x[i] = x[i] < 0 ? 0 : x[i];
            break;
        }
}

/* What the product is asked for; an activation that it doesn't have follows it. */
static sv_gemm_output output_of(const sv_math *math, const sv_linear *layer, sv_linear_output wanted) {
    if (wanted == SV_LINEAR_ATTENTION && sv_math_precision(math)->attention.bf16)
        return SV_GEMM_BF16;
    if (wanted == SV_LINEAR_ACTIVATED && layer->fixed_point)
        return SV_GEMM_GELU_FIXED;
    if (wanted == SV_LINEAR_ACTIVATED && layer->gemm.gelu && math->activation == SV_ACTIVATION_GELU)
        return SV_GEMM_GELU;
    return SV_GEMM_FLOAT;
}

void sv_linear_run(const sv_math *math, const sv_linear *layer, sv_operand x, size_t rows, size_t first, size_t last,
                   sv_linear_output wanted, const float *residual, void *y, size_t ldy) {
    if (first >= last)
        return;
    const sv_gemm *gemm = &layer->gemm;
    const size_t panel = gemm->packed_size(gemm->nr, layer->k);
    assert(first % gemm->nr == 0 && last <= layer->n);
    const sv_gemm_output output = output_of(math, layer, wanted);
    const size_t element = output == SV_GEMM_FLOAT || output == SV_GEMM_GELU ? sizeof(float) : sizeof(uint16_t);
    void *c = (char *)y + first * element;
    gemm->run(&(sv_gemm_args){
        .a = x.rows,
        .lda = x.ld,
        .w = layer->packed + first / gemm->nr * panel,
        .panel = panel,
        .bias = layer->bias + first,
        .residual = residual ? residual + first : NULL,
        .c = c,
        .ldc = ldy,
        .m = rows,
        .n = last - first,
        .k = layer->k,
        .output = output,
        .range = x.range,
        .w_scale = gemm->ranged ? layer->scale + first : NULL,
        .w_sum = gemm->ranged ? layer->sum + first : NULL,
        .gelu_exponent = layer->gelu_exponent,
    });
    if (wanted == SV_LINEAR_ACTIVATED && output == SV_GEMM_FLOAT)
        sv_activate(&math->kernels, math->activation, c, ldy, rows, last - first);
}
