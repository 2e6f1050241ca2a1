/* The int8 product of tiers whose tile is written in C. A step of k takes UNIT columns, which are 4 bytes of A that are
 * broadcast: 4 bytes where the CPU multiplies bytes without saturating (vpdpbusd), else a pair of 16 bits (vpmaddwd), which is
 * exact for any u8 x s8.
 *
 * Parameters, beside a words_*.h header that is included before:
 *   MR                 rows of a tile
 *   UNIT               4 or 2
 *   NAME, RECORD       the record that this file defines: its name as text, and as a symbol
 *   vi_add_units       the word that multiplies and adds a unit
 *   v_store_integers, vs_store_integers  as in int8_tmpl.h
 *
 * - Weights are bytes in memory either way, [ceil(n / NR)][ceil(k / UNIT)][NR][UNIT], since they come from far away. Where 16
 *   bits are multiplied, the first chunk of rows that meets a block of a panel widens it on the way and leaves a copy for the
 *   other chunks.
 * - Otherwise as in float_tmpl.h: a tile is MR rows x NR = 2 * LANES columns in registers, rows in equal chunks of at most MR,
 *   the panel outside, the chunks inside, the next panel prefetched meanwhile. All of k goes in one, up to STEPS_BLOCK steps: a
 *   tile begins and ends slowly (some 60 cycles), and a panel that streams from L2 keeps up with it. */
#ifndef SV_KERNELS_GEMM_INT8_TMPL_H
#define SV_KERNELS_GEMM_INT8_TMPL_H

#if !defined(LANES) || !defined(MR) || !defined(UNIT) || !defined(NAME) || !defined(RECORD) || !defined(vi_add_units)
#error "gemm_int8_tmpl.h: a words_*.h header, MR, UNIT, NAME, RECORD and vi_add_units come before it"
#endif

#include <string.h>

#define NR (2 * LANES)
#define K_STEP UNIT
#define INT8_ELEMENT (4 / UNIT)

#include "kernels/int8_tmpl.h"
#include "kernels/tile_tmpl.h"

#define WIDENED (UNIT == 2)
#define STEPS_BLOCK (WIDENED ? 768 : SV_GEMM_INT8_MAX_K) /* the copy has to fit L2; without one there is no need to cut k */
#define ROW_BLOCK 96

typedef struct tile_args {
    const char *a;   /* (rows, steps) units */
    size_t lda;      /* bytes */
    const int8_t *w; /* (steps, NR, UNIT) */
    int16_t *wide;   /* if WIDENED the same as 16 bits: written by the first chunk, read by the others */
    size_t steps;
    int32_t *sums; /* (rows, NR) of the blocks before */
    bool begin, end;
    const sv_row_range *range;           /* (rows) */
    const float *w_scale, *w_sum, *bias; /* (NR) */
    float *c;                            /* (rows, NR), written at the end */
    const float *residual;               /* (rows, NR), ldc, added to c; NULL: none */
    int16_t *gelu;                       /* in place of c; NULL: no GELU */
    const gelu_constants *constants;
    size_t ldc;
    const char *prefetch; /* what will be wanted next */
    size_t prefetch_step; /* bytes of it for each step */
} tile_args;

typedef void tile_fn(const tile_args *);

/* In an array of its own, since one that the rest of a tile also uses stays in memory with clang. */
ALWAYS_INLINE void multiply(const tile_args *t, vi total[MR][2], const size_t rows, const bool first) {
    vi sum[MR][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sum[r][0] = total[r][0];
        sum[r][1] = total[r][1];
    }
    const char *a = t->a;
    const int8_t *w = t->w;
    int16_t *wide = t->wide;
    const char *prefetch = t->prefetch;
    const size_t lda = t->lda, prefetch_step = t->prefetch_step;
    UNROLL_2
    for (size_t i = t->steps; i; i--) {
        vi w0, w1;
        if (!WIDENED) {
            w0 = vi_load(w);
            w1 = vi_load(w + UNIT * LANES);
            w += UNIT * NR;
        } else if (first) {
            w0 = vi_widen(w);
            w1 = vi_widen(w + NR);
            vi_store(wide, w0);
            vi_store(wide + NR, w1);
            w += UNIT * NR;
            wide += UNIT * NR;
        } else {
            w0 = vi_load(wide);
            w1 = vi_load(wide + NR);
            wide += UNIT * NR;
        }
        UNROLL
        for (size_t r = 0; r < rows; r++)
            vi_add_units(sum[r], a + r * lda, w0, w1);
        a += 4;
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += prefetch_step;
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        total[r][0] = sum[r][0];
        total[r][1] = sum[r][1];
    }
}

/* C's values from the sums. */
ALWAYS_INLINE void finish(const tile_args *t, vi sum[MR][2], const size_t rows, const bool gelu) {
    const sv_row_range *range = t->range;
    const size_t ldc = t->ldc;
    vf w_scale[2], w_sum[2], bias[2];
    UNROLL
    for (size_t j = 0; j < 2; j++) {
        w_scale[j] = v_load(t->w_scale + j * LANES);
        w_sum[j] = v_load(t->w_sum + j * LANES);
        bias[j] = v_load(t->bias + j * LANES);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        const vf low = v_set(range[r].low), scale = v_set(range[r].scale);
        vf y[2];
        UNROLL
        for (size_t j = 0; j < 2; j++)
            y[j] = scale_sums(v_from_int32(sum[r][j]), w_scale[j], w_sum[j], bias[j], scale, low);
        if (gelu) {
            vs_store(t->gelu + r * ldc, vs_gelu(vs_from_floats(y[0], y[1]), t->constants));
            continue;
        }
        if (t->residual)
            add_row(y, t->residual + r * ldc, 2, NR);
        store_row(t->c + r * ldc, y, 2, NR);
    }
}

