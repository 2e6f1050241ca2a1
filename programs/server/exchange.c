/* The life of a request. */
#include "server/exchange.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "server/access_log.h"
#include "server/framing.h"

/* An unwanted body up to this size is read and dropped, since most clients look for the answer only when they have sent all; a
 * larger one, or one that wasn't begun (Expect: 100-continue), ends the connection. */
#define DISCARD_BYTES ((size_t)64 << 20)
/* Memory that jansson takes for a value of a document, at most. */
#define BYTES_OF_JSON_VALUE 64

/* ----------------------------------------------------------------- errors */

static const char *openai_type(unsigned status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

static const char *tei_type(unsigned status) {
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
    switch (exchange->route ? exchange->route->dialect : SV_DIALECT_OPENAI) {
    case SV_DIALECT_OPENAI:
        sv_bytes_text(answer, "{\"error\":{\"message\":");
        sv_bytes_string(answer, message, length);
        sv_bytes_print(answer, ",\"type\":\"%s\",\"param\":null,\"code\":%u}}", openai_type(status), status);
        break;
    case SV_DIALECT_TEI:
        sv_bytes_text(answer, "{\"error\":");
        sv_bytes_string(answer, message, length);
        sv_bytes_print(answer, ",\"error_type\":\"%s\"}", tei_type(status));
        break;
    case SV_DIALECT_OLLAMA:
        sv_bytes_text(answer, "{\"error\":");
        sv_bytes_string(answer, message, length);
        sv_bytes_text(answer, "}");
        break;
    }
}

/* ---------------------------------------------------------------- request */

const char *sv_exchange_header(const sv_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

bool sv_exchange_reserve(sv_exchange *exchange, size_t bytes) {
    sv_server *server = exchange->server;
    size_t used = atomic_fetch_add(&server->memory, bytes) + bytes;
    exchange->reserved += bytes;
    if (used <= server->options.max_memory)
        return true;
    exchange->retry_ns = SV_NS_PER_S;
    sv_exchange_fail(exchange, 429, "the requests that are being served take all of the %zu MB for them; try again later",
                     server->options.max_memory >> 20);
    return false;
}

/* Values in a JSON document, or a few more: what would hold their parsed form. */
static size_t count_json_values(const char *text, size_t length) {
    size_t count = 1;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else
            count += c == ',' || c == '[' || c == '{' || c == ':';
    }
    return count;
}

bool sv_exchange_parse(sv_exchange *exchange) {
    const sv_bytes *body = &exchange->body;
    size_t values = count_json_values(body->data ? body->data : "", body->length);
    if (!sv_exchange_reserve(exchange, body->length + values * BYTES_OF_JSON_VALUE))
        return false;
    json_error_t error;
    exchange->root = json_loadb(body->data ? body->data : "", body->length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!exchange->root) {
        sv_exchange_fail(exchange, 400, "the body isn't valid JSON: line %d, column %d: %s", error.line, error.column,
                         error.text);
        return false;
    }
    if (!json_is_object(exchange->root)) {
        sv_exchange_fail(exchange, 400, "the body must be a JSON object");
        return false;
    }
    return true;
}

static uint64_t hash_bytes(const void *data, size_t length) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* A number for the peer's address. */
static uint64_t client_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return 0;
    if (info->client_addr->sa_family == AF_INET)
        return hash_bytes(&((const struct sockaddr_in *)info->client_addr)->sin_addr, sizeof(struct in_addr));
    if (info->client_addr->sa_family == AF_INET6)
        return hash_bytes(&((const struct sockaddr_in6 *)info->client_addr)->sin6_addr, sizeof(struct in6_addr));
    return 0;
}

/* The client's own id where it is fit for a header and a log, else a new one. */
static void choose_id(sv_exchange *exchange) {
    const char *given = sv_exchange_header(exchange, "X-Request-Id");
    size_t length = given ? strlen(given) : 0;
    if (length > 0 && length < sizeof exchange->id &&
        strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/=") == length) {
        memcpy(exchange->id, given, length + 1);
        return;
    }
    sv_server *server = exchange->server;
    snprintf(exchange->id, sizeof exchange->id, "%016llx",
             (unsigned long long)((server->id_seed + atomic_fetch_add(&server->last_id, 1)) * UINT64_C(0x9e3779b97f4a7c15)));
}

/* Takes the same time wherever the two differ. */
static bool same_secret(const char *given, const char *secret) {
    size_t given_length = strlen(given), length = strlen(secret);
    unsigned char differs = given_length != length;
    for (size_t i = 0; i < length; i++)
        differs |= (unsigned char)(given[given_length ? i % given_length : 0] ^ secret[i]);
    return !differs;
}

static bool is_authorized(const sv_exchange *exchange) {
    const char *secret = exchange->server->options.api_key;
    if (!secret || exchange->route->open)
        return true;
    const char *given = sv_exchange_header(exchange, "Authorization");
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, secret);
}

