/* Vectors in fewer bytes. Rounding is that of sentence-transformers: down to the step, after which -128 .. 127 is what a cast
 * to int8 leaves, towards zero. */
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

static void to_bytes(const float *vector, size_t dimensions, double offset, double least, double most, uint8_t *out) {
    double range = sv_vector_range(dimensions), step = 2 * range / 255;
    for (size_t i = 0; i < dimensions; i++) {
        double value = ((double)vector[i] + range) / step - offset;
        out[i] = (uint8_t)(int)fmin(fmax(value, least), most);
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
        to_bytes(vector, dimensions, 128, -128, 127, out);
        break;
    case SV_VECTOR_UINT8:
        to_bytes(vector, dimensions, 0, 0, 255, out);
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
