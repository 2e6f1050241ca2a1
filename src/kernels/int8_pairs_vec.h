/* The int8 product on vector units that multiply 16 bits: pairs of products summed to 32 bits (vpmaddwd), which is exact for
 * any u8 x s8, where the byte instructions of such units saturate. A tier's .c file includes its vector header, sets MR, NAME
 * and RECORD, and then includes this file, which defines the record.
 *
 * - Activations are kept as 16 bits (element 2), so that a pair of columns is one broadcast. Weights stay bytes in memory,
 *   [ceil(n / NR)][ceil(k / 2)][NR][2], since they come from far away; the first chunk of rows that meets a block of a panel
 * widens it on the way and leaves a copy for the other chunks.
 * - Otherwise as in kernels_vec.h: a tile is MR rows x NR = 2 * LANES columns in registers, rows in equal chunks of at most MR,
 * the panel outside, the chunks inside, blocks of k so that one stays in L1; between blocks the integer sums wait in C's
 * memory. While a block is in use the next one is prefetched. */
#ifndef SV_KERNELS_INT8_PAIRS_VEC_H
#define SV_KERNELS_INT8_PAIRS_VEC_H

#include <string.h>

#define INT8_ELEMENT 2
#define v_store_integers v_store_uint16

#include "kernels/int8_vec.h"
#include "kernels/tile_vec.h"

#define NR (2 * LANES)
#define PAIRS_BLOCK 192 /* of columns of k */
#define ROW_BLOCK 96

typedef struct tile_args {
    const uint16_t *a; /* (rows, 2 * pairs) */
    size_t lda;
    const int8_t *w; /* (pairs, NR, 2) */
    int16_t *wide;   /* the same as 16 bits: written by the first chunk, read by the others */
    size_t pairs;
    float *c; /* (rows, columns) */
    size_t ldc;
    size_t columns;            /* 1 to NR */
    bool accumulate, finish;   /* C holds integer sums before; C gets its values, not sums */
    const sv_row_range *range; /* (rows) */
    const float *w_scale, *w_sum, *bias;
    bool gelu;
    const char *prefetch; /* what will be wanted next */
    size_t prefetch_step; /* bytes of it for each pair */
} tile_args;

typedef void tile_fn(const tile_args *);

/* C's values from the sums, in two vectors a row. */
ALWAYS_INLINE void finish(const tile_args *t, vi sum[MR][2], const size_t rows, const bool gelu) {
    vf w_scale[2], w_sum[2], bias[2];
    load_row(w_scale, t->w_scale, 2, t->columns);
    load_row(w_sum, t->w_sum, 2, t->columns);
    load_row(bias, t->bias, 2, t->columns);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        const vf low = v_set(t->range[r].low), scale = v_set(t->range[r].scale);
        vf y[2];
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            y[j] = v_fma(v_mul(v_from_int32(sum[r][j]), w_scale[j]), scale, v_fma(low, w_sum[j], bias[j]));
            if (gelu)
                y[j] = v_gelu_int8(y[j]);
        }
        store_row(t->c + r * t->ldc, y, 2, t->columns);
    }
}

ALWAYS_INLINE void tile(const tile_args *t, const size_t rows, const bool first) {
    vi sum[MR][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        vf waiting[2] = {v_zero(), v_zero()};
        if (t->accumulate)
            load_row(waiting, t->c + r * t->ldc, 2, t->columns);
        UNROLL
        for (size_t j = 0; j < 2; j++)
            sum[r][j] = v_bits(waiting[j]);
    }

    const uint16_t *a = t->a;
    const int8_t *w = t->w;
    int16_t *wide = t->wide;
    const char *prefetch = t->prefetch;
    const size_t lda = t->lda, prefetch_step = t->prefetch_step;
    UNROLL_4
    for (size_t i = t->pairs; i; i--) {
        vi w0, w1;
        if (first) {
            w0 = vi_widen(w);
            w1 = vi_widen(w + NR);
            vi_store(wide, w0);
            vi_store(wide + NR, w1);
            w += 2 * NR;
        } else {
            w0 = vi_load(wide);
            w1 = vi_load(wide + NR);
        }
        wide += 2 * NR;
        UNROLL
        for (size_t r = 0; r < rows; r++)
            vi_add_pairs(&sum[r][0], &sum[r][1], a + r * lda, w0, w1);
        a += 2;
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += prefetch_step;
    }

    if (!t->finish) {
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vf waiting[2] = {v_from_bits(sum[r][0]), v_from_bits(sum[r][1])};
            store_row(t->c + r * t->ldc, waiting, 2, t->columns);
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

static size_t packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * ((k + 1) / 2 * 2);
}

static void pack(void *packed, const int8_t *w, size_t ldw, size_t n, size_t k) {
    int8_t *out = packed;
    for (size_t panel = 0; panel < n; panel += NR)
        for (size_t i = 0; i < k; i += 2)
            for (size_t j = panel; j < panel + NR; j++)
                for (size_t odd = 0; odd < 2; odd++)
                    *out++ = j < n && i + odd < k ? w[j * ldw + i + odd] : 0;
}

/* The rows [begin, end) of C. */
static void run_rows(const sv_gemm_int8_args *g, size_t begin, size_t end) {
    _Alignas(64) int16_t wide[PAIRS_BLOCK * 2 * NR];
    const size_t m = end - begin, chunks = (m + MR - 1) / MR, pairs = (g->k + 1) / 2;
    const size_t blocks = pairs > PAIRS_BLOCK ? (pairs + PAIRS_BLOCK - 1) / PAIRS_BLOCK : 1;
    for (size_t column = 0; column < g->n; column += NR) {
        const int8_t *w = (const int8_t *)g->w + column / NR * g->panel;
        for (size_t block = 0; block < blocks; block++) {
            const size_t from = pairs * block / blocks, to = pairs * (block + 1) / blocks;
            tile_args t = {
                .lda = g->lda,
                .w = w + from * 2 * NR,
                .wide = wide,
                .pairs = to - from,
                .ldc = g->ldc,
                .columns = smaller(g->n - column, NR),
                .accumulate = block > 0,
                .finish = block + 1 == blocks,
                .w_scale = g->w_scale + column,
                .w_sum = g->w_sum + column,
                .bias = g->bias + column,
                .gelu = g->gelu,
                .prefetch = (const char *)(w + to * 2 * NR),
                .prefetch_step = 2 * NR / chunks,
            };
            for (size_t chunk = 0; chunk < chunks; chunk++) {
                const size_t row = begin + m * chunk / chunks, rows = begin + m * (chunk + 1) / chunks - row;
                t.a = (const uint16_t *)g->a + row * g->lda + 2 * from;
                t.c = g->c + row * g->ldc + column;
                t.range = g->range + row;
                (chunk ? other_tile : first_tile)[rows - 1](&t);
                t.prefetch += t.pairs * t.prefetch_step;
            }
        }
    }
}

static void run(const sv_gemm_int8_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    const size_t blocks = (g->m + ROW_BLOCK - 1) / ROW_BLOCK;
    for (size_t block = 0; block < blocks; block++)
        run_rows(g, g->m * block / blocks, g->m * (block + 1) / blocks);
}

const sv_gemm_int8 RECORD = {
    .name = NAME,
    .mr = MR,
    .nr = NR,
    .element = INT8_ELEMENT,
    .stride = int8_stride,
    .packed_size = packed_size,
    .pack = pack,
    .quantize = quantize,
    .run = run,
};

#endif
