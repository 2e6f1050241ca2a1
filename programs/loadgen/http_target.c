/* The transport: one thread, one epoll, non-blocking sockets.
 *
 * Why not libcurl: the generator often shares the machine with the server that it measures, so what it uses is missing there.
 * At 3,000 requests a second beside busy CPUs, a request through libcurl's multi interface (7.88, sockets watched by our own
 * epoll, handles kept) cost 96 to 123 us of CPU time, and costs 53 us here (docs/SPEED.md). What libcurl can do beyond this,
 * TLS, proxies, HTTP/2, has no place in a measurement of a server.
 *
 * A connection carries one request at a time. The one that was used last is used next, so those that a burst has opened rest,
 * and a server that closes them in time does no harm. Sockets are registered once, edge-triggered, for both directions:
 * a request costs one send, one recv and its part of an epoll_pwait2.
 *
 * Every answer's framing is read strictly, and its status; the body is looked at by its first and last byte, and every
 * CHECK_EVERY-th one is parsed and checked whole. */
#include "loadgen/http_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "http/http_answer.h"
#include "http/http_connect.h"
#include "loadgen/realtime.h"
#include "loadgen/service_address.h"

enum { CHECK_EVERY = 64, EVENTS = 256, NEW_BYTES = 10, FIRST_ANSWER_BYTES = 32 << 10, KEPT_ANSWER_BYTES = 1 << 20 };
#define NO_TICKET SIZE_MAX

typedef struct connection {
    int descriptor; /* -1: none */
    bool connected;
    size_t ticket; /* NO_TICKET: idle */
    size_t texts;
    char *out; /* [out_capacity]: the request */
    size_t out_capacity, out_length, out_sent;
    char *in; /* [in_capacity]: the answer so far */
    size_t in_capacity, in_filled;
    sv_http_answer answer;
} connection;

struct sv_http_target {
    sv_http_options options;
    const sv_workload *workload;
    sv_arena arena;
    struct sockaddr_storage address;
    socklen_t address_length;
    int poller;
    char head[2048], opening[512]; /* up to the value of Content-Length; of the body up to the texts */
    size_t head_length, opening_length;
    senvec_text *escaped[SV_MIX_MAX]; /* the workload's texts as JSON strings */
    connection *connections;          /* [options.connections] */
    connection **idle;                /* stack of open ones without a request */
    connection **closed;              /* stack of those without a socket */
    size_t idle_count, closed_count;
    uint64_t serial, next_new; /* of requests; of texts that are to be new */
    char why[300];             /* what was wrong with the last bad answer */
    bool takes_vectors;        /* of the next answer, into `vectors` */
    float *vectors;            /* malloc'ed, [texts, dimensions]; NULL: none */
    size_t dimensions;
    uint64_t answered_ns; /* when the last answer was complete, before anything of it was looked at */
};

static uint64_t now(void *context) {
    (void)context;
    return sv_clock_ns();
}

/* ------------------------------------------------------------- connections */

static void disconnect(sv_http_target *target, connection *c) {
    close(c->descriptor); /* which takes it out of the epoll */
    c->descriptor = -1;
    c->ticket = NO_TICKET;
    target->closed[target->closed_count++] = c;
}

static bool connect_anew(sv_http_target *target, connection *c) {
    const struct sockaddr *address = (const struct sockaddr *)&target->address;
    c->descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->descriptor < 0)
        return false;
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    bool begun = connect(c->descriptor, address, target->address_length) == 0 || errno == EINPROGRESS;
    if (!begun || epoll_ctl(target->poller, EPOLL_CTL_ADD, c->descriptor, &event) != 0) {
        close(c->descriptor);
        c->descriptor = -1;
        return false;
    }
    c->connected = false;
    return true;
}

/* Puts the connection among the idle ones, or closes it. */
static void release(sv_http_target *target, connection *c, bool keep) {
    c->ticket = NO_TICKET;
    c->in_filled = 0;
    if (c->in_capacity > KEPT_ANSWER_BYTES) {
        free(c->in);
        c->in = NULL;
        c->in_capacity = 0;
    }
    if (keep)
        target->idle[target->idle_count++] = c;
    else
        disconnect(target, c);
}

/* The server closed an idle connection, or sent something that nobody asked for. */
static void drop_idle(sv_http_target *target, connection *c) {
    size_t i = 0;
    while (target->idle[i] != c)
        i++;
    memmove(&target->idle[i], &target->idle[i + 1], (--target->idle_count - i) * sizeof *target->idle);
    disconnect(target, c);
}