static bool path_matches(const sv_route *route, const char *path) {
    size_t length = strlen(route->path);
    if (route->path[length - 1] == '*')
        return strncmp(route->path, path, length - 1) == 0 && path[length - 1];
    return strcmp(route->path, path) == 0;
}

/* The route, or an error as the answer. */
static void find_route(sv_exchange *exchange) {
    const char *method = strcmp(exchange->method, "HEAD") == 0 ? "GET" : exchange->method;
    const char *other = NULL;
    for (const sv_route *route = sv_routes; route->method; route++) {
        if (!path_matches(route, exchange->path))
            continue;
        if (strcmp(route->method, method) == 0) {
            exchange->route = route;
            return;
        }
        other = route->method;
    }
    exchange->allowed = other;
    if (!other)
        sv_exchange_fail(exchange, 404, "there is nothing at %s; /openapi.json lists what there is", exchange->path);
    else if (strcmp(method, "OPTIONS") == 0) /* a browser asks before it sends; the headers are the answer */
        exchange->status = 204;
    else
        sv_exchange_fail(exchange, 405, "%s takes %s, not %s", exchange->path, other, exchange->method);
}

static void judge_headers(sv_exchange *exchange, const char *version) {
    sv_server *server = exchange->server;
    const char *fault = sv_framing_fault(exchange->connection, version);
    find_route(exchange);
    if (fault) {
        sv_exchange_fail(exchange, 400, "%s; the connection ends here", fault);
        exchange->closes = true;
    }
    if (exchange->status)
        return;
    if (!is_authorized(exchange)) {
        sv_exchange_fail(exchange, 401, "the API key is missing or wrong; send it as \"Authorization: Bearer KEY\"");
        return;
    }
    if (exchange->route->embeds && atomic_load(&server->draining)) {
        exchange->retry_ns = SV_NS_PER_S;
        sv_exchange_fail(exchange, 503, "the server is shutting down; try again, another one may be there");
        return;
    }
    const char *length = sv_exchange_header(exchange, "Content-Length");
    if (length && strtoull(length, NULL, 10) > server->options.max_body)
        sv_exchange_fail(exchange, 413, "the body has %s bytes; at most %zu are taken (--max-body), so send the texts in parts",
                         length, server->options.max_body);
    const char *timeout = sv_exchange_header(exchange, "X-Timeout-Ms");
    if (timeout) {
        char *end;
        unsigned long long ms = strtoull(timeout, &end, 10);
        if (*end || end == timeout || *timeout == '-' || ms == 0 || ms > 86400000)
            sv_exchange_fail(exchange, 400, "X-Timeout-Ms: '%.40s' isn't a number of milliseconds from 1 to 86400000", timeout);
        exchange->deadline_ns = exchange->begin_ns + ms * 1000000;
    }
}

/* Without a slash at its end, cut, and fit for a log. */
static void copy_path(sv_exchange *exchange, const char *url) {
    size_t length = strlen(url);
    if (length > 1 && url[length - 1] == '/')
        length--;
    if (length >= sizeof exchange->path)
        length = sizeof exchange->path - 1;
    for (size_t i = 0; i < length; i++)
        exchange->path[i] = (char)(url[i] > 0x20 && url[i] < 0x7f ? url[i] : '?');
}

static sv_exchange *new_exchange(sv_http_loop *loop, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version) {
    sv_server *server = loop->server;
    sv_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->server = server;
    exchange->loop = loop;
    exchange->connection = connection;
    exchange->begin_ns = loop->round_ns;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->link = info ? info->socket_context : NULL;
    exchange->client = client_of(connection);
    exchange->content_type = "application/json";
    exchange->dimensions = server->info.dimensions;
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
    copy_path(exchange, url);
    choose_id(exchange);
    judge_headers(exchange, version);
    exchange->discards = exchange->status != 0;
    return exchange;
}

static void take_body(sv_exchange *exchange, const char *data, size_t size) {
    sv_bytes *body = &exchange->body;
    if (exchange->discards)
        return;
    if (size > exchange->server->options.max_body - body->length) {
        sv_exchange_fail(exchange, 413, "the body has over %zu bytes; send the texts in parts",
                         exchange->server->options.max_body);
    } else {
        size_t capacity = body->capacity;
        sv_bytes_put(body, data, size);
        if (body->failed)
            sv_exchange_fail(exchange, 500, "no memory for the body");
        else if (body->capacity > capacity)
            sv_exchange_reserve(exchange, body->capacity - capacity);
    }
    exchange->discards = exchange->status != 0;
}

/* ----------------------------------------------------------------- answer */

static void add_number(struct MHD_Response *response, const char *name, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.3f", value);
    MHD_add_response_header(response, name, text);
}

