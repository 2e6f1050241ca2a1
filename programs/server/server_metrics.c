/* Counting under one lock: a few additions a request.
 *
 * The two formats differ in little (https://prometheus.io/docs/specs/om/open_metrics_spec/): OpenMetrics names a counter's
 * family without "_total" and an info's without "_info", bounds are written as floats, and there is a line at the end. */
#include "server/server_metrics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/exchange.h"

static const unsigned statuses[SV_METRIC_STATUSES] = {200, 204, 400, 401, 403, 404, 405, 408, 413,
                                                      415, 422, 424, 429, 499, 500, 501, 503, 504};
static const double seconds_bounds[SV_METRIC_BUCKETS] = {0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02,
                                                         0.03,   0.05,  0.1,   0.2,   0.5,   1,      2,    5};
static const double texts_bounds[SV_METRIC_BUCKETS] = {1,   2,   4,    8,    16,   32,   64,    128,
                                                       256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

void sv_server_metrics_init(sv_server_metrics *metrics) {
    *metrics = (sv_server_metrics){0};
    pthread_mutex_init(&metrics->lock, NULL);
}

void sv_server_metrics_release(sv_server_metrics *metrics) {
    pthread_mutex_destroy(&metrics->lock);
}

/* The number of the bucket; SV_METRIC_BUCKETS: over the last bound. */
static size_t observe(sv_histogram *histogram, const double *bounds, double value) {
    size_t i = 0;
    while (i < SV_METRIC_BUCKETS && value > bounds[i])
        i++;
    if (i < SV_METRIC_BUCKETS)
        histogram->buckets[i]++;
    histogram->count++;
    histogram->sum += value;
    return i;
}

/* The whole time of a request; of one that is traced it becomes its bucket's exemplar. A trace that the caller doesn't record
 * would lead nowhere. */
static void observe_request(sv_server_metrics *metrics, const sv_trace_context *trace, double seconds) {
    sv_exemplar *exemplar = &metrics->exemplars[observe(&metrics->request_seconds, seconds_bounds, seconds)];
    if (!sv_trace_context_is_recorded(trace))
        return;
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    memcpy(exemplar->trace_id, trace->trace_id, sizeof exemplar->trace_id);
    exemplar->value = seconds;
    exemplar->time = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
}

static size_t status_index(unsigned status) {
    size_t i = 0;
    while (i + 1 < SV_METRIC_STATUSES && statuses[i] != status)
        i++;
    return i;
}

void sv_server_metrics_count(const struct sv_exchange *exchange, bool taken, uint64_t now) {
    sv_server_metrics *metrics = &exchange->server->metrics;
    size_t route = exchange->route ? (size_t)(exchange->route - sv_routes) : SV_METRIC_ROUTES - 1;
    const sv_request *request = &exchange->request;
    pthread_mutex_lock(&metrics->lock);
    if (exchange->status)
        metrics->requests[route][status_index(exchange->status)]++;
    metrics->aborted += !taken;
    metrics->received_bytes += exchange->received;
    metrics->sent_bytes += exchange->sent;
    if (request->finished_ns && request->status == SENVEC_OK) {
        observe_request(metrics, &exchange->trace, (double)(now - exchange->begin_ns) / 1e9);
        observe(&metrics->queue_seconds[request->job.class], seconds_bounds, (double)request->queue_ns / 1e9);
        observe(&metrics->compute_seconds, seconds_bounds, (double)request->compute_ns / 1e9);
        observe(&metrics->request_texts, texts_bounds, (double)request->count);
    }
    pthread_mutex_unlock(&metrics->lock);
}

/* ------------------------------------------------------------------- text */

typedef struct page {
    sv_bytes *out;
    bool openmetrics;
} page;

/* `name` is the one that the samples have. */
static void head(const page *to, const char *name, const char *type, const char *help) {
    size_t length = strlen(name), end = strlen("_total");
    if (to->openmetrics && strcmp(type, "counter") == 0 && length > end)
        length -= end;
    sv_bytes_print(to->out, "# HELP senvec_%.*s %s\n# TYPE senvec_%.*s %s\n", (int)length, name, help, (int)length, name, type);
}

/* The upper bound of a bucket, and what stands before it. OpenMetrics wants to see that it is a float. */
static void write_bound(const page *to, const char *name, const char *label, double bound) {
    char text[32];
    snprintf(text, sizeof text, "%g", bound);
    const char *end = to->openmetrics && !strpbrk(text, ".e") ? ".0" : "";
    sv_bytes_print(to->out, "senvec_%s_bucket{%s%sle=\"%s%s\"}", name, label, *label ? "," : "", text, end);
}

static void end_bucket(const page *to, uint64_t count, const sv_exemplar *exemplar) {
    sv_bytes_print(to->out, " %llu", (unsigned long long)count);
    if (to->openmetrics && exemplar && exemplar->trace_id[0])
        sv_bytes_print(to->out, " # {trace_id=\"%s\"} %.9g %.3f", exemplar->trace_id, exemplar->value, exemplar->time);
    sv_bytes_text(to->out, "\n");
}

static void value(const page *to, const char *name, const char *type, const char *help, double number) {
    head(to, name, type, help);
    sv_bytes_print(to->out, "senvec_%s %.17g\n", name, number);
}

/* The lines of a histogram; `label` is one of its own, "name=\"value\"", or empty. `exemplars` has one more than there are
 * buckets; NULL: none. */
static void write_series(const page *to, const char *name, const char *label, const sv_histogram *histogram,
                         const double *bounds, const sv_exemplar *exemplars) {
    uint64_t below = 0;
    const char *joint = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
    for (size_t i = 0; i < SV_METRIC_BUCKETS; i++) {
        below += histogram->buckets[i];
        write_bound(to, name, label, bounds[i]);
        end_bucket(to, below, exemplars ? &exemplars[i] : NULL);
    }
    sv_bytes_print(to->out, "senvec_%s_bucket{%s%sle=\"+Inf\"}", name, label, joint);
    end_bucket(to, histogram->count, exemplars ? &exemplars[SV_METRIC_BUCKETS] : NULL);
    sv_bytes_print(to->out, "senvec_%s_sum%s%s%s %.9g\nsenvec_%s_count%s%s%s %llu\n", name, open, label, close, histogram->sum,
                   name, open, label, close, (unsigned long long)histogram->count);
}

static void write_histogram(const page *to, const char *name, const char *help, const sv_histogram *histogram,
                            const double *bounds, const sv_exemplar *exemplars) {
    head(to, name, "histogram", help);
    write_series(to, name, "", histogram, bounds, exemplars);
}

static void write_requests(const page *to, const sv_server_metrics *metrics) {
    head(to, "http_requests_total", "counter", "Answered HTTP requests by route and status.");
    for (size_t route = 0; route < SV_METRIC_ROUTES; route++)
        for (size_t i = 0; i < SV_METRIC_STATUSES; i++)
            if (metrics->requests[route][i])
                sv_bytes_print(to->out, "senvec_http_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %llu\n",
                               route < SV_METRIC_ROUTES - 1 ? sv_routes[route].method : "",
                               route < SV_METRIC_ROUTES - 1 ? sv_routes[route].path : "other", statuses[i],
                               (unsigned long long)metrics->requests[route][i]);
    value(to, "http_aborted_total", "counter", "Requests whose answer was not taken by the client.", (double)metrics->aborted);
    value(to, "http_received_bytes_total", "counter", "Bytes of request bodies.", (double)metrics->received_bytes);
    value(to, "http_sent_bytes_total", "counter", "Bytes of answers' bodies.", (double)metrics->sent_bytes);
    write_histogram(to, "request_seconds", "Embedded requests, from their headers to the end of the answer.",
                    &metrics->request_seconds, seconds_bounds, metrics->exemplars);
    head(to, "queue_seconds", "histogram", "Embedded requests: wait in the queue, by class.");
    for (sv_class class = 0; class < SV_CLASSES; class ++) {
        char label[32];
        snprintf(label, sizeof label, "class=\"%s\"", sv_class_names[class]);
        write_series(to, "queue_seconds", label, &metrics->queue_seconds[class], seconds_bounds, NULL);
    }
    write_histogram(to, "compute_seconds", "Embedded requests: from their first batch to the end of their last.",
                    &metrics->compute_seconds, seconds_bounds, NULL);
    write_histogram(to, "request_texts", "Embedded requests: texts in each.", &metrics->request_texts, texts_bounds, NULL);
}

static const struct {
    sv_admission why;
    const char *reason;
} refusals[] = {{SV_REFUSED_WAIT, "wait"},         {SV_REFUSED_REQUESTS, "requests"}, {SV_REFUSED_TEXTS, "texts"},
                {SV_REFUSED_DEADLINE, "deadline"}, {SV_REFUSED_SIZE, "size"},         {SV_REFUSED_CLOSING, "closing"}};

static void write_batcher(const page *to, const sv_batcher_stats *stats, uint64_t refused_memory) {
    const sv_queue_counts *queue = &stats->queue;
    value(to, "accepted_total", "counter", "Requests that the queue took; accepted = answered + cancelled + in flight.",
          (double)queue->admitted);
    value(to, "answered_total", "counter", "Accepted requests that got their vectors.", (double)queue->answered);
    head(to, "cancelled_total", "counter", "Accepted requests that ended without vectors.");
    sv_bytes_print(to->out, "senvec_cancelled_total{reason=\"left\"} %llu\nsenvec_cancelled_total{reason=\"deadline\"} %llu\n",
                   (unsigned long long)queue->cancelled, (unsigned long long)queue->expired);
    head(to, "refused_total", "counter", "Requests that were refused before any work.");
    sv_bytes_print(to->out, "senvec_refused_total{reason=\"memory\"} %llu\n", (unsigned long long)refused_memory);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        sv_admission why = refusals[i].why;
        sv_bytes_print(to->out, "senvec_refused_total{reason=\"%s\"} %llu\n", refusals[i].reason,
                       (unsigned long long)(why == SV_REFUSED_CLOSING ? stats->refused_closing : queue->refused[why]));
    }
    value(to, "in_flight_requests", "gauge", "Accepted requests that have not ended.", (double)queue->jobs);
    head(to, "queue_requests", "gauge", "Requests with texts that no batch has taken yet, by class.");
    for (sv_class class = 0; class < SV_CLASSES; class ++)
        sv_bytes_print(to->out, "senvec_queue_requests{class=\"%s\"} %zu\n", sv_class_names[class], queue->waiting_jobs[class]);
    value(to, "queue_texts", "gauge", "Texts that no batch has taken yet.", (double)queue->texts);
    value(to, "queue_wait_seconds", "gauge", "Predicted wait of an interactive request that came now.",
          (double)stats->wait_ns / 1e9);
    value(to, "queue_clients", "gauge", "Clients with accepted requests.", (double)queue->clients);
    value(to, "running_batches", "gauge", "Batches that are being computed.", (double)queue->running);
    value(to, "batches_total", "counter", "Batches that were computed.", (double)queue->batches);
    value(to, "batch_texts_total", "counter", "Texts in those batches.", (double)queue->batch_texts);
    value(to, "batch_seconds_total", "counter", "Time that batches took, of all sessions.", (double)stats->compute_ns / 1e9);
    value(to, "sessions", "gauge", "Batches that can run at a time.", (double)stats->sessions);
    value(to, "texts_total", "counter", "Texts of accepted requests.", (double)stats->texts);
    value(to, "tokens_total", "counter", "Tokens of accepted requests.", (double)stats->tokens);
    value(to, "truncated_texts_total", "counter", "Texts that were cut to the model's length.", (double)stats->truncated);
    value(to, "batch_cost_fixed_seconds", "gauge", "Cost model: a batch, however small.", queue->cost.fixed_ns / 1e9);
    value(to, "batch_cost_token_seconds", "gauge", "Cost model: each token of a batch.", queue->cost.per_work_ns / 1e9);
    value(to, "late_seconds", "gauge", "99th percentile of how much later than predicted interactive requests are complete.",
          queue->late_ns / 1e9);
}

