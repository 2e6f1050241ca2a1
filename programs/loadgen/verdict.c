#include "loadgen/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/memory.h"

static bool in_window(const sv_load_log *log, uint64_t at_ns) {
    return at_ns >= log->window_begin_ns && at_ns < log->window_end_ns;
}

static double latency_ms(const sv_load_record *record) {
    return (double)(record->done_ns - record->due_ns) / 1e6;
}

__attribute__((format(printf, 2, 3))) static void add_reason(sv_load_figures *figures, const char *format, ...) {
    if (figures->reason_count == SV_VERDICT_MAX_REASONS)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(figures->reasons[figures->reason_count++], SV_VERDICT_REASON, format, arguments);
    va_end(arguments);
}

uint64_t sv_load_failures(const sv_load_figures *figures) {
    uint64_t failures = 0;
    for (size_t i = SV_LOAD_STATUS; i < SV_LOAD_ABANDONED; i++)
        failures += figures->outcomes[i];
    return failures;
}

static void count(const sv_load_log *log, sv_load_figures *out) {
    uint64_t answers = 0, texts = 0;
    for (size_t i = 0; i < log->count; i++) {
        const sv_load_record *record = &log->records[i];
        bool answered = record->outcome == SV_LOAD_ANSWERED;
        if (answered && in_window(log, record->done_ns)) {
            answers++;
            texts += record->texts;
        }
        if (!in_window(log, record->due_ns))
            continue;
        out->requests++;
        out->outcomes[record->outcome]++;
        if (record->status < sizeof out->statuses / sizeof *out->statuses)
            out->statuses[record->status]++;
        out->kinds[record->kind].requests++;
        out->kinds[record->kind].answered += answered;
    }
    out->seconds = (double)(log->window_end_ns - log->window_begin_ns) / (double)SV_NS_PER_S;
    out->offered_per_s = out->seconds > 0 ? (double)out->requests / out->seconds : 0;
    out->answered_per_s = out->seconds > 0 ? (double)answers / out->seconds : 0;
    out->texts_per_s = out->seconds > 0 ? (double)texts / out->seconds : 0;
    out->all.requests = out->requests;
    out->all.answered = out->outcomes[SV_LOAD_ANSWERED];
    out->held = log->held;
}

/* Which of the window's requests a summary is about. */
typedef bool chosen_fn(const sv_load_log *log, const sv_load_record *record, size_t which);

static bool of_any_kind(const sv_load_log *log, const sv_load_record *record, size_t which) {
    (void)log, (void)which;
    return record->outcome == SV_LOAD_ANSWERED;
}

static bool of_kind(const sv_load_log *log, const sv_load_record *record, size_t which) {
    (void)log;
    return record->outcome == SV_LOAD_ANSWERED && record->kind == which;
}

static bool of_third(const sv_load_log *log, const sv_load_record *record, size_t which) {
    uint64_t third = (log->window_end_ns - log->window_begin_ns) / 3;
    uint64_t begin = log->window_begin_ns + which * third;
    return record->outcome == SV_LOAD_ANSWERED && record->due_ns >= begin && record->due_ns < begin + third;
}

static bool of_sent(const sv_load_log *log, const sv_load_record *record, size_t which) {
    (void)log, (void)which;
    return record->sent_ns != UINT64_MAX;
}

static double lag_ms(const sv_load_record *record) {
    return (double)(record->sent_ns - record->due_ns) / 1e6;
}

/* `samples`: room for all records. */
static senvec_status summarize(const sv_load_log *log, double *samples, chosen_fn *chosen, size_t which,
                               double (*value)(const sv_load_record *), sv_summary *out, senvec_error *err) {
    size_t found = 0;
    for (size_t i = 0; i < log->count; i++)
        if (in_window(log, log->records[i].due_ns) && chosen(log, &log->records[i], which))
            samples[found++] = value(&log->records[i]);
    return sv_summarize(samples, found, out, err);
}

static senvec_status measure(const sv_load_log *log, double *samples, sv_load_figures *out, senvec_error *err) {
    sv_summary first, last, lag;
    SENVEC_TRY(summarize(log, samples, of_any_kind, 0, latency_ms, &out->all.latency_ms, err));
    for (size_t kind = 0; kind < sizeof out->kinds / sizeof *out->kinds; kind++)
        if (out->kinds[kind].requests > 0)
            SENVEC_TRY(summarize(log, samples, of_kind, kind, latency_ms, &out->kinds[kind].latency_ms, err));
    SENVEC_TRY(summarize(log, samples, of_third, 0, latency_ms, &first, err));
    SENVEC_TRY(summarize(log, samples, of_third, 2, latency_ms, &last, err));
    SENVEC_TRY(summarize(log, samples, of_sent, 0, lag_ms, &lag, err));
    out->first_third_ms = first.p50;
    out->last_third_ms = last.p50;
    out->lag_p99_ms = lag.p99;
    out->lag_max_ms = lag.max;
    return SENVEC_OK;
}

static void judge(const sv_load_log *log, size_t samples, sv_load_figures *out) {
    const sv_summary *latency = &out->all.latency_ms;
    if (log->interrupted)
        add_reason(out, "the run was cut short");
    if (log->gave_up)
        add_reason(out, "the latency bound was out of reach, so the run was ended early");
    if (latency->count < samples)
        add_reason(out, "too few samples: %zu answers, %zu are needed for p99", latency->count, samples);
    uint64_t failures = sv_load_failures(out);
    if ((double)failures > SV_LOAD_MOST_FAILED * (double)out->requests)
        add_reason(out, "errors: %llu of %llu requests failed", (unsigned long long)failures,
                   (unsigned long long)out->requests);
    if (out->lag_p99_ms > 1 && !(out->lag_p99_ms <= latency->p99 / 10)) {
        if (out->held > out->requests / 100)
            add_reason(out, "all connections were in use %llu times, so requests were sent up to %.1f ms late",
                       (unsigned long long)out->held, out->lag_max_ms);
        else
            add_reason(out, "the generator fell behind: 1 %% of the requests were sent over %.1f ms late", out->lag_p99_ms);
    }
    if (out->last_third_ms > 2 * out->first_third_ms && out->last_third_ms > out->first_third_ms + 1)
        add_reason(out, "no steady state: median latency went from %.1f to %.1f ms", out->first_third_ms, out->last_third_ms);
    out->valid = out->reason_count == 0;
}

senvec_status sv_load_judge(const sv_load_log *log, size_t samples, sv_load_figures *out, senvec_error *err) {
    *out = (sv_load_figures){0};
    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, log->count, sizeof(double), "samples", &memory, err));
    count(log, out);
    senvec_status status = measure(log, memory, out, err);
    sv_free(&sv_default_allocator, memory, log->count, sizeof(double));
    if (status == SENVEC_OK)
        judge(log, samples, out);
    return status;
}

bool sv_load_sustained(const sv_load_figures *figures, double bound_ms) {
    double refused = (double)figures->outcomes[SV_LOAD_REFUSED];
    return figures->valid && figures->all.latency_ms.p99 <= bound_ms &&
           refused <= SV_LOAD_MOST_FAILED * (double)figures->requests;
}
