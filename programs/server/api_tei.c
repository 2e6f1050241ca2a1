/* The API of text-embeddings-inference: /embed, /similarity, /info, /health. Its tokens are in api_tokens.c, its ranking in
 * api_rerank.c. */
#include <stdlib.h>
#include <string.h>

#include "io/decimal.h"
#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
#include "server/vectors.h"

#define RECOMMENDED_TEXTS 512u
#define BYTES_OF_TOKEN 16u /* of a text in JSON, more than of most */

static const char *type_of(unsigned status) {
    switch (status) {
    case 401:
        return "Unauthorized";
    case 413:
    case 422:
        return "Validation";
    case 429:
        return "Overloaded";
    case 503:
        return "Unhealthy";
    default:
        return status < 500 ? "Validation" : "Backend";
    }
}

static void write_error(sv_bytes *answer, unsigned status, const char *message, size_t length) {
    sv_bytes_text(answer, "{\"error\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_print(answer, ",\"error_type\":\"%s\"}", type_of(status));
}

const sv_dialect sv_tei = {write_error};

static void write_vector(sv_exchange *exchange, size_t i, sv_bytes *to) {
    sv_bytes_text(to, i ? "," : "[");
    sv_vectors_write(exchange, i, exchange->type, exchange->base64, to);
}

static void finish_vectors(sv_exchange *exchange) {
    sv_bytes_text(&exchange->answer, "]");
}

static void begin_embed(sv_exchange *exchange) {
    exchange->write_text = write_vector;
    exchange->finish = finish_vectors;
    exchange->normalize = SENVEC_NORMALIZE_ON;
    if (sv_members_of_vectors(exchange, NULL) && sv_inputs_texts(exchange, "inputs", SV_INPUT_IDS))
        sv_inputs_check_lengths(exchange);
}

void sv_tei_embed_begin(sv_exchange *exchange) {
    if (sv_exchange_parse(exchange))
        begin_embed(exchange);
}

/* ------------------------------------------------------------- similarity */

static void finish_similarities(sv_exchange *exchange) {
    size_t others = exchange->count - 1;
    float *similarities = sv_exchange_alloc(exchange, others, sizeof *similarities, "the similarities");
    if (!similarities)
        return;
    sv_vectors_compare(exchange, others, others, similarities);
    sv_bytes_floats(&exchange->answer, similarities, others);
    free(similarities);
}

static void begin_similarity(sv_exchange *exchange) {
    exchange->finish = finish_similarities;
    exchange->normalize = SENVEC_NORMALIZE_ON; /* so that a scalar product is a cosine */
    if (sv_inputs_has(exchange, "parameters") && !sv_inputs_is_object(exchange, "parameters"))
        sv_exchange_fail(exchange, 422, "parameters must be an object");
    else if (sv_members_truncate(exchange, "parameters.truncate") &&
             sv_members_direction(exchange, "parameters.truncation_direction") &&
             sv_members_prompt(exchange, "parameters.prompt_name") &&
             sv_inputs_texts_and(exchange, "inputs.sentences", SV_INPUT_STRINGS, "inputs.source_sentence"))
        sv_inputs_check_lengths(exchange);
}

void sv_tei_similarity_begin(sv_exchange *exchange) {
    if (sv_exchange_parse(exchange))
        begin_similarity(exchange);
}

/* As the hub's own service has it: the sentence-similarity task by the form of its inputs, else vectors. */
void sv_tei_root_begin(sv_exchange *exchange) {
    if (!sv_exchange_parse(exchange))
        return;
    if (sv_inputs_is_object(exchange, "inputs"))
        begin_similarity(exchange);
    else
        begin_embed(exchange);
}

/* ----------------------------------------------------------- about itself */

/* Texts of one request that a client may count on, whatever their length: their JSON fits --max-body, their answer --max-memory
 * beside others, and what it takes is seconds at most. More are taken where they fit. */
static size_t largest_request(const sv_server *server) {
    const sv_server_options *options = &server->options;
    const senvec_model_info *info = &server->served.items[0].info;
    size_t text = BYTES_OF_TOKEN * info->max_seq_length, answer = info->dimensions * SV_DECIMAL_MAX;
    size_t most = RECOMMENDED_TEXTS;
    most = options->batcher.max_texts < most ? options->batcher.max_texts : most;
    most = options->max_body / text < most ? options->max_body / text : most;
    most = options->max_memory / (2 * text + answer) < most ? options->max_memory / (2 * text + answer) : most;
    return most ? most : 1;
}

