/* Implements quantize, quantize_gelu, pack and the arithmetic of the epilogues of an int8 product, for any vector width: all of
 * the contract but the product. W is packed as [ceil(n / NR)][k / UNIT, rounded up][NR][UNIT] bytes, up to a multiple of K_STEP
 * bytes of k.
 *
 * Parameters, beside a words_*.h header that is included before:
 *   MR, NR             rows and columns of a tile
 *   UNIT               bytes of W along k that are multiplied together
 *   K_STEP             bytes along k that a row of W is filled up to
 *   INT8_ELEMENT       bytes of a q: 1 or 2
 *   v_store_integers   words that store a vector of q from int32 lanes
 *   vs_store_integers  and from int16 lanes
 * The file that includes this one defines `run`, and its record by INT8_RECORD. */
#ifndef SV_KERNELS_INT8_TMPL_H
#define SV_KERNELS_INT8_TMPL_H

#if !defined(LANES) || !defined(MR) || !defined(NR) || !defined(UNIT) || !defined(K_STEP) || !defined(INT8_ELEMENT)
#error "int8_tmpl.h: a words_*.h header, MR, NR, UNIT, K_STEP and INT8_ELEMENT come before it"
#endif
#if !defined(v_store_integers) || !defined(vs_store_integers)
#error "int8_tmpl.h: v_store_integers and vs_store_integers say how a q is kept"
#endif

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/gelu_int8.h"
#include "kernels/tiers.h"
#include "kernels/tile_tmpl.h"
#include "kernels/unroll.h"

/* gelu_int8.h for one exponent, whose rounding is in the table. */
typedef struct gelu_constants {
    vs limit;
    vs_table terms[SV_GELU_TERMS];
    int up, down; /* shifts */
} gelu_constants;

static inline gelu_constants gelu_constants_of(unsigned exponent) {
    assert(exponent <= SV_GELU_EXPONENT_MAX);
    gelu_constants c = {.limit = vs_set(gelu_int8_limit(exponent)), .up = 3 + (int)exponent, .down = 7 + (int)exponent};
    int16_t first[SV_GELU_SEGMENTS];
    for (size_t i = 0; i < SV_GELU_SEGMENTS; i++)
        first[i] = (int16_t)(gelu_int8_table[0][i] + (1 << (6 + exponent)));
    c.terms[0] = vs_table_of(first);
    for (size_t i = 1; i < SV_GELU_TERMS; i++)
        c.terms[i] = vs_table_of(gelu_int8_table[i]);
    return c;
}

static inline vs vs_gelu(vs h, const gelu_constants *c) {
    const vs t = vs_shift_left(vs_min_unsigned(vs_abs(h), c->limit), c->up);
    const vs i = vs_shift_right(t, 11), f = vs_shift_right(vs_shift_left(t, 5), 1);
    vs p = vs_look_up(c->terms[2], i);
    p = vs_add(vs_look_up(c->terms[1], i), vs_mulhrs(p, f));
    p = vs_add(vs_look_up(c->terms[0], i), vs_mulhrs(p, f));
    return vs_add(vs_max(h, vs_set(0)), vs_shift_right_signed(p, c->down));
}

/* y of the contract, from the sums S as floats. */
ALWAYS_INLINE vf scale_sums(vf sums, vf w_scale, vf w_sum, vf bias, vf scale, vf low) {
    return v_fma(v_mul(sums, w_scale), scale, v_fma(low, w_sum, bias));
}

static size_t int8_stride(size_t k) {
    const size_t line = 64 / INT8_ELEMENT;
    return (k + line - 1) / line * line;
}

static size_t packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * ((k + K_STEP - 1) / K_STEP * K_STEP);
}

static void pack(void *packed, const void *from, size_t ldw, size_t n, size_t k) {
    const int8_t *w = from;
    int8_t *out = packed;
    for (size_t first = 0; first < n; first += NR)
        for (size_t i = 0; i < (k + K_STEP - 1) / K_STEP * K_STEP; i += UNIT)
            for (size_t j = 0; j < NR; j++, out += UNIT) {
                memset(out, 0, UNIT);
                if (first + j < n && i < k)
                    memcpy(out, w + (first + j) * ldw + i, smaller(k - i, UNIT));
            }
}

