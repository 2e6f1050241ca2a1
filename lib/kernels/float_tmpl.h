/* The float kernels of every vector tier, written once over the words of a small vector header. Everything except the table
 * that this file defines is static, so no code of one tier can be linked into another.
 *
 * Parameters, beside a words_*.h header that is included before:
 *   MR         rows of the GEMM tile
 *   TILE_NAME  the product's name, as text
 *   TABLE      the table that this file defines
 *   TIER       the tier's name, as text
 *
 * The layout of GEMM and its reasons:
 * - A tile is MR rows x NR = 2 * LANES columns of C, held in registers. The rows are split into equal chunks (tile_tmpl.h),
 *   and each chunk height is compiled by itself from the one body `tile`.
 * - Packed W is read once, panel by panel, because it comes from L3 or memory. All rows are multiplied by a block of a panel
 * while that block is in L1. A block has at most K_BLOCK steps of k, which leaves room in L1 for the rows of A. Between blocks
 * the sums are kept in C; storing and loading them doesn't change their bits.
 * - While a block is in use, the next one is prefetched into L2, an even share by each chunk.
 * - Bias is added in registers; GELU follows at once for a chunk of rows, in L1.
 * - More than ROW_BLOCK rows are done in blocks of rows, so that A (96 x 1536 floats are 590 KB at most) stays near.
 *
 * Attention is two such GEMMs for a block of NR queries of one head:
 *     S' (n, NR) = K (n, d) x packed Q    keys are rows and queries are lanes, so that softmax goes down the rows: no sums
 *                                         across lanes, no masks for missing keys
 *     O (NR, d)  = P (NR, n) x packed V   where P is S' read by columns
 * Queries and columns of V beyond the end are zeros in the packed forms. K and V of a head are copied once, since rows of qkv
 * lie whole pages apart and would share a few sets of L1; the next head's are prefetched meanwhile. The first GEMM also keeps
 * the largest score of each column, in registers. */
#ifndef SV_KERNELS_FLOAT_TMPL_H
#define SV_KERNELS_FLOAT_TMPL_H

#if !defined(LANES) || !defined(MR) || !defined(TILE_NAME) || !defined(TABLE) || !defined(TIER)
#error "float_tmpl.h: a words_*.h header, MR, TILE_NAME, TABLE and TIER come before it"
#endif

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/gelu_tmpl.h"
#include "kernels/tiers.h"
#include "kernels/tile_tmpl.h"
#include "kernels/unroll.h"

#define NR (2 * LANES)
#define K_BLOCK 384
#define ROW_BLOCK 96

/* ------------------------------------------------------------ exp and GELU */

/* x[i] = 2^x[i] for x <= 0, 0 for x < -126; relative error at most 1.9 ulp.
 * n = round(x) by adding and subtracting 1.5 * 2^23, which leaves n in the low bits of the sum; then 2^(x - n) on [-1/2, 1/2]
 * by a minimax polynomial. Fitted by tools/fit_kernels.py: relative error 9.2e-8 before rounding.
 * Several vectors go step by step together, since one alone is a chain of some 40 cycles and 15 instructions. */
ALWAYS_INLINE void exp2_each(vf *x, const size_t count) {
    static const float coefficients[] = {9.67151272e-03f, 5.55073375e-02f, 2.40222421e-01f, 6.93146978e-01f, 1.0f};
    const vf shifter = v_set(0x1.8p23f);
    vf shifted[4], f[4], p[4];
    UNROLL
    for (size_t i = 0; i < count; i++)
        shifted[i] = v_add(x[i], shifter);
    UNROLL
    for (size_t i = 0; i < count; i++)
        f[i] = v_sub(x[i], v_sub(shifted[i], shifter));
    UNROLL
    for (size_t i = 0; i < count; i++)
        p[i] = v_set(1.32647260e-03f);
    UNROLL
    for (size_t c = 0; c < sizeof coefficients / sizeof *coefficients; c++) {
        UNROLL
        for (size_t i = 0; i < count; i++)
            p[i] = v_fma(p[i], f[i], v_set(coefficients[c]));
    }
    UNROLL
    for (size_t i = 0; i < count; i++)
        x[i] = v_zero_below(v_scale(p[i], shifted[i]), x[i], v_set(-126.0f));
}

static void gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store(x + i, v_gelu(v_load(x + i)));
    if (i < count)
        v_store_first(x + i, v_gelu(v_load_first(x + i, count - i)), count - i);
}

