/* The vector words that float_tmpl.h is written in, in AVX2 and FMA: 8 lanes of float. */
#ifndef SV_KERNELS_WORDS_AVX2_H
#define SV_KERNELS_WORDS_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/unroll.h"

#define LANES 8

typedef __m256 vf;

static inline vf v_zero(void) {
    return _mm256_setzero_ps();
}

static inline vf v_set(float x) {
    return _mm256_set1_ps(x);
}

static inline vf v_load(const float *p) {
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}

/* All ones in the first `count` lanes. */
static inline __m256i v_mask(size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first `count` lanes, 0 to LANES; zeros in the rest. Memory beyond them isn't touched. */
static inline vf v_load_first(const float *p, size_t count) {
    return _mm256_maskload_ps(p, v_mask(count));
}

static inline void v_store_first(float *p, vf v, size_t count) {
    _mm256_maskstore_ps(p, v_mask(count), v);
}

static inline vf v_first(vf v, size_t count) {
    return _mm256_and_ps(v, _mm256_castsi256_ps(v_mask(count)));
}

/* v's first `count` lanes, then those of `other`. */
static inline vf v_first_or(vf v, size_t count, vf other) {
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(v_mask(count)));
}

static inline vf v_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}

/* a * b + c, rounded once. */
static inline vf v_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* The smaller and the larger; b if either is a NaN. */
static inline vf v_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}

static inline vf v_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

static inline vf v_abs(vf x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* a where x >= limit or x is a NaN, else 0. */
static inline vf v_zero_below(vf a, vf x, vf limit) {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, limit, _CMP_LT_OQ), a);
}

/* a * 2^n, n the integer in the low bits of `n`; no care is taken of exponents that don't fit. */
static inline vf v_scale(vf a, vf n) {
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent));
}

static inline float v_sum(vf v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float v_least(vf v) {
    __m128 four = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
}

static inline float v_largest(vf v) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* r (LANES, LANES) becomes its transpose. */
static inline void v_transpose(vf r[LANES]) {
    vf t[LANES];
    UNROLL
    for (size_t i = 0; i < LANES; i += 2) { /* pairs of rows: (0, 1), (2, 3), ... */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (size_t i = 0; i < LANES; i += 4) { /* quads: columns 0, 1, 2, 3 of each half */
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    UNROLL
    for (size_t i = 0; i < LANES; i++)
        r[i] = t[i];
}

/* ---------------------------------------------------------------- integers */

/* Whether any lane was ... */
typedef vf v_flags;

static inline v_flags v_no_flags(void) {
    return v_zero();
}

/* ... a NaN in a or in b. */
static inline v_flags v_flag_nans(v_flags flags, vf a, vf b) {
    return _mm256_or_ps(flags, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
}

static inline int v_any(v_flags flags) {
    return _mm256_movemask_ps(flags) != 0;
}

typedef __m256i vi; /* LANES of 32 bits, or pairs of 16 bits */

static inline vi vi_zero(void) {
    return _mm256_setzero_si256();
}

static inline vi vi_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void vi_store(void *p, vi v) {
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline vf v_from_int32(vi v) {
    return _mm256_cvtepi32_ps(v);
}

/* 2 * LANES bytes, signed, as 16 bits each. */
static inline vi vi_widen(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

/* sum[0] += a . w0, sum[1] += a . w1, the pair a with each lane's pair of 16 bits. */
static inline __attribute__((always_inline)) void vi_add_pairs(vi sum[2], const char *a, vi w0, vi w1) {
    vi sum0 = sum[0], sum1 = sum[1], x, y;
    __asm__("vpbroadcastd %4, %3\n\t"
            "vpmaddwd %5, %3, %2\n\t"
            "vpmaddwd %6, %3, %3\n\t"
            "vpaddd %2, %0, %0\n\t"
            "vpaddd %3, %1, %1"
            : "+x"(sum0), "+x"(sum1), "=&x"(x), "=&x"(y)
            : "m"(*(const char(*)[4])a), "x"(w0), "x"(w1));
    sum[0] = sum0;
    sum[1] = sum1;
}

/* Rows of int16. */
#define SHORTS (2 * LANES)

typedef __m256i vs;

static inline vs vs_set(int16_t x) {
    return _mm256_set1_epi16(x);
}

static inline vs vs_load(const int16_t *p) {
    return vi_load(p);
}

static inline void vs_store(int16_t *p, vs v) {
    vi_store(p, v);
}

static inline vs vs_add(vs a, vs b) {
    return _mm256_add_epi16(a, b);
}

static inline vs vs_sub(vs a, vs b) {
    return _mm256_sub_epi16(a, b);
}

static inline vs vs_sub_saturated(vs a, vs b) {
    return _mm256_subs_epi16(a, b);
}

static inline vs vs_shift_left(vs a, int n) {
    return _mm256_sll_epi16(a, _mm_cvtsi32_si128(n));
}

/* The vacant bits are zeros; those of the other one are copies of the sign. */
static inline vs vs_shift_right(vs a, int n) {
    return _mm256_srl_epi16(a, _mm_cvtsi32_si128(n));
}

static inline vs vs_shift_right_signed(vs a, int n) {
    return _mm256_sra_epi16(a, _mm_cvtsi32_si128(n));
}

/* 16 values to look up: their low and their high bytes. */
typedef struct vs_table {
    __m256i low, high;
} vs_table;

static inline vs_table vs_table_of(const int16_t values[16]) {
    uint8_t low[16], high[16];
    for (size_t i = 0; i < 16; i++) {
        low[i] = (uint8_t)values[i];
        high[i] = (uint8_t)((uint16_t)values[i] >> 8);
    }
    return (vs_table){_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)low)),
                      _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)high))};
}

