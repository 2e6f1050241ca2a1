/* Vectors out. */
#include "server/vectors.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

const float *sv_vectors_at(const sv_exchange *exchange, size_t i) {
    return exchange->vectors + i * exchange->served->info.dimensions;
}

void sv_vectors_cut(sv_exchange *exchange, size_t i) {
    size_t all = exchange->served->info.dimensions, kept = exchange->dimensions;
    if (kept == all || exchange->normalize == SENVEC_NORMALIZE_OFF)
        return;
    float *vector = exchange->vectors + i * all;
    double square = 0;
    for (size_t j = 0; j < kept; j++)
        square += (double)vector[j] * (double)vector[j];
    double scale = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t j = 0; j < kept; j++)
        vector[j] = (float)((double)vector[j] * scale);
}

void sv_vectors_write(const sv_exchange *exchange, size_t i, sv_vector_type type, bool base64, sv_bytes *to) {
    const float *vector = sv_vectors_at(exchange, i);
    size_t size = sv_vector_bytes(type, exchange->dimensions);
    if (type == SV_VECTOR_FLOAT) {
        if (base64)
            sv_bytes_base64(to, vector, size);
        else
            sv_bytes_floats(to, vector, exchange->dimensions);
        return;
    }
    uint8_t bytes[SV_MAX_HIDDEN];
    sv_vector_convert(type, vector, exchange->dimensions, bytes);
    if (base64)
        sv_bytes_base64(to, bytes, size);
    else
        sv_bytes_integers(to, bytes, size, type == SV_VECTOR_INT8 || type == SV_VECTOR_BINARY);
}

bool sv_vectors_are_raw(sv_exchange *exchange) {
    const char *accept = sv_exchange_header(exchange, "Accept");
    bool raw = accept && strstr(accept, "application/octet-stream");
    if (raw)
        exchange->content_type = "application/octet-stream";
    return raw;
}

void sv_vectors_write_raw(const sv_exchange *exchange, size_t i, sv_bytes *to) {
    size_t size = sv_vector_bytes(exchange->type, exchange->dimensions);
    char *at = sv_bytes_room(to, size);
    if (!at)
        return;
    sv_vector_convert(exchange->type, sv_vectors_at(exchange, i), exchange->dimensions, at);
    to->length += size;
}

void sv_vectors_compare(const sv_exchange *exchange, size_t one, size_t count, float *out) {
    const float *a = sv_vectors_at(exchange, one);
    for (size_t i = 0; i < count; i++) {
        const float *b = sv_vectors_at(exchange, i);
        double sum = 0;
        for (size_t j = 0; j < exchange->dimensions; j++)
            sum += (double)a[j] * (double)b[j];
        out[i] = (float)sum;
    }
}
