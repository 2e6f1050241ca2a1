/* The GELU of the int8 product, in fixed point of 16 bits: its output is rounded to 8 bits anyway, and a register holds twice
 * as many 16-bit values as floats. The GELU is max(v, 0) plus a correction from a table of parabolas. It uses few
 * multiplications, because the product needs the multipliers.
 *
 * With exponent e, 0 .. SV_GELU_EXPONENT_MAX, a value v is h = v * SV_GELU_UNIT / 2^e. By mulhrs(x, y) = (x * y + 2^14) >> 15,
 * the product of two fractions, rounded, and shifts that round down:
 *
 *     t = min(|h|, 4096 / 2^e - 1) << (3 + e)              |v| / 3.5 as a fraction
 *     i = t >> 11, f = (t & 2047) << 4                     its segment, and the place in it as a fraction
 *     p = C0[i] + mulhrs(C1[i] + mulhrs(C2[i], f), f)      gelu(v) - max(v, 0), times 128 SV_GELU_UNIT
 *     gelu = max(h, 0) + ((p + 2^(6 + e)) >> (7 + e))
 *
 * No step leaves the 16 bits. From a given h on, its error is at most 8.2e-4, 9.0e-4, 1.8e-3, 3.5e-3 or 6.9e-3 for e = 0 .. 4;
 * half a step of h is 4.3e-4 * 2^e. tools/fit_kernels.py computes the table. */
#ifndef SV_KERNELS_GELU_INT8_H
#define SV_KERNELS_GELU_INT8_H

#include <stdint.h>

enum { SV_GELU_SEGMENTS = 16, SV_GELU_TERMS = 3 };

/* C0, C1, C2 */
static const int16_t gelu_int8_table[SV_GELU_TERMS][SV_GELU_SEGMENTS] = {
    {-1, -13551, -21690, -25156, -25013, -22456, -18617, -14419, -10502, -7222, -4703, -2904, -1703, -949, -503, -193},
    {-16363, -10688, -5545, -1352, 1657, 3461, 4211, 4173, 3647, 2900, 2131, 1461, 939, 568, 324, -312},
    {2819, 2558, 2091, 1508, 910, 387, -7, -254, -367, -381, -334, -261, -187, -123, -76, 444},
};

/* For exponent e: the limit of |h|, and a lower bound of all results. */
static inline int16_t gelu_int8_limit(unsigned e) {
    return (int16_t)((4096 >> e) - 1);
}

static inline int16_t gelu_int8_least(unsigned e) {
    return (int16_t) - (200 >> e);
}

/* The multiplier that maps 0 .. width to 0 .. 255, as a fraction, and the value of one step of its result. */
static inline int16_t gelu_int8_inverse(int width) {
    const int inverse = 255 * 32768 / (width > 0 ? width : 1);
    return (int16_t)(inverse < 32767 ? inverse : 32767);
}

#endif
