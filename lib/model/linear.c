/* Linear layers in fp32, bf16 and int8. A packed layer is one piece of memory: the matrix, then its vectors, each on a cache
 * line of its own. */
#include "model/linear.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/limits.h"

/* Bytes of the packed matrix alone. */
static size_t packed_size(const sv_math *math, size_t n, size_t k) {
    const sv_kernels *kernels = &math->kernels;
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return kernels->gemm_int8.packed_size(n, k);
    case SENVEC_PRECISION_BF16:
        return kernels->gemm_bf16.packed_size(n, k);
    default:
        return kernels->gemm_f32.packed_size(n, k) * sizeof(float);
    }
}

const sv_attention *sv_math_attention(const sv_math *math) {
    const sv_kernels *kernels = &math->kernels;
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return &kernels->attention_int8;
    case SENVEC_PRECISION_BF16:
        return &kernels->attention_bf16;
    default:
        return &kernels->attention_f32;
    }
}

/* What the product of the precision asks of its callers. */
typedef struct gemm_shape {
    size_t nr, panel_rows;
} gemm_shape;

static gemm_shape shape_of(const sv_math *math) {
    const sv_kernels *kernels = &math->kernels;
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return (gemm_shape){kernels->gemm_int8.nr, kernels->gemm_int8.panel_rows};
    case SENVEC_PRECISION_BF16:
        return (gemm_shape){kernels->gemm_bf16.nr, kernels->gemm_bf16.panel_rows};
    default:
        return (gemm_shape){kernels->gemm_f32.nr, kernels->gemm_f32.panel_rows};
    }
}

size_t sv_linear_columns(const sv_math *math) {
    return shape_of(math).nr;
}

size_t sv_linear_panel_rows(const sv_math *math) {
    return shape_of(math).panel_rows;
}

size_t sv_linear_size(const sv_math *math, size_t n, size_t k) {
    const size_t outputs = sv_whole_lines(n * sizeof(float)), inputs = sv_whole_lines(k * sizeof(float));
    const size_t vectors = math->precision == SENVEC_PRECISION_INT8 ? 3 * outputs + inputs : outputs;
    return sv_whole_lines(packed_size(math, n, k)) + vectors;
}

/* The next `count` floats behind *next, which moves on to the following cache line. */
static float *take(unsigned char **next, size_t count) {
    float *vector = (float *)(void *)*next;
    *next += sv_whole_lines(count * sizeof(float));
    return vector;
}

