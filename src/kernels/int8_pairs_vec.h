/* The int8 product on vector units that multiply 16 bits: pairs of products summed to 32 bits (vpmaddwd), which is exact for
 * any u8 x s8, where the byte instructions of such units saturate. A tier's .c file includes its vector header, sets MR, NAME
 * and RECORD, and then includes this file, which defines the record.
 *
 * - Activations are kept as 16 bits (element 2), so that a pair of columns is one broadcast. Weights stay bytes in memory,
 *   [ceil(n / NR)][ceil(k / 2)][NR][2], since they come from far away; the first chunk of rows that meets a block of a panel
 *   widens it on the way and leaves a copy for the other chunks.
 * - Otherwise as in kernels_vec.h: a tile is MR rows x NR = 2 * LANES columns in registers, rows in equal chunks of at most MR,
 *   the panel outside, the chunks inside, the next panel prefetched meanwhile. All of k goes in one, up to PAIRS_BLOCK pairs: a
 *   tile begins and ends slowly (some 60 cycles), and a panel that streams from L2 keeps up with it. */
#ifndef SV_KERNELS_INT8_PAIRS_VEC_H
#define SV_KERNELS_INT8_PAIRS_VEC_H

#include <string.h>

#define INT8_ELEMENT 2
#define v_store_integers v_store_uint16

#include "kernels/int8_vec.h"
#include "kernels/tile_vec.h"

#define NR (2 * LANES)
#define PAIRS_BLOCK 768 /* of columns of k */
#define ROW_BLOCK 96

typedef struct tile_args {
    const uint16_t *a; /* (rows, 2 * pairs) */
    size_t lda;
    const int8_t *w; /* (pairs, NR, 2) */
    int16_t *wide;   /* the same as 16 bits: written by the first chunk, read by the others */
    size_t pairs;
    int32_t *sums; /* (rows, NR) of the blocks before */
    bool begin, end;
    const sv_row_range *range;           /* (rows) */
    const float *w_scale, *w_sum, *bias; /* (NR) */
    bool gelu;
    float *c; /* (rows, NR), written at the end */
    size_t ldc;
    const char *prefetch; /* what will be wanted next */
    size_t prefetch_step; /* bytes of it for each pair */
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
    const uint16_t *a = t->a;
    const int8_t *w = t->w;
    int16_t *wide = t->wide;
    const char *prefetch = t->prefetch;
    const size_t lda = t->lda, prefetch_step = t->prefetch_step;
    UNROLL_2
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
            vi_add_pairs(sum[r], a + r * lda, w0, w1);
        a += 2;
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
    float *c = t->c;
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
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            const vf offset = v_fma(low, w_sum[j], bias[j]);
            const vf y = v_fma(v_mul(v_from_int32(sum[r][j]), w_scale[j]), scale, offset);
            v_store(c + r * ldc + j * LANES, gelu ? v_gelu_int8(y) : y);
        }
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

/* The rows [begin, end) of C. A panel of fewer than NR columns has its vectors copied and its rows of C written by way of
 * `spare`. */
static void run_rows(const sv_gemm_int8_args *g, size_t begin, size_t end) {
    _Alignas(64) int16_t wide[PAIRS_BLOCK * 2 * NR];
    _Alignas(64) int32_t sums[ROW_BLOCK * NR];
    _Alignas(64) float spare[MR * NR], columns[3][NR];
    const size_t m = end - begin, chunks = (m + MR - 1) / MR, pairs = (g->k + 1) / 2;
    const size_t low = m / chunks, more = m % chunks; /* `more` chunks have a row more than `low` */
    const size_t blocks = pairs > PAIRS_BLOCK ? (pairs + PAIRS_BLOCK - 1) / PAIRS_BLOCK : 1;
    for (size_t column = 0; column < g->n; column += NR) {
        const int8_t *w = (const int8_t *)g->w + column / NR * g->panel;
        const size_t count = smaller(g->n - column, NR);
        tile_args t = {
            .lda = g->lda,
            .wide = wide,
            .w_scale = g->w_scale + column,
            .w_sum = g->w_sum + column,
            .bias = g->bias + column,
            .gelu = g->gelu,
            .ldc = g->ldc,
            .prefetch_step = 2 * NR / chunks,
        };
        if (count < NR) {
            memset(columns, 0, sizeof columns);
            t.w_scale = memcpy(columns[0], t.w_scale, count * sizeof(float));
            t.w_sum = memcpy(columns[1], t.w_sum, count * sizeof(float));
            t.bias = memcpy(columns[2], t.bias, count * sizeof(float));
            t.c = spare;
            t.ldc = NR;
        }
        for (size_t block = 0; block < blocks; block++) {
            const size_t from = pairs * block / blocks, to = pairs * (block + 1) / blocks;
            t.w = w + from * 2 * NR;
            t.pairs = to - from;
            t.begin = block == 0;
            t.end = block + 1 == blocks;
            t.prefetch = (const char *)(w + to * 2 * NR);
            for (size_t chunk = 0; chunk < chunks; chunk++) {
                const size_t rows = low + (chunk < more), row = begin + chunk * low + smaller(chunk, more);
                t.a = (const uint16_t *)g->a + row * g->lda + 2 * from;
                t.sums = sums + (row - begin) * NR;
                t.range = g->range + row;
                float *c = g->c + row * g->ldc + column;
                if (count == NR)
                    t.c = c;
                (chunk ? other_tile[rows - 1] : first_tile[rows - 1])(&t);
                t.prefetch += t.pairs * t.prefetch_step;
                for (size_t r = 0; count < NR && t.end && r < rows; r++)
                    memcpy(c + r * g->ldc, spare + r * NR, count * sizeof(float));
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
