/* The avx512bf16 tier: attention in bfloat16, by vdpbf16ps.
 *
 * Two products for a block of up to 32 queries of one head, both by the tiles of asm_tile_tmpl.h, whose unit is a pair here:
 *     S' (n, queries) = K (n, d) x Q'     keys are rows and queries are lanes, so that softmax goes down the rows: no sums
 *                                         across lanes, no masks for missing keys
 *     O (queries, d) = P (queries, n) x V where P is S' read by columns, in pairs of keys: attention_values_tmpl.h
 * Beyond the last query, key or column there are zeros in the packed forms. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "kernels/tiers.h"

#define DOT "vdpbf16ps"
#define DOT_EMULATED emulated_dpbf16
#define WIDE_TILES
#define NARROW_TILES
#include "kernels/x86/asm_tile_tmpl.h"

#include "kernels/x86/attention_values_tmpl.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_attention_bf16_avx512bf16
#endif

#define PAIRS (LINE / 2) /* in a register */

/* Floats of a head's bias and of what lanes beyond it read. */
#define BIAS_SIZE(n) (2 * (n) + QUERIES)

static size_t scratch_size(size_t n, size_t d) {
    const size_t q = padded(d) / 2 * QUERIES, k = n * padded(d) / 2, v = pairs_of(n) * padded(d), s = n * QUERIES;
    return (q + k + v + s + MR * NR + BIAS_SIZE(n)) * sizeof(float);
}

/* Lane by lane the pair (first, second). */
ALWAYS_INLINE __m512i pair_up(vf first, vf second) {
    static const uint16_t order[LINE] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                         8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(order), (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* k (n, padded d) from (n, d), ld from row to row. */
static void pack_keys(uint16_t *k, const uint16_t *from, size_t ld, size_t n, size_t d) {
    for (size_t key = 0; key < n; key++)
        for (size_t i = 0; i < d; i += LINE, k += LINE)
            _mm512_storeu_si512(k, load_line(from + key * ld + i, d - i));
}

/* q (padded d / 2, nv vectors): lanes are the queries at `from`. */
static void pack_queries(uint32_t *q, const size_t nv, const uint16_t *from, size_t ld, size_t queries, size_t d) {
    for (size_t i = 0; i < d; i += LINE)
        for (size_t j = 0; j < nv; j++) {
            const size_t first = j * LANES, rows = queries > first ? smaller(queries - first, LANES) : 0;
            vf r[LANES];
            load_pairs(r, from + first * ld + i, ld, rows, d - i);
            UNROLL
            for (size_t pair = 0; pair < PAIRS; pair++)
                _mm512_storeu_ps(q + ((i / 2 + pair) * nv + j) * LANES, r[pair]);
        }
}

/* s (n, nv vectors) <- s * scale + bias, whose distance is `b` for the first query and the first key. */
ALWAYS_INLINE void add_bias(float *s, const size_t nv, size_t n, float scale, const float *b) {
    for (size_t key = 0; key < n; key++, s += nv * LANES, b--) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            v_store(s + j * LANES, v_fma(v_load(s + j * LANES), v_set(scale), v_load(b + j * LANES)));
    }
}

/* s (n, nv vectors) becomes pairs (pairs of keys, nv vectors) of 2^(scale * (s - largest of the column)); `inverse` gets 1 /
 * the columns' sums. */
ALWAYS_INLINE void softmax(float *s, const size_t nv, size_t n, float scale, float *inverse) {
    const size_t row = nv * LANES;
    const vf factor = v_set(scale);
    vf highest[2], total[2];
    UNROLL
    for (size_t j = 0; j < nv; j++) {
        highest[j] = v_set(-INFINITY);
        total[j] = v_zero();
    }
    for (size_t key = 0; key < n; key++) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            highest[j] = v_max(highest[j], v_load(s + key * row + j * LANES));
    }
    for (size_t key = 0; key < n; key += 2) {
        UNROLL
        for (size_t j = 0; j < nv; j++) {
            const float *at = s + key * row + j * LANES;
            const vf even = exp2_coarse(v_mul(v_sub(v_load(at), highest[j]), factor));
            const vf odd = key + 1 < n ? exp2_coarse(v_mul(v_sub(v_load(at + row), highest[j]), factor)) : v_zero();
            total[j] = v_add(total[j], v_add(even, odd));
            _mm512_storeu_si512(s + key / 2 * row + j * LANES, pair_up(even, odd));
        }
    }
    UNROLL
    for (size_t j = 0; j < nv; j++)
        v_store(inverse + j * LANES, v_div(v_set(1.0f), total[j]));
}

