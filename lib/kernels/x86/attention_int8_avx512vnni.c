/* Attention of the tiers that have AVX-512 VNNI, BF16 and VBMI, for int8: scores in integers, by vpdpbusd, and what they weigh
 * in bfloat16.
 *
 *     S' (n, queries) = K (n, d) x Q'     in bytes: K as u8, Q as s8
 *     O (queries, d) = P (queries, n) x V attention_values_tmpl.h
 *
 * Each column of K becomes bytes from its least to its largest value over the text, and Q from its largest value, after the
 * columns' scales have moved to it.
 *
 * Keys are rows and queries are lanes, so that softmax goes down the rows. It needs no largest score: a bfloat16 has the range
 * of a float, so 2^score is one as long as scores lie within about 100 of the middle of what K's ranges allow, from which sums
 * begin. If some query's sum of weights says that this wasn't so, or there is a value that isn't finite, the head is done by
 * attention_bf16. And since bfloat16 has 7 bits of fraction, 2^x is integer arithmetic: with x in units of 2^-7, x + 127 * 128
 * are the bits of (1 + f) * 2^floor(x), f its fraction; from which a table takes off what 1 + f has more than 2^f. So the
 * epilogue of a tile of scores makes weights of two rows at a time, between the multiply-adds of the next tile.
 *
 * A weight is off by up to 2^-6, usually by a third of that: x by half a unit for its shift down to 16 bits and half a unit for
 * its scaling there, and 2^f by half a unit. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/tiers.h"

#define DOT "vdpbf16ps"
#define DOT_EMULATED emulated_dpbf16
#define WIDE_TILES
#include "kernels/x86/overlapped_tile_tmpl.h"

#include "kernels/x86/attention_values_tmpl.h"

#if !defined(RECORD) /* the emulated copy has names of its own */
#define RECORD sv_attention_int8_avx512vnni
#define OTHERWISE sv_attention_bf16_avx512bf16
#endif
extern const sv_attention RECORD, OTHERWISE;

#define LEAST_KEYS 32 /* with fewer, packing takes longer than it saves */
#define FRACTION 128  /* units of an octave */
#define BIAS 127      /* of a float's exponent */

/* The least and the largest sum of weights that show that none of them left the range of bfloat16. */
#define LEAST_SUM 0x1p-100f
#define LARGEST_SUM 0x1p120f

/* What scores begin with and their epilogue reads; BEGIN_SCORES and WEIGHTS know where. With S the sum that began as `centre`,
 * a weight's bits are mulhrs(S >> down, factor) + bias, less the table's correction. */
typedef struct score_vectors {
    __m512i centre[2]; /* each query's: less about half of what it gives with the largest keys */
    __m512i down, factor, bias;
    __m512i order; /* takes turns of the halves of a packed vector */
    __m512i zero;
    __m512i table[2]; /* (FRACTION) bytes: f - FRACTION * (2^(f / FRACTION) - 1) */
} score_vectors;

_Static_assert(offsetof(score_vectors, down) == 128 && offsetof(score_vectors, factor) == 192 &&
                   offsetof(score_vectors, bias) == 256 && offsetof(score_vectors, order) == 320 &&
                   offsetof(score_vectors, zero) == 384 && offsetof(score_vectors, table) == 448,
               "WEIGHTS has these numbers");

/* How 32 columns of Q and K become integers: their even columns, then their odd ones, an order that both keep.
 *     u8 = key * inverse + offset, s8 = query * multiplier */
typedef struct line {
    vf inverse[2], offset[2], multiplier[2];
} line;

/* Its pieces, and their sizes in bytes, whole cache lines. */
typedef struct scratch {
    uint32_t *q; /* (padded d / 4, QUERIES) units */
    uint8_t *k;  /* (2 * pairs of keys, padded d) */
    uint32_t *v; /* see pack_values */
    uint32_t *p; /* (pairs of keys, QUERIES) pairs */
    float *sums; /* (MR, NR) */
    line *lines; /* (padded d / 32) */
} scratch;

enum { Q_PIECE, K_PIECE, V_PIECE, P_PIECE, SUMS_PIECE, LINES_PIECE, PIECES };