static void write_cache(const page *to, const sv_result_cache_stats *cache) {
    head(to, "cache_texts_total", "counter", "Texts that were looked up in the cache, by what was found.");
    sv_bytes_print(to->out,
                   "senvec_cache_texts_total{result=\"hit\"} %llu\nsenvec_cache_texts_total{result=\"joined\"} %llu\n"
                   "senvec_cache_texts_total{result=\"miss\"} %llu\n",
                   (unsigned long long)cache->hits, (unsigned long long)cache->joined, (unsigned long long)cache->misses);
    uint64_t found = cache->hits + cache->joined, all = found + cache->misses;
    value(to, "cache_hit_ratio", "gauge", "Part of those texts that needn't be computed, since the start.",
          all ? (double)found / (double)all : 0);
    value(to, "cache_evicted_total", "counter", "Texts that had to leave the cache.", (double)cache->evicted);
    value(to, "cache_entries", "gauge", "Texts in the cache.", (double)cache->entries);
    value(to, "cache_bytes", "gauge", "Memory of the cache in use, of cache_limit_bytes.", (double)cache->bytes);
    value(to, "cache_limit_bytes", "gauge", "Memory that the cache may use (--cache).", (double)cache->most_bytes);
}

static void write_traces(const page *to, const sv_trace_counts *traces) {
    head(to, "traced_requests_total", "counter", "Traced requests (--otlp), by what became of their spans.");
    sv_bytes_print(to->out,
                   "senvec_traced_requests_total{result=\"sent\"} %llu\nsenvec_traced_requests_total{result=\"full\"} %llu\n"
                   "senvec_traced_requests_total{result=\"refused\"} %llu\n",
                   (unsigned long long)traces->sent, (unsigned long long)traces->full, (unsigned long long)traces->refused);
}

