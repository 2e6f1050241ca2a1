/* AVX-512 by emulation: SIMDe under the names of the real intrinsics, and the few of them that its releases in Debian 12 and 13
 * may lack. */
#ifndef SIMDE_AVX512_H
#define SIMDE_AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

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

#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, choice) emulated_shuffle_f32x4(a, b, choice)
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, p) emulated_maskz_loadu_ps(mask, p)
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(p, mask, v) emulated_mask_storeu_ps(p, mask, v)

#endif
