/* Vectors out. */
#include "server/vectors.h"

#include <math.h>
#include <string.h>

const float *sv_vectors_at(const sv_exchange *exchange, size_t i) {
    return exchange->vectors + i * exchange->server->info.dimensions;
}

void sv_vectors_cut(sv_exchange *exchange) {
    size_t all = exchange->server->info.dimensions, kept = exchange->dimensions;
    if (kept == all)
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

void sv_vectors_write(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    for (size_t i = 0; i < exchange->count; i++) {
        sv_bytes_text(answer, i ? "," : "[");
        sv_bytes_floats(answer, sv_vectors_at(exchange, i), exchange->dimensions);
    }
    sv_bytes_text(answer, "]");
}

bool sv_vectors_write_raw(sv_exchange *exchange) {
    const char *accept = sv_exchange_header(exchange, "Accept");
    if (!accept || !strstr(accept, "application/octet-stream"))
        return false;
    exchange->content_type = "application/octet-stream";
    for (size_t i = 0; i < exchange->count; i++)
        sv_bytes_put(&exchange->answer, sv_vectors_at(exchange, i), exchange->dimensions * sizeof(float));
    return true;
}