/* Each metric has a line for each model. */
static void write_models(const page *to, struct sv_server *server) {
    static const struct {
        const char *name, *type, *help;
    } metrics[] = {
        {"model_loaded", "gauge", "1: the model is in memory."},
        {"model_requests_total", "counter", "Requests that a model answered."},
        {"model_texts_total", "counter", "Texts of those."},
        {"model_loads_total", "counter", "Times that a model was opened."},
        {"model_unloads_total", "counter", "Times that a model was let go (--idle-unload)."},
        {"model_memory_bytes", "gauge", "Memory and mapped files of a model that is in memory."},
    };
    sv_served_list *list = &server->served;
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        head(to, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < list->count; i++) {
            const sv_served *served = &list->items[i];
            pthread_mutex_lock(&list->lock);
            bool loaded = served->model != NULL;
            const uint64_t values[] = {loaded,          served->requests,
                                       served->texts,   served->loads,
                                       served->unloads, loaded ? served->info.memory_bytes + served->info.mapped_bytes : 0};
            pthread_mutex_unlock(&list->lock);
            sv_bytes_print(to->out, "senvec_%s{model=", metrics[m].name);
            sv_bytes_string(to->out, served->names.items[0], strlen(served->names.items[0]));
            sv_bytes_print(to->out, "} %llu\n", (unsigned long long)values[m]);
        }
    }
}