/* k (n, padded d), ldk from row to row; `b` as add_bias takes it, or NULL. */
static void attend(const sv_attention_args *g, float *out, const uint16_t *k, size_t ldk, const uint32_t *v, const uint32_t *q,
                   float *s, float *sums, const float *b, const size_t nv, size_t queries) {
    const size_t row = nv * LANES;
    for (size_t chunk = 0; chunk < chunks_of(g->n); chunk++) {
        const size_t key = chunk_begin(g->n, chunk);
        const size_t last = chunk_begin(g->n, chunk + 1) - key - 1;
        const tile_args t = {.a = (const char *)(k + key * ldk),
                             .row = ldk * sizeof *k,
                             .step = UNIT,
                             .w = (const char *)q,
                             .steps = padded(g->d) / 2,
                             .end = s + key * row,
                             .prefetch = (const char *)q};
        if (nv == 2) /* not an index into a choice of tables: gcc 12's object-size check misreads that */
            wide[last](&t);
        else
            narrow[last](&t);
    }
    float scale = g->scale * (float)M_LOG2E;
    if (b) {
        if (nv == 2)
            add_bias(s, 2, g->n, g->scale, b);
        else
            add_bias(s, 1, g->n, g->scale, b);
        scale = (float)M_LOG2E;
    }
    float inverse[QUERIES];
    if (nv == 2)
        softmax(s, 2, g->n, scale, inverse);
    else
        softmax(s, 1, g->n, scale, inverse);
    weigh_values(g, out, (const uint32_t *)(const void *)s, row, v, inverse, sums, queries);
}

static void run(const sv_attention_args *g) {
    assert(g->scale > 0);
    const size_t d = padded(g->d);
    uint32_t *q = g->scratch; /* (d / 2, QUERIES) */
    uint16_t *k = (uint16_t *)(q + d / 2 * QUERIES);
    uint32_t *v = (uint32_t *)(void *)(k + g->n * d);
    float *s = (float *)(v + pairs_of(g->n) * d); /* (n, QUERIES) */
    float *sums = s + g->n * QUERIES;             /* (MR, NR) */
    float *bias = sums + MR * NR;                 /* (BIAS_SIZE(n)), from distance -(n - 1) on */
    if (!g->queries)
        return;
    for (size_t head = 0; head < g->heads; head++) {
        const uint16_t *first_query = (const uint16_t *)g->q + head * g->d;
        const uint16_t *keys = (const uint16_t *)g->k + head * g->d;
        const bool whole = g->d == d; /* lines: then they can be read where they are */
        if (!whole)
            pack_keys(k, keys, g->ld, g->n, g->d);
        pack_values(v, pairs_of(g->n), (const uint16_t *)g->v + head * g->d, g->ld, g->n, g->d);
        if (g->bias) {
            memcpy(bias, g->bias + head * g->ld_bias - (g->n - 1), (g->n - 1 + g->queries) * sizeof *bias);
            memset(bias + g->n - 1 + g->queries, 0, QUERIES * sizeof *bias);
        }
        for (size_t query = 0; query < g->queries; query += QUERIES) {
            const size_t queries = smaller(g->queries - query, QUERIES), nv = queries > LANES ? 2 : 1;
            pack_queries(q, nv, first_query + query * g->ld, g->ld, queries, g->d);
            attend(g, g->out + query * g->ld_out + head * g->d, whole ? keys : k, whole ? g->ld : d, v, q, s, sums,
                   g->bias ? bias + g->n - 1 + query : NULL, nv, queries);
        }
    }
}

const sv_attention RECORD = {.name = "attention_bf16_avx512bf16", .bf16 = true, .scratch_size = scratch_size, .run = run};
