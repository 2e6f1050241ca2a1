/* Vectors in fewer bytes. The steps are those of sentence-transformers 6.2, whose arithmetic is in floats: the number of whole
 * steps above -r, from 0 to 255. */
#include "io/vector_type.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

const char *const sv_vector_type_names[] = {"float", "int8", "uint8", "binary", "ubinary", NULL};

double sv_vector_range(size_t dimensions) {
    return fmin(1, 8 / sqrt((double)dimensions));
}

size_t sv_vector_bytes(sv_vector_type type, size_t dimensions) {
    switch (type) {
    case SV_VECTOR_INT8:
    case SV_VECTOR_UINT8:
        return dimensions;
    case SV_VECTOR_BINARY:
    case SV_VECTOR_UBINARY:
        return (dimensions + 7) / 8;
    default:
        return dimensions * sizeof(float);
    }
}

static void to_bytes(const float *vector, size_t dimensions, int offset, uint8_t *out) {
    float range = (float)sv_vector_range(dimensions), step = (range - -range) / 255;
    for (size_t i = 0; i < dimensions; i++) {
        float steps = floorf((vector[i] - -range) / step);
        out[i] = (uint8_t)((int)fminf(fmaxf(steps, 0), 255) - offset);
    }
}

static void to_bits(const float *vector, size_t dimensions, unsigned offset, uint8_t *out) {
    memset(out, 0, (dimensions + 7) / 8);
    for (size_t i = 0; i < dimensions; i++)
        out[i / 8] |= (uint8_t)((vector[i] > 0) << (7 - i % 8));
    for (size_t i = 0; i < (dimensions + 7) / 8; i++)
        out[i] = (uint8_t)(out[i] - offset);
}

void sv_vector_convert(sv_vector_type type, const float *vector, size_t dimensions, void *out) {
    switch (type) {
    case SV_VECTOR_INT8:
        to_bytes(vector, dimensions, 128, out);
        break;
    case SV_VECTOR_UINT8:
        to_bytes(vector, dimensions, 0, out);
        break;
    case SV_VECTOR_BINARY:
        to_bits(vector, dimensions, 128, out);
        break;
    case SV_VECTOR_UBINARY:
        to_bits(vector, dimensions, 0, out);
        break;
    default:
        memcpy(out, vector, dimensions * sizeof *vector);
        break;
    }
}

/* The bits below the eleven that stay decide: more than half of the last one's worth rounds up, exactly half to even. Numbers
 * below 2^-14 have fewer bits, which the shift takes into account; infinity comes out of too large a number by itself. */
static uint16_t to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x47800000) /* 2^16 */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x33000000) /* 2^-25, half of the smallest */
        return (uint16_t)sign;
    int exponent = (int)(magnitude >> 23) - 127;
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    int shift = exponent < -14 ? -1 - exponent : 13;
    uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    return (uint16_t)(sign | (exponent < -14 ? kept : kept + ((uint32_t)(exponent + 14) << 10)));
}

void sv_vector_float16(const float *vector, size_t dimensions, uint16_t *out) {
    for (size_t i = 0; i < dimensions; i++)
        out[i] = to_half(vector[i]);
}

float sv_vector_half_to_float(uint16_t half) {
    int exponent = half >> 10 & 31;
    float mantissa = (float)(half & 0x3ff);
    float magnitude = exponent == 31 ? (half & 0x3ff ? NAN : INFINITY)
                      : exponent     ? ldexpf(mantissa + 1024, exponent - 25)
                                     : ldexpf(mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}
