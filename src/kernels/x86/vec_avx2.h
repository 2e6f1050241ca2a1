/* The vector words that kernels_vec.h is written in, in AVX2 and FMA: 8 lanes of float. */
#ifndef SV_KERNELS_VEC_AVX2_H
#define SV_KERNELS_VEC_AVX2_H

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
static inline __attribute__((always_inline)) void vi_add_pairs(vi sum[2], const uint16_t *a, vi w0, vi w1) {
    vi sum0 = sum[0], sum1 = sum[1], x, y;
    __asm__("vpbroadcastd %4, %3\n\t"
            "vpmaddwd %5, %3, %2\n\t"
            "vpmaddwd %6, %3, %3\n\t"
            "vpaddd %2, %0, %0\n\t"
            "vpaddd %3, %1, %1"
            : "+x"(sum0), "+x"(sum1), "=&x"(x), "=&x"(y)
            : "m"(*(const uint16_t(*)[2])a), "x"(w0), "x"(w1));
    sum[0] = sum0;
    sum[1] = sum1;
}

/* LANES of a, then those of b, 0 to 255, rounded to the nearest integer, ties to even, as 16 bits each. */
static inline void v_store_uint16(void *p, vf a, vf b) {
    const __m256i mixed = _mm256_packus_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(mixed, 0xd8));
}

#endif
