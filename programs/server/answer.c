/* Answers: errors, headers, and handing them to the HTTP library. */
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "server/exchange.h"

void sv_exchange_fail(sv_exchange *exchange, unsigned status, const char *format, ...) {
    char message[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t length = strlen(message);
    sv_bytes *answer = &exchange->answer;
    sv_bytes_release(answer);
    exchange->status = status;
    exchange->content_type = "application/json";
    const sv_dialect *dialect = exchange->route ? exchange->route->dialect : sv_route_dialect(exchange->path);
    dialect->write_error(answer, status, message, length);
}

static void add_number(struct MHD_Response *response, const char *name, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.3f", value);
    MHD_add_response_header(response, name, text);
}

/* How many of the texts had their vectors from the cache, or from another request that was computing them. */
static void add_cache(const sv_exchange *exchange, struct MHD_Response *response) {
    const sv_request *request = &exchange->request;
    char text[64];
    snprintf(text, sizeof text, "%s; hits=%zu; texts=%zu",
             request->cached == 0                ? "MISS"
             : request->cached == request->count ? "HIT"
                                                 : "PARTIAL",
             request->cached, request->count);
    MHD_add_response_header(response, "x-cache", text);
}

/* What was computed. As text-embeddings-inference names it, times in milliseconds, with decimals; and the vectors' space. */
static void add_facts(const sv_exchange *exchange, struct MHD_Response *response) {
    const sv_request *request = &exchange->request;
    char number[32];
    MHD_add_response_header(response, "x-compute-type", "cpu");
    snprintf(number, sizeof number, "%zu", exchange->characters);
    MHD_add_response_header(response, "x-compute-characters", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)request->stats.tokens);
    MHD_add_response_header(response, "x-compute-tokens", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)request->stats.truncated);
    MHD_add_response_header(response, "x-truncated", number);
    add_number(response, "x-total-time", (double)(sv_clock_ns() - exchange->begin_ns) / 1e6);
    add_number(response, "x-tokenization-time", (double)request->tokenize_ns / 1e6);
    add_number(response, "x-queue-time", (double)request->queue_ns / 1e6);
    add_number(response, "x-inference-time", (double)request->compute_ns / 1e6);
    if (request->keys)
        add_cache(exchange, response);
    const char *space = sv_model_space_id(&exchange->served->space);
    if (space)
        MHD_add_response_header(response, "x-space-id", space);
}

/* Whatever headers the page wants to send are fine, since none that isn't known does anything: clients' libraries send some of
 * their own. */
static void add_cors_headers(const sv_exchange *exchange, struct MHD_Response *response) {
    const char *wanted = sv_exchange_header(exchange, "Access-Control-Request-Headers");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", exchange->server->options.cors_origin);
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    if (wanted)
        MHD_add_response_header(response, "Access-Control-Allow-Headers", wanted);
    MHD_add_response_header(
        response, "Access-Control-Expose-Headers",
        "X-Request-Id, Traceparent, X-Space-Id, X-Truncated, X-Cache, X-Total-Time, X-Queue-Time, X-Inference-Time, "
        "Retry-After, Retry-After-Ms");
}

static void add_headers(const sv_exchange *exchange, struct MHD_Response *response) {
    const sv_server *server = exchange->server;
    char number[32];
    MHD_add_response_header(response, "X-Request-Id", exchange->id);
    const sv_trace_context *trace = &exchange->trace;
    if (trace->trace_id[0]) {
        char parent[64];
        snprintf(parent, sizeof parent, "00-%s-%s-%s", trace->trace_id, trace->parent_id, trace->flags);
        MHD_add_response_header(response, "traceparent", parent);
    }
    if (exchange->status != 204)
        MHD_add_response_header(response, "Content-Type", exchange->content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (strncmp(exchange->content_type, "text/html", 9) == 0)
        MHD_add_response_header(
            response, "Content-Security-Policy",
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    if (exchange->request.finished_ns && exchange->status == 200)
        add_facts(exchange, response);
    if (exchange->retry_ns) {
        unsigned long long ms = sv_exchange_retry_ms(exchange);
        snprintf(number, sizeof number, "%llu", (ms + 999) / 1000);
        MHD_add_response_header(response, "Retry-After", number);
        snprintf(number, sizeof number, "%llu", ms);
        MHD_add_response_header(response, "Retry-After-Ms", number);
    }
    if (exchange->allowed) {
        snprintf(number, sizeof number, "%s, OPTIONS", strcmp(exchange->allowed, "GET") == 0 ? "GET, HEAD" : exchange->allowed);
        MHD_add_response_header(response, "Allow", number);
    }
    if (exchange->status == 415)
        MHD_add_response_header(response, "Accept-Encoding", "gzip, deflate, identity");
    if (exchange->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (server->options.cors_origin)
        add_cors_headers(exchange, response);
    if (exchange->closes || atomic_load(&server->draining))
        MHD_add_response_header(response, "Connection", "close");
}

enum MHD_Result sv_exchange_send(sv_exchange *exchange) {
    if (exchange->answer.failed)
        sv_exchange_fail_memory(exchange, "the answer");
    if (exchange->answer.failed) /* not even for this one */
        sv_bytes_release(&exchange->answer);
    sv_exchange_drop_request(exchange);
    sv_bytes *answer = &exchange->answer;
    exchange->sent = answer->length;
    struct MHD_Response *response = MHD_create_response_from_buffer(answer->length, answer->data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    *answer = (sv_bytes){0};
    add_headers(exchange, response);
    sv_links_enter(&exchange->server->links, exchange->link, SV_PHASE_WRITING, NULL);
    enum MHD_Result result = MHD_queue_response(exchange->connection, exchange->status, response);
    MHD_destroy_response(response);
    return result;
}
