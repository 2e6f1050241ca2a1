/* The body of a request and the memory that the request takes. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/exchange.h"

#define MAX_NAME 300 /* of a model, as it may be asked for */

/* ----------------------------------------------------------------- memory */

static bool fail_never(sv_exchange *exchange, sv_memory_use use) {
    sv_exchange_fail(exchange, 413,
                     "this request needs more memory than the %zu MB that one may have (--max-memory); send the texts in parts",
                     sv_request_memory_limit(&exchange->server->memory, use, SIZE_MAX) >> 20);
    return false;
}

static bool reserve(sv_exchange *exchange, sv_memory_use use, size_t bytes) {
    sv_request_memory *memory = &exchange->server->memory;
    switch (sv_request_memory_take(memory, exchange->address, use, &exchange->held, bytes)) {
    case SV_MEMORY_GRANTED:
        return true;
    case SV_MEMORY_BUSY:
        exchange->retry_ns = sv_batcher_retry_ns(exchange->server->batcher);
        atomic_fetch_add(&exchange->server->refused_memory, 1);
        sv_exchange_fail(exchange, 429,
                         "the requests that are being served take the %zu MB for them (--max-memory); try again in %.3f s",
                         memory->most >> 20, (double)sv_exchange_retry_ms(exchange) / 1e3);
        return false;
    case SV_MEMORY_NEVER:
        break;
    }
    return fail_never(exchange, use);
}

bool sv_exchange_reserve(sv_exchange *exchange, size_t bytes) {
    return reserve(exchange, SV_MEMORY_WORK, bytes);
}

/* Of the vectors, where they aren't there yet, and of the answer in its longest form, with each number in some 12 characters.
 */
static size_t result_bytes(const sv_exchange *exchange) {
    size_t numbers = exchange->answer_numbers ? exchange->answer_numbers : exchange->count * exchange->dimensions;
    return (exchange->vectors ? 0 : exchange->count * exchange->width * sizeof(float)) + numbers * 12;
}

bool sv_exchange_may_answer(sv_exchange *exchange) {
    size_t wanted = exchange->held.request + exchange->held.answer + result_bytes(exchange);
    return wanted <= sv_request_memory_limit(&exchange->server->memory, SV_MEMORY_ANSWER, wanted) ||
           fail_never(exchange, SV_MEMORY_ANSWER);
}

bool sv_exchange_start(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    size_t bytes = result_bytes(exchange);
    if (sv_request_memory_take(&server->memory, exchange->address, SV_MEMORY_ANSWER, &exchange->held, bytes) !=
        SV_MEMORY_GRANTED) {
        if (atomic_load(&server->results) > 0)
            return false;
        sv_request_memory_force(&server->memory, exchange->address, &exchange->held, bytes);
    }
    atomic_fetch_add(&server->results, 1);
    exchange->has_result = true;
    if (!exchange->vectors)
        exchange->vectors = malloc(exchange->count * exchange->width * sizeof(float));
    return true;
}

void sv_exchange_fail_memory(sv_exchange *exchange, const char *what) {
    exchange->retry_ns = SV_NS_PER_S;
    sv_exchange_fail(exchange, 503, "the system has no memory for %s; try again later", what);
}

void *sv_exchange_alloc(sv_exchange *exchange, size_t count, size_t size, const char *what) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    if (!sv_exchange_reserve(exchange, bytes))
        return NULL;
    void *block = malloc(bytes ? bytes : 1);
    if (!block)
        sv_exchange_fail_memory(exchange, what);
    return block;
}

/* A string of the body's, NUL-terminated. */
struct sv_kept_string {
    struct sv_kept_string *next;
    char text[];
};

const char *sv_exchange_keep_string(sv_exchange *exchange, sv_json string) {
    struct sv_kept_string *kept = sv_exchange_alloc(exchange, 1, sizeof *kept + string.length, "a string");
    if (!kept)
        return NULL;
    kept->text[sv_json_decode(string, kept->text)] = '\0';
    kept->next = exchange->strings;
    exchange->strings = kept;
    return kept->text;
}

void sv_exchange_drop_request(sv_exchange *exchange) {
    for (struct sv_kept_string *kept = exchange->strings, *next; kept; kept = next) {
        next = kept->next;
        free(kept);
    }
    exchange->strings = NULL;
    sv_gunzip_close(exchange->gunzip);
    exchange->gunzip = NULL;
    sv_bytes_release(&exchange->body);
    free(exchange->texts);
    free(exchange->lengths);
    free(exchange->keys);
    free(exchange->decoded);
    free(exchange->vectors);
    free(exchange->counts);
    exchange->members = (sv_json_index){.count = 0};
    exchange->texts = NULL;
    exchange->lengths = NULL;
    exchange->keys = NULL;
    exchange->decoded = NULL;
    exchange->vectors = NULL;
    exchange->counts = NULL;
    sv_request_memory_keep(&exchange->server->memory, exchange->address, &exchange->held, exchange->answer.capacity);
}