/* x e^min(z, 0) / (1 + e^-|z|), z = 2 sqrt(2/pi) (x + 0.044715 x^3): no power of e is over 1. */
ALWAYS_INLINE vf gelu_tanh_of(vf x) {
    const float factor = 2 * 0.79788456f * (float)M_LOG2E; /* z is in octaves */
    const vf z = v_mul(x, v_fma(v_mul(x, x), v_set(0.044715f * factor), v_set(factor)));
    vf power[2] = {v_min(v_zero(), z), v_sub(v_zero(), v_abs(z))};
    exp2_each(power, 2);
    return v_mul(x, v_div(power[0], v_add(v_set(1.0f), power[1])));
}

static void gelu_tanh(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store(x + i, gelu_tanh_of(v_load(x + i)));
    if (i < count)
        v_store_first(x + i, gelu_tanh_of(v_load_first(x + i, count - i)), count - i);
}

/* ------------------------------------------------------------------ GEMM */

typedef struct tile_args {
    const float *a; /* (rows, k): element (r, i) at a[r * row + i * step] */
    size_t row, step;
    const float *b; /* (k, nv * LANES), packed */
    size_t k;
    float *c; /* (rows, columns) */
    size_t ldc;
    size_t columns;        /* 1 to nv * LANES */
    bool accumulate;       /* C += instead of C = */
    const float *bias;     /* (columns), added after the last product; NULL: none */
    const float *residual; /* (rows, columns), ldc, added then; NULL: none */
    float *highest;        /* (nv * LANES), raised to the maximum of each column; NULL: not wanted */
    const char *prefetch;  /* what will be wanted next */
    size_t prefetch_step;  /* bytes of it for each step of k */
} tile_args;

typedef void tile_fn(const tile_args *);

/* total += A x B on `rows` x nv vectors. `columnwise` says that A is stored by columns (row is 1), else by rows (step is 1).
 * The sums have an array of their own, since one that the rest of a tile also uses stays in memory with clang. */
ALWAYS_INLINE void multiply(const tile_args *t, vf total[MR][2], const size_t rows, const size_t nv, const bool columnwise) {
    vf sum[MR][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            sum[r][j] = total[r][j];
    }
    const float *a = t->a, *b = t->b;
    const size_t row = columnwise ? 1 : t->row, step = columnwise ? t->step : 1;
    const char *prefetch = t->prefetch;
    const size_t prefetch_step = t->prefetch_step;
    UNROLL_4
    for (size_t i = t->k; i; i--) {
        vf w[2];
        UNROLL
        for (size_t j = 0; j < nv; j++)
            w[j] = v_load(b + j * LANES);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vf x = v_set(a[r * row]);
            UNROLL
            for (size_t j = 0; j < nv; j++)
                sum[r][j] = v_fma(x, w[j], sum[r][j]);
        }
        a += step;
        b += nv * LANES;
        if (!columnwise) {
            __builtin_prefetch(prefetch, 0, 2);
            prefetch += prefetch_step;
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            total[r][j] = sum[r][j];
    }
}

/* C = A x B with its bias, residual, GELU or maximum. */
ALWAYS_INLINE void tile(const tile_args *t, const size_t rows, const size_t nv, const bool columnwise) {
    vf sum[MR][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            sum[r][j] = v_zero();
    }
    if (t->accumulate) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            load_row(sum[r], t->c + r * t->ldc, nv, t->columns);
    }
    multiply(t, sum, rows, nv, columnwise);
    if (t->bias) {
        vf bias[2];
        load_row(bias, t->bias, nv, t->columns);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            UNROLL
            for (size_t j = 0; j < nv; j++)
                sum[r][j] = v_add(sum[r][j], bias[j]);
        }
    }
    if (t->residual) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            add_row(sum[r], t->residual + r * t->ldc, nv, t->columns);
    }
    if (t->highest) {
        UNROLL
        for (size_t j = 0; j < nv; j++) {
            vf highest = v_load(t->highest + j * LANES);
            UNROLL
            for (size_t r = 0; r < rows; r++)
                highest = v_max(highest, sum[r][j]);
            v_store(t->highest + j * LANES, highest);
        }
    }
    if (t->columns == nv * LANES) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            store_row(t->c + r * t->ldc, sum[r], nv, nv * LANES);
    } else {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            store_row(t->c + r * t->ldc, sum[r], nv, t->columns);
    }
}

