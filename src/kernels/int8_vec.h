/* What the int8 products of all vector tiers share: the float side of the contract, over the words of a vector header. To be
 * included after that header, which also says by v_store_integers how the tier keeps a q. */
#ifndef SV_KERNELS_INT8_VEC_H
#define SV_KERNELS_INT8_VEC_H

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "kernels/gelu_int8.h"
#include "kernels/tiers.h"
#include "kernels/tile_vec.h"
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
ALWAYS_INLINE vf load_scaled(const float *x, const float *multiplier, size_t i, size_t count, const bool scaled) {
    if (count >= LANES)
        return scaled ? v_mul(v_load(x + i), v_load(multiplier + i)) : v_load(x + i);
    const vf u = v_load_first(x + i, count);
    return scaled ? v_mul(u, v_load_first(multiplier + i, count)) : u;
}

/* The range of a row, and what u - low is to be multiplied by. Sums of u * 0 are 0, or a NaN if any u isn't finite; there are
 * four of them, since each is a chain. */
ALWAYS_INLINE float row_range(sv_row_range *range, const float *x, const float *multiplier, size_t k, const bool scaled) {
    vf low = v_set(k ? INFINITY : 0.0f), high = v_set(k ? -INFINITY : 0.0f), bad[4];
    UNROLL
    for (size_t j = 0; j < 4; j++)
        bad[j] = v_zero();
    size_t i = 0;
    for (; i + 4 * LANES <= k; i += 4 * LANES) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            const vf u = load_scaled(x, multiplier, i + j * LANES, LANES, scaled);
            low = v_min(u, low);
            high = v_max(u, high);
            bad[j] = v_fma(u, v_zero(), bad[j]);
        }
    }
    for (; i < k; i += LANES) {
        const size_t count = smaller(k - i, LANES);
        const vf u = load_scaled(x, multiplier, i, count, scaled);
        low = v_min(v_first_or(u, count, low), low);
        high = v_max(v_first_or(u, count, high), high);
        bad[0] = v_fma(u, v_zero(), bad[0]);
    }
    const float least = v_least(low), width = v_largest(high) - least;
    const float poison = fmaf(width, 0.0f, v_sum(v_add(v_add(bad[0], bad[1]), v_add(bad[2], bad[3]))));
    range->low = least + poison;
    range->scale = width * (1 / 255.0f) + poison;
    return width < 0x1p-100f ? 0.0f : 255.0f / width;
}

ALWAYS_INLINE void quantize_row(char *q, sv_row_range *range, const float *x, const float *multiplier, size_t k,
                                const bool scaled) {
    const vf inverse = v_set(row_range(range, x, multiplier, k, scaled)), low = v_set(range->low);
    size_t i = 0;
    for (; i + 2 * LANES <= k; i += 2 * LANES)
        v_store_integers(q + i * INT8_ELEMENT, v_mul(v_sub(load_scaled(x, multiplier, i, LANES, scaled), low), inverse),
                         v_mul(v_sub(load_scaled(x, multiplier, i + LANES, LANES, scaled), low), inverse));
    for (; i < int8_stride(k); i += 2 * LANES) { /* a line has room for all of it */
        vf y[2];
        for (size_t j = 0; j < 2; j++) {
            const size_t at = i + j * LANES, count = k > at ? smaller(k - at, LANES) : 0;
            y[j] = v_first(v_mul(v_sub(load_scaled(x, multiplier, at, count, scaled), low), inverse), count);
        }
        v_store_integers(q + i * INT8_ELEMENT, y[0], y[1]);
    }
}

static void quantize(void *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                     size_t rows, size_t k) {
    assert(ld_out >= int8_stride(k));
    for (size_t row = 0; row < rows; row++) {
        char *q = (char *)out + row * ld_out * INT8_ELEMENT;
        if (multiplier)
            quantize_row(q, &range[row], x + row * ldx, multiplier, k, true);
        else
            quantize_row(q, &range[row], x + row * ldx, NULL, k, false);
    }
}

#endif