/* Rows go through each step of a conversion a few at a time: the least and the largest of all lanes and a division are a long
 * wait for one row alone. */
#define ROWS_TOGETHER 4

/* u of the `count` columns from i, at most LANES; zeros beyond. */
ALWAYS_INLINE vf load_scaled(const float *x, const float *multiplier, size_t i, size_t count, const bool scaled) {
    if (count >= LANES)
        return scaled ? v_mul(v_load(x + i), v_load(multiplier + i)) : v_load(x + i);
    const vf u = v_load_first(x + i, count);
    return scaled ? v_mul(u, v_load_first(multiplier + i, count)) : u;
}

/* The range of a row, and what u - low is to be multiplied by. There are two of each, since one alone is a chain. Minimum and
 * maximum pass over a NaN, so they are looked for beside them, two vectors at a time; an infinity makes the width infinite. */
ALWAYS_INLINE float row_range(sv_row_range *range, const float *x, const float *multiplier, size_t k, const bool scaled) {
    vf low[2], high[2];
    v_flags bad = v_no_flags();
    UNROLL
    for (size_t j = 0; j < 2; j++) {
        low[j] = v_set(k ? INFINITY : 0.0f);
        high[j] = v_set(k ? -INFINITY : 0.0f);
    }
    size_t i = 0;
    for (; i + 4 * LANES <= k; i += 4 * LANES) {
        vf u[4];
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            u[j] = load_scaled(x, multiplier, i + j * LANES, LANES, scaled);
            low[j % 2] = v_min(u[j], low[j % 2]);
            high[j % 2] = v_max(u[j], high[j % 2]);
        }
        bad = v_flag_nans(v_flag_nans(bad, u[0], u[1]), u[2], u[3]);
    }
    for (; i < k; i += LANES) {
        const size_t count = smaller(k - i, LANES);
        const vf u = load_scaled(x, multiplier, i, count, scaled);
        low[0] = v_min(v_first_or(u, count, low[0]), low[0]);
        high[0] = v_max(v_first_or(u, count, high[0]), high[0]);
        bad = v_flag_nans(bad, u, u);
    }
    const float least = v_least(v_min(low[0], low[1])), width = v_largest(v_max(high[0], high[1])) - least;
    const float poison = fmaf(width, 0.0f, v_any(bad) ? NAN : 0.0f);
    range->low = least + poison;
    range->scale = width * (1 / 255.0f) + poison;
    return width < 0x1p-100f ? 0.0f : 255.0f / width;
}

ALWAYS_INLINE void quantize_row(char *q, float least, float factor, const float *x, const float *multiplier, size_t k,
                                const bool scaled) {
    const vf inverse = v_set(factor), low = v_set(least);
    size_t i = 0;
    for (; i + 4 * LANES <= k; i += 4 * LANES) {
        vf y[4];
        UNROLL
        for (size_t j = 0; j < 4; j++)
            y[j] = v_mul(v_sub(load_scaled(x, multiplier, i + j * LANES, LANES, scaled), low), inverse);
        v_store_integers(q + i * INT8_ELEMENT, y);
    }
    for (; i < int8_stride(k); i += 4 * LANES) { /* a line is one of these steps or two */
        vf y[4];
        for (size_t j = 0; j < 4; j++) {
            const size_t at = i + j * LANES, count = k > at ? smaller(k - at, LANES) : 0;
            y[j] = v_first(v_mul(v_sub(load_scaled(x, multiplier, at, count, scaled), low), inverse), count);
        }
        v_store_integers(q + i * INT8_ELEMENT, y);
    }
}

ALWAYS_INLINE void quantize_rows(char *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx,
                                 const float *multiplier, size_t rows, size_t k, const bool scaled) {
    for (size_t first = 0; first < rows; first += ROWS_TOGETHER) {
        const size_t last = first + smaller(rows - first, ROWS_TOGETHER);
        float factor[ROWS_TOGETHER];
        for (size_t row = first; row < last; row++)
            factor[row - first] = row_range(&range[row], x + row * ldx, multiplier, k, scaled);
        for (size_t row = first; row < last; row++)
            quantize_row(out + row * ld_out * INT8_ELEMENT, range[row].low, factor[row - first], x + row * ldx, multiplier, k,
                         scaled);
    }
}