/* ----------------------------------------------------------------- sending */

static bool reserve(char **buffer, size_t *capacity, size_t size) {
    if (size <= *capacity)
        return true;
    size_t grown_capacity = *capacity * 2 > size ? *capacity * 2 : size;
    char *grown = realloc(*buffer, grown_capacity);
    if (!grown)
        return false;
    *buffer = grown;
    *capacity = grown_capacity;
    return true;
}

static void append(connection *c, const char *data, size_t length) {
    memcpy(c->out + c->out_length, data, length);
    c->out_length += length;
}

/* Whether text i of the request that is written now is to be one that the server hasn't seen; the same however often it is
 * asked. */
static bool is_new(const sv_http_target *target, size_t i) {
    uint64_t mixed = (target->serial * SV_MAX_LOAD_TEXTS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return target->options.repeat >= 0 && (double)(mixed >> 33) / (double)(UINT64_C(1) << 31) >= target->options.repeat;
}

/* A text as a JSON string, with the number that makes it new before its closing quote. */
static void append_new(sv_http_target *target, connection *c, const senvec_text *text) {
    char number[NEW_BYTES + 2];
    snprintf(number, sizeof number, " %09u\"", (unsigned)(target->next_new++ % 1000000000));
    append(c, text->data, text->length - 1);
    append(c, number, NEW_BYTES + 1);
}

static bool write_request(sv_http_target *target, connection *c, const sv_load_request *request) {
    const senvec_text *escaped = target->escaped[request->length];
    size_t body = target->opening_length + request->count - 1 + strlen(SV_LOAD_DIALECT_TAIL);
    target->serial++;
    for (size_t i = 0; i < request->count; i++)
        body += escaped[sv_load_text_index(target->workload, request, i)].length + (is_new(target, i) ? NEW_BYTES : 0);
    char digits[32];
    int digits_length = snprintf(digits, sizeof digits, "%zu\r\n\r\n", body);
    if (!reserve(&c->out, &c->out_capacity, target->head_length + (size_t)digits_length + body))
        return false;
    c->out_length = c->out_sent = 0;
    append(c, target->head, target->head_length);
    append(c, digits, (size_t)digits_length);
    append(c, target->opening, target->opening_length);
    for (size_t i = 0; i < request->count; i++) {
        const senvec_text *text = &escaped[sv_load_text_index(target->workload, request, i)];
        if (i > 0)
            append(c, ",", 1);
        if (is_new(target, i))
            append_new(target, c, text);
        else
            append(c, text->data, text->length);
    }
    append(c, SV_LOAD_DIALECT_TAIL, strlen(SV_LOAD_DIALECT_TAIL));
    return true;
}

/* Sends what the socket takes; false: it is broken. */
static bool send_some(connection *c) {
    while (c->out_sent < c->out_length) {
        ssize_t sent = send(c->descriptor, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        c->out_sent += (size_t)sent;
    }
    return true;
}

static sv_load_sent send_request(void *context, size_t ticket, const sv_load_request *request) {
    sv_http_target *target = context;
    connection *c;
    if (target->idle_count > 0) {
        c = target->idle[--target->idle_count];
    } else {
        if (target->closed_count == 0)
            return SV_LOAD_BUSY;
        c = target->closed[target->closed_count - 1];
        if (!connect_anew(target, c))
            return SV_LOAD_FAILED;
        target->closed_count--;
    }
    c->ticket = ticket;
    c->texts = request->count;
    c->in_filled = 0;
    c->answer = (sv_http_answer){0};
    if (!write_request(target, c, request)) {
        disconnect(target, c);
        return SV_LOAD_FAILED;
    }
    /* A socket that is broken tells so as an event, too, which is where the outcome is decided. */
    if (c->connected)
        send_some(c);
    return SV_LOAD_SENT;
}

static void cancel(void *context, size_t ticket) {
    sv_http_target *target = context;
    for (size_t i = 0; i < target->options.connections; i++) {
        connection *c = &target->connections[i];
        if (c->descriptor >= 0 && c->ticket == ticket) {
            disconnect(target, c);
            return;
        }
    }
}

/* --------------------------------------------------------------- receiving */

static sv_load_outcome judge_answer(sv_http_target *target, const connection *c) {
    const char *body = c->in + c->answer.body, *why = "the body is neither a JSON object nor a list";
    size_t length = c->answer.body_length;
    if (c->answer.status != 200) {
        snprintf(target->why, sizeof target->why, "status %u: %.*s", c->answer.status, length < 200 ? (int)length : 200, body);
        return c->answer.status == 429 || c->answer.status == 503 ? SV_LOAD_REFUSED : SV_LOAD_STATUS;
    }
    while (length > 0 && (body[length - 1] == '\n' || body[length - 1] == '\r' || body[length - 1] == ' '))
        length--;
    bool right = length >= 2 && ((body[0] == '{' && body[length - 1] == '}') || (body[0] == '[' && body[length - 1] == ']'));
    if (right && c->ticket % CHECK_EVERY == 0)
        right = sv_load_dialect_check(target->options.dialect, body, length, c->texts, &why);
    if (right && target->takes_vectors) {
        right = sv_load_dialect_vectors(target->options.dialect, body, length, c->texts, &target->vectors, &target->dimensions);
        why = "its vectors can't be read";
    }
    if (!right)
        snprintf(target->why, sizeof target->why, "%s: %.*s", why, length < 100 ? (int)length : 100, body);
    return right ? SV_LOAD_ANSWERED : SV_LOAD_WRONG;
}

/* Reads what is there. Returns PENDING while the answer isn't complete. `closing`: the end of the stream is there, too. */
static sv_load_outcome receive(sv_http_target *target, connection *c, bool closing) {
    for (;;) {
        size_t room = c->answer.head_done && !c->answer.chunked && c->answer.body_length < c->answer.expected
                          ? c->answer.expected - c->answer.body_length + 1
                          : FIRST_ANSWER_BYTES;
        if (c->in_filled + room > (size_t)SV_MAX_LOAD_ANSWER + SV_MAX_LOAD_HEAD ||
            !reserve(&c->in, &c->in_capacity, c->in_filled + room))
            return SV_LOAD_MALFORMED;
        size_t wanted = c->in_capacity - c->in_filled;
        ssize_t got = recv(c->descriptor, c->in + c->in_filled, wanted, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return SV_LOAD_PENDING;
        bool ended = got == 0;
        if (got < 0 || (ended && c->in_filled == 0))
            return c->connected ? SV_LOAD_CLOSED : SV_LOAD_UNCONNECTED;
        c->in_filled += (size_t)got;
        switch (sv_http_answer_read(&c->answer, c->in, c->in_filled, ended)) {
        case SV_HTTP_COMPLETE:
            if (c->answer.position != c->in_filled) {
                snprintf(target->why, sizeof target->why, "more bytes than the answer has");
                return SV_LOAD_MALFORMED;
            }
            target->answered_ns = sv_clock_ns();
            return judge_answer(target, c);
        case SV_HTTP_BAD:
            snprintf(target->why, sizeof target->why, "no HTTP answer, but: %.*s", c->in_filled < 100 ? (int)c->in_filled : 100,
                     c->in);
            return SV_LOAD_MALFORMED;
        case SV_HTTP_MORE:
            if (ended)
                return SV_LOAD_CLOSED;
            if ((size_t)got < wanted && !closing)
                return SV_LOAD_PENDING; /* the socket is empty: the next byte is a new event */
        }
    }
}

/* What an event means for the connection; PENDING: its request goes on, or it has none. */
static sv_load_outcome handle(sv_http_target *target, connection *c, uint32_t events) {
    if (c->ticket == NO_TICKET) {
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            drop_idle(target, c);
        return SV_LOAD_PENDING;
    }
    if (!c->connected && events & (EPOLLERR | EPOLLHUP))
        return SV_LOAD_UNCONNECTED;
    if (events & EPOLLOUT) {
        c->connected = true;
        send_some(c);
    }
    /* Also after a failed send: the server may have answered, for example that the request is too large, before it closed. */
    bool closing = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    return closing || events & EPOLLIN ? receive(target, c, closing) : SV_LOAD_PENDING;
}

static senvec_status wait_for(void *context, uint64_t until_ns, sv_load_done *done, size_t capacity, size_t *count,
                              senvec_error *err) {
    sv_http_target *target = context;
    uint64_t at = sv_clock_ns(), left = until_ns > at ? until_ns - at : 0;
    struct timespec timeout = sv_clock_timespec(left);
    struct epoll_event events[EVENTS];
    *count = 0;
    /* Together epoll_pwait2, with its nanoseconds, which glibc has from 2.35 and Linux from 5.11 on. */
    int ready = ppoll(&(struct pollfd){.fd = target->poller, .events = POLLIN}, 1, &timeout, NULL);
    if (ready > 0)
        ready = epoll_wait(target->poller, events, capacity < EVENTS ? (int)capacity : EVENTS, 0);
    if (ready < 0 && errno != EINTR)
        return sv_fail(err, SENVEC_SYSTEM, 0, "waiting for sockets failed: %s", strerror(errno));
    for (int i = 0; i < ready; i++) {
        connection *c = events[i].data.ptr;
        size_t ticket = c->ticket;
        sv_load_outcome outcome = handle(target, c, events[i].events);
        if (outcome == SV_LOAD_PENDING)
            continue;
        bool whole = outcome != SV_LOAD_UNCONNECTED && outcome != SV_LOAD_CLOSED && outcome != SV_LOAD_MALFORMED;
        done[(*count)++] = (sv_load_done){ticket, outcome, whole ? c->answer.status : 0, sv_clock_ns()};
        bool closing = events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
        release(target, c,
                whole && c->answer.keep_alive && !closing && !target->options.no_keep_alive && c->out_sent == c->out_length);
    }
    return SENVEC_OK;
}

/* ----------------------------------------------------------- opening, probe */

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static senvec_status write_heads(sv_http_target *target, senvec_error *err) {
    const sv_http_options *o = &target->options;
    const char *path = strcmp(o->url.path, "/") == 0 ? sv_load_dialect_path(o->dialect) : o->url.path;
    if (o->api_key && !is_printable(o->api_key))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "the API key holds characters that HTTP can't carry");
    int length = snprintf(target->head, sizeof target->head,
                          "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: senvec/%s\r\nContent-Type: application/json\r\n"
                          "Accept: application/json\r\n%s%s%s%s%sContent-Length: ",
                          path, o->url.authority, senvec_version(), o->api_key ? "Authorization: Bearer " : "",
                          o->api_key ? o->api_key : "", o->api_key ? "\r\n" : "",
                          o->no_keep_alive ? "Connection: close\r\n" : "", o->repeat < 0 ? "Cache-Control: no-cache\r\n" : "");
    json_t *name = json_string(o->model);
    char *model = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    target->head_length = (size_t)length;
    target->opening_length = model ? sv_load_dialect_head(o->dialect, model, target->opening, sizeof target->opening) : 0;
    free(model);
    json_decref(name);
    if (length >= (int)sizeof target->head || target->opening_length == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "the API key or the model's name is too long or no UTF-8");
    return SENVEC_OK;
}

static senvec_status escape_texts(sv_http_target *target, senvec_error *err) {
    for (size_t s = 0; s < target->workload->set_count; s++) {
        const sv_load_set *set = &target->workload->sets[s];
        void *memory;
        SENVEC_TRY(sv_arena_alloc(&target->arena, set->count, sizeof(senvec_text), "requests", &memory, err));
        target->escaped[s] = memory;
        for (size_t i = 0; i < set->count; i++) {
            json_t *string = json_stringn(set->texts[i].data, set->texts[i].length);
            char *escaped = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
            json_decref(string);
            if (!escaped)
                return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the requests");
            size_t length = strlen(escaped);
            senvec_status status = sv_arena_string(&target->arena, escaped, length, &target->escaped[s][i].data, err);
            target->escaped[s][i].length = length;
            free(escaped);
            SENVEC_TRY(status);
        }
    }
    return SENVEC_OK;
}

/* Connects once, so that a server that is down is found here, and keeps the address that it has. */
static senvec_status find_address(sv_http_target *target, senvec_error *err) {
    int descriptor;
    SENVEC_TRY(sv_http_connect(&target->options.url, target->options.connect_timeout_s, &descriptor, err));
    target->address_length = sizeof target->address;
    int failure = getpeername(descriptor, (struct sockaddr *)&target->address, &target->address_length) == 0 ? 0 : errno;
    close(descriptor);
    if (failure)
        return sv_fail(err, SENVEC_NETWORK, 0, "%s port %s: %s", target->options.url.host, target->options.url.port,
                       strerror(failure));
    return SENVEC_OK;
}

static senvec_status open_target(sv_http_target *target, senvec_error *err) {
    size_t count = target->options.connections;
    SENVEC_TRY(write_heads(target, err));
    SENVEC_TRY(escape_texts(target, err));
    SENVEC_TRY(find_address(target, err));
    target->connections = calloc(count, sizeof *target->connections);
    target->idle = calloc(count, sizeof *target->idle);
    target->closed = calloc(count, sizeof *target->closed);
    if (!target->connections || !target->idle || !target->closed)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu connections", count);
    for (size_t i = 0; i < count; i++) {
        target->connections[i] = (connection){.descriptor = -1, .ticket = NO_TICKET};
        target->closed[count - 1 - i] = &target->connections[i];
    }
    target->closed_count = count;
    target->poller = epoll_create1(EPOLL_CLOEXEC);
    if (target->poller < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "no epoll: %s", strerror(errno));
    sv_realtime_begin();
    return SENVEC_OK;
}

senvec_status sv_http_target_open(const sv_http_options *options, const sv_workload *workload, sv_http_target **out,
                                  senvec_error *err) {
    sv_http_target *target = calloc(1, sizeof *target);
    if (!target)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a target");
    target->options = *options;
    target->next_new = sv_clock_ns() / 1000; /* none that an earlier run has sent */
    target->workload = workload;
    target->poller = -1;
    sv_arena_init(&target->arena, NULL);
    senvec_status status = open_target(target, err);
    if (status == SENVEC_OK)
        *out = target;
    else
        sv_http_target_close(target);
    return status;
}

void sv_http_target_close(sv_http_target *target) {
    if (!target)
        return;
    for (size_t i = 0; target->connections && i < target->options.connections; i++) {
        connection *c = &target->connections[i];
        if (c->descriptor >= 0)
            close(c->descriptor);
        free(c->out);
        free(c->in);
    }
    if (target->poller >= 0) {
        sv_realtime_end();
        close(target->poller);
    }
    free(target->connections);
    free(target->idle);
    free(target->closed);
    sv_arena_release(&target->arena);
    free(target);
}

sv_load_target sv_http_target_driver(sv_http_target *target) {
    return (sv_load_target){.context = target, .now = now, .send = send_request, .wait = wait_for, .cancel = cancel};
}

/* Asks once and checks the whole answer. */
static senvec_status ask_once(sv_http_target *target, const sv_load_request *request, double timeout_s, senvec_error *err) {
    uint64_t until = sv_clock_ns() + (uint64_t)(timeout_s * (double)SV_NS_PER_S);
    sv_load_done done = {.outcome = SV_LOAD_UNCONNECTED};
    size_t count = 0;
    target->why[0] = '\0';
    /* A connection that the server has closed since the last request is noticed here. */
    SENVEC_TRY(wait_for(target, 0, &done, 1, &count, err));
    if (send_request(target, 0, request) == SV_LOAD_SENT) {
        done.outcome = SV_LOAD_TIMEOUT;
        while (count == 0 && sv_clock_ns() < until)
            SENVEC_TRY(wait_for(target, until, &done, 1, &count, err));
        if (count == 0)
            cancel(target, 0);
    }
    if (done.outcome == SV_LOAD_ANSWERED)
        return SENVEC_OK;
    char url[SV_SERVICE_URL];
    sv_service_address_url(&target->options.url, target->options.dialect, url);
    return sv_fail(err, SENVEC_NETWORK, 0, "%s: a request wasn't answered as it should be (%s)%s%s", url,
                   sv_load_outcome_text(done.outcome), target->why[0] ? ": " : "", target->why);
}

senvec_status sv_http_target_probe(sv_http_target *target, double timeout_s, senvec_error *err) {
    const sv_load_request request = {.count = target->workload->sizes.values[0]};
    return ask_once(target, &request, timeout_s, err);
}

senvec_status sv_http_target_vectors(sv_http_target *target, size_t first, size_t count, double timeout_s, float **out,
                                     size_t *dimensions, uint64_t *latency_ns, senvec_error *err) {
    const sv_load_request request = {.first = first, .count = count};
    const uint64_t begin = sv_clock_ns();
    target->takes_vectors = true;
    target->vectors = NULL;
    senvec_status status = ask_once(target, &request, timeout_s, err);
    target->takes_vectors = false;
    if (status == SENVEC_OK && latency_ns)
        *latency_ns = target->answered_ns - begin;
    *out = target->vectors;
    *dimensions = target->dimensions;
    target->vectors = NULL;
    return status;
}