static void sizes_of(size_t sizes[PIECES], size_t n, size_t d) {
    sizes[Q_PIECE] = padded(d) * QUERIES;
    sizes[K_PIECE] = pairs_of(n) * 2 * padded(d);
    sizes[V_PIECE] = pairs_of(n) * padded(d) * sizeof(uint32_t);
    sizes[P_PIECE] = pairs_of(n) * QUERIES * sizeof(uint32_t);
    sizes[SUMS_PIECE] = MR * NR * sizeof(float);
    sizes[LINES_PIECE] = padded(d) / LINE * sizeof(line);
}

static size_t scratch_size(size_t n, size_t d) {
    size_t sizes[PIECES], own = 0;
    sizes_of(sizes, n, d);
    for (size_t i = 0; i < PIECES; i++)
        own += sizes[i];
    const size_t other = OTHERWISE.scratch_size(n, d);
    return own > other ? own : other;
}

static scratch scratch_of(const sv_attention_args *g) {
    size_t sizes[PIECES];
    sizes_of(sizes, g->n, g->d);
    void *pieces[PIECES];
    char *at = g->scratch;
    for (size_t i = 0; i < PIECES; at += sizes[i], i++)
        pieces[i] = at;
    return (scratch){pieces[Q_PIECE], pieces[K_PIECE],    pieces[V_PIECE],
                     pieces[P_PIECE], pieces[SUMS_PIECE], pieces[LINES_PIECE]};
}

/* --------------------------------------------------------------------------------------------------------------- packing */

/* Of 32 columns: the least and the largest key, and the largest magnitude of a query. */
typedef struct columns {
    __m512i low, high, query;
} columns;

/* bfloat16 as integers of the same order, and back. */
ALWAYS_INLINE __m512i ordered(__m512i x) {
    return _mm512_xor_si512(x, _mm512_and_si512(_mm512_srai_epi16(x, 15), _mm512_set1_epi16(0x7fff)));
}

ALWAYS_INLINE __m512i magnitude(__m512i x) {
    return _mm512_and_si512(x, _mm512_set1_epi16(0x7fff));
}

ALWAYS_INLINE columns ranges_of(const sv_attention_args *g, size_t i, size_t count) {
    const uint16_t *k = (const uint16_t *)g->k + i, *q = (const uint16_t *)g->q + i;
    const __m512i first = ordered(load_line(k, count));
    columns c = {first, first, _mm512_setzero_si512()};
    for (size_t row = 0; row < g->n; row++, k += g->ld, q += g->ld) {
        const __m512i key = ordered(load_line(k, count));
        c.low = _mm512_min_epi16(c.low, key);
        c.high = _mm512_max_epi16(c.high, key);
        c.query = _mm512_max_epi16(c.query, magnitude(load_line(q, count)));
    }
    return c;
}

static bool all_finite(const columns *c) {
    const __m512i below = _mm512_xor_si512(c->low, _mm512_set1_epi16(-1)); /* -1 - low */
    return vs_largest(vs_max(vs_max(c->high, below), c->query)) < 0x7f80;
}

ALWAYS_INLINE void to_floats(vf x[2], __m512i bf16) {
    x[0] = _mm512_castsi512_ps(_mm512_slli_epi32(bf16, 16));
    x[1] = _mm512_castsi512_ps(_mm512_and_si512(bf16, _mm512_set1_epi32((int)0xffff0000)));
}

/* The head's lines, and `factor`, which a score is to be multiplied by for units of a weight's bits. False: not finite. */
ALWAYS_INLINE bool make_lines(line *lines, const sv_attention_args *g, float *factor, const bool whole) {
    vf largest = v_zero();
    for (size_t i = 0; i < g->d; i += LINE, lines++) {
        const columns c = ranges_of(g, i, whole ? LINE : g->d - i);
        if (!all_finite(&c))
            return false;
        vf low[2], high[2], query[2];
        to_floats(low, ordered(c.low));
        to_floats(high, ordered(c.high));
        to_floats(query, c.query);
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            const vf width = v_sub(high[j], low[j]);
            lines->inverse[j] = v_zero_below(v_div(v_set(255.0f), width), width, v_set(0x1p-100f));
            lines->offset[j] = v_sub(v_zero(), v_mul(low[j], lines->inverse[j]));
            lines->multiplier[j] = v_mul(width, v_set(1 / 255.0f));
            largest = v_max(largest, v_mul(query[j], lines->multiplier[j]));
        }
    }
    const float most = v_largest(largest), inverse = most < 0x1p-100f ? 0 : 127 / most;
    for (size_t i = 0; i < g->d; i += LINE) {
        lines--;
        UNROLL
        for (size_t j = 0; j < 2; j++)
            lines->multiplier[j] = v_mul(lines->multiplier[j], v_set(inverse));
    }
    *factor = most / 127 * g->scale * (float)M_LOG2E * FRACTION;
    return *factor < 1;
}