/* {"embedding":{"pooling":"mean"}} or {"reranker":{"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0}}} */
static void write_type(sv_exchange *exchange) {
    const senvec_model_info *info = &exchange->served->info;
    sv_bytes *answer = &exchange->answer;
    if (info->labels == 0) {
        sv_bytes_print(answer, "{\"embedding\":{\"pooling\":\"%s\"}}",
                       info->task == SENVEC_TASK_SPARSE ? "splade" : info->pooling);
        return;
    }
    sv_bytes_print(answer, "{\"%s\":{\"id2label\":", senvec_task_name(info->task));
    for (size_t i = 0; i < info->labels; i++) {
        const char *label = senvec_label_name(exchange->served->facts, i);
        sv_bytes_print(answer, "%s\"%zu\":", i ? "," : "{", i);
        sv_bytes_string(answer, label, strlen(label));
    }
    sv_bytes_text(answer, "},\"label2id\":");
    for (size_t i = 0; i < info->labels; i++) {
        const char *label = senvec_label_name(exchange->served->facts, i);
        sv_bytes_text(answer, i ? "," : "{");
        sv_bytes_string(answer, label, strlen(label));
        sv_bytes_print(answer, ":%zu", i);
    }
    sv_bytes_text(answer, "}}}");
}

void sv_tei_info(sv_exchange *exchange) {
    const sv_server *server = exchange->server;
    const sv_server_options *options = &server->options;
    const senvec_model_info *info = &exchange->served->info;
    sv_batcher_stats stats;
    sv_batcher_read_stats(server->batcher, &stats);
    sv_bytes *answer = &exchange->answer;
    static const char *const types[] = {"auto", "float32", "bfloat16", "int8"};
    exchange->status = 200;
    sv_bytes_text(answer, "{\"model_id\":");
    sv_bytes_string(answer, exchange->model, strlen(exchange->model));
    sv_bytes_print(answer, ",\"model_sha\":null,\"model_dtype\":\"%s\",\"model_type\":", types[info->precision]);
    write_type(exchange);
    sv_bytes_print(answer,
                   ",\"max_concurrent_requests\":%zu,\"max_input_length\":%zu,\"max_batch_tokens\":%zu,"
                   "\"max_batch_requests\":%u,\"max_client_batch_size\":%zu,\"auto_truncate\":true,"
                   "\"tokenization_workers\":%zu,\"version\":\"%s\",\"sha\":null,\"docker_label\":null,\"space_id\":",
                   options->batcher.max_requests, info->max_seq_length, SV_MAX_BATCH_TEXTS * info->max_seq_length,
                   SV_MAX_BATCH_TEXTS, largest_request(server), options->http_threads, senvec_version());
    const char *space = sv_model_space_id(&exchange->served->space);
    if (space)
        sv_bytes_string(answer, space, strlen(space));
    else
        sv_bytes_text(answer, "null");
    sv_bytes_print(answer,
                   ",\"senvec\":{\"dimensions\":%zu,\"tier\":\"%s\",\"policy\":\"%s\",\"target_p99_ms\":%.3f,"
                   "\"sessions\":%zu,\"threads\":%zu,\"max_body_bytes\":%zu,\"max_connections\":%zu,",
                   info->dimensions, info->tier, sv_policy_names[options->batcher.policy],
                   (double)options->batcher.target_ns / 1e6, stats.sessions, stats.threads, options->max_body,
                   options->max_connections);
    sv_bytes_print(answer,
                   "\"memory\":{\"model_bytes\":%llu,\"mapped_bytes\":%llu,\"batcher_bytes\":%zu,\"cache_bytes\":%zu,"
                   "\"connections_bytes\":%zu,"
                   "\"requests_bytes\":%zu}}}",
                   (unsigned long long)info->memory_bytes, (unsigned long long)info->mapped_bytes, stats.memory_bytes,
                   options->batcher.cache_bytes, (options->max_connections + SV_SURPLUS_LINKS) * SV_CONNECTION_BYTES,
                   options->max_memory);
}

void sv_tei_health(sv_exchange *exchange) {
    if (atomic_load(&exchange->server->draining)) {
        sv_exchange_fail(exchange, 503, "the server is shutting down");
        return;
    }
    exchange->status = 200;
    exchange->content_type = "text/plain; charset=utf-8";
    sv_bytes_text(&exchange->answer, "");
}
