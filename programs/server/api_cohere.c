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

static void write_vectors(sv_exchange *exchange, unsigned type, size_t i, sv_bytes *to) {
    sv_bytes_text(to, i ? "," : "[");
    sv_vectors_write(exchange, i, type == BASE64 ? SV_VECTOR_FLOAT : (sv_vector_type)type, type == BASE64, to);
}

/* Of one type. Several stand one behind the other, so those are written when all texts are computed. */
static void write_text(sv_exchange *exchange, size_t i, sv_bytes *to) {
    unsigned types = exchange->types;
    if (i == 0)
        sv_bytes_print(to, "{\"id\":\"%s\",\"embeddings\":", exchange->id);
    if (types & (types - 1))
        return;
    unsigned type = types ? (unsigned)__builtin_ctz(types) : exchange->base64 ? BASE64 : (unsigned)exchange->type;
    if (i == 0 && types)
        sv_bytes_print(to, "{\"%s\":", sv_members_types[type]);
    write_vectors(exchange, type, i, to);
}

static void write_several(sv_exchange *exchange, sv_bytes *to) {
    const char *joint = "{";
    for (unsigned type = 0; type <= BASE64; type++) {
        if (!(exchange->types & 1u << type))
            continue;
        sv_bytes_print(to, "%s\"%s\":", joint, sv_members_types[type]);
        for (size_t i = 0; i < exchange->count; i++)
            write_vectors(exchange, type, i, to);
        sv_bytes_text(to, "]");
        joint = ",";
    }
}

static void finish(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    bool by_type = exchange->types != 0;
    if (exchange->types & (exchange->types - 1))
        write_several(exchange, answer);
    else
        sv_bytes_text(answer, "]");
    if (by_type)
        sv_bytes_text(answer, "}");
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
    exchange->write_text = write_text;
    exchange->finish = finish;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!sv_exchange_parse(exchange))
        return;
    const bool parts = sv_inputs_has(exchange, "inputs");
    if (sv_inputs_has(exchange, "images")) {
        sv_exchange_fail(exchange, 422, "images: this model embeds texts; send them as texts");
        return;
    }
    if (parts && sv_inputs_has(exchange, "texts")) {
        sv_exchange_fail(exchange, 422, "inputs: texts are there, too; send one of them");
        return;
    }
    if (!sv_members_of_vectors(exchange, &exchange->types) ||
        !sv_inputs_texts(exchange, parts ? "inputs" : "texts", parts ? SV_INPUT_CONTENTS : SV_INPUT_STRINGS) ||
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