/* The body at each height, in three kinds, and a table of each kind by height - 1. */
#define DEFINE_TILE(rows)                                                                                                      \
    static void wide_##rows(const tile_args *t) {                                                                              \
        tile(t, rows, 2, false);                                                                                               \
    }                                                                                                                          \
    static void narrow_##rows(const tile_args *t) {                                                                            \
        tile(t, rows, 1, false);                                                                                               \
    }                                                                                                                          \
    static void columnwise_##rows(const tile_args *t) {                                                                        \
        tile(t, rows, 2, true);                                                                                                \
    }
#define WIDE_TILE(rows) wide_##rows,
#define NARROW_TILE(rows) narrow_##rows,
#define COLUMNWISE_TILE(rows) columnwise_##rows,
/* clang-format off */
EACH_HEIGHT(DEFINE_TILE)
static tile_fn *const wide[MR] = {EACH_HEIGHT(WIDE_TILE)};
static tile_fn *const narrow[MR] = {EACH_HEIGHT(NARROW_TILE)};
static tile_fn *const columnwise[MR] = {EACH_HEIGHT(COLUMNWISE_TILE)};
/* clang-format on */

static size_t gemm_stride(size_t k) {
    return k;
}

static size_t gemm_packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * k * sizeof(float);
}

/* packed (k, nr) <- rows of w (columns, k), columns <= nr, nr a multiple of LANES. */
static void pack_panel(float *packed, const size_t nr, const float *w, size_t ldw, size_t columns, size_t k) {
    for (size_t first = 0; first < nr; first += LANES)
        for (size_t i = 0; i < k; i += LANES) {
            vf r[LANES];
            if (first + LANES <= columns && i + LANES <= k) { /* all of it stays in registers */
                UNROLL
                for (size_t j = 0; j < LANES; j++)
                    r[j] = v_load(w + (first + j) * ldw + i);
                v_transpose(r);
                UNROLL
                for (size_t j = 0; j < LANES; j++)
                    v_store(packed + (i + j) * nr + first, r[j]);
                continue;
            }
            for (size_t j = 0; j < LANES; j++)
                r[j] = first + j < columns ? v_load_first(w + (first + j) * ldw + i, smaller(k - i, LANES)) : v_zero();
            v_transpose(r);
            for (size_t j = 0; j < smaller(k - i, LANES); j++)
                v_store(packed + (i + j) * nr + first, r[j]);
        }
}

static void gemm_pack(void *packed, const void *w, size_t ldw, size_t n, size_t k) {
    for (size_t first = 0; first < n; first += NR)
        pack_panel((float *)packed + first * k, NR, (const float *)w + first * ldw, ldw, smaller(n - first, NR), k);
}

/* The rows [begin, end) of C. */
static void gemm_rows(const sv_gemm_args *g, size_t begin, size_t end) {
    const size_t m = end - begin, chunks = chunks_of(m);
    const size_t blocks = g->k > K_BLOCK ? (g->k + K_BLOCK - 1) / K_BLOCK : 1;
    for (size_t first = 0; first < g->n; first += NR) {
        const float *w = (const float *)(const void *)((const char *)g->w + first / NR * g->panel);
        for (size_t block = 0; block < blocks; block++) {
            const size_t k0 = g->k * block / blocks, k1 = g->k * (block + 1) / blocks;
            const bool last = block + 1 == blocks;
            tile_args t = {
                .row = g->lda,
                .b = w + k0 * NR,
                .k = k1 - k0,
                .ldc = g->ldc,
                .columns = smaller(g->n - first, NR),
                .accumulate = g->accumulate || block,
                .bias = last && g->bias ? g->bias + first : NULL,
                .prefetch = (const char *)(w + k1 * NR),
                .prefetch_step = NR * sizeof(float) / chunks,
            };
            for (size_t chunk = 0; chunk < chunks; chunk++) {
                const size_t row = begin + chunk_begin(m, chunk), rows = begin + chunk_begin(m, chunk + 1) - row;
                t.a = (const float *)g->a + row * g->lda + k0;
                t.c = (float *)g->c + row * g->ldc + first;
                t.residual = last && g->residual ? g->residual + row * g->ldc + first : NULL;
                wide[rows - 1](&t);
                t.prefetch += t.k * t.prefetch_step;
                if (last && g->output == SV_GEMM_GELU)
                    for (size_t r = 0; r < rows; r++)
                        gelu(t.c + r * t.ldc, t.columns);
            }
        }
    }
}

