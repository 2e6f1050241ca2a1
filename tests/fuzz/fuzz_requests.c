/* Bodies of requests: the first line is a route's path, the rest the body. Whatever it holds, the route answers with an error,
 * or takes texts and writes its answer of made-up vectors; an answer is JSON, and all memory is given back. Neither the HTTP
 * library nor the batcher takes part. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *key) {
    (void)connection, (void)kind, (void)key;
    return NULL;
}

static sv_server server;
static sv_served *const served = &server.served.items[0];

static void require(int kept) {
    if (!kept)
        abort();
}

static void set_up(void) {
    senvec_error err;
    if (senvec_model_open(TEST_TINY_MODEL, &(senvec_model_options){.precision = SENVEC_PRECISION_FP32, .cpu = "ref"},
                          &served->model, &err) != SENVEC_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    served->facts = served->model;
    served->server = &server;
    server.served.count = 1;
    pthread_mutex_init(&server.served.lock, NULL);
    senvec_model_describe(served->model, &served->info);
    require(sv_token_text_open(served->model, &served->tokens, &err) == SENVEC_OK);
    server.options.batcher.max_texts = 1000;
    server.options.max_body = (size_t)1 << 20;
    snprintf(served->names.items[0], sizeof served->names.items[0], "tiny");
    served->names.count = 1;
    sv_request_memory_init(&server.memory, (size_t)64 << 20);
}

static void finish(sv_exchange *exchange) {
    exchange->status = 200;
    if (exchange->run) { /* computed in its own way, which needs the model */
        sv_bytes_text(&exchange->answer, "null");
        return;
    }
    size_t dimensions = served->info.dimensions;
    exchange->vectors = calloc(exchange->count, dimensions * sizeof(float));
    require(exchange->count > 0 && exchange->vectors != NULL);
    for (size_t i = 0; i < exchange->count * dimensions; i++)
        exchange->vectors[i] = i % 7 ? 0.1f : -1.0f;
    for (size_t i = 0; i < exchange->count; i++)
        require(exchange->texts[i].data != NULL);
    if (exchange->write_text) { /* in two parts, the later one first, as two workers may have them */
        size_t first = exchange->count / 2;
        sv_answer_texts_write(exchange, first, exchange->count - first);
        if (first > 0)
            sv_answer_texts_write(exchange, 0, first);
        require(sv_answer_texts_end(exchange));
    }
    exchange->finish(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!served->model)
        set_up();
    const char *allowed, *end = size ? memchr(data, '\n', size) : NULL;
    char path[64];
    if (!end || (size_t)(end - (const char *)data) >= sizeof path)
        return 0;
    size_t length = (size_t)(end - (const char *)data);
    memcpy(path, data, length);
    path[length] = '\0';
    const sv_route *route = sv_route_find("POST", path, &allowed);
    if (!route || (!(route->use & SV_ROUTE_WORKS) && strcmp(path, "/tokenize") != 0 && strcmp(path, "/decode") != 0))
        return 0;
    unsigned kinds = route->use / SV_ROUTE_EMBEDDER;
    if (kinds && !(kinds & 1u << served->info.task))
        return 0;
    sv_exchange *exchange = calloc(1, sizeof *exchange);
    require(exchange != NULL);
    exchange->server = &server;
    exchange->served = served;
    exchange->route = route;
    exchange->content_type = "application/json";
    sv_answer_texts_init(&exchange->answer_texts);
    exchange->dimensions = exchange->width = served->info.dimensions;
    exchange->model = served->names.items[0];
    snprintf(exchange->path, sizeof exchange->path, "%s", path);
    sv_bytes_put(&exchange->body, end + 1, size - length - 1);
    route->begin(exchange);
    if (!exchange->status)
        finish(exchange);
    require(exchange->status >= 200 && exchange->status < 600 && !exchange->answer.failed);
    sv_json root;
    if (strcmp(exchange->content_type, "application/json") == 0 &&
        sv_json_read(exchange->answer.data, exchange->answer.length, NULL, &root, NULL) != SENVEC_OK) {
        fprintf(stderr, "no JSON: %.*s\n", (int)exchange->answer.length, exchange->answer.data);
        abort();
    }
    sv_answer_texts_release(&exchange->answer_texts);
    sv_bytes_release(&exchange->answer);
    sv_exchange_drop_request(exchange);
    free(exchange);
    require(sv_request_memory_used(&server.memory) == 0);
    return 0;
}
