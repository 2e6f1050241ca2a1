/* Ollama's API: POST /api/embed (its newer form) and /api/embeddings, and what its clients ask before them. */
#include <string.h>

#include "common/clock.h"
#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/vectors.h"

static void write_error(sv_bytes *answer, unsigned status, const char *message, size_t length) {
    (void)status;
    sv_bytes_text(answer, "{\"error\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_text(answer, "}");
}

const sv_dialect sv_ollama = {write_error};

static void write_model(sv_exchange *exchange) {
    const char *model = exchange->server->model_name;
    sv_bytes_string(&exchange->answer, model, strlen(model));
}

static void finish_list(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    sv_vectors_cut(exchange);
    if (sv_vectors_write_raw(exchange))
        return;
    sv_bytes_text(answer, "{\"model\":");
    write_model(exchange);
    sv_bytes_text(answer, ",\"embeddings\":");
    sv_vectors_write(exchange, SV_VECTOR_FLOAT, false);
    sv_bytes_print(answer, ",\"total_duration\":%llu,\"load_duration\":0,\"prompt_eval_count\":%llu}",
                   (unsigned long long)(sv_clock_ns() - exchange->begin_ns),
                   (unsigned long long)exchange->request.stats.tokens);
}

static void finish_one(sv_exchange *exchange) {
    if (sv_vectors_write_raw(exchange))
        return;
    sv_bytes_text(&exchange->answer, "{\"embedding\":");
    sv_bytes_floats(&exchange->answer, sv_vectors_at(exchange, 0), exchange->dimensions);
    sv_bytes_text(&exchange->answer, "}");
}

/* Vectors of length 1, whatever the model's modules say. */
void sv_ollama_embed_begin(sv_exchange *exchange) {
    exchange->finish = finish_list;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (sv_exchange_parse(exchange) && sv_members_dimensions(exchange, "dimensions") &&
        sv_members_truncate(exchange, "truncate") && sv_inputs_texts(exchange, "input", SV_INPUT_IDS))
        sv_inputs_check_lengths(exchange);
}

void sv_ollama_embeddings_begin(sv_exchange *exchange) {
    exchange->finish = finish_one;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (!sv_exchange_parse(exchange))
        return;
    if (!sv_inputs_is_string(exchange, "prompt"))
        sv_exchange_fail(exchange, 400, "prompt must be a string; /api/embed takes lists");
    else
        sv_inputs_texts(exchange, "prompt", SV_INPUT_STRINGS);
}

void sv_ollama_tags(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    exchange->status = 200;
    sv_bytes_text(answer, "{\"models\":[{\"name\":");
    write_model(exchange);
    sv_bytes_text(answer, ",\"model\":");
    write_model(exchange);
    sv_bytes_print(answer, ",\"size\":%llu,\"details\":{\"format\":\"safetensors\",\"family\":\"bert\"}}]}",
                   (unsigned long long)exchange->server->info.mapped_bytes);
}

void sv_ollama_version(sv_exchange *exchange) {
    exchange->status = 200;
    sv_bytes_print(&exchange->answer, "{\"version\":\"%s\"}", senvec_version());
}