static void gemm_run(const sv_gemm_args *g) {
    assert(g->panel >= gemm_packed_size(NR, g->k));
    const size_t blocks = (g->m + ROW_BLOCK - 1) / ROW_BLOCK;
    for (size_t block = 0; block < blocks; block++)
        gemm_rows(g, g->m * block / blocks, g->m * (block + 1) / blocks);
}

/* ------------------------------------------------------------- attention */

/* Floats of a head's bias and of what lanes beyond it read. */
#define BIAS_SIZE(n) (2 * (n) + NR)

static size_t attention_scratch_size(size_t n, size_t d) {
    return (NR * d + NR * n + (d + NR - 1) / NR * NR * n + d * n + BIAS_SIZE(n)) * sizeof(float);
}

/* b (BIAS_SIZE(n)) <- the bias of a head by distance, from -(n - 1) on, and zeros for the lanes beyond the last query. */
static void copy_bias(float *b, const float *bias, size_t n, size_t queries) {
    memcpy(b, bias - (n - 1), (n - 1 + queries) * sizeof *b);
    memset(b + n - 1 + queries, 0, NR * sizeof *b);
}

/* s (n, nv * LANES) <- s * scale + bias, whose distance is `b` for the first query and the first key; largest <- the columns'
 * largest. */
ALWAYS_INLINE void add_bias(float *s, const size_t nv, size_t n, float scale, const float *b, float *largest) {
    vf highest[2];
    UNROLL
    for (size_t j = 0; j < nv; j++)
        highest[j] = v_set(-INFINITY);
    for (size_t key = 0; key < n; key++, s += nv * LANES, b--) {
        UNROLL
        for (size_t j = 0; j < nv; j++) {
            const vf score = v_fma(v_load(s + j * LANES), v_set(scale), v_load(b + j * LANES));
            highest[j] = v_max(highest[j], score);
            v_store(s + j * LANES, score);
        }
    }
    UNROLL
    for (size_t j = 0; j < nv; j++)
        v_store(largest + j * LANES, highest[j]);
}

/* s (n, nv * LANES) <- exp(scale * (s - largest[column])); inverse[column] <- 1 / the column's sum. */
ALWAYS_INLINE void softmax_columns(float *s, const size_t nv, size_t n, float scale, const float *largest, float *inverse) {
    const vf factor = v_set(scale * (float)M_LOG2E);
    const size_t row = nv * LANES;
    vf highest[2], total[2], p[4];
    UNROLL
    for (size_t j = 0; j < nv; j++) {
        highest[j] = v_load(largest + j * LANES);
        total[j] = v_zero();
    }
    size_t i = 0;
    for (; i + 4 / nv <= n; i += 4 / nv) {
        float *at = s + i * row;
        UNROLL
        for (size_t j = 0; j < 4; j++)
            p[j] = v_mul(v_sub(v_load(at + j * LANES), highest[j % nv]), factor);
        exp2_each(p, 4);
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            v_store(at + j * LANES, p[j]);
            total[j % nv] = v_add(total[j % nv], p[j]);
        }
    }
    for (; i < n; i++) {
        float *at = s + i * row;
        UNROLL
        for (size_t j = 0; j < nv; j++)
            p[j] = v_mul(v_sub(v_load(at + j * LANES), highest[j]), factor);
        exp2_each(p, nv);
        UNROLL
        for (size_t j = 0; j < nv; j++) {
            v_store(at + j * LANES, p[j]);
            total[j] = v_add(total[j], p[j]);
        }
    }
    UNROLL
    for (size_t j = 0; j < nv; j++)
        v_store(inverse + j * LANES, v_div(v_set(1.0f), total[j]));
}

static void run_tiles(tile_fn *const *tiles, tile_args *t, size_t rows) {
    const float *a = t->a;
    float *c = t->c;
    for (size_t chunk = 0; chunk < chunks_of(rows); chunk++) {
        const size_t row = chunk_begin(rows, chunk);
        t->a = a + row * t->row;
        t->c = c + row * t->ldc;
        tiles[chunk_begin(rows, chunk + 1) - row - 1](t);
    }
}

/* Rows [begin, end) of q, k and v, the d columns from `at`. */
static void prefetch_head(const sv_attention_args *g, size_t at, size_t begin, size_t end) {
    const float *q = g->q, *k = g->k, *v = g->v;
    for (size_t row = begin; row < end; row++)
        for (size_t i = at; i < at + g->d; i += 16) {
            __builtin_prefetch(q + row * g->ld + i, 0, 2);
            __builtin_prefetch(k + row * g->ld + i, 0, 2);
            __builtin_prefetch(v + row * g->ld + i, 0, 2);
        }
}

