/* Counting under one lock: a few additions a request. */
#include "server/server_metrics.h"

#include <stdio.h>
#include <string.h>
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

static void observe(sv_histogram *histogram, const double *bounds, double value) {
    size_t i = 0;
    while (i < SV_METRIC_BUCKETS && value > bounds[i])
        i++;
    if (i < SV_METRIC_BUCKETS)
        histogram->buckets[i]++;
    histogram->count++;
    histogram->sum += value;
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
        observe(&metrics->request_seconds, seconds_bounds, (double)(now - exchange->begin_ns) / 1e9);
        observe(&metrics->queue_seconds[request->job.class], seconds_bounds, (double)request->queue_ns / 1e9);
        observe(&metrics->compute_seconds, seconds_bounds, (double)request->compute_ns / 1e9);
        observe(&metrics->request_texts, texts_bounds, (double)request->count);
    }
    pthread_mutex_unlock(&metrics->lock);
}

/* ------------------------------------------------------------------- text */

static void head(sv_bytes *out, const char *name, const char *type, const char *help) {
    sv_bytes_print(out, "# HELP senvec_%s %s\n# TYPE senvec_%s %s\n", name, help, name, type);
}

static void value(sv_bytes *out, const char *name, const char *type, const char *help, double number) {
    head(out, name, type, help);
    sv_bytes_print(out, "senvec_%s %.17g\n", name, number);
}

