/* What the int8 products of all vector tiers share: the float side of the contract, over the words of a vector header. To be
 * included after that header, which also says by v_store_integers how the tier keeps a q. */
#ifndef SV_KERNELS_INT8_VEC_H
#define SV_KERNELS_INT8_VEC_H

#include <assert.h>
#include <math.h>

#include "kernels/gelu_int8.h"
#include "kernels/tiers.h"
#include "kernels/unroll.h"

static inline vf v_gelu_int8(vf x) {
    const vf z = v_min(v_set(GELU_INT8_LIMIT), v_abs(x)); /* in this order a NaN passes */
    vf p = v_set(gelu_int8_coefficients[0]);
    UNROLL
    for (size_t i = 1; i < sizeof gelu_int8_coefficients / sizeof *gelu_int8_coefficients; i++)
        p = v_fma(p, z, v_set(gelu_int8_coefficients[i]));
    return v_fma(p, z, v_max(v_zero(), x));
}

static size_t int8_stride(size_t k) {
    const size_t line = 64 / INT8_ELEMENT;
    return (k + line - 1) / line * line;
}

/* u of the `count` columns from i, at most LANES; zeros beyond. */
static inline vf scaled(const float *x, const float *multiplier, size_t i, size_t count) {
    if (count >= LANES)
        return multiplier ? v_mul(v_load(x + i), v_load(multiplier + i)) : v_load(x + i);
    const vf u = v_load_first(x + i, count);
    return multiplier ? v_mul(u, v_load_first(multiplier + i, count)) : u;
}

/* The range of a row, and what u - low is to be multiplied by. Sums of u * 0 are 0, or a NaN if any u isn't finite. */
static inline float row_range(sv_row_range *range, const float *x, const float *multiplier, size_t k) {
    vf low[2], high[2], poison[2];
    UNROLL
    for (size_t j = 0; j < 2; j++) {
        low[j] = v_set(k ? INFINITY : 0.0f);
        high[j] = v_set(k ? -INFINITY : 0.0f);
        poison[j] = v_zero();
    }
    size_t i = 0;
    for (; i + 2 * LANES <= k; i += 2 * LANES) {
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            const vf u = scaled(x, multiplier, i + j * LANES, LANES);
            low[j] = v_min(u, low[j]);
            high[j] = v_max(u, high[j]);
            poison[j] = v_fma(u, v_zero(), poison[j]);
        }
    }
    for (; i < k; i += LANES) {
        const size_t count = k - i < LANES ? k - i : LANES;
        const vf u = scaled(x, multiplier, i, count);
        low[0] = v_min(v_first_or(u, count, low[0]), low[0]);
        high[0] = v_max(v_first_or(u, count, high[0]), high[0]);
        poison[0] = v_fma(u, v_zero(), poison[0]);
    }
    const float least = v_least(v_min(low[0], low[1])), width = v_largest(v_max(high[0], high[1])) - least;
    const float bad = fmaf(width, 0.0f, v_sum(v_add(poison[0], poison[1])));
    range->low = least + bad;
    range->scale = width * (1 / 255.0f) + bad;
    return width < 0x1p-100f ? 0.0f : 255.0f / width;
}

static void quantize(void *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                     size_t rows, size_t k) {
    const size_t stride = int8_stride(k);
    assert(ld_out >= stride);
    for (size_t row = 0; row < rows; row++, x += ldx) {
        char *q = (char *)out + row * ld_out * INT8_ELEMENT;
        const vf inverse = v_set(row_range(&range[row], x, multiplier, k)), low = v_set(range[row].low);
        size_t i = 0;
        for (; i + 2 * LANES <= k; i += 2 * LANES)
            v_store_integers(q + i * INT8_ELEMENT, v_mul(v_sub(scaled(x, multiplier, i, LANES), low), inverse),
                             v_mul(v_sub(scaled(x, multiplier, i + LANES, LANES), low), inverse));
        for (; i < stride; i += 2 * LANES) { /* a line has room for all of it */
            vf y[2];
            for (size_t j = 0; j < 2; j++) {
                const size_t at = i + j * LANES, count = k > at ? (k - at < LANES ? k - at : LANES) : 0;
                y[j] = v_first(v_mul(v_sub(scaled(x, multiplier, at, count), low), inverse), count);
            }
            v_store_integers(q + i * INT8_ELEMENT, y[0], y[1]);
        }
    }
}

#endif
