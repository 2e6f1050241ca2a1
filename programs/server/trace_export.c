/* A ring of records and one thread. Requests put copies into the ring, or drop them where it is full. The thread takes records
 * out only when the collector has them, so a collector that is away for a while costs nothing but what doesn't fit.
 *
 * Each batch has a connection of its own: there are some every second at most, and none is found closed. */
#include "server/trace_export.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/condition.h"
#include "http/http_connect.h"
#include "server/exchange.h"
#include "server/helper_thread.h"
#include "server/http_call.h"
#include "server/trace_spans.h"

#define RING 2048                  /* records, 0.6 MB */
#define BATCH 128                  /* records a request to the collector, 0.3 MB */
#define GATHER_NS SV_NS_PER_S      /* so long a record waits for others */
#define TIMEOUT_S 2                /* for connecting, and again for the answer */
#define FIRST_PAUSE_NS SV_NS_PER_S /* after a failure; doubled after each further one */
#define LONGEST_PAUSE_NS (30 * SV_NS_PER_S)
#define CLOSING_NS (2 * SV_NS_PER_S) /* after which no further batch is begun */
#define NICE 5                       /* as the batcher's workers: HTTP threads go first */

struct sv_trace_export {
    sv_url url;
    char service[256];
    uint64_t seed; /* of spans' ids */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    sv_trace_record *ring;  /* [RING] */
    uint64_t first, end;    /* records first .. end wait, each at its number modulo RING */
    uint64_t first_came_ns; /* when the first one came into an empty ring */
    uint64_t close_by_ns;   /* 0: it goes on */
    sv_trace_counts counts;
    /* Of the thread. */
    sv_bytes body, request, answer;
};

typedef enum outcome { TAKEN, REFUSED, LATER } outcome;

/* ----------------------------------------------------------------- sending */

static outcome send_request(sv_trace_export *export) {
    int socket;
    sv_http_answer answer;
    if (export->request.failed || sv_http_connect(&export->url, TIMEOUT_S, &socket, NULL) != SENVEC_OK)
        return LATER;
    bool answered = sv_http_call(socket, &export->request, &export->answer, &answer, sv_clock_ns() + TIMEOUT_S * SV_NS_PER_S);
    close(socket);
    if (!answered)
        return LATER;
    if (answer.status >= 200 && answer.status < 300)
        return TAKEN;
    return answer.status == 429 || (answer.status >= 502 && answer.status <= 504) ? LATER : REFUSED; /* as OTLP wants it */
}

/* The `count` records from `first` on, none of which is written to meanwhile. */
static outcome send_records(sv_trace_export *export, uint64_t first, size_t count) {
    struct timespec wall;
    sv_trace_record records[BATCH];
    for (size_t i = 0; i < count; i++)
        records[i] = export->ring[(first + i) % RING];
    clock_gettime(CLOCK_REALTIME, &wall);
    const uint64_t offset = (uint64_t)wall.tv_sec * SV_NS_PER_S + (uint64_t)wall.tv_nsec - sv_clock_ns();
    sv_bytes *body = &export->body, *request = &export->request;
    body->length = request->length = 0;
    body->failed = request->failed = false; /* there may be memory again */
    sv_trace_spans_write(records, count, export->service, offset, body);
    sv_bytes_print(request,
                   "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: senvec/%s\r\nContent-Type: application/json\r\n"
                   "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                   export->url.path, export->url.authority, senvec_version(), body->length);
    sv_bytes_put(request, body->data, body->length);
    request->failed |= body->failed;
    return send_request(export);
}

/* Under the lock: waits until a batch is to be sent, not before `earliest_ns`; false: it is the end. A failure before is why
 * nothing more is tried at the end. */
static bool wait_for_records(sv_trace_export *export, uint64_t earliest_ns) {
    for (;;) {
        uint64_t now = sv_clock_ns(), waiting = export->end - export->first, until = UINT64_MAX;
        if (export->close_by_ns)
            return waiting > 0 && earliest_ns == 0 && now < export->close_by_ns;
        if (waiting > 0)
            until = waiting >= BATCH ? 0 : export->first_came_ns + GATHER_NS;
        until = until < earliest_ns ? earliest_ns : until;
        if (now >= until)
            return true;
        sv_condition_wait(&export->changed, &export->lock, until);
    }
}

static void *send_all(void *context) {
    sv_trace_export *export = context;
    uint64_t pause = 0, earliest = 0;
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE); /* on Linux: of this thread */
    pthread_mutex_lock(&export->lock);
    while (wait_for_records(export, earliest)) {
        uint64_t first = export->first, waiting = export->end - first;
        size_t count = waiting < BATCH ? (size_t)waiting : BATCH;
        pthread_mutex_unlock(&export->lock);
        outcome became = send_records(export, first, count);
        uint64_t now = sv_clock_ns();
        pthread_mutex_lock(&export->lock);
        if (became == LATER) {
            pause = pause == 0 ? FIRST_PAUSE_NS : pause < LONGEST_PAUSE_NS / 2 ? 2 * pause : LONGEST_PAUSE_NS;
            earliest = now + pause;
            continue;
        }
        pause = earliest = 0;
        export->first += count;
        export->first_came_ns = now;
        *(became == TAKEN ? &export->counts.sent : &export->counts.refused) += count;
    }
    pthread_mutex_unlock(&export->lock);
    return NULL;
}

