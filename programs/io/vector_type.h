/* Vectors in fewer bytes, as quantize_embeddings of sentence-transformers and the APIs of Cohere, Voyage and Jina define them.
 *
 *     float     4 bytes a number
 *     int8      1 byte a number: the step of 255 between -r and r in which it lies, less 128. r is sv_vector_range(dimensions),
 *               a constant rather than what the texts at hand happen to need, so that all vectors can be compared. It is meant
 *               for vectors of length 1; numbers beyond it become the nearest.
 *     uint8     the same without the 128
 *     ubinary   1 bit a number, set where it is above 0; the first is the highest bit of the first byte; bits that are missing
 *               in the last byte are 0
 *     binary    the same bytes less 128, as int8 */
#ifndef SV_IO_VECTOR_TYPE_H
#define SV_IO_VECTOR_TYPE_H

#include <stddef.h>
#include <stdint.h>

typedef enum sv_vector_type {
    SV_VECTOR_FLOAT,
    SV_VECTOR_INT8,
    SV_VECTOR_UINT8,
    SV_VECTOR_BINARY,
    SV_VECTOR_UBINARY,
    SV_VECTOR_TYPES,
} sv_vector_type;

/* By value; NULL ends it. */
extern const char *const sv_vector_type_names[];

/* r = min(1, 8 / sqrt(dimensions)): 8 times the root mean square of the numbers of a vector of length 1. */
double sv_vector_range(size_t dimensions);
/* Bytes of a vector. */
size_t sv_vector_bytes(sv_vector_type type, size_t dimensions);
/* `out` gets sv_vector_bytes(type, dimensions) bytes. */
void sv_vector_convert(sv_vector_type type, const float *vector, size_t dimensions, void *out);

/* IEEE 754's binary16, rounded to the nearest, ties to even. */
void sv_vector_float16(const float *vector, size_t dimensions, uint16_t *out);
float sv_vector_half_to_float(uint16_t half);

#endif
