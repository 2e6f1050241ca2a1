/* What Weaviate's text2vec-transformers module asks its inference container: whether it is ready, what it is, and one text's
 * vector at a time. */
#include <string.h>

#include "server/apis.h"
#include "server/inputs.h"
#include "server/vectors.h"

static void write_text(sv_exchange *exchange, size_t i, sv_bytes *to) {
    sv_bytes_text(to, "{\"text\":");
    sv_bytes_string(to, exchange->texts[i].data, exchange->texts[i].length);
    sv_bytes_text(to, ",\"vector\":");
    sv_vectors_write(exchange, i, SV_VECTOR_FLOAT, false, to);
}

static void finish(sv_exchange *exchange) {
    sv_bytes_print(&exchange->answer, ",\"dim\":%zu,\"dims\":%zu}", exchange->dimensions, exchange->dimensions);
}

void sv_weaviate_vectors_begin(sv_exchange *exchange) {
    exchange->write_text = write_text;
    exchange->finish = finish;
    if (!sv_exchange_parse(exchange))
        return;
    if (!sv_inputs_is_string(exchange, "text"))
        sv_exchange_fail(exchange, 422, "text must be a string");
    else
        sv_inputs_texts(exchange, "text", SV_INPUT_STRINGS);
}

void sv_weaviate_ready(sv_exchange *exchange) {
    if (atomic_load(&exchange->server->draining))
        sv_exchange_fail(exchange, 503, "the server is shutting down");
    else
        exchange->status = 204;
}

void sv_weaviate_meta(sv_exchange *exchange) {
    const senvec_model_info *info = &exchange->served->info;
    sv_bytes *answer = &exchange->answer;
    exchange->status = 200;
    sv_bytes_text(answer, "{\"_name_or_path\":");
    sv_bytes_string(answer, exchange->model, strlen(exchange->model));
    sv_bytes_print(answer, ",\"hidden_size\":%zu,\"max_position_embeddings\":%zu,\"pooling\":\"%s\"}", info->dimensions,
                   info->max_seq_length, info->pooling);
}
