/* The vector words that float_tmpl.h is written in, in AVX-512 (F, BW, DQ, VL): 16 lanes of float.
 *
 * tests/kernels compiles the same text with SENVEC_SIMDE against SIMDe, which emulates each instruction: that is how this tier
 * is tested on a CPU that lacks it. */
#ifndef SV_KERNELS_WORDS_AVX512_H
#define SV_KERNELS_WORDS_AVX512_H

#ifndef SENVEC_SIMDE
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>

#include "kernels/unroll.h"

#define LANES 16
#define LINE (2 * LANES) /* bfloat16 in a register, and in a cache line */

typedef __m512 vf;

static inline vf v_zero(void) {
    return _mm512_setzero_ps();
}

static inline vf v_set(float x) {
    return _mm512_set1_ps(x);
}

static inline vf v_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}

/* Ones for the first `count` lanes. */
static inline __mmask16 v_mask(size_t count) {
    return (__mmask16)((1u << count) - 1);
}

/* The first `count` lanes, 0 to LANES; zeros in the rest. Memory beyond them isn't touched. */
static inline vf v_load_first(const float *p, size_t count) {
    return _mm512_maskz_loadu_ps(v_mask(count), p);
}

static inline void v_store_first(float *p, vf v, size_t count) {
    _mm512_mask_storeu_ps(p, v_mask(count), v);
}

static inline vf v_first(vf v, size_t count) {
    return _mm512_maskz_mov_ps(v_mask(count), v);
}

/* v's first `count` lanes, then those of `other`. */
static inline vf v_first_or(vf v, size_t count, vf other) {
    return _mm512_mask_mov_ps(other, v_mask(count), v);
}

static inline vf v_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}

/* a * b + c, rounded once. */
static inline vf v_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* The smaller and the larger; b if either is a NaN. */
static inline vf v_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}

static inline vf v_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

static inline vf v_abs(vf x) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
}

/* a where x >= limit or x is a NaN, else 0. */
static inline vf v_zero_below(vf a, vf x, vf limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), a);
}

/* a * 2^n, n the integer in the low bits of `n`; no care is taken of exponents that don't fit. */
static inline vf v_scale(vf a, vf n) {
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), exponent));
}

static inline float v_sum(vf v) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float v_least(vf v) {
    return _mm512_reduce_min_ps(v);
}

static inline float v_largest(vf v) {
    return _mm512_reduce_max_ps(v);
}

/* r (LANES, LANES) becomes its transpose. */
static inline void v_transpose(vf r[LANES]) {
    vf t[LANES];
    UNROLL
    for (size_t i = 0; i < LANES; i += 2) { /* pairs of rows */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (size_t i = 0; i < LANES; i += 4) { /* r[i + c]: quarter q holds column 4 q + c of the four rows from i */
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (size_t c = 0; c < 4; c++) { /* quarters: a 4 x 4 transpose of 128-bit blocks */
        const vf even_low = _mm512_shuffle_f32x4(r[c], r[c + 4], 0x88), odd_low = _mm512_shuffle_f32x4(r[c], r[c + 4], 0xdd);
        const vf even_high = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0x88);
        const vf odd_high = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0xdd);
        t[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
        t[c + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        t[c + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
        t[c + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
    UNROLL
    for (size_t i = 0; i < LANES; i++)
        r[i] = t[i];
}

/* ---------------------------------------------------------------- integers */

/* Whether any lane was ... */
typedef unsigned v_flags;

static inline v_flags v_no_flags(void) {
    return 0;
}

/* ... a NaN in a or in b. */
static inline v_flags v_flag_nans(v_flags flags, vf a, vf b) {
    return flags | _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
}

static inline int v_any(v_flags flags) {
    return flags != 0;
}

/* LANES of 32 bits in memory. */
static inline vf v_from_int32(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

/* Rows of int16. */
#define SHORTS (2 * LANES)

typedef __m512i vs;

static inline vs vs_set(int16_t x) {
    return _mm512_set1_epi16(x);
}

static inline vs vs_load(const int16_t *p) {
    return _mm512_loadu_si512(p);
}

static inline void vs_store(int16_t *p, vs v) {
    _mm512_storeu_si512(p, v);
}

static inline vs vs_add(vs a, vs b) {
    return _mm512_add_epi16(a, b);
}

static inline vs vs_sub(vs a, vs b) {
    return _mm512_sub_epi16(a, b);
}

static inline vs vs_sub_saturated(vs a, vs b) {
    return _mm512_subs_epi16(a, b);
}

static inline vs vs_shift_left(vs a, int n) {
    return _mm512_sll_epi16(a, _mm_cvtsi32_si128(n));
}

/* The vacant bits are zeros; those of the other one are copies of the sign. */
static inline vs vs_shift_right(vs a, int n) {
    return _mm512_srl_epi16(a, _mm_cvtsi32_si128(n));
}

static inline vs vs_shift_right_signed(vs a, int n) {
    return _mm512_sra_epi16(a, _mm_cvtsi32_si128(n));
}

/* 16 values to look up, twice. */
typedef __m512i vs_table;

static inline vs_table vs_table_of(const int16_t values[16]) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)values));
}

/* values[i], i in 0 .. 15 */
static inline vs vs_look_up(vs_table table, vs i) {
    return _mm512_permutexvar_epi16(i, table);
}

/* The high 16 bits of twice the product, rounded. */
static inline vs vs_mulhrs(vs a, vs b) {
    return _mm512_mulhrs_epi16(a, b);
}

/* The absolute value of -32768 is 32768, unsigned. */
static inline vs vs_abs(vs a) {
    return _mm512_abs_epi16(a);
}

static inline vs vs_min_unsigned(vs a, vs b) {
    return _mm512_min_epu16(a, b);
}

static inline vs vs_max(vs a, vs b) {
    return _mm512_max_epi16(a, b);
}

static inline int vs_largest(vs v) {
    const __m256i half = _mm256_max_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    const __m128i four = _mm_max_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    /* The least unsigned one of 32767 - x. */
    const __m128i least = _mm_minpos_epu16(_mm_sub_epi16(_mm_set1_epi16(INT16_MAX), four));
    return INT16_MAX - _mm_extract_epi16(least, 0);
}

/* Packs work within quarters of a register, so that a's and b's take turns by 8 bytes: this permutation puts a's first. */
static inline __m512i pack_order(void) {
    return _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
}

/* LANES of a, then those of b, rounded to the nearest integer, ties to even, and to the nearest int16; a NaN and what fits no
 * int32 become the least. */
static inline vs vs_from_floats(vf a, vf b) {
    return _mm512_permutexvar_epi64(pack_order(), _mm512_packs_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b)));
}

/* 2 * SHORTS values, 0 to 255, as bytes. */
static inline void vs_store_uint8(void *p, vs a, vs b) {
    _mm512_storeu_si512(p, _mm512_permutexvar_epi64(pack_order(), _mm512_packus_epi16(a, b)));
}

/* 4 * LANES values, 0 to 255, rounded to the nearest integer, ties to even, as bytes. The packs work within quarters of a
 * register: each quarter then holds 4 bytes of every vector, which the permutation puts in order. */
static inline void v_store_uint8(void *p, const vf x[4]) {
    const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(x[0]), _mm512_cvtps_epi32(x[1]));
    const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(x[2]), _mm512_cvtps_epi32(x[3]));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
}

#endif