/* ------------------------------------------------------------------- body */

/* Room for `needed` bytes, and for as much again as there is now, but for no more than the body will have. */
static bool make_room(sv_exchange *exchange, size_t needed) {
    sv_bytes *body = &exchange->body;
    const char *declared = exchange->gunzip ? NULL : sv_exchange_header(exchange, "Content-Length");
    size_t capacity = needed > 2 * body->capacity ? needed : 2 * body->capacity;
    size_t all = declared ? (size_t)strtoull(declared, NULL, 10) : 0;
    if (all >= needed && all < capacity)
        capacity = all;
    if (!reserve(exchange, SV_MEMORY_BODY, capacity - body->capacity))
        return false;
    if (!sv_bytes_grow(body, capacity))
        sv_exchange_fail_memory(exchange, "the body");
    return !exchange->status;
}

/* The next bytes of the body as they mean; false: no more are wanted. */
static bool append(void *context, const char *data, size_t size) {
    sv_exchange *exchange = context;
    sv_bytes *body = &exchange->body;
    if (size > exchange->server->options.max_body - body->length)
        sv_exchange_fail(exchange, 413, "the body has over %zu bytes; send the texts in parts",
                         exchange->server->options.max_body);
    else if (body->length + size <= body->capacity || make_room(exchange, body->length + size))
        sv_bytes_put(body, data, size);
    return exchange->status == 0;
}

void sv_exchange_take_body(sv_exchange *exchange, const char *data, size_t size) {
    exchange->received += size;
    if (exchange->discards)
        return;
    if (!exchange->gunzip)
        append(exchange, data, size);
    else if (!sv_gunzip_feed(exchange->gunzip, data, size, append, exchange) && !exchange->status)
        sv_exchange_fail(exchange, 400, "the body isn't the gzip data that Content-Encoding promises");
    if (!exchange->status)
        return;
    exchange->discards = true;
    sv_exchange_drop_request(exchange);
}

/* The allocator for reading: what it takes is the request's. */
static void *take_block(void *context, size_t size, size_t alignment) {
    if (!sv_exchange_reserve(context, size))
        return NULL;
    return sv_default_allocator.alloc(sv_default_allocator.context, size, alignment);
}

static void give_block(void *context, void *block, size_t size) {
    sv_default_allocator.free(sv_default_allocator.context, block, size);
    sv_exchange *exchange = context;
    sv_request_memory_give(&exchange->server->memory, exchange->address, &exchange->held, size);
}

/* The name that the request gives: "model" in its body, or what Azure's clients have in the path. Empty: none. */
static void asked_model(const sv_exchange *exchange, char out[MAX_NAME]) {
    static const char deployments[] = "/openai/deployments/";
    sv_json given = sv_json_look_up(&exchange->members, "model");
    size_t length = strlen(deployments);
    out[0] = '\0';
    if (given.kind == SV_JSON_STRING && given.length <= MAX_NAME)
        out[sv_json_decode(given, out)] = '\0';
    else if (strncmp(exchange->path, deployments, length) == 0)
        snprintf(out, MAX_NAME, "%.*s", (int)strcspn(exchange->path + length, "/"), exchange->path + length);
}

/* A server with one model has no other name for it to be taken for; one with several has to be told which. */
static void choose_model(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    char asked[MAX_NAME], all[600];
    const char *name = exchange->model;
    asked_model(exchange, asked);
    sv_served *served = *asked ? sv_served_find(server, asked, &name) : exchange->served;
    if (!served && server->served.count > 1) {
        sv_served_name_all(server, all, sizeof all);
        sv_exchange_fail(exchange, 404, "there is no model '%.200s' here; there is %s", asked, all);
        return;
    }
    exchange->model = name;
    if (!served || server->served.count == 1)
        return;
    size_t dimensions = exchange->served->info.dimensions;
    exchange->served = served;
    exchange->dimensions = served->info.dimensions;
    if (exchange->width == dimensions)
        exchange->width = served->info.dimensions;
    sv_exchange_suits_model(exchange);
}

bool sv_exchange_parse(sv_exchange *exchange) {
    const senvec_allocator allocator = {take_block, give_block, exchange};
    const sv_bytes *body = &exchange->body;
    sv_json root;
    senvec_error err;
    senvec_status status = sv_json_read(body->data ? body->data : "", body->length, &allocator, &root, &err);
    if (status == SENVEC_OK && root.kind == SV_JSON_OBJECT)
        sv_json_index_members(root, &exchange->members);
    else if (status == SENVEC_OK)
        sv_exchange_fail(exchange, 400, "the body must be a JSON object");
    else if (status == SENVEC_FORMAT)
        sv_exchange_fail(exchange, 400, "the body isn't valid JSON: %s", err.message);
    else if (!exchange->status) /* 413 or 429 may stand already */
        sv_exchange_fail_memory(exchange, "the names of the body's members");
    if (!exchange->status)
        choose_model(exchange);
    return !exchange->status;
}
