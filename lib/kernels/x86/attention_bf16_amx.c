/* The amx tier: attention in bfloat16, by tdpbf16ps, for 16 queries of a head at a time:
 *     S (16, n) = Q (16, d) x K'      K by pairs of its columns, 16 keys in the lanes
 *     O (16, d) = P (16, n) x V       V by pairs of keys, as attention_lines.h packs it
 * Q and P are read row by row as they lie. The sums of P's rows, which O is divided by, are one more product, with ones: so
 * they are sums of what was rounded, and come in all lanes. Keys beyond the last are zeros in K and V, and weigh nothing.
 *
 * Registers: 0 to 3 sums, 4 Q or P, 5 and 6 K or V, 7 ones. */
#include <assert.h>
#include <math.h>

#include "kernels/tiers.h"

#define DOT "tdpbf16ps"
#define DOT_EMULATED emulated_tdpbf16ps
#include "kernels/x86/amx_tile_tmpl.h"

#include "kernels/x86/attention_lines.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_attention_bf16_amx
#endif

#define QUERIES TILE_ROWS
#define TILE_BYTES (TILE_ROWS * 64)

/* From a row of S or P to the next one: a line more, as 16 rows a power of two apart would meet in few sets of L1. */
static size_t row_of(size_t keys) {
    return keys + LINE;
}

/* Pieces of the scratch; all are whole cache lines. */
typedef struct scratch {
    uint16_t *q;  /* (16, padded d): queries that can't be read where they lie */
    uint32_t *k;  /* (padded n / 16, padded d / 32, 16 pairs, 16 keys) */
    uint32_t *v;  /* (padded d / 32, padded n / 2, 32) */
    float *s;     /* (16, row_of(padded n)) */
    uint16_t *p;  /* (16, row_of(padded n)) */
    float *out;   /* (3, 16, 16): two halves of a line of O, and the sums of P */
    float *bias;  /* (2 * padded n + LINE): a head's by key - query */
    size_t bytes; /* of all */
} scratch;

static scratch scratch_at(void *memory, size_t n, size_t d) {
    const size_t keys = padded(n), columns = padded(d);
    scratch s = {.q = memory};
    s.k = (uint32_t *)(void *)(s.q + QUERIES * columns);
    s.v = s.k + keys * columns / 2;
    s.s = (float *)(void *)(s.v + keys * columns / 2);
    s.p = (uint16_t *)(void *)(s.s + QUERIES * row_of(keys));
    s.out = (float *)(void *)(s.p + QUERIES * row_of(keys));
    s.bias = s.out + 3 * QUERIES * LANES;
    s.bytes = (size_t)((char *)(s.bias + 2 * keys + LINE) - (char *)memory);
    return s;
}

static size_t scratch_size(size_t n, size_t d) {
    _Alignas(64) char anywhere[64];
    return scratch_at(anywhere, n, d).bytes;
}

static void pack_keys(uint32_t *k, const uint16_t *from, size_t ld, size_t n, size_t d) {
    for (size_t key = 0; key < n; key += LANES)
        for (size_t i = 0; i < d; i += LINE, k += TILE_BYTES / sizeof *k) {
            vf r[LANES];
            load_pairs(r, from + key * ld + i, ld, smaller(n - key, LANES), d - i);
            UNROLL
            for (size_t pair = 0; pair < LANES; pair++)
                _mm512_storeu_si512(k + pair * LANES, _mm512_castps_si512(r[pair]));
        }
}

/* Whole rows of whole lines, with zeros. */
static void pack_queries(uint16_t *q, const uint16_t *from, size_t ld, size_t queries, size_t d) {
    for (size_t row = 0; row < QUERIES; row++)
        for (size_t i = 0; i < d; i += LINE, q += LINE)
            _mm512_storeu_si512(q, row < queries ? load_line(from + row * ld + i, d - i) : _mm512_setzero_si512());
}

/* s (16, n) <- Q x K', `row` from row to row. */
static void score(float *s, size_t row, const uint16_t *q, size_t ldq, const uint32_t *k, size_t n, size_t d) {
    const size_t lines = padded(d) / LINE;
    const char *tile = (const char *)k;
    const size_t key_step = lines * TILE_BYTES;
#define SCORE(first, second)                                                                                                   \
    do {                                                                                                                       \
        TILE_ZERO(first);                                                                                                      \
        TILE_ZERO(second);                                                                                                     \
        for (size_t i = 0; i < lines; i++) {                                                                                   \
            TILE_LOAD(4, q + i * LINE, ldq * sizeof *q);                                                                       \
            TILE_LOAD(5, tile + i * TILE_BYTES, 64);                                                                           \
            TILE_DOT(first, 4, 5);                                                                                             \
            if (n - key > LANES) {                                                                                             \
                TILE_LOAD(6, tile + key_step + i * TILE_BYTES, 64);                                                            \
                TILE_DOT(second, 4, 6);                                                                                        \
            }                                                                                                                  \
        }                                                                                                                      \
        TILE_STORE(first, s + key, row * sizeof *s);                                                                           \
        if (n - key > LANES)                                                                                                   \
            TILE_STORE(second, s + key + LANES, row * sizeof *s);                                                              \
        tile += 2 * key_step;                                                                                                  \
        key += LINE;                                                                                                           \
    } while (0)
    for (size_t key = 0; key < n;) {
        SCORE(0, 1);
        if (key < n)
            SCORE(2, 3);
    }
#undef SCORE
}