/* The lines of a histogram; `label` is one of its own, "name=\"value\"", or empty. */
static void write_series(sv_bytes *out, const char *name, const char *label, const sv_histogram *histogram,
                         const double *bounds) {
    uint64_t below = 0;
    const char *joint = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
    for (size_t i = 0; i < SV_METRIC_BUCKETS; i++) {
        below += histogram->buckets[i];
        sv_bytes_print(out, "senvec_%s_bucket{%s%sle=\"%g\"} %llu\n", name, label, joint, bounds[i], (unsigned long long)below);
    }
    sv_bytes_print(out, "senvec_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, joint, (unsigned long long)histogram->count);
    sv_bytes_print(out, "senvec_%s_sum%s%s%s %.9g\nsenvec_%s_count%s%s%s %llu\n", name, open, label, close, histogram->sum,
                   name, open, label, close, (unsigned long long)histogram->count);
}

static void write_histogram(sv_bytes *out, const char *name, const char *help, const sv_histogram *histogram,
                            const double *bounds) {
    head(out, name, "histogram", help);
    write_series(out, name, "", histogram, bounds);
}

static void write_requests(sv_bytes *out, const sv_server_metrics *metrics) {
    head(out, "http_requests_total", "counter", "Answered HTTP requests by route and status.");
    for (size_t route = 0; route < SV_METRIC_ROUTES; route++)
        for (size_t i = 0; i < SV_METRIC_STATUSES; i++)
            if (metrics->requests[route][i])
                sv_bytes_print(out, "senvec_http_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %llu\n",
                               route < SV_METRIC_ROUTES - 1 ? sv_routes[route].method : "",
                               route < SV_METRIC_ROUTES - 1 ? sv_routes[route].path : "other", statuses[i],
                               (unsigned long long)metrics->requests[route][i]);
    value(out, "http_aborted_total", "counter", "Requests whose answer was not taken by the client.", (double)metrics->aborted);
    value(out, "http_received_bytes_total", "counter", "Bytes of request bodies.", (double)metrics->received_bytes);
    value(out, "http_sent_bytes_total", "counter", "Bytes of answers' bodies.", (double)metrics->sent_bytes);
    write_histogram(out, "request_seconds", "Embedded requests, from their headers to the end of the answer.",
                    &metrics->request_seconds, seconds_bounds);
    head(out, "queue_seconds", "histogram", "Embedded requests: wait in the queue, by class.");
    for (sv_class class = 0; class < SV_CLASSES; class ++) {
        char label[32];
        snprintf(label, sizeof label, "class=\"%s\"", sv_class_names[class]);
        write_series(out, "queue_seconds", label, &metrics->queue_seconds[class], seconds_bounds);
    }
    write_histogram(out, "compute_seconds", "Embedded requests: from their first batch to the end of their last.",
                    &metrics->compute_seconds, seconds_bounds);
    write_histogram(out, "request_texts", "Embedded requests: texts in each.", &metrics->request_texts, texts_bounds);
}

static const struct {
    sv_admission why;
    const char *reason;
} refusals[] = {{SV_REFUSED_WAIT, "wait"},         {SV_REFUSED_REQUESTS, "requests"}, {SV_REFUSED_TEXTS, "texts"},
                {SV_REFUSED_DEADLINE, "deadline"}, {SV_REFUSED_SIZE, "size"},         {SV_REFUSED_CLOSING, "closing"}};

static void write_batcher(sv_bytes *out, const sv_batcher_stats *stats, uint64_t refused_memory) {
    const sv_queue_counts *queue = &stats->queue;
    value(out, "accepted_total", "counter", "Requests that the queue took; accepted = answered + cancelled + in flight.",
          (double)queue->admitted);
    value(out, "answered_total", "counter", "Accepted requests that got their vectors.", (double)queue->answered);
    head(out, "cancelled_total", "counter", "Accepted requests that ended without vectors.");
    sv_bytes_print(out, "senvec_cancelled_total{reason=\"left\"} %llu\nsenvec_cancelled_total{reason=\"deadline\"} %llu\n",
                   (unsigned long long)queue->cancelled, (unsigned long long)queue->expired);
    head(out, "refused_total", "counter", "Requests that were refused before any work.");
    sv_bytes_print(out, "senvec_refused_total{reason=\"memory\"} %llu\n", (unsigned long long)refused_memory);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        sv_admission why = refusals[i].why;
        sv_bytes_print(out, "senvec_refused_total{reason=\"%s\"} %llu\n", refusals[i].reason,
                       (unsigned long long)(why == SV_REFUSED_CLOSING ? stats->refused_closing : queue->refused[why]));
    }
    value(out, "in_flight_requests", "gauge", "Accepted requests that have not ended.", (double)queue->jobs);
    head(out, "queue_requests", "gauge", "Requests with texts that no batch has taken yet, by class.");
    for (sv_class class = 0; class < SV_CLASSES; class ++)
        sv_bytes_print(out, "senvec_queue_requests{class=\"%s\"} %zu\n", sv_class_names[class], queue->waiting_jobs[class]);
    value(out, "queue_texts", "gauge", "Texts that no batch has taken yet.", (double)queue->texts);
    value(out, "queue_wait_seconds", "gauge", "Predicted wait of an interactive request that came now.",
          (double)stats->wait_ns / 1e9);
    value(out, "queue_clients", "gauge", "Clients with accepted requests.", (double)queue->clients);
    value(out, "running_batches", "gauge", "Batches that are being computed.", (double)queue->running);
    value(out, "batches_total", "counter", "Batches that were computed.", (double)queue->batches);
    value(out, "batch_texts_total", "counter", "Texts in those batches.", (double)queue->batch_texts);
    value(out, "compute_seconds_total", "counter", "Time that sessions spent computing.", (double)stats->compute_ns / 1e9);
    value(out, "sessions", "gauge", "Batches that can run at a time.", (double)stats->sessions);
    value(out, "texts_total", "counter", "Texts of accepted requests.", (double)stats->texts);
    value(out, "tokens_total", "counter", "Tokens of accepted requests.", (double)stats->tokens);
    value(out, "truncated_texts_total", "counter", "Texts that were cut to the model's length.", (double)stats->truncated);
    value(out, "batch_cost_fixed_seconds", "gauge", "Cost model: a batch, however small.", queue->cost.fixed_ns / 1e9);
    value(out, "batch_cost_token_seconds", "gauge", "Cost model: each token of a batch.", queue->cost.per_work_ns / 1e9);
    value(out, "late_seconds", "gauge", "99th percentile of how much later than predicted interactive requests are complete.",
          queue->late_ns / 1e9);
}