/* 32 columns of k (2 * pairs of keys, row). */
ALWAYS_INLINE void pack_keys(uint8_t *k, size_t row, const uint16_t *from, size_t ld, size_t n, size_t count, const line *by) {
    for (size_t key = 0; key < n; key++) {
        vf x[2];
        to_floats(x, load_line(from + key * ld, count));
        const __m512i even = _mm512_cvtps_epi32(v_fma(x[0], by->inverse[0], by->offset[0]));
        const __m512i odd = _mm512_cvtps_epi32(v_fma(x[1], by->inverse[1], by->offset[1]));
        _mm256_storeu_si256((__m256i *)(void *)(k + key * row), _mm512_cvtepi16_epi8(_mm512_packs_epi32(even, odd)));
    }
    if (n % 2)
        memset(k + n * row, 0, LINE);
}

/* 16 queries as units: q is (padded d / 4, nv, 16) from the vector on. Gives their centre. */
ALWAYS_INLINE __m512i pack_queries(uint32_t *q, const size_t nv, const uint16_t *from, size_t ld, size_t queries, size_t d,
                                   const line *lines, const bool whole) {
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < d; i += LINE, lines++) {
        __m512i two[LANES / 2], four[2][4];
        UNROLL
        for (size_t r = 0; r < LANES; r += 2) { /* quarter c: units 2 c and 2 c + 1 of the one row, then of the other */
            __m512i shorts[2];
            UNROLL
            for (size_t s = 0; s < 2; s++) {
                vf x[2] = {v_zero(), v_zero()};
                if (r + s < queries)
                    to_floats(x, load_line(from + (r + s) * ld + i, whole ? LINE : d - i));
                shorts[s] = _mm512_packs_epi32(_mm512_cvtps_epi32(v_mul(x[0], lines->multiplier[0])),
                                               _mm512_cvtps_epi32(v_mul(x[1], lines->multiplier[1])));
            }
            two[r / 2] = _mm512_packs_epi16(shorts[0], shorts[1]);
        }
        UNROLL
        for (size_t s = 0; s < 4; s++) { /* quarter c: unit 2 c, or 2 c + 1, of four rows */
            const vf a = _mm512_castsi512_ps(two[2 * s]), b = _mm512_castsi512_ps(two[2 * s + 1]);
            four[0][s] = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88));
            four[1][s] = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd));
        }
        UNROLL
        for (size_t s = 0; s < 2; s++) {
            const __m512i *f = four[s];
            const __m512i a = _mm512_shuffle_i32x4(f[0], f[1], 0x88), b = _mm512_shuffle_i32x4(f[2], f[3], 0x88);
            const __m512i c = _mm512_shuffle_i32x4(f[0], f[1], 0xdd), e = _mm512_shuffle_i32x4(f[2], f[3], 0xdd);
            const __m512i unit[4] = {_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(c, e, 0x88),
                                     _mm512_shuffle_i32x4(a, b, 0xdd), _mm512_shuffle_i32x4(c, e, 0xdd)};
            UNROLL
            for (size_t u = 0; u < 4; u++) {
                sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), unit[u]);
                _mm512_storeu_si512(q + (i / 4 + 2 * u + s) * nv * LANES, unit[u]);
            }
        }
    }
    return _mm512_mullo_epi32(sum, _mm512_set1_epi32(-127));
}

/* --------------------------------------------------------------------------------------------------------------- weights */

/* round(f - FRACTION * (2^(f / FRACTION) - 1)), f = 0 .. FRACTION - 1 (tools/fit_kernels.py) */
static const uint8_t corrections[FRACTION] = {
    0,  0,  1,  1,  1,  1,  2,  2,  2,  3,  3,  3,  3,  4,  4,  4,  4,  5,  5,  5,  5,  6,  6,  6,  6,  6,
    7,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10,
    10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
    11, 11, 11, 11, 10, 10, 10, 10, 10, 10, 10, 10, 10, 9,  9,  9,  9,  9,  9,  9,  8,  8,  8,  8,  8,  7,
    7,  7,  7,  7,  6,  6,  6,  6,  5,  5,  5,  4,  4,  4,  3,  3,  3,  3,  2,  2,  1,  1,  1,  0,
};