/* s (rows, n) <- s * scale + bias; `bias` is that of the first query and the first key, by key - query. */
static void add_bias(float *s, size_t row, size_t n, size_t rows, float scale, const float *bias) {
    for (size_t r = 0; r < rows; r++, s += row, bias--)
        for (size_t key = 0; key < n; key += LANES)
            v_store(s + key, v_fma(v_load(s + key), v_set(scale), v_load(bias + key)));
}

/* p (rows, padded n) <- 2^(scale * (s - largest of the row)), of the first n keys; 0 for the others. */
static void weigh(uint16_t *p, const float *s, size_t row, size_t n, size_t rows, float scale) {
    const vf factor = v_set(scale);
    for (size_t r = 0; r < rows; r++, s += row, p += row) {
        vf highest = v_first_or(v_load(s), smaller(n, LANES), v_set(-INFINITY));
        for (size_t key = LANES; key < n; key += LANES)
            highest = v_max(highest, v_first_or(v_load(s + key), smaller(n - key, LANES), v_set(-INFINITY)));
        highest = v_set(v_largest(highest));
        for (size_t key = 0; key < n; key += LINE) {
            vf w[2];
            UNROLL
            for (size_t j = 0; j < 2; j++) {
                const size_t first = key + j * LANES, count = n > first ? smaller(n - first, LANES) : 0;
                w[j] = count ? exp2_coarse(v_mul(v_sub(v_load(s + first), highest), factor)) : v_zero();
                if (count < LANES)
                    w[j] = v_first(w[j], count);
            }
            _mm512_storeu_si512(p + key, (__m512i)_mm512_cvtne2ps_pbh(w[1], w[0]));
        }
    }
}

/* out (queries, d) <- P x V, divided by the sums of P's rows. */
static void weigh_values(const sv_attention_args *g, float *out, const scratch *s, size_t keys, size_t queries) {
    const char *v = (const char *)s->v;
    for (size_t first = 0; first < g->d; first += LINE) {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        for (size_t key = 0; key < keys; key += LINE, v += PANEL_STEP) {
            TILE_LOAD(4, s->p + key, row_of(keys) * sizeof *s->p);
            TILE_LOAD(5, v, UNITS_ROW);
            TILE_DOT(0, 4, 5);
            TILE_LOAD(6, v + 64, UNITS_ROW);
            TILE_DOT(1, 4, 6);
            TILE_DOT(2, 4, 7);
        }
        TILE_STORE(0, s->out, 64);
        TILE_STORE(1, s->out + QUERIES * LANES, 64);
        TILE_STORE(2, s->out + 2 * QUERIES * LANES, 64);
        for (size_t r = 0; r < queries; r++) {
            const float *sums = s->out + r * LANES;
            const vf inverse = v_div(v_set(1.0f), v_load(sums + 2 * QUERIES * LANES));
            const vf y[2] = {v_mul(v_load(sums), inverse), v_mul(v_load(sums + QUERIES * LANES), inverse)};
            store_row(out + r * g->ld_out + first, y, 2, g->d - first);
        }
    }
}

/* out (2 * keys + LINE) <- the bias of a head by key - query, where that is 0 at out[keys]; zeros beyond the last key. */
static void turn_bias(float *out, size_t keys, const float *bias, size_t n, size_t queries) {
    memset(out, 0, (2 * keys + LINE) * sizeof *out);
    for (size_t key = 0; key < n; key++)
        out[keys + key] = *(bias - key);
    for (size_t query = 1; query < queries; query++)
        out[keys - query] = bias[query];
}

static void run(const sv_attention_args *g) {
    assert(g->scale > 0);
    if (!g->queries)
        return;
    const scratch s = scratch_at(g->scratch, g->n, g->d);
    const size_t keys = padded(g->n), d = padded(g->d);
    uint32_t ones[LANES];
    for (size_t i = 0; i < LANES; i++)
        ones[i] = 0x3f803f80;
    configure(TILE_ROWS, TILE_ROWS);
    TILE_LOAD(7, ones, 0);
    for (size_t head = 0; head < g->heads; head++) {
        const uint16_t *first_query = (const uint16_t *)g->q + head * g->d;
        pack_keys(s.k, (const uint16_t *)g->k + head * g->d, g->ld, g->n, g->d);
        pack_values(s.v, keys / 2, (const uint16_t *)g->v + head * g->d, g->ld, g->n, g->d);
        if (g->bias)
            turn_bias(s.bias, keys, g->bias + head * g->ld_bias, g->n, g->queries);
        for (size_t query = 0; query < g->queries; query += QUERIES) {
            const size_t queries = smaller(g->queries - query, QUERIES);
            const bool where_they_lie = queries == QUERIES && g->d == d;
            const uint16_t *q = where_they_lie ? first_query + query * g->ld : s.q;
            if (!where_they_lie)
                pack_queries(s.q, first_query + query * g->ld, g->ld, queries, g->d);
            score(s.s, row_of(keys), q, where_they_lie ? g->ld : d, s.k, g->n, g->d);
            float scale = g->scale;
            if (g->bias) {
                add_bias(s.s, row_of(keys), g->n, queries, scale, s.bias + keys - query);
                scale = 1;
            }
            weigh(s.p, s.s, row_of(keys), g->n, queries, scale * (float)M_LOG2E);
            weigh_values(g, g->out + query * g->ld_out + head * g->d, &s, keys, queries);
        }
    }
    TILE_RELEASE();
}

const sv_attention RECORD = {.name = "attention_bf16_amx", .bf16 = true, .scratch_size = scratch_size, .run = run};