static const float *copy(unsigned char **next, const float *from, size_t count) {
    return memcpy(take(next, count), from, count * sizeof(float));
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

sv_linear sv_linear_pack(const sv_math *math, const float *w, const float *bias, size_t n, size_t k, void *block) {
    assert(math->precision != SENVEC_PRECISION_INT8);
    if (math->precision == SENVEC_PRECISION_BF16)
        math->kernels.gemm_bf16.pack(block, w, k, n, k);
    else
        math->kernels.gemm_f32.pack(block, w, k, n, k);
    unsigned char *next = (unsigned char *)block + sv_whole_lines(packed_size(math, n, k));
    return (sv_linear){.packed = block, .bias = copy(&next, bias, n), .n = n, .k = k};
}

sv_linear sv_linear_pack_quantized(const sv_math *math, const sv_quantized_linear *from, bool filled, void *block) {
    assert(math->precision == SENVEC_PRECISION_INT8);
    const size_t n = from->n, k = from->k;
    unsigned char *next = (unsigned char *)block + sv_whole_lines(packed_size(math, n, k));
    const bool fixed_point = from->exponent && *from->exponent >= 0;
    const unsigned exponent = fixed_point ? (unsigned)*from->exponent : 0;
    float *scale = take(&next, n), *sum = take(&next, n), *bias = take(&next, n);
    float *multiplier = from->multiplier ? take(&next, k) : NULL;
    if (!filled) {
        const float unit = fixed_point ? ldexpf(SV_GELU_UNIT, -(int)exponent) : 1;
        math->kernels.gemm_int8.pack(block, from->w, k, n, k);
        store_times(scale, from->scale, n, unit);
        store_sums(sum, from, scale);
        store_times(bias, from->bias, n, unit);
        if (multiplier)
            memcpy(multiplier, from->multiplier, k * sizeof(float));
    }
    return (sv_linear){
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

sv_linear sv_linear_part(const sv_math *math, const sv_linear *layer, size_t first, size_t last) {
    const size_t columns = sv_linear_columns(math);
    assert(math->precision != SENVEC_PRECISION_INT8 && first % columns == 0 && first <= last && last <= layer->n);
    sv_linear part = *layer;
    part.packed += first / columns * packed_size(math, columns, layer->k);
    part.bias += first;
    part.n = last - first;
    return part;
}

size_t sv_operand_size(const sv_math *math, size_t rows, size_t k) {
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return rows * math->kernels.gemm_int8.stride(k) * math->kernels.gemm_int8.element;
    case SENVEC_PRECISION_BF16:
        return rows * math->kernels.gemm_bf16.stride(k) * sizeof(uint16_t);
    default:
        return 0;
    }
}

void sv_operand_prepare(const sv_math *math, const sv_linear *layer, const sv_operand_buffer *buffer, const float *x,
                        size_t ldx, size_t begin, size_t end) {
    const size_t k = layer->k;
    unsigned char *rows = (unsigned char *)buffer->rows + sv_operand_size(math, begin, k);
    if (math->precision == SENVEC_PRECISION_INT8) {
        const sv_gemm_int8 *gemm = &math->kernels.gemm_int8;
        gemm->quantize(rows, gemm->stride(k), buffer->range + begin, x + begin * ldx, ldx, layer->multiplier, end - begin, k);
    } else if (math->precision == SENVEC_PRECISION_BF16) {
        const sv_gemm_bf16 *gemm = &math->kernels.gemm_bf16;
        gemm->convert((uint16_t *)(void *)rows, gemm->stride(k), x + begin * ldx, ldx, end - begin, k);
    }
}

/* The activation is part of the product. */
static bool fuses_gelu(const sv_math *math, const sv_linear *layer) {
    return math->precision == SENVEC_PRECISION_INT8 ? layer->fixed_point : math->activation == SV_ACTIVATION_GELU;
}

void sv_operand_prepare_activated(const sv_math *math, const sv_linear *layer, const sv_linear *from,
                                  const sv_operand_buffer *buffer, const void *x, size_t begin, size_t end) {
    if (!from->fixed_point) {
        sv_operand_prepare(math, layer, buffer, x, layer->k, begin, end);
        return;
    }
    assert(!layer->multiplier);
    const sv_gemm_int8 *gemm = &math->kernels.gemm_int8;
    const size_t k = layer->k;
    gemm->quantize_gelu((unsigned char *)buffer->rows + sv_operand_size(math, begin, k), gemm->stride(k), buffer->range + begin,
                        (const int16_t *)x + begin * k, k, from->gelu_exponent, end - begin, k);
}

sv_operand sv_operand_of(const sv_math *math, const sv_linear *layer, const sv_operand_buffer *buffer, const float *x,
                         size_t ldx) {
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        return (sv_operand){buffer->rows, math->kernels.gemm_int8.stride(layer->k), buffer->range};
    case SENVEC_PRECISION_BF16:
        return (sv_operand){buffer->rows, math->kernels.gemm_bf16.stride(layer->k), NULL};
    default:
        return (sv_operand){x, ldx, NULL};
    }
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

void sv_linear_run(const sv_math *math, const sv_linear *layer, sv_operand x, size_t rows, size_t first, size_t last,
                   sv_linear_output output, const float *residual, void *y, size_t ldy) {
    if (first >= last)
        return;
    const size_t k = layer->k, columns = sv_linear_columns(math);
    const size_t panel = packed_size(math, columns, k);
    assert(first % columns == 0 && last <= layer->n);
    const void *packed = layer->packed + first / columns * panel;
    const bool gelu = output == SV_LINEAR_ACTIVATED && fuses_gelu(math, layer);
    const bool bf16 = output == SV_LINEAR_ATTENTION && sv_math_attention(math)->bf16;
    float *c = (float *)y + first;
    if (residual)
        residual += first;
    switch (math->precision) {
    case SENVEC_PRECISION_INT8:
        math->kernels.gemm_int8.run(&(sv_gemm_int8_args){
            .a = x.rows,
            .lda = x.ld,
            .range = x.range,
            .w = packed,
            .panel = panel,
            .w_scale = layer->scale + first,
            .w_sum = layer->sum + first,
            .bias = layer->bias + first,
            .c = c,
            .residual = residual,
            .gelu = gelu ? (int16_t *)y + first : NULL,
            .gelu_exponent = layer->gelu_exponent,
            .bf16 = bf16 ? (uint16_t *)y + first : NULL,
            .ldc = ldy,
            .m = rows,
            .n = last - first,
            .k = k,
        });
        break;
    case SENVEC_PRECISION_BF16:
        math->kernels.gemm_bf16.run(&(sv_gemm_bf16_args){
            .a = x.rows,
            .lda = x.ld,
            .w = packed,
            .panel = panel,
            .bias = layer->bias + first,
            .c = c,
            .residual = residual,
            .bf16 = bf16 ? (uint16_t *)y + first : NULL,
            .ldc = ldy,
            .m = rows,
            .n = last - first,
            .k = k,
            .gelu = gelu,
        });
        break;
    default:
        math->kernels.gemm_f32.run(&(sv_gemm_f32_args){
            .a = x.rows,
            .lda = x.ld,
            .w = packed,
            .panel = panel / sizeof(float),
            .bias = layer->bias + first,
            .c = c,
            .residual = residual,
            .ldc = ldy,
            .m = rows,
            .n = last - first,
            .k = k,
            .gelu = gelu,
        });
    }
    if (output == SV_LINEAR_ACTIVATED && !gelu)
        sv_activate(&math->kernels, math->activation, c, ldy, rows, last - first);
}