static void write_cache(sv_bytes *out, const sv_result_cache_stats *cache) {
    head(out, "cache_texts_total", "counter", "Texts that were looked up in the cache, by what was found.");
    sv_bytes_print(out,
                   "senvec_cache_texts_total{result=\"hit\"} %llu\nsenvec_cache_texts_total{result=\"joined\"} %llu\n"
                   "senvec_cache_texts_total{result=\"miss\"} %llu\n",
                   (unsigned long long)cache->hits, (unsigned long long)cache->joined, (unsigned long long)cache->misses);
    uint64_t found = cache->hits + cache->joined, all = found + cache->misses;
    value(out, "cache_hit_ratio", "gauge", "Part of those texts that needn't be computed, since the start.",
          all ? (double)found / (double)all : 0);
    value(out, "cache_evicted_total", "counter", "Texts that had to leave the cache.", (double)cache->evicted);
    value(out, "cache_entries", "gauge", "Texts in the cache.", (double)cache->entries);
    value(out, "cache_bytes", "gauge", "Memory of the cache in use, of cache_limit_bytes.", (double)cache->bytes);
    value(out, "cache_limit_bytes", "gauge", "Memory that the cache may use (--cache).", (double)cache->most_bytes);
}

/* Each metric has a line for each model. */
static void write_models(sv_bytes *out, struct sv_server *server) {
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
        head(out, metrics[m].name, metrics[m].type, metrics[m].help);
        for (size_t i = 0; i < list->count; i++) {
            const sv_served *served = &list->items[i];
            pthread_mutex_lock(&list->lock);
            bool loaded = served->model != NULL;
            const uint64_t values[] = {loaded,          served->requests,
                                       served->texts,   served->loads,
                                       served->unloads, loaded ? served->info.memory_bytes + served->info.mapped_bytes : 0};
            pthread_mutex_unlock(&list->lock);
            sv_bytes_print(out, "senvec_%s{model=", metrics[m].name);
            sv_bytes_string(out, served->names.items[0], strlen(served->names.items[0]));
            sv_bytes_print(out, "} %llu\n", (unsigned long long)values[m]);
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

void sv_server_metrics_write(struct sv_server *server, sv_bytes *out) {
    sv_batcher_stats stats;
    sv_batcher_read_stats(server->batcher, &stats);
    head(out, "info", "gauge", "What runs here.");
    sv_bytes_print(out, "senvec_info{version=\"%s\",tier=\"%s\",policy=\"%s\"} 1\n", senvec_version(),
                   server->served.items[0].info.tier, sv_policy_names[server->options.batcher.policy]);
    pthread_mutex_lock(&server->metrics.lock);
    write_requests(out, &server->metrics);
    pthread_mutex_unlock(&server->metrics.lock);
    write_batcher(out, &stats, atomic_load(&server->refused_memory));
    write_cache(out, &stats.cache);
    write_models(out, server);
    pthread_mutex_lock(&server->links.lock);
    size_t connections = server->links.count;
    uint64_t timed_out = server->links.timed_out, displaced = server->links.displaced;
    pthread_mutex_unlock(&server->links.lock);
    value(out, "connections", "gauge", "Open connections.", (double)connections);
    value(out, "connections_timed_out_total", "counter", "Connections closed for being idle or slow.", (double)timed_out);
    value(out, "connections_displaced_total", "counter", "Connections closed to give their places to others.",
          (double)displaced);
    value(out, "log_lines_lost_total", "counter", "Lines for which the access log had no room, or that failed.",
          (double)atomic_load(&server->log_lines_lost));
    value(out, "request_memory_bytes", "gauge", "Memory reserved by requests, of --max-memory.",
          (double)sv_request_memory_used(&server->memory));
    value(out, "resident_memory_bytes", "gauge", "Resident memory of the process.", resident_bytes());
    value(out, "uptime_seconds", "gauge", "Since the server was opened.", (double)(sv_clock_ns() - server->opened_ns) / 1e9);
}
