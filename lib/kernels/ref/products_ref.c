/* The ref tier's products in int8 and in bfloat16: the definition of right for the other tiers. Like float_ref.c, this file
 * is compiled without contraction and without the auto-vectoriser: what is rounded, and when, is what is written.
 *
 * int8: integers are exact, and each step from floats to integers and back is one IEEE operation in an order that vector code
 * can keep. So every tier gives these bits.
 *
 * bfloat16: a step is what vdpbf16ps does to one lane, by its description in Intel's Software Developer's Manual. For a pair of
 * columns (2i, 2i + 1), first the odd one's product is added, then the even one's, and each addition is rounded to float, to
 * nearest even; the product of two bfloat16 is exact in a float. Denormals, in the factors, in the sum and out of it, are zeros
 * of their sign. Processors may differ from the description in the last bit, so other tiers promise a bound, not these bits. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gelu_int8.h"
#include "kernels/ref/float_ref.h"
#include "kernels/tiers.h"

enum { NR = 8, LINE = 64 };

static size_t round_up(size_t count, size_t step) {
    return (count + step - 1) / step * step;
}

/* -------------------------------------------------------------------- int8 */

static int mulhrs(int x, int y) {
    return (x * y + (1 << 14)) >> 15;
}

static int to_int16(float y) {
    if (!(fabsf(y) < 0x1p31f))
        return INT16_MIN;
    const long nearest = lrintf(y);
    return nearest < INT16_MIN ? INT16_MIN : nearest > INT16_MAX ? INT16_MAX : (int)nearest;
}

static int16_t gelu_int8(int h, unsigned e) {
    const int limit = gelu_int8_limit(e), magnitude = abs(h);
    const int t = (magnitude < limit ? magnitude : limit) << (3 + e), i = t >> 11, f = (t & 2047) << 4;
    const int p = gelu_int8_table[0][i] + mulhrs(gelu_int8_table[1][i] + mulhrs(gelu_int8_table[2][i], f), f);
    return (int16_t)((h > 0 ? h : 0) + ((p + (1 << (6 + e))) >> (7 + e)));
}

static size_t int8_stride(size_t k) {
    return round_up(k, LINE);
}

static size_t int8_packed_size(size_t n, size_t k) {
    return round_up(n, NR) * k;
}

/* packed [ceil(n / NR)][k][NR] */
static void int8_pack(void *packed, const void *from, size_t ldw, size_t n, size_t k) {
    const int8_t *w = from;
    int8_t *out = packed;
    for (size_t panel = 0; panel < n; panel += NR)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < NR; j++)
                *out++ = panel + j < n ? w[(panel + j) * ldw + i] : 0;
}

static void quantize(void *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                     size_t rows, size_t k) {
    assert(ld_out >= int8_stride(k));
    for (size_t row = 0; row < rows; row++) {
        uint8_t *q = (uint8_t *)out + row * ld_out;
        const float *from = x + row * ldx;
        float low = k ? INFINITY : 0.0f, high = -low;
        float poison = 0.0f; /* a NaN as soon as something isn't finite */
        for (size_t i = 0; i < k; i++) {
            const float u = multiplier ? from[i] * multiplier[i] : from[i];
            low = u < low ? u : low;
            high = u > high ? u : high;
            poison = fmaf(u, 0.0f, poison);
        }
        const float width = high - low;
        poison = fmaf(width, 0.0f, poison);
        range[row] = (sv_row_range){.low = low + poison, .scale = width * (1 / 255.0f) + poison};
        const float inverse = width < 0x1p-100f ? 0.0f : 255.0f / width;
        for (size_t i = 0; i < k; i++) {
            const float u = multiplier ? from[i] * multiplier[i] : from[i];
            q[i] = isnan(range[row].low) ? 0 : (uint8_t)lrintf((u - low) * inverse);
        }
        memset(q + k, 0, int8_stride(k) - k);
    }
}

static void quantize_gelu(void *out, size_t ld_out, sv_row_range *range, const int16_t *x, size_t ldx, unsigned exponent,
                          size_t rows, size_t k) {
    assert(ld_out >= int8_stride(k) && exponent <= SV_GELU_EXPONENT_MAX);
    const int low = gelu_int8_least(exponent);
    const float step = ldexpf(1 / SV_GELU_UNIT, (int)exponent);
    for (size_t row = 0; row < rows; row++) {
        uint8_t *q = (uint8_t *)out + row * ld_out;
        const int16_t *from = x + row * ldx;
        int high = low;
        for (size_t i = 0; i < k; i++)
            high = from[i] > high ? from[i] : high;
        const int inverse = gelu_int8_inverse(high - low < INT16_MAX ? high - low : INT16_MAX);
        for (size_t i = 0; i < k; i++)
            q[i] = (uint8_t)mulhrs(from[i] - low < INT16_MAX ? from[i] - low : INT16_MAX, inverse);
        memset(q + k, 0, int8_stride(k) - k);
        if (!isnan(range[row].low))
            range[row] = (sv_row_range){.low = (float)low * step, .scale = 32768.0f / (float)inverse * step};
    }
}

