/* The server's counters and histograms, and their output at /metrics, in Prometheus' text format or in OpenMetrics.
 * docs/OPERATIONS.md explains each metric. Thread safe. */
#ifndef SV_SERVER_SERVER_METRICS_H
#define SV_SERVER_SERVER_METRICS_H

#include <pthread.h>
#include <stdint.h>

#include "batcher/request_queue.h"
#include "server/bytes.h"
#include "server/trace_context.h"

struct sv_server;
struct sv_exchange;

#define SV_METRIC_ROUTES 64 /* the last one: paths that no route has */
#define SV_METRIC_STATUSES 18
#define SV_METRIC_BUCKETS 16

typedef struct sv_histogram {
    uint64_t buckets[SV_METRIC_BUCKETS]; /* not cumulative; values over the last bound are in `count` only */
    uint64_t count;
    double sum;
} sv_histogram;

/* A request of a bucket that its caller traces: by it one gets from a histogram to a trace. */
typedef struct sv_exemplar {
    char trace_id[SV_TRACE_ID_LENGTH + 1]; /* "": none yet */
    double value, time;                    /* in seconds; since 1970 */
} sv_exemplar;

typedef struct sv_server_metrics {
    pthread_mutex_t lock;
    uint64_t requests[SV_METRIC_ROUTES][SV_METRIC_STATUSES];
    uint64_t aborted; /* ended before their answer was taken */
    uint64_t received_bytes, sent_bytes;
    sv_histogram request_seconds, compute_seconds, queue_seconds[SV_CLASSES]; /* of requests that were embedded */
    sv_histogram request_texts;
    sv_exemplar exemplars[SV_METRIC_BUCKETS + 1]; /* the latest of each bucket of request_seconds */
} sv_server_metrics;

void sv_server_metrics_init(sv_server_metrics *metrics);
void sv_server_metrics_release(sv_server_metrics *metrics);
/* A request is over; `taken`: its answer was. */
void sv_server_metrics_count(const struct sv_exchange *exchange, bool taken, uint64_t now);
/* All of it as text: Prometheus' format 0.0.4, or with `openmetrics` OpenMetrics 1.0, which has exemplars. */
void sv_server_metrics_write(struct sv_server *server, bool openmetrics, sv_bytes *out);

#endif