/* As text-embeddings-inference names them; in milliseconds, with decimals. */
static void add_times(const sv_exchange *exchange, struct MHD_Response *response) {
    const sv_request *request = &exchange->request;
    size_t characters = 0;
    for (size_t i = 0; i < exchange->count; i++)
        characters += exchange->texts[i].length;
    char number[32];
    MHD_add_response_header(response, "x-compute-type", "cpu");
    snprintf(number, sizeof number, "%zu", characters);
    MHD_add_response_header(response, "x-compute-characters", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)request->stats.tokens);
    MHD_add_response_header(response, "x-compute-tokens", number);
    add_number(response, "x-total-time", (double)(sv_clock_ns() - exchange->begin_ns) / 1e6);
    add_number(response, "x-tokenization-time", (double)request->tokenize_ns / 1e6);
    add_number(response, "x-queue-time", (double)request->queue_ns / 1e6);
    add_number(response, "x-inference-time", (double)request->compute_ns / 1e6);
}

/* Whatever headers the page wants to send are fine, since none that isn't known does anything: clients' libraries send some of
 * their own. */
static void add_cors_headers(const sv_exchange *exchange, struct MHD_Response *response) {
    const char *wanted = sv_exchange_header(exchange, "Access-Control-Request-Headers");
    MHD_add_response_header(response, "Access-Control-Allow-Origin", exchange->server->options.cors_origin);
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    if (wanted)
        MHD_add_response_header(response, "Access-Control-Allow-Headers", wanted);
    MHD_add_response_header(response, "Access-Control-Expose-Headers",
                            "X-Request-Id, X-Total-Time, X-Queue-Time, X-Inference-Time, Retry-After, Retry-After-Ms");
}

static void add_headers(const sv_exchange *exchange, struct MHD_Response *response) {
    const sv_server *server = exchange->server;
    char number[32];
    MHD_add_response_header(response, "X-Request-Id", exchange->id);
    if (exchange->status != 204)
        MHD_add_response_header(response, "Content-Type", exchange->content_type);
    if (exchange->request.finished_ns && exchange->status == 200)
        add_times(exchange, response);
    if (exchange->retry_ns) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)((exchange->retry_ns + SV_NS_PER_S - 1) / SV_NS_PER_S));
        MHD_add_response_header(response, "Retry-After", number);
        snprintf(number, sizeof number, "%llu", (unsigned long long)(exchange->retry_ns / 1000000 + 1));
        MHD_add_response_header(response, "Retry-After-Ms", number);
    }
    if (exchange->allowed) {
        snprintf(number, sizeof number, "%s, OPTIONS", strcmp(exchange->allowed, "GET") == 0 ? "GET, HEAD" : exchange->allowed);
        MHD_add_response_header(response, "Allow", number);
    }
    if (exchange->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (server->options.cors_origin)
        add_cors_headers(exchange, response);
    if (exchange->closes || atomic_load(&server->draining))
        MHD_add_response_header(response, "Connection", "close");
}

