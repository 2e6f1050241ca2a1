/* The vectors of a finished exchange, as answers give them. Inside of the server. */
#ifndef SV_SERVER_VECTORS_H
#define SV_SERVER_VECTORS_H

#include "io/vector_type.h"
#include "server/exchange.h"

/* Cuts every vector to the dimensions that were asked for and, unless vectors of another length are wanted, makes its length 1
 * again; nothing where all were. */
void sv_vectors_cut(sv_exchange *exchange);
/* Vector i: (dimensions) floats. */
const float *sv_vectors_at(const sv_exchange *exchange, size_t i);
/* Vector i as a list of numbers, or its bytes as base64. */
void sv_vectors_write_one(sv_exchange *exchange, size_t i, sv_vector_type type, bool base64);
/* All of them: "[[...],[...]]". */
void sv_vectors_write(sv_exchange *exchange, sv_vector_type type, bool base64);
/* The bytes of the vectors, one after the other, as the whole answer, if the Accept header asks for them; else false. */
bool sv_vectors_write_raw(sv_exchange *exchange);
/* Scalar products of vector `one` with vectors 0 .. count: cosines, where their length is 1. */
void sv_vectors_compare(const sv_exchange *exchange, size_t one, size_t count, float *out);

#endif
