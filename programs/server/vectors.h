/* The vectors of an exchange, when they are computed, as answers give them. Inside of the server. */
#ifndef SV_SERVER_VECTORS_H
#define SV_SERVER_VECTORS_H

#include "io/vector_type.h"
#include "server/exchange.h"

/* Cuts vector i to the dimensions that were asked for and, unless vectors of another length are wanted, makes its length 1
 * again; nothing where all were. */
void sv_vectors_cut(sv_exchange *exchange, size_t i);
/* Vector i: (dimensions) floats. */
const float *sv_vectors_at(const sv_exchange *exchange, size_t i);
/* Vector i as a list of numbers, or its bytes as base64. */
void sv_vectors_write(const sv_exchange *exchange, size_t i, sv_vector_type type, bool base64, sv_bytes *to);
/* Whether the Accept header asks for the bytes of the vectors, one after the other, as the whole answer; notes its type. */
bool sv_vectors_are_raw(sv_exchange *exchange);
/* The bytes of vector i. */
void sv_vectors_write_raw(const sv_exchange *exchange, size_t i, sv_bytes *to);
/* Scalar products of vector `one` with vectors 0 .. count: cosines, where their length is 1. */
void sv_vectors_compare(const sv_exchange *exchange, size_t one, size_t count, float *out);

#endif
