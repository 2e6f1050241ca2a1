/* The vectors of a finished exchange, as answers give them. */
#ifndef SV_SERVER_VECTORS_H
#define SV_SERVER_VECTORS_H

#include "server/exchange.h"

/* Cuts every vector to the dimensions that were asked for and makes its length 1 again; nothing where all were. */
void sv_vectors_cut(sv_exchange *exchange);
/* Vector i: (dimensions) floats. */
const float *sv_vectors_at(const sv_exchange *exchange, size_t i);
/* "[[...],[...]]" */
void sv_vectors_write(sv_exchange *exchange);
/* Raw little-endian floats, vector after vector, as the whole answer, if the Accept header asks for them; else false. */
bool sv_vectors_write_raw(sv_exchange *exchange);

#endif
