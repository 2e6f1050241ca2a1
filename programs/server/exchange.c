/* The life of a request. */
#include "server/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/access_log.h"
#include "server/vectors.h"

/* An unwanted body up to this size is read and dropped, so that the client keeps its connection. A larger one, one of unknown
 * size, or one that wasn't begun (Expect: 100-continue) isn't read: the answer is sent at once and the connection ends. The
 * HTTP library takes an answer only before a body or behind it, so one that turns out to be unwanted while it comes is read. */
#define DISCARD_BYTES ((size_t)64 << 10)

/* ---------------------------------------------------------------- request */

const char *sv_exchange_header(const sv_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static sv_exchange *new_exchange(sv_http_loop *loop, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version) {
    sv_server *server = loop->server;
    sv_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    atomic_fetch_add(&server->exchanges, 1);
    exchange->server = server;
    exchange->loop = loop;
    exchange->connection = connection;
    exchange->begin_ns = loop->round_ns;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->link = info ? info->socket_context : NULL;
    exchange->content_type = "application/json";
    sv_answer_texts_init(&exchange->answer_texts);
    exchange->served = &server->served.items[0];
    exchange->dimensions = exchange->width = exchange->served->info.dimensions;
    exchange->model = exchange->served->names.items[0];
    sv_exchange_read_head(exchange, url, method, version);
    exchange->discards = exchange->status != 0 || !sv_route_takes_body(exchange->route);
    return exchange;
}

/* ---------------------------------------------------------------- batcher */

/* The answer to what the batcher says. */
static void finish(sv_exchange *exchange) {
    const sv_request *request = &exchange->request;
    bool written = sv_answer_texts_end(exchange) || !exchange->write_text;
    if (request->status == SENVEC_OK && !written) {
        sv_exchange_fail_memory(exchange, "the answer");
    } else if (request->status == SENVEC_OK) {
        exchange->status = 200;
        if (!exchange->raw)
            exchange->finish(exchange);
    } else if (request->status == SENVEC_OUT_OF_MEMORY) {
        sv_exchange_fail_memory(exchange, "the vectors");
    } else if (request->status != SENVEC_CANCELLED) {
        sv_exchange_fail(exchange, 500, "embedding failed: %s",
                         request->status == SENVEC_FORMAT ? "the model gives no finite vector"
                                                          : senvec_status_text(request->status));
    } else if (request->expired) {
        sv_exchange_fail(exchange, 504, "the request wasn't done within its X-Timeout-Ms");
    } else if (atomic_load(&exchange->server->draining)) {
        sv_exchange_fail(exchange, 503, "the server was stopped before the request was done");
    } else {
        sv_exchange_fail(exchange, 499, "the client closed its side of the connection");
    }
}

/* A thread has done its part of a suspended exchange. Once the loop has it, it may be gone. True: this was the last one. */
static bool let_go(sv_exchange *exchange) {
    bool last = atomic_fetch_sub(&exchange->holders, 1) == 1;
    if (last)
        sv_http_loop_add(exchange->loop, exchange);
    return last;
}

/* A thread of the batcher: some vectors are there. Their part of the answer is written here rather than by the HTTP thread,
 * which all other clients would have to wait for: a hundred vectors as text take a millisecond. */
static void on_computed(sv_request *request, size_t first, size_t count) {
    sv_answer_texts_write(request->context, first, count);
}

/* Whatever thread: all vectors are there, or the request was cancelled. */
static void on_done(sv_request *request) {
    sv_exchange *exchange = request->context;
    finish(exchange);
    sv_served_leave(exchange->served, request->status == SENVEC_OK ? request->count : 0);
    let_go(exchange);
}

static void on_refused(sv_exchange *exchange, sv_admission why) {
    double retry_s = (double)sv_exchange_retry_ms(exchange) / 1e3;
    switch (why) {
    case SV_ADMITTED:
    case SV_ADMISSIONS:
        break;
    case SV_REFUSED_WAIT:
        sv_exchange_fail(exchange, 429,
                         "the server has too much to do to answer this request in time (--max-wait); try again in %.3f s",
                         retry_s);
        break;
    case SV_REFUSED_REQUESTS:
    case SV_REFUSED_TEXTS:
        sv_exchange_fail(exchange, 429, "the queue is full (%s); try again in %.3f s",
                         why == SV_REFUSED_REQUESTS ? "--max-queue" : "--max-queue-texts", retry_s);
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

static bool on_start(sv_request *request) {
    sv_exchange *exchange = request->context;
    if (!sv_exchange_start(exchange))
        return false;
    request->out = exchange->vectors;
    return true;
}

/* A client may ask for its vectors to be computed (RFC 9111, 5.2.1), as `senvec load` does. */
static bool uses_cache(const sv_exchange *exchange) {
    const char *wish = sv_exchange_header(exchange, "Cache-Control");
    return exchange->server->options.batcher.cache_bytes && !exchange->run &&
           (!wish || (!strcasestr(wish, "no-cache") && !strcasestr(wish, "no-store")));
}

/* Before the model is used: room for what the batcher needs to know of the texts. False: an error is the answer. */
static bool prepare(sv_exchange *exchange) {
    exchange->raw = exchange->write_text && sv_vectors_are_raw(exchange);
    exchange->lengths = sv_exchange_alloc(exchange, exchange->count, sizeof(uint32_t), "the texts");
    if (!exchange->lengths || !sv_exchange_may_answer(exchange))
        return false;
    if (uses_cache(exchange) &&
        !(exchange->keys = sv_exchange_alloc(exchange, exchange->count, sizeof *exchange->keys, "the texts")))
        return false;
    return true;
}

/* The texts are known and the exchange is a user of its model: into the queue with them; the batcher becomes one of the
 * holders. False: an answer stands, and it is no user any more. */
static bool submit(sv_exchange *exchange, uint64_t outside_ns) {
    sv_server *server = exchange->server;
    exchange->options = (senvec_embed_options){
        .normalize = exchange->normalize, .prompt = exchange->prompt, .truncation = exchange->truncation};
    exchange->query_options = exchange->options;
    exchange->query_options.prompt = exchange->query_prompt;
    exchange->request = (sv_request){
        .model = exchange->served->place,
        .texts = exchange->texts,
        .count = exchange->count,
        .lengths = exchange->lengths,
        .keys = exchange->keys,
        .stride = exchange->width,
        .run = exchange->run,
        .seconds = exchange->seconds,
        .extra_tokens = exchange->extra_tokens,
        .options = &exchange->options,
        .last_options = exchange->query_prompt ? &exchange->query_options : NULL,
        .client = exchange->client,
        .deadline_ns = exchange->deadline_ns,
        .outside_ns = outside_ns,
        .start = on_start,
        .computed = exchange->write_text ? on_computed : NULL,
        .done = on_done,
        .context = exchange,
    };
    atomic_fetch_add(&exchange->holders, 1);
    sv_admission admission = sv_batcher_submit(server->batcher, &exchange->request, &exchange->retry_ns);
    if (admission == SV_ADMITTED)
        return true;
    atomic_fetch_sub(&exchange->holders, 1);
    on_refused(exchange, admission);
    sv_served_leave(exchange->served, 0);
    return false;
}

static void suspend(sv_exchange *exchange, sv_exchange *waiting) {
    exchange->suspended = true;
    exchange->loop->suspended++;
    MHD_suspend_connection(exchange->connection);
    sv_links_enter(&exchange->server->links, exchange->link, SV_PHASE_WAITING, waiting);
}

static void begin(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    exchange->begun = true;
    if (exchange->gunzip && !sv_gunzip_is_complete(exchange->gunzip)) {
        sv_exchange_fail(exchange, 400, "the body ends in the middle of its gzip data");
        return;
    }
    if (exchange->route->use & SV_ROUTE_WORKS) {
        sv_admission admission = sv_batcher_is_full(server->batcher, exchange->client, &exchange->retry_ns);
        if (admission != SV_ADMITTED) {
            on_refused(exchange, admission);
            return;
        }
    }
    uint64_t now = sv_clock_ns();
    exchange->outside_ns = sv_http_loop_outside_ns(exchange->loop, now);
    exchange->handed_ns = now;
    if (exchange->body.length > SV_LARGE_BODY) {
        atomic_store(&exchange->holders, 1);
        suspend(exchange, NULL);
        sv_large_bodies_add(&server->large_bodies, exchange);
        return;
    }
    exchange->route->begin(exchange);
    if (exchange->status || !prepare(exchange))
        return;
    if (!sv_served_use(exchange->served)) {
        atomic_store(&exchange->holders, 1);
        suspend(exchange, NULL);
        sv_served_wait(exchange->served, exchange);
        return;
    }
    /* `done` may come before the connection is suspended, but it is this thread that resumes it, later. */
    if (submit(exchange, exchange->outside_ns))
        suspend(exchange, exchange);
}

void sv_exchange_read_large(sv_exchange *exchange) {
    sv_server *server = exchange->server;
    if (atomic_load(&server->draining))
        on_refused(exchange, SV_REFUSED_CLOSING);
    else
        exchange->route->begin(exchange);
    bool used = false;
    if (!exchange->status && prepare(exchange) && !(used = sv_served_use(exchange->served))) {
        sv_served_wait(exchange->served, exchange);
        return;
    }
    sv_exchange_go_on(exchange, used);
}

void sv_exchange_go_on(sv_exchange *exchange, bool used) {
    sv_server *server = exchange->server;
    if (used && submit(exchange, exchange->outside_ns + (sv_clock_ns() - exchange->handed_ns)))
        sv_links_enter(&server->links, exchange->link, SV_PHASE_WAITING, exchange);
    if (let_go(exchange))
        sv_http_loops_ring(server);
}

/* -------------------------------------------------------------- callbacks */

/* Whether an unwanted body, if there is one, is read before the answer is sent. */
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
        if (!exchange->discards || drops_body(exchange))
            return MHD_YES;
        if (!exchange->status)
            begin(exchange);
        exchange->closes = exchange->link->lingers = true;
        return sv_exchange_send(exchange);
    }
    if (*upload_size > 0) {
        sv_exchange_take_body(exchange, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (exchange->suspended) {
        exchange->suspended = false;
        if (exchange->request.finished_ns && exchange->request.status == SENVEC_OK)
            sv_http_loop_delivered(exchange->loop, exchange->request.finished_ns, sv_clock_ns());
    } else if (!exchange->status) {
        begin(exchange);
        if (exchange->suspended)
            return MHD_YES;
    }
    return sv_exchange_send(exchange);
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
        sv_trace_export_add(server->traces, exchange, now);
    }
    sv_bytes_release(&exchange->answer);
    sv_answer_texts_release(&exchange->answer_texts);
    sv_exchange_drop_request(exchange);
    if (exchange->has_result)
        atomic_fetch_sub(&server->results, 1);
    free(exchange);
    atomic_store(&server->last_used, sv_clock_ns());
    atomic_fetch_sub(&server->exchanges, 1);
}