static void attention(const sv_attention_args *g) {
    assert(g->scale > 0);
    const float *all_queries = g->q, *keys = g->k, *values = g->v;
    float *q = g->scratch;                           /* (d, NR) */
    float *s = q + NR * g->d;                        /* (n, NR) */
    float *v = s + NR * g->n;                        /* (ceil(d / NR), n, NR) */
    float *k = v + (g->d + NR - 1) / NR * NR * g->n; /* (n, d) */
    float *b = k + g->n * g->d;                      /* (BIAS_SIZE(n)) */
    if (!g->queries)
        return;
    for (size_t head = 0; head < g->heads; head++) {
        const size_t at = head * g->d;
        for (size_t first = 0; first < g->d; first += NR)
            for (size_t i = 0; i < g->n; i++) {
                vf x[2];
                load_row(x, values + i * g->ld + at + first, 2, smaller(g->d - first, NR));
                store_row(v + first * g->n + i * NR, x, 2, NR);
            }
        for (size_t i = 0; i < g->n; i++)
            memcpy(k + i * g->d, keys + i * g->ld + at, g->d * sizeof *k);
        if (g->bias)
            copy_bias(b, g->bias + head * g->ld_bias, g->n, g->queries);
        for (size_t query = 0; query < g->queries; query += NR) {
            const size_t queries = smaller(g->queries - query, NR), nv = queries > LANES ? 2 : 1, nr = nv * LANES;
            pack_panel(q, nr, all_queries + query * g->ld + at, g->ld, queries, g->d);
            if (head + 1 < g->heads)
                prefetch_head(g, at + g->d, query, query + queries);
            float highest[NR], inverse[NR];
            for (size_t i = 0; i < NR; i++)
                highest[i] = -INFINITY;
            run_tiles(nv == 2 ? wide : narrow,
                      &(tile_args){.a = k,
                                   .row = g->d,
                                   .b = q,
                                   .k = g->d,
                                   .c = s,
                                   .ldc = nr,
                                   .columns = nr,
                                   .highest = g->bias ? NULL : highest,
                                   .prefetch = (const char *)q},
                      g->n);
            float scale = g->scale;
            if (g->bias) {
                if (nv == 2)
                    add_bias(s, 2, g->n, scale, b + g->n - 1 + query, highest);
                else
                    add_bias(s, 1, g->n, scale, b + g->n - 1 + query, highest);
                scale = 1;
            }
            if (nv == 2)
                softmax_columns(s, 2, g->n, scale, highest, inverse);
            else
                softmax_columns(s, 1, g->n, scale, highest, inverse);
            float *out = g->out + query * g->ld_out + at;
            for (size_t first = 0; first < g->d; first += NR) {
                const size_t columns = smaller(g->d - first, NR);
                run_tiles(columnwise,
                          &(tile_args){.a = s,
                                       .row = 1,
                                       .step = nr,
                                       .b = v + first * g->n,
                                       .k = g->n,
                                       .c = out + first,
                                       .ldc = g->ld_out,
                                       .columns = columns},
                          queries);
                for (size_t r = 0; r < queries; r++) {
                    vf y[2];
                    load_row(y, out + r * g->ld_out + first, 2, columns);
                    for (size_t j = 0; j < 2; j++)
                        y[j] = v_mul(y[j], v_set(inverse[r]));
                    store_row(out + r * g->ld_out + first, y, 2, columns);
                }
            }
        }
    }
}

/* ------------------------------------------------------------- LayerNorm */

/* The `count` float of a row from i, at most LANES; zeros beyond. */
ALWAYS_INLINE vf load_part(const float *p, size_t count) {
    return count >= LANES ? v_load(p) : v_load_first(p, count);
}

/* The mean of a row. Each sum is four, since one alone is a chain. */
ALWAYS_INLINE float mean_of(const float *row, size_t h) {
    vf sums[4];
    UNROLL
    for (size_t j = 0; j < 4; j++)
        sums[j] = v_zero();
    size_t i = 0;
    for (; i + 4 * LANES <= h; i += 4 * LANES) {
        UNROLL
        for (size_t j = 0; j < 4; j++)
            sums[j] = v_add(sums[j], v_load(row + i + j * LANES));
    }
    for (; i < h; i += LANES)
        sums[0] = v_add(sums[0], load_part(row + i, smaller(h - i, LANES)));
    return v_sum(v_add(v_add(sums[0], sums[1]), v_add(sums[2], sums[3]))) / (float)h;
}

