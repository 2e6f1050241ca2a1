/* Implements everything of a bfloat16 product of AVX-512 or AMX except the multiplication: convert, pack and the epilogues,
 * which read the sums that a tile left in memory.
 *
 * Parameters: MR, NR, UNIT, K_STEP (a tile template defines them). The file that includes this one defines `run`, and its
 * record by BF16_RECORD. */
#ifndef SV_KERNELS_BF16_EPILOGUE_TMPL_H
#define SV_KERNELS_BF16_EPILOGUE_TMPL_H

#if !defined(MR) || !defined(NR) || !defined(UNIT) || !defined(K_STEP)
#error "bf16_epilogue_tmpl.h: include a tile template before, which defines MR, NR, UNIT and K_STEP"
#endif

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/tiers.h"
#include "kernels/x86/product.h"
#include "kernels/x86/words_avx512.h"

#include "kernels/gelu_tmpl.h"

static size_t stride(size_t k) {
    return (k + LINE - 1) / LINE * LINE;
}

/* Pairs along k in the packed form. */
static size_t steps_of(size_t k) {
    return (2 * k + K_STEP - 1) / K_STEP * K_STEP / UNIT;
}

static size_t packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * steps_of(k) * UNIT;
}

/* The `count` floats at x, at most LINE, and zeros. */
static inline void convert_line(void *out, const float *x, size_t count) {
    vf v[2];
    load_row(v, x, 2, count);
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(v[1], v[0]));
}

static void convert(void *to, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                    size_t rows, size_t k) {
    assert(ld_out >= stride(k) && !range && !multiplier);
    (void)range;
    (void)multiplier;
    uint16_t *out = to;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < k; i += LINE)
            convert_line(out + row * ld_out + i, x + row * ldx + i, smaller(k - i, LINE));
}

static void pack(void *packed, const void *from, size_t ldw, size_t n, size_t k) {
    const float *w = from;
    const size_t steps = steps_of(k);
    uint32_t *out = packed; /* a pair each */
    for (size_t first = 0; first < n; first += NR, out += steps * NR)
        for (size_t j = 0; j < NR; j++)
            for (size_t i = 0; i < k; i += LINE) {
                uint32_t pairs[LINE / 2] = {0};
                if (first + j < n)
                    convert_line(pairs, w + (first + j) * ldw + i, smaller(k - i, LINE));
                for (size_t step = i / 2; step < smaller(steps, (i + LINE) / 2); step++)
                    out[step * NR + j] = pairs[step - i / 2];
            }
}

ALWAYS_INLINE void finish_as(const sv_gemm_args *g, size_t row, size_t rows, size_t column, const float *sums, const bool whole,
                             const output kind) {
    const size_t columns = whole ? NR : g->n - column;
    vf bias[2];
    load_row(bias, g->bias + column, 2, columns);
    for (size_t r = 0; r < rows; r++, sums += NR) {
        const size_t at = (row + r) * g->ldc + column;
        vf y[2];
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            y[j] = v_add(v_load(sums + j * LANES), bias[j]);
            if (kind == GELU)
                y[j] = v_gelu(y[j]);
        }
        if (kind == SUMS)
            add_row(y, g->residual + at, 2, columns);
        if (kind == BFLOATS) {
            const __m512i line = (__m512i)_mm512_cvtne2ps_pbh(y[1], y[0]);
            memcpy((uint16_t *)g->c + at, &line, columns * sizeof(uint16_t));
        } else
            store_row((float *)g->c + at, y, 2, columns);
    }
}

ALWAYS_INLINE void finish_kind(const sv_gemm_args *g, size_t row, size_t rows, size_t column, const float *sums,
                               const output kind) {
    if (g->n - column < NR)
        finish_as(g, row, rows, column, sums, false, kind);
    else
        finish_as(g, row, rows, column, sums, true, kind);
}

/* C's rows from `row` and columns from `column` on, of the `sums` (rows, NR). */
static void finish(const sv_gemm_args *g, size_t row, size_t rows, size_t column, const float *sums) {
    if (g->output == SV_GEMM_GELU)
        finish_kind(g, row, rows, column, sums, GELU);
    else if (g->output == SV_GEMM_BF16)
        finish_kind(g, row, rows, column, sums, BFLOATS);
    else if (g->residual)
        finish_kind(g, row, rows, column, sums, SUMS);
    else
        finish_kind(g, row, rows, column, sums, FLOATS);
}

#define BF16_RECORD(tile_name, rows)                                                                                           \
    {                                                                                                                          \
        .name = tile_name, .mr = MR, .nr = NR, .panel_rows = rows, .element = sizeof(uint16_t), .gelu = true,                  \
        .stride = stride, .packed_size = packed_size, .pack = pack, .prepare = convert, .run = run                             \
    }

#endif
