/* Cohere's API: POST /v1/embed and /v2/embed. Its ranking is in api_rerank.c. */
#include <string.h>

#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/vectors.h"

enum { BASE64 = SV_VECTOR_TYPES }; /* of floats; behind the types of sv_vector_type in a request's `types` */

static void write_texts(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    for (size_t i = 0; i < exchange->count; i++) {
        sv_bytes_text(answer, i ? "," : "[");
        sv_bytes_string(answer, exchange->texts[i].data, exchange->texts[i].length);
    }
    sv_bytes_text(answer, "]");
}

static void finish(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    bool by_type = exchange->types != 0;
    sv_vectors_cut(exchange);
    if (sv_vectors_write_raw(exchange))
        return;
    sv_bytes_print(answer, "{\"id\":\"%s\",\"embeddings\":", exchange->id);
    const char *joint = "{";
    for (unsigned type = 0; type <= BASE64; type++) {
        if (!(exchange->types & 1u << type))
            continue;
        sv_bytes_print(answer, "%s\"%s\":", joint, sv_members_types[type]);
        sv_vectors_write(exchange, type == BASE64 ? SV_VECTOR_FLOAT : (sv_vector_type)type, type == BASE64);
        joint = ",";
    }
    if (by_type)
        sv_bytes_text(answer, "}");
    else
        sv_vectors_write(exchange, exchange->type, exchange->base64);
    sv_bytes_text(answer, ",\"texts\":");
    write_texts(exchange);
    sv_bytes_print(answer,
                   ",\"meta\":{\"api_version\":{\"version\":\"%s\"},\"billed_units\":{\"input_tokens\":%llu}},"
                   "\"response_type\":\"%s\"}",
                   strncmp(exchange->path, "/v2/", 4) == 0 ? "2" : "1", (unsigned long long)exchange->request.stats.tokens,
                   by_type ? "embeddings_by_type" : "embeddings_floats");
}

/* Vectors of length 1, which int8 is defined for. Where no types are listed, /v2 gives one by its name and /v1 without. */
static void begin(sv_exchange *exchange, bool by_type) {
    exchange->finish = finish;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!sv_exchange_parse(exchange))
        return;
    if (sv_inputs_has(exchange, "images") || sv_inputs_has(exchange, "inputs")) {
        sv_exchange_fail(exchange, 422, "%s: this model embeds texts; send them as texts",
                         sv_inputs_has(exchange, "images") ? "images" : "inputs");
        return;
    }
    if (!sv_members_of_vectors(exchange, &exchange->types) || !sv_inputs_texts(exchange, "texts", SV_INPUT_STRINGS) ||
        !sv_inputs_check_lengths(exchange))
        return;
    if (exchange->types & (1u << SV_VECTOR_INT8 | 1u << SV_VECTOR_UINT8))
        exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!exchange->types && by_type)
        exchange->types = 1u << (exchange->base64 ? BASE64 : (unsigned)exchange->type);
}

void sv_cohere_embed_v1_begin(sv_exchange *exchange) {
    begin(exchange, false);
}

void sv_cohere_embed_v2_begin(sv_exchange *exchange) {
    begin(exchange, true);
}