static void quantize(void *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                     size_t rows, size_t k) {
    assert(ld_out >= int8_stride(k));
    if (multiplier)
        quantize_rows(out, ld_out, range, x, ldx, multiplier, rows, k, true);
    else
        quantize_rows(out, ld_out, range, x, ldx, NULL, rows, k, false);
}

/* The largest of a row. */
ALWAYS_INLINE int gelu_row_high(const int16_t *x, size_t k, int16_t low) {
    vs high[2] = {vs_set(low), vs_set(low)};
    size_t i = 0;
    for (; i + 2 * SHORTS <= k; i += 2 * SHORTS) {
        high[0] = vs_max(high[0], vs_load(x + i));
        high[1] = vs_max(high[1], vs_load(x + i + SHORTS));
    }
    int highest = vs_largest(vs_max(high[0], high[1]));
    for (; i < k; i++)
        highest = x[i] > highest ? x[i] : highest;
    return highest;
}

ALWAYS_INLINE void quantize_gelu_row(char *q, const int16_t *x, size_t k, int16_t least, int16_t fraction) {
    const vs low = vs_set(least), inverse = vs_set(fraction);
    size_t i = 0;
    for (; i + 2 * SHORTS <= k; i += 2 * SHORTS)
        vs_store_integers(q + i * INT8_ELEMENT, vs_mulhrs(vs_sub_saturated(vs_load(x + i), low), inverse),
                          vs_mulhrs(vs_sub_saturated(vs_load(x + i + SHORTS), low), inverse));
    for (; i < int8_stride(k); i += 2 * SHORTS) {
        int16_t tail[2 * SHORTS];
        for (size_t j = 0; j < 2 * SHORTS; j++)
            tail[j] = i + j < k ? x[i + j] : least;
        vs_store_integers(q + i * INT8_ELEMENT, vs_mulhrs(vs_sub_saturated(vs_load(tail), low), inverse),
                          vs_mulhrs(vs_sub_saturated(vs_load(tail + SHORTS), low), inverse));
    }
}

static void quantize_gelu(void *out, size_t ld_out, sv_row_range *range, const int16_t *x, size_t ldx, unsigned exponent,
                          size_t rows, size_t k) {
    assert(ld_out >= int8_stride(k) && exponent <= SV_GELU_EXPONENT_MAX);
    const int16_t least = gelu_int8_least(exponent);
    const float step = ldexpf(1 / SV_GELU_UNIT, (int)exponent);
    for (size_t first = 0; first < rows; first += ROWS_TOGETHER) {
        const size_t last = first + smaller(rows - first, ROWS_TOGETHER);
        int16_t fraction[ROWS_TOGETHER];
        for (size_t row = first; row < last; row++) {
            const int width = gelu_row_high(x + row * ldx, k, least) - least;
            fraction[row - first] = gelu_int8_inverse(width < INT16_MAX ? width : INT16_MAX);
        }
        for (size_t row = first; row < last; row++) {
            const int16_t by = fraction[row - first];
            quantize_gelu_row((char *)out + row * ld_out * INT8_ELEMENT, x + row * ldx, k, least, by);
            if (!isnan(range[row].low))
                range[row] = (sv_row_range){.low = (float)least * step, .scale = 32768.0f / (float)by * step};
        }
    }
}

/* The record that a tier's file defines once it has `run`. */
#define INT8_RECORD(tile_name, rows)                                                                                           \
    {                                                                                                                          \
        .name = tile_name, .mr = MR, .nr = NR, .panel_rows = rows, .element = INT8_ELEMENT, .ranged = true,                    \
        .stride = int8_stride, .packed_size = packed_size, .pack = pack, .prepare = quantize, .prepare_gelu = quantize_gelu,   \
        .run = run                                                                                                             \
    }

#endif