/* values[i], i in 0 .. 15. A byte shuffle gives 0 where the index's highest bit is set. */
static inline vs vs_look_up(vs_table table, vs i) {
    const vs low = _mm256_or_si256(i, _mm256_set1_epi16((int16_t)0x8000));
    const vs high = _mm256_or_si256(_mm256_slli_epi16(i, 8), _mm256_set1_epi16(0x80));
    return _mm256_or_si256(_mm256_shuffle_epi8(table.low, low), _mm256_shuffle_epi8(table.high, high));
}

/* The high 16 bits of twice the product, rounded. */
static inline vs vs_mulhrs(vs a, vs b) {
    return _mm256_mulhrs_epi16(a, b);
}

/* The absolute value of -32768 is 32768, unsigned. */
static inline vs vs_abs(vs a) {
    return _mm256_abs_epi16(a);
}

static inline vs vs_min_unsigned(vs a, vs b) {
    return _mm256_min_epu16(a, b);
}

static inline vs vs_max(vs a, vs b) {
    return _mm256_max_epi16(a, b);
}

static inline int vs_largest(vs v) {
    const __m128i four = _mm_max_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    /* The least unsigned one of 32767 - x. */
    const __m128i least = _mm_minpos_epu16(_mm_sub_epi16(_mm_set1_epi16(INT16_MAX), four));
    return INT16_MAX - _mm_extract_epi16(least, 0);
}

/* LANES of a, then those of b, rounded to the nearest integer, ties to even, and to the nearest int16; a NaN and what fits no
 * int32 become the least. */
static inline vs vs_from_floats(vf a, vf b) {
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b)), 0xd8);
}

/* 2 * SHORTS values, 0 to 255, as 16 bits each. */
static inline void vs_store_uint16(void *p, vs a, vs b) {
    vi_store(p, a);
    vi_store((int16_t *)p + SHORTS, b);
}

/* The same as bytes. */
static inline void vs_store_uint8(void *p, vs a, vs b) {
    vi_store(p, _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8));
}

/* 4 * LANES values, 0 to 255, rounded to the nearest integer, ties to even, as 16 bits each. */
static inline void v_store_uint16(void *p, const vf x[4]) {
    for (size_t j = 0; j < 4; j += 2) {
        const __m256i mixed = _mm256_packus_epi32(_mm256_cvtps_epi32(x[j]), _mm256_cvtps_epi32(x[j + 1]));
        _mm256_storeu_si256((__m256i *)p + j / 2, _mm256_permute4x64_epi64(mixed, 0xd8));
    }
}

/* The same as bytes. The packs work within halves of a register: each half then holds 4 bytes of every vector, which the
 * permutation puts in order. */
static inline void v_store_uint8(void *p, const vf x[4]) {
    const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(x[2]), _mm256_cvtps_epi32(x[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    vi_store(p, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order));
}

#endif