/* 1 / the standard deviation of a row. */
ALWAYS_INLINE float inverse_deviation(const float *row, float mean, float eps, size_t h) {
    const vf centre = v_set(mean);
    vf squares[4];
    UNROLL
    for (size_t j = 0; j < 4; j++)
        squares[j] = v_zero();
    size_t i = 0;
    for (; i + 4 * LANES <= h; i += 4 * LANES) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            const vf centred = v_sub(v_load(row + i + j * LANES), centre);
            squares[j] = v_fma(centred, centred, squares[j]);
        }
    }
    for (; i < h; i += LANES) {
        const size_t count = smaller(h - i, LANES);
        const vf centred = v_first(v_sub(load_part(row + i, count), centre), count);
        squares[0] = v_fma(centred, centred, squares[0]);
    }
    const float square = v_sum(v_add(v_add(squares[0], squares[1]), v_add(squares[2], squares[3])));
    return 1.0f / sqrtf(square / (float)h + eps);
}

/* Rows that are scaled together, so that gamma and beta are loaded once for them. */
#define SOME 4

ALWAYS_INLINE void scale_rows(float *out, size_t ld_out, const float *x, size_t ldx, const float *mean, const float *inverse,
                              const float *gamma, const float *beta, size_t h, const size_t rows) {
    vf centre[SOME], scale[SOME];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        centre[r] = v_set(mean[r]);
        scale[r] = v_set(inverse[r]);
    }
    size_t i = 0;
    for (; i + LANES <= h; i += LANES) {
        const vf g = v_load(gamma + i), b = v_load(beta + i);
        UNROLL
        for (size_t r = 0; r < rows; r++)
            v_store(out + r * ld_out + i, v_fma(v_mul(v_sub(v_load(x + r * ldx + i), centre[r]), scale[r]), g, b));
    }
    if (i < h) {
        const vf g = v_load_first(gamma + i, h - i), b = v_load_first(beta + i, h - i);
        for (size_t r = 0; r < rows; r++) {
            const vf centred = v_sub(v_load_first(x + r * ldx + i, h - i), centre[r]);
            v_store_first(out + r * ld_out + i, v_fma(v_mul(centred, scale[r]), g, b), h - i);
        }
    }
}

/* Rows go through each step a few at a time: a sum across lanes, a root and a division are a long wait for one row alone. */
static void layernorm(float *out, size_t ld_out, const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                      size_t rows, size_t h) {
    enum { FEW = 2 * SOME };
    for (size_t first = 0; first < rows; first += FEW) {
        const size_t count = smaller(rows - first, FEW);
        const float *from = x + first * ldx;
        float mean[FEW], inverse[FEW], *to = out + first * ld_out;
        for (size_t r = 0; r < count; r++)
            mean[r] = mean_of(from + r * ldx, h);
        for (size_t r = 0; r < count; r++)
            inverse[r] = inverse_deviation(from + r * ldx, mean[r], eps, h);
        size_t r = 0;
        for (; r + SOME <= count; r += SOME)
            scale_rows(to + r * ld_out, ld_out, from + r * ldx, ldx, mean + r, inverse + r, gamma, beta, h, SOME);
        for (; r < count; r++)
            scale_rows(to + r * ld_out, ld_out, from + r * ldx, ldx, mean + r, inverse + r, gamma, beta, h, 1);
    }
}

#define ATTENTION                                                                                                              \
    { .name = "attention_f32_" TIER, .scratch_size = attention_scratch_size, .run = attention }

const sv_kernels TABLE = {
    .tier = TIER,
    .fp32 = {.gemm = {.name = TILE_NAME,
                      .mr = MR,
                      .nr = NR,
                      .panel_rows = 48,
                      .element = sizeof(float),
                      .gelu = true,
                      .stride = gemm_stride,
                      .packed_size = gemm_packed_size,
                      .pack = gemm_pack,
                      .run = gemm_run},
             .attention = ATTENTION},
    .bf16.attention = ATTENTION,
    .int8.attention = ATTENTION,
    .layernorm_f32 = layernorm,
    .gelu_f32 = gelu,
    .gelu_tanh_f32 = gelu_tanh,
};

#endif