static void int8_run(const sv_gemm_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= g->k * NR && g->lda >= int8_stride(g->k));
    for (size_t first = 0; first < g->n; first += NR) {
        const int8_t *w = (const int8_t *)g->w + first / NR * g->panel; /* (k, NR) */
        const size_t columns = g->n - first < NR ? g->n - first : NR;
        for (size_t row = 0; row < g->m; row++) {
            const uint8_t *a = (const uint8_t *)g->a + row * g->lda;
            int32_t sum[NR] = {0};
            for (size_t i = 0; i < g->k; i++)
                for (size_t j = 0; j < NR; j++)
                    sum[j] += a[i] * w[i * NR + j];
            for (size_t j = 0; j < columns; j++) {
                const size_t c = first + j;
                const float offset = fmaf(g->range[row].low, g->w_sum[c], g->bias[c]);
                const float y = fmaf((float)sum[j] * g->w_scale[c], g->range[row].scale, offset);
                const size_t at = row * g->ldc + c;
                if (g->output == SV_GEMM_GELU_FIXED)
                    ((int16_t *)g->c)[at] = gelu_int8(to_int16(y), g->gelu_exponent);
                else
                    ((float *)g->c)[at] = g->residual ? y + g->residual[at] : y;
            }
        }
    }
}

const sv_gemm sv_gemm_int8_ref = {
    .name = "gemm_int8_ref_1x8",
    .mr = 1,
    .nr = NR,
    .panel_rows = 48,
    .element = 1,
    .ranged = true,
    .stride = int8_stride,
    .packed_size = int8_packed_size,
    .pack = int8_pack,
    .prepare = quantize,
    .prepare_gelu = quantize_gelu,
    .run = int8_run,
};

/* -------------------------------------------------------------------- bf16 */

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A denormal becomes the zero of its sign. */
static float flush(float x) {
    return fabsf(x) < FLT_MIN ? copysignf(0.0f, x) : x;
}

static float to_float(uint16_t x) {
    return flush(from_bits((uint32_t)x << 16));
}

/* As vcvtneps2bf16 does: nearest, ties to even; denormals become zeros, NaNs stay NaNs and are quiet. */
static uint16_t to_bf16(float x) {
    const float flushed = flush(x);
    uint32_t bits;
    memcpy(&bits, &flushed, sizeof bits);
    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static size_t bf16_stride(size_t k) {
    return round_up(k, LINE / sizeof(uint16_t));
}

static size_t bf16_packed_size(size_t n, size_t k) {
    return round_up(n, NR) * round_up(k, 2) * sizeof(uint16_t);
}

/* packed [ceil(n / NR)][k, rounded up to even][NR] */
static void bf16_pack(void *packed, const void *from, size_t ldw, size_t n, size_t k) {
    const float *w = from;
    uint16_t *out = packed;
    for (size_t panel = 0; panel < n; panel += NR)
        for (size_t i = 0; i < round_up(k, 2); i++)
            for (size_t j = 0; j < NR; j++)
                *out++ = panel + j < n && i < k ? to_bf16(w[(panel + j) * ldw + i]) : 0;
}

static void bf16_convert(void *to, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                         size_t rows, size_t k) {
    assert(ld_out >= bf16_stride(k) && !range && !multiplier);
    (void)range;
    (void)multiplier;
    uint16_t *out = to;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < bf16_stride(k); i++)
            out[row * ld_out + i] = i < k ? to_bf16(x[row * ldx + i]) : 0;
}

static void bf16_run(const sv_gemm_args *g) {
    assert(g->panel >= bf16_packed_size(NR, g->k) && g->lda >= bf16_stride(g->k));
    for (size_t first = 0; first < g->n; first += NR) {
        const uint16_t *w = (const uint16_t *)((const char *)g->w + first / NR * g->panel); /* (k, NR) */
        const size_t columns = g->n - first < NR ? g->n - first : NR;
        for (size_t row = 0; row < g->m; row++) {
            const uint16_t *a = (const uint16_t *)g->a + row * g->lda;
            for (size_t j = 0; j < columns; j++) {
                float sum = 0.0f;
                for (size_t i = 0; i < g->k; i += 2)
                    for (size_t odd = 2; odd-- > 0;)
                        sum = flush(fmaf(to_float(a[i + odd]), to_float(w[(i + odd) * NR + j]), sum));
                float *c = (float *)g->c + row * g->ldc + first + j;
                *c = sum + g->bias[first + j];
                if (g->residual)
                    *c += g->residual[row * g->ldc + first + j];
                if (g->output == SV_GEMM_GELU)
                    *c = sv_gelu_ref(*c);
            }
        }
    }
}

const sv_gemm sv_gemm_bf16_ref = {
    .name = "gemm_bf16_ref_1x8",
    .mr = 1,
    .nr = NR,
    .panel_rows = 48,
    .element = sizeof(uint16_t),
    .gelu = true,
    .stride = bf16_stride,
    .packed_size = bf16_packed_size,
    .pack = bf16_pack,
    .prepare = bf16_convert,
    .run = bf16_run,
};