/* -------------------------------------------------------------- life cycle */

static senvec_status read_address(const char *url, sv_url *out, senvec_error *err) {
    static const char tail[] = "/v1/traces";
    SENVEC_TRY(sv_url_parse(url, out, err));
    char *path = out->path;
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    if (strchr(path, '?') || length + sizeof tail > sizeof out->path)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: isn't the base of a collector's addresses, which has no '?'", url);
    memcpy(path + length, tail, sizeof tail);
    return SENVEC_OK;
}

senvec_status sv_trace_export_check(const char *url, senvec_error *err) {
    sv_url address;
    return read_address(url, &address, err);
}

senvec_status sv_trace_export_open(const char *url, const char *service, sv_trace_export **out, senvec_error *err) {
    sv_trace_export *export = calloc(1, sizeof *export);
    if (!export)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for sending traces");
    senvec_status status = read_address(url, &export->url, err);
    snprintf(export->service, sizeof export->service, "%s", service);
    if (getrandom(&export->seed, sizeof export->seed, GRND_NONBLOCK) < 0)
        export->seed = sv_clock_ns();
    export->ring = status == SENVEC_OK ? calloc(RING, sizeof *export->ring) : NULL;
    if (status == SENVEC_OK && !export->ring)
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for sending traces");
    if (status == SENVEC_OK && !sv_condition_init(&export->changed))
        status = sv_fail(err, SENVEC_SYSTEM, 0, "no condition variable for sending traces");
    if (status != SENVEC_OK) {
        free(export->ring);
        free(export);
        return status;
    }
    pthread_mutex_init(&export->lock, NULL);
    int error = sv_helper_thread_start(&export->thread, send_all, export);
    if (error) {
        pthread_cond_destroy(&export->changed);
        pthread_mutex_destroy(&export->lock);
        free(export->ring);
        free(export);
        return sv_fail(err, SENVEC_SYSTEM, 0, "starting the thread that sends traces failed: %s", strerror(error));
    }
    *out = export;
    return SENVEC_OK;
}

void sv_trace_export_close(sv_trace_export *export) {
    if (!export)
        return;
    pthread_mutex_lock(&export->lock);
    export->close_by_ns = sv_clock_ns() + CLOSING_NS;
    pthread_cond_signal(&export->changed);
    pthread_mutex_unlock(&export->lock);
    pthread_join(export->thread, NULL);
    pthread_cond_destroy(&export->changed);
    pthread_mutex_destroy(&export->lock);
    sv_bytes_release(&export->body);
    sv_bytes_release(&export->request);
    sv_bytes_release(&export->answer);
    free(export->ring);
    free(export);
}

/* ---------------------------------------------------------------- requests */

void sv_trace_export_add(sv_trace_export *export, const sv_exchange *exchange, uint64_t end_ns) {
    if (!export || !sv_trace_context_is_recorded(&exchange->trace))
        return;
    pthread_mutex_lock(&export->lock);
    uint64_t waiting = export->end - export->first;
    if (waiting == RING) {
        export->counts.full++;
    } else {
        export->ring[export->end % RING] = sv_trace_record_of(exchange, export->seed + export->end, end_ns);
        export->end++;
        if (waiting == 0)
            export->first_came_ns = end_ns;
        if (waiting == 0 || waiting + 1 == BATCH)
            pthread_cond_signal(&export->changed);
    }
    pthread_mutex_unlock(&export->lock);
}

sv_trace_counts sv_trace_export_count(sv_trace_export *export) {
    sv_trace_counts counts = {0};
    if (!export)
        return counts;
    pthread_mutex_lock(&export->lock);
    counts = export->counts;
    pthread_mutex_unlock(&export->lock);
    return counts;
}
