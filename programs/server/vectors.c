/* Vectors out. */
#include "server/vectors.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

const float *sv_vectors_at(const sv_exchange *exchange, size_t i) {
    return exchange->vectors + i * exchange->served->info.dimensions;
}

void sv_vectors_cut(sv_exchange *exchange) {
    size_t all = exchange->served->info.dimensions, kept = exchange->dimensions;
    if (kept == all || exchange->normalize == SENVEC_NORMALIZE_OFF)
        return;
    for (size_t i = 0; i < exchange->count; i++) {
        float *vector = exchange->vectors + i * all;
        double square = 0;
        for (size_t j = 0; j < kept; j++)
            square += (double)vector[j] * (double)vector[j];
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t j = 0; j < kept; j++)
            vector[j] = (float)((double)vector[j] * scale);
    }
}

void sv_vectors_write_one(sv_exchange *exchange, size_t i, sv_vector_type type, bool base64) {
    sv_bytes *answer = &exchange->answer;
    const float *vector = sv_vectors_at(exchange, i);
    size_t size = sv_vector_bytes(type, exchange->dimensions);
    if (type == SV_VECTOR_FLOAT) {
        if (base64)
            sv_bytes_base64(answer, vector, size);
        else
            sv_bytes_floats(answer, vector, exchange->dimensions);
        return;
    }
    uint8_t bytes[SV_MAX_HIDDEN];
    sv_vector_convert(type, vector, exchange->dimensions, bytes);
    if (base64)
        sv_bytes_base64(answer, bytes, size);
    else
        sv_bytes_integers(answer, bytes, size, type == SV_VECTOR_INT8 || type == SV_VECTOR_BINARY);
}

void sv_vectors_write(sv_exchange *exchange, sv_vector_type type, bool base64) {
    for (size_t i = 0; i < exchange->count; i++) {
        sv_bytes_text(&exchange->answer, i ? "," : "[");
        sv_vectors_write_one(exchange, i, type, base64);
    }
    sv_bytes_text(&exchange->answer, "]");
}

bool sv_vectors_write_raw(sv_exchange *exchange) {
    const char *accept = sv_exchange_header(exchange, "Accept");
    if (!accept || !strstr(accept, "application/octet-stream"))
        return false;
    exchange->content_type = "application/octet-stream";
    size_t size = sv_vector_bytes(exchange->type, exchange->dimensions);
    for (size_t i = 0; i < exchange->count; i++) {
        char *to = sv_bytes_room(&exchange->answer, size);
        if (!to)
            break;
        sv_vector_convert(exchange->type, sv_vectors_at(exchange, i), exchange->dimensions, to);
        exchange->answer.length += size;
    }
    return true;
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