/* All but the centres. */
static void set_vectors(score_vectors *s, float factor) {
    int exponent;
    frexpf(factor, &exponent); /* so that S >> -exponent is an int16 wherever the weight is a number */
    const int down = exponent < -31 ? 31 : -exponent;
    const float fraction = ldexpf(factor, down + 15);
    s->down = _mm512_set1_epi32(down);
    s->factor = _mm512_set1_epi16((int16_t)lrintf(fraction < INT16_MAX ? fraction : INT16_MAX));
    s->bias = _mm512_set1_epi16(BIAS * FRACTION);
    s->order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    s->zero = _mm512_setzero_si512();
    s->table[0] = _mm512_loadu_si512(corrections);
    s->table[1] = _mm512_loadu_si512(corrections + 64);
}

/* Lane by lane the weights of two keys, from their scores. Where x would be negative, the weight is 0; where it is too large,
 * it is infinity, a NaN, or a number beyond LARGEST_SUM. */
ALWAYS_INLINE __m512i weights_of(const int32_t *even, const int32_t *odd, const score_vectors *s) {
    const __m512i a = _mm512_srav_epi32(_mm512_loadu_si512(even), s->down);
    const __m512i b = _mm512_srav_epi32(_mm512_loadu_si512(odd), s->down);
    const __m512i scaled = _mm512_mulhrs_epi16(_mm512_shuffle_epi8(_mm512_packs_epi32(a, b), s->order), s->factor);
    const __m512i x = _mm512_max_epi16(_mm512_adds_epi16(scaled, s->bias), s->zero);
    /* Of the 16 bits of x the lower byte has the fraction; the lookup in the upper one is dropped. */
    const __m512i correction = _mm512_maskz_permutex2var_epi8(0x5555555555555555, s->table[0], x, s->table[1]);
    return _mm512_sub_epi16(x, correction);
}

/* The epilogue in C. */
static void finish(waiting_tile *tile, size_t nv) {
    const size_t row = nv * LANES;
    for (size_t pair = 0; pair < tile->rows; pair++)
        for (size_t j = 0; j < nv; j++) {
            const int32_t *at = tile->sums + 2 * pair * row + j * LANES;
            _mm512_storeu_si512(tile->c + pair * tile->ldc + j * 64, weights_of(at, at + row, tile->vectors));
        }
    tile->rows = 0;
}

/* Heights of whole pairs. */
#define EACH_PAIRS(X) X(2) X(4) X(6) X(8) X(10) X(12) X(14)

#if !defined(SENVEC_SIMDE)

#define WEIGHTS(j)                                                                                                             \
    "vmovdqa64 " j "(%[end]), %%zmm28\n\t"                                                                                     \
    "vmovdqa64 128+" j "(%[end]), %%zmm29\n\t"                                                                                 \
    "vmovdqa64 448(%[vectors]), %%zmm31\n\t"                                                                                   \
    "vpsravd 128(%[vectors]), %%zmm28, %%zmm28\n\t"                                                                            \
    "vpsravd 128(%[vectors]), %%zmm29, %%zmm29\n\t"                                                                            \
    "vpackssdw %%zmm29, %%zmm28, %%zmm28\n\t"                                                                                  \
    "vpshufb 320(%[vectors]), %%zmm28, %%zmm28\n\t"                                                                            \
    "vpmulhrsw 192(%[vectors]), %%zmm28, %%zmm28\n\t"                                                                          \
    "vpaddsw 256(%[vectors]), %%zmm28, %%zmm28\n\t"                                                                            \
    "vpmaxsw 384(%[vectors]), %%zmm28, %%zmm28\n\t"                                                                            \
    "vmovdqa64 %%zmm28, %%zmm29\n\t"                                                                                           \
    "vpermi2b 512(%[vectors]), %%zmm31, %%zmm29 %{%%k1%}%{z%}\n\t"                                                             \
    "vpsubw %%zmm29, %%zmm28, %%zmm28\n\t"                                                                                     \
    "vmovdqu64 %%zmm28, " j "(%[c])\n\t"