/* Hands the answer to the HTTP library, which then owns its bytes. */
static enum MHD_Result send_answer(sv_exchange *exchange) {
    if (exchange->answer.failed)
        sv_exchange_fail(exchange, 500, "no memory for the answer");
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

/* ---------------------------------------------------------------- batcher */

/* The answer to what the batcher says. */
static void finish(sv_exchange *exchange) {
    const sv_request *request = &exchange->request;
    if (request->status == SENVEC_OK) {
        exchange->status = 200;
        if (sv_exchange_reserve(exchange, exchange->count * exchange->dimensions * 12))
            exchange->route->finish(exchange);
    } else if (request->status != SENVEC_CANCELLED) {
        sv_exchange_fail(exchange, 500, "embedding failed: %s", senvec_status_text(request->status));
    } else if (request->expired) {
        sv_exchange_fail(exchange, 504, "the request wasn't done within its X-Timeout-Ms");
    } else if (atomic_load(&exchange->server->draining)) {
        sv_exchange_fail(exchange, 503, "the server was stopped before the request was done");
    } else {
        sv_exchange_fail(exchange, 499, "the client closed its side of the connection");
    }
}

/* Whatever thread: the vectors are there, or the request was cancelled. The answer is written here rather than by the HTTP
 * thread, which all other clients would have to wait for: a hundred vectors as text take a millisecond. Once the loop has the
 * exchange, it may be gone. */
static void on_done(sv_request *request) {
    sv_exchange *exchange = request->context;
    finish(exchange);
    sv_http_loop_add(exchange->loop, exchange);
}

static void on_refused(sv_exchange *exchange, sv_admission why) {
    switch (why) {
    case SV_ADMITTED:
        break;
    case SV_REFUSED_BUSY:
        sv_exchange_fail(exchange, 429,
                         "the server is at its capacity: this request would be answered too late; try again in %.3f s",
                         (double)exchange->retry_ns / 1e9);
        break;
    case SV_REFUSED_DEADLINE:
        sv_exchange_fail(exchange, 504, "the request can't be done within its X-Timeout-Ms");
        break;
    case SV_REFUSED_SIZE:
        sv_exchange_fail(exchange, 413, "%zu texts are more than the queue holds (--max-queue-texts); send them in parts",
                         exchange->count);
        break;
    case SV_REFUSED_CLOSING:
        exchange->retry_ns = SV_NS_PER_S;
        sv_exchange_fail(exchange, 503, "the server is shutting down; try again, another one may be there");
        break;
    }
}

/* The texts are known: into the queue with them, and the connection waits. `done` may come before it is suspended, but it is
 * this thread that resumes it, later. */
static void submit(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    size_t dimensions = server->info.dimensions;
    if (!sv_exchange_reserve(exchange, exchange->count * (dimensions * sizeof(float) + sizeof(uint32_t))))
        return;
    exchange->vectors = malloc(exchange->count * dimensions * sizeof(float));
    exchange->lengths = malloc(exchange->count * sizeof(uint32_t));
    if (!exchange->vectors || !exchange->lengths) {
        sv_exchange_fail(exchange, 500, "no memory for %zu vectors", exchange->count);
        return;
    }
    exchange->request = (sv_request){
        .texts = exchange->texts,
        .count = exchange->count,
        .lengths = exchange->lengths,
        .out = exchange->vectors,
        .stride = dimensions,
        .client = exchange->client,
        .deadline_ns = exchange->deadline_ns,
        .outside_ns = sv_http_loop_outside_ns(exchange->loop, sv_clock_ns()),
        .done = on_done,
        .context = exchange,
    };
    sv_admission admission = sv_batcher_submit(server->batcher, &exchange->request, &exchange->retry_ns);
    if (admission != SV_ADMITTED) {
        on_refused(exchange, admission);
        return;
    }
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection);
    sv_links_enter(&server->links, exchange->link, SV_PHASE_WAITING, exchange);
}

static void begin(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    exchange->begun = true;
    uint64_t outside_ns = sv_http_loop_outside_ns(exchange->loop, sv_clock_ns());
    if (exchange->route->embeds && sv_batcher_is_full(server->batcher, exchange->client, outside_ns, &exchange->retry_ns)) {
        on_refused(exchange, SV_REFUSED_BUSY);
        return;
    }
    exchange->route->begin(exchange);
    if (!exchange->status)
        submit(exchange);
}

/* -------------------------------------------------------------- callbacks */

/* Whether an unwanted body is read before the answer is sent. */
static bool drops_body(const sv_exchange *exchange) {
    const char *length = sv_exchange_header(exchange, "Content-Length");
    if (exchange->closes || sv_exchange_header(exchange, "Expect"))
        return false;
    return length ? strtoull(length, NULL, 10) <= DISCARD_BYTES : !sv_exchange_header(exchange, "Transfer-Encoding");
}

enum MHD_Result sv_exchange_handle(void *loop, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_size, void **state) {
    sv_exchange *exchange = *state;
    if (!exchange) {
        *state = exchange = new_exchange(loop, connection, url, method, version);
        if (!exchange || !exchange->link)
            return MHD_NO;
        if (!exchange->discards)
            return MHD_YES;
        return drops_body(exchange) ? MHD_YES : send_answer(exchange);
    }
    if (*upload_size > 0) {
        take_body(exchange, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (exchange->suspended) {
        exchange->suspended = false;
        if (exchange->request.status == SENVEC_OK)
            sv_http_loop_delivered(exchange->loop, exchange->request.finished_ns, sv_clock_ns());
    } else if (!exchange->status) {
        begin(exchange);
        if (exchange->suspended)
            return MHD_YES;
    }
    return send_answer(exchange);
}

void sv_exchange_completed(void *context, struct MHD_Connection *connection, void **state,
                           enum MHD_RequestTerminationCode why) {
    (void)connection;
    sv_server *server = context;
    sv_exchange *exchange = *state;
    if (!exchange)
        return;
    *state = NULL;
    if (exchange->link) {
        bool taken = why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        uint64_t now = sv_clock_ns();
        sv_links_enter(&server->links, exchange->link, SV_PHASE_IDLE, NULL);
        sv_server_metrics_count(exchange, taken, now);
        sv_access_log_write(exchange, taken, now);
    }
    json_decref(exchange->root);
    sv_bytes_release(&exchange->body);
    sv_bytes_release(&exchange->answer);
    free(exchange->texts);
    free(exchange->lengths);
    free(exchange->decoded);
    free(exchange->vectors);
    atomic_fetch_sub(&server->memory, exchange->reserved);
    free(exchange);
}