ALWAYS_INLINE void tile(const tile_args *t, const size_t rows, const bool first) {
    vi sum[MR][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t j = 0; j < 2; j++)
            sum[r][j] = t->begin ? vi_zero() : vi_load(t->sums + r * NR + j * LANES);
    }
    multiply(t, sum, rows, first);
    if (!t->end) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            UNROLL
            for (size_t j = 0; j < 2; j++)
                vi_store(t->sums + r * NR + j * LANES, sum[r][j]);
        }
    } else if (t->gelu)
        finish(t, sum, rows, true);
    else
        finish(t, sum, rows, false);
}

/* The body at each height, for the first chunk of rows and for the others, and a table of each kind by height - 1. */
#define DEFINE_TILE(rows)                                                                                                      \
    static void first_##rows(const tile_args *t) {                                                                             \
        tile(t, rows, true);                                                                                                   \
    }                                                                                                                          \
    static void other_##rows(const tile_args *t) {                                                                             \
        tile(t, rows, false);                                                                                                  \
    }
#define FIRST_TILE(rows) first_##rows,
#define OTHER_TILE(rows) other_##rows,
/* clang-format off */
EACH_HEIGHT(DEFINE_TILE)
static tile_fn *const first_tile[MR] = {EACH_HEIGHT(FIRST_TILE)};
static tile_fn *const other_tile[MR] = {EACH_HEIGHT(OTHER_TILE)};
/* clang-format on */

/* The rows [begin, end) of C. A panel of fewer than NR columns has its vectors copied and its rows of C written by way of
 * `spare`. */
static void run_rows(const sv_gemm_args *g, const gelu_constants *constants, size_t begin, size_t end) {
    const bool fixed = g->output == SV_GEMM_GELU_FIXED;
    int16_t *const fixed_c = fixed ? g->c : NULL;
    float *const c = fixed ? NULL : g->c;
    _Alignas(64) int16_t wide[WIDENED ? STEPS_BLOCK * UNIT * NR : 1];
    _Alignas(64) int32_t sums[ROW_BLOCK * NR];
    _Alignas(64) float spare[MR * NR], columns[3][NR];
    _Alignas(64) int16_t spare_gelu[MR * NR];
    const size_t m = end - begin, chunks = chunks_of(m), steps = (g->k + UNIT - 1) / UNIT;
    const size_t low = m / chunks, more = m % chunks; /* `more` chunks have a row more than `low` */
    const size_t blocks = steps > STEPS_BLOCK ? (steps + STEPS_BLOCK - 1) / STEPS_BLOCK : 1;
    for (size_t column = 0; column < g->n; column += NR) {
        const int8_t *w = (const int8_t *)g->w + column / NR * g->panel;
        const size_t count = smaller(g->n - column, NR);
        tile_args t = {
            .lda = g->lda * INT8_ELEMENT,
            .wide = wide,
            .w_scale = g->w_scale + column,
            .w_sum = g->w_sum + column,
            .bias = g->bias + column,
            .constants = constants,
            .ldc = g->ldc,
            .prefetch_step = UNIT * NR / chunks,
        };
        if (count < NR) {
            memset(columns, 0, sizeof columns);
            t.w_scale = memcpy(columns[0], t.w_scale, count * sizeof(float));
            t.w_sum = memcpy(columns[1], t.w_sum, count * sizeof(float));
            t.bias = memcpy(columns[2], t.bias, count * sizeof(float));
            t.c = spare;
            t.gelu = fixed ? spare_gelu : NULL;
            t.ldc = NR;
        }
        for (size_t block = 0; block < blocks; block++) {
            const size_t from = steps * block / blocks, to = steps * (block + 1) / blocks;
            t.w = w + from * UNIT * NR;
            t.steps = to - from;
            t.begin = block == 0;
            t.end = block + 1 == blocks;
            t.prefetch = (const char *)(w + to * UNIT * NR);
            for (size_t chunk = 0; chunk < chunks; chunk++) {
                const size_t rows = low + (chunk < more), row = begin + chunk * low + smaller(chunk, more);
                t.a = (const char *)g->a + row * t.lda + from * 4;
                t.sums = sums + (row - begin) * NR;
                t.range = g->range + row;
                const size_t at = row * g->ldc + column;
                if (count == NR && fixed)
                    t.gelu = fixed_c + at;
                else if (count == NR) {
                    t.c = c + at;
                    t.residual = g->residual ? g->residual + at : NULL;
                }
                (WIDENED && chunk ? other_tile[rows - 1] : first_tile[rows - 1])(&t);
                t.prefetch += t.steps * t.prefetch_step;
                for (size_t r = 0; count < NR && t.end && r < rows; r++)
                    if (fixed)
                        memcpy(fixed_c + at + r * g->ldc, spare_gelu + r * NR, count * sizeof(int16_t));
                    else
                        for (size_t j = 0; j < count; j++) {
                            const size_t i = at + r * g->ldc + j;
                            c[i] = g->residual ? spare[r * NR + j] + g->residual[i] : spare[r * NR + j];
                        }
            }
        }
    }
}

static void run(const sv_gemm_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    const gelu_constants constants = gelu_constants_of(g->output == SV_GEMM_GELU_FIXED ? g->gelu_exponent : 0);
    const size_t blocks = (g->m + ROW_BLOCK - 1) / ROW_BLOCK;
    for (size_t block = 0; block < blocks; block++)
        run_rows(g, &constants, g->m * block / blocks, g->m * (block + 1) / blocks);
}

const sv_gemm RECORD = INT8_RECORD(NAME, 48);

#endif