#define WEIGHTS_ROW WEIGHTS("0") WEIGHTS("64") "add $256, %[end]\n\tadd %[ldc], %[c]\n\t"

#define BEGIN_SCORES                                                                                                           \
    "movabs $0x5555555555555555, %[steps]\n\t"                                                                                 \
    "kmovq %[steps], %%k1\n\t"                                                                                                 \
    "vmovdqa64 (%[vectors]), %%zmm30\n\t"                                                                                      \
    "vmovdqa64 64(%[vectors]), %%zmm31\n\t"
#define CLEAR_SCORES(address, x, first, second, wide, narrow)                                                                  \
    "vmovdqa64 %%zmm30, %%zmm" first "\n\t"                                                                                    \
    "vmovdqa64 %%zmm31, %%zmm" second "\n\t"
#define LOAD_SCORES                                                                                                            \
    "vmovups (%[w]), %%zmm30\n\t"                                                                                              \
    "vmovups 64(%[w]), %%zmm31\n\t"                                                                                            \
    "sub $-128, %[w]\n\t"
#define STEP_SCORES(address, x, first, second, wide, narrow) STEP_BY("vpdpbusd", address, x, first, second)

/* clang-format off */
#define DEFINE_SCORES(rows) DEFINE_OVERLAPPED(rows, scores, SCORES, WEIGHTS_ROW)
#define SCORES_TILE(rows) scores_##rows,
EACH_PAIRS(DEFINE_SCORES)
/* By pairs of keys - 1. */
static overlapped_tile_fn *const scores[MR / 2] = {EACH_PAIRS(SCORES_TILE)};
/* clang-format on */

#endif

/* Scores of up to 16 queries, which have nothing to overlap with, and in an emulation of 32: sums (rows, nv vectors). */
ALWAYS_INLINE void scores_of(const tile_args *t, const __m512i *centre, int32_t *sums, const size_t rows, const size_t nv) {
    __m512i sum[MR];
    for (size_t j = 0; j < nv; j++) {
        UNROLL
        for (size_t r = 0; r < rows; r++)
            sum[r] = centre[j];
        for (size_t i = 0; i < t->steps; i++) {
            const __m512i w = _mm512_loadu_si512(t->w + (i * nv + j) * 64);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                int32_t unit;
                memcpy(&unit, t->a + r * t->row + i * UNIT, sizeof unit);
                sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_set1_epi32(unit), w);
            }
        }
        UNROLL
        for (size_t r = 0; r < rows; r++)
            _mm512_storeu_si512(sums + (r * nv + j) * LANES, sum[r]);
    }
}

static void plain_scores(const tile_args *t, const __m512i *centre, int32_t *sums, size_t pairs, const size_t nv) {
    switch (pairs) {
#define PAIRS_CASE(rows)                                                                                                       \
    case rows / 2:                                                                                                             \
        scores_of(t, centre, sums, rows, nv);                                                                                  \
        break;
        EACH_PAIRS(PAIRS_CASE)
    default:
        break;
    }
}

/* p (pairs of keys, nv vectors) <- the weights. */
static void weigh_keys(const sv_attention_args *g, const scratch *s, const score_vectors *vectors, const size_t nv) {
    const size_t pairs = pairs_of(g->n), most = MR / 2, chunks = (pairs + most - 1) / most, row = nv * LANES;
    const size_t low = pairs / chunks, more = pairs % chunks; /* `more` chunks have a pair more than `low` */
    tile_args t = {
        .a = (const char *)s->k, .row = padded(g->d), .step = UNIT, .w = (const char *)s->q, .steps = padded(g->d) / UNIT};
    waiting_tile last;
    last.vectors = vectors;
    last.ldc = row * sizeof *s->p;
    last.residual = 0;
    last.rows = 0;
    char *p = (char *)s->p;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        const size_t count = low + (chunk < more);
#if !defined(SENVEC_SIMDE)
        if (nv == 2)
            scores[count - 1](&t, &last);
        else
#endif
        {
            finish(&last, nv);
            plain_scores(&t, vectors->centre, last.sums, count, nv);
        }
        last.c = p;
        last.rows = count;
        p += count * last.ldc;
        t.a += 2 * count * t.row;
    }
    finish(&last, nv);
    if (g->n % 2)
        for (size_t i = (pairs - 1) * row; i < pairs * row; i++)
            s->p[i] &= 0xffff;
}

