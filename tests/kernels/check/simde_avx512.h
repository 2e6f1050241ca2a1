/* AVX-512 by emulation: SIMDe under the names of the real intrinsics, and the few of them that its releases in Debian 12 and 13
 * may lack. */
#ifndef SIMDE_AVX512_H
#define SIMDE_AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <immintrin.h>
#define __mmask64 __mmask64 /* it is there: SIMDe 0.8 would make another one, of a type that isn't clang's */
#include <math.h>
#include <simde/x86/avx512.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Lane by lane, since memory of masked lanes may be forbidden. */
static inline simde__m512 emulated_maskz_loadu_ps(simde__mmask16 mask, const float *p) {
    float lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            lanes[i] = p[i];
    return simde_mm512_loadu_ps(lanes);
}

static inline void emulated_mask_storeu_ps(float *p, simde__mmask16 mask, simde__m512 v) {
    float lanes[16];
    simde_mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = lanes[i];
}

/* Quarters of 4 lanes: two of a, then two of b, chosen by 2 bits each. */
static inline simde__m512 emulated_shuffle_f32x4(simde__m512 a, simde__m512 b, int choice) {
    float from[2][16], lanes[16];
    simde_mm512_storeu_ps(from[0], a);
    simde_mm512_storeu_ps(from[1], b);
    for (int i = 0; i < 16; i++)
        lanes[i] = from[i / 8][(choice >> i / 4 * 2 & 3) * 4 + i % 4];
    return simde_mm512_loadu_ps(lanes);
}

/* To the nearest integer, ties to even; what fits no int32 is the least one. */
static inline simde__m512i emulated_cvtps_epi32(simde__m512 v) {
    float from[16];
    int32_t lanes[16];
    simde_mm512_storeu_ps(from, v);
    for (int i = 0; i < 16; i++)
        lanes[i] = fabsf(from[i]) < 0x1p31f ? (int32_t)lrintf(from[i]) : INT32_MIN;
    return simde_mm512_loadu_si512(lanes);
}

static inline simde__m512 emulated_cvtepi32_ps(simde__m512i v) {
    int32_t from[16];
    float lanes[16];
    simde_mm512_storeu_si512(from, v);
    for (int i = 0; i < 16; i++)
        lanes[i] = (float)from[i];
    return simde_mm512_loadu_ps(lanes);
}

static inline simde__m512i emulated_srav_epi32(simde__m512i v, simde__m512i counts) {
    int32_t lanes[16], by[16];
    simde_mm512_storeu_si512(lanes, v);
    simde_mm512_storeu_si512(by, counts);
    for (int i = 0; i < 16; i++)
        lanes[i] >>= (uint32_t)by[i] < 31 ? by[i] : 31;
    return simde_mm512_loadu_si512(lanes);
}

static inline float emulated_reduce(simde__m512 v, bool least) {
    float lanes[16];
    simde_mm512_storeu_ps(lanes, v);
    for (int i = 1; i < 16; i++)
        if (least ? lanes[i] < lanes[0] : lanes[i] > lanes[0])
            lanes[0] = lanes[i];
    return lanes[0];
}

#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32(v) emulated_cvtps_epi32(v)
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(v) emulated_cvtepi32_ps(v)
#undef _mm512_srav_epi32
#define _mm512_srav_epi32(v, counts) emulated_srav_epi32(v, counts)
#undef _mm512_reduce_min_ps
#define _mm512_reduce_min_ps(v) emulated_reduce(v, true)
#undef _mm512_reduce_max_ps
#define _mm512_reduce_max_ps(v) emulated_reduce(v, false)
/* Of bfloat16, as Intel's manual describes it: denormals are zeros, and the odd one of a pair comes first. */
static inline float emulated_flush(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

static inline float emulated_from_bf16(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return emulated_flush(x);
}

static inline simde__m512i emulated_dpbf16(simde__m512i sums, simde__m512i a, simde__m512i b) {
    float sum[16];
    uint32_t x[16], y[16];
    memcpy(sum, &sums, sizeof sum);
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 16; i++) {
        const uint32_t odd = 0xffff0000;
        sum[i] = emulated_flush(fmaf(emulated_from_bf16(x[i] & odd), emulated_from_bf16(y[i] & odd), sum[i]));
        sum[i] = emulated_flush(fmaf(emulated_from_bf16(x[i] << 16), emulated_from_bf16(y[i] << 16), sum[i]));
    }
    return simde_mm512_loadu_si512(sum);
}

static inline simde__m512i emulated_cvtne2ps_pbh(simde__m512 high, simde__m512 low) {
    float from[32];
    uint16_t lanes[32];
    simde_mm512_storeu_ps(from, low);
    simde_mm512_storeu_ps(from + 16, high);
    for (int i = 0; i < 32; i++) {
        const float x = emulated_flush(from[i]);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        lanes[i] = (uint16_t)(isnan(x) ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    return simde_mm512_loadu_si512(lanes);
}

/* x minus the integer below; 0 for infinities. */
static inline simde__m512 emulated_reduce_down(simde__m512 v) {
    float lanes[16];
    simde_mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++)
        lanes[i] = isinf(lanes[i]) ? 0.0f : lanes[i] - floorf(lanes[i]);
    return simde_mm512_loadu_ps(lanes);
}

/* a * 2^(the integer below b), of a from 1 to 2: 0 or infinite beyond 2^-300 and 2^300. */
static inline simde__m512 emulated_scalef(simde__m512 a, simde__m512 b) {
    float x[16], y[16];
    simde_mm512_storeu_ps(x, a);
    simde_mm512_storeu_ps(y, b);
    for (int i = 0; i < 16; i++)
        x[i] = isnan(y[i]) ? y[i] : ldexpf(x[i], (int)floorf(fminf(fmaxf(y[i], -300.0f), 300.0f)));
    return simde_mm512_loadu_ps(x);
}

#undef _mm512_reduce_ps
#define _mm512_reduce_ps(v, rounding) emulated_reduce_down(v)
#undef _mm512_scalef_ps
#define _mm512_scalef_ps(a, b) emulated_scalef(a, b)
#undef _mm512_cvtne2ps_pbh
#define _mm512_cvtne2ps_pbh(high, low) emulated_cvtne2ps_pbh(high, low)
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, choice) emulated_shuffle_f32x4(a, b, choice)
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, p) emulated_maskz_loadu_ps(mask, p)
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(p, mask, v) emulated_mask_storeu_ps(p, mask, v)

#endif