/* Resident bytes of the process; 0: unknown. */
static double resident_bytes(void) {
    unsigned long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void write_info(const page *to, const struct sv_server *server) {
    if (to->openmetrics) /* whose family has no name but the prefix, since "_info" belongs to the sample */
        sv_bytes_text(to->out, "# HELP senvec What runs here.\n# TYPE senvec info\n");
    else
        head(to, "info", "gauge", "What runs here.");
    sv_bytes_print(to->out, "senvec_info{version=\"%s\",tier=\"%s\",policy=\"%s\"} 1\n", senvec_version(),
                   server->served.items[0].info.tier, sv_policy_names[server->options.batcher.policy]);
}

void sv_server_metrics_write(struct sv_server *server, bool openmetrics, sv_bytes *out) {
    const page written = {out, openmetrics}, *to = &written;
    sv_batcher_stats stats;
    sv_batcher_read_stats(server->batcher, &stats);
    write_info(to, server);
    pthread_mutex_lock(&server->metrics.lock);
    write_requests(to, &server->metrics);
    pthread_mutex_unlock(&server->metrics.lock);
    write_batcher(to, &stats, atomic_load(&server->refused_memory));
    write_cache(to, &stats.cache);
    write_models(to, server);
    pthread_mutex_lock(&server->links.lock);
    size_t connections = server->links.count;
    uint64_t timed_out = server->links.timed_out, displaced = server->links.displaced;
    pthread_mutex_unlock(&server->links.lock);
    value(to, "connections", "gauge", "Open connections.", (double)connections);
    value(to, "connections_timed_out_total", "counter", "Connections closed for being idle or slow.", (double)timed_out);
    value(to, "connections_displaced_total", "counter", "Connections closed to give their places to others.",
          (double)displaced);
    value(to, "log_lines_lost_total", "counter", "Lines for which the access log had no room, or that failed.",
          (double)atomic_load(&server->log_lines_lost));
    const sv_trace_counts traces = sv_trace_export_count(server->traces);
    write_traces(to, &traces);
    value(to, "request_memory_bytes", "gauge", "Memory reserved by requests, of --max-memory.",
          (double)sv_request_memory_used(&server->memory));
    value(to, "resident_memory_bytes", "gauge", "Resident memory of the process.", resident_bytes());
    value(to, "uptime_seconds", "gauge", "Since the server was opened.", (double)(sv_clock_ns() - server->opened_ns) / 1e9);
    if (openmetrics)
        sv_bytes_text(out, "# EOF\n");
}