/* inverse (nv vectors) <- 1 / the sums of weights of `queries` lanes, and whether they are in range. */
ALWAYS_INLINE bool invert_sums(const uint32_t *p, const size_t nv, size_t pairs, size_t queries, float *inverse) {
    const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
    vf sum[4][2]; /* so many, since one is a chain of slow additions */
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        UNROLL
        for (size_t j = 0; j < nv; j++)
            sum[i][j] = v_zero();
    }
    for (; pairs >= 4; pairs -= 4) {
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            UNROLL
            for (size_t j = 0; j < nv; j++, p += LANES)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], (__m512bh)_mm512_loadu_si512(p), ones);
        }
    }
    for (; pairs; pairs--) {
        UNROLL
        for (size_t j = 0; j < nv; j++, p += LANES)
            sum[0][j] = _mm512_dpbf16_ps(sum[0][j], (__m512bh)_mm512_loadu_si512(p), ones);
    }
    unsigned out_of_range = 0; /* lanes */
    UNROLL
    for (size_t j = 0; j < nv; j++) {
        const vf total = v_add(v_add(sum[0][j], sum[1][j]), v_add(sum[2][j], sum[3][j]));
        const unsigned lanes = v_mask(smaller(queries - j * LANES, LANES));
        const unsigned enough = _mm512_cmp_ps_mask(total, v_set(LEAST_SUM), _CMP_GE_OQ);
        out_of_range |= lanes & ~(enough & _mm512_cmp_ps_mask(total, v_set(LARGEST_SUM), _CMP_LE_OQ));
        v_store(inverse + j * LANES, v_div(v_set(1.0f), total));
    }
    return !out_of_range;
}

/* One head: q, k and v are its own. False: it can't be done so. */
ALWAYS_INLINE bool attend(const sv_attention_args *g, const scratch *s, const bool whole) {
    const uint16_t *first_query = g->q, *keys = g->k;
    const size_t ld = g->ld, n = g->n, d = g->d;
    float factor;
    if (!make_lines(s->lines, g, &factor, whole))
        return false;
    score_vectors vectors;
    set_vectors(&vectors, factor);
    for (size_t i = 0; i < d; i += LINE)
        pack_keys(s->k + i, padded(d), keys + i, ld, n, whole ? LINE : d - i, &s->lines[i / LINE]);
    pack_values(s->v, pairs_of(n), g->v, ld, n, d);
    for (size_t query = 0; query < n; query += QUERIES) {
        const size_t queries = smaller(n - query, QUERIES), nv = queries > LANES ? 2 : 1;
        for (size_t j = 0; j < nv; j++)
            vectors.centre[j] = pack_queries(s->q + j * LANES, nv, first_query + (query + j * LANES) * ld, ld,
                                             smaller(queries - j * LANES, LANES), d, s->lines, whole);
        float inverse[QUERIES];
        bool good;
        if (nv == 2) {
            weigh_keys(g, s, &vectors, 2);
            good = invert_sums(s->p, 2, pairs_of(n), queries, inverse);
        } else {
            weigh_keys(g, s, &vectors, 1);
            good = invert_sums(s->p, 1, pairs_of(n), queries, inverse);
        }
        if (!good)
            return false;
        weigh_values(g, g->out + query * g->ld_out, s->p, nv * LANES, s->v, inverse, s->sums, queries);
    }
    return true;
}

static void run(const sv_attention_args *g) {
    assert(g->scale > 0);
    if (g->n < LEAST_KEYS || g->bias || g->queries < g->n) {
        OTHERWISE.run(g);
        return;
    }
    const scratch s = scratch_of(g);
    sv_attention_args one = *g;
    one.heads = 1;
    for (size_t head = 0; head < g->heads; head++) {
        one.q = (const uint16_t *)g->q + head * g->d;
        one.k = (const uint16_t *)g->k + head * g->d;
        one.v = (const uint16_t *)g->v + head * g->d;
        one.out = g->out + head * g->d;
        if (!(g->d % LINE ? attend(&one, &s, false) : attend(&one, &s, true)))
            OTHERWISE.run(&one);
    }
}

const sv_attention RECORD = {.name = "attention_int8_avx512vnni", .bf16 = true, .scratch_size = scratch_size, .run = run};
