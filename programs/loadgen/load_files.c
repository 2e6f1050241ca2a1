#include "loadgen/load_files.h"

#include <math.h>

json_t *sv_load_number_json(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *integer(uint64_t value) {
    return json_integer((json_int_t)value);
}

json_t *sv_load_summary_json(const sv_summary *s) {
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count", (json_int_t)s->count, "mean",
                     sv_load_number_json(s->mean), "min", sv_load_number_json(s->min), "p50", sv_load_number_json(s->p50),
                     "p95", sv_load_number_json(s->p95), "p99", sv_load_number_json(s->p99), "p99.9",
                     sv_load_number_json(s->p999), "max", sv_load_number_json(s->max));
}

static json_t *outcomes_json(const sv_load_figures *figures) {
    json_t *outcomes = json_object();
    for (size_t i = 0; i < SV_LOAD_OUTCOMES; i++)
        if (i != SV_LOAD_PENDING)
            json_object_set_new(outcomes, sv_load_outcome_text(i), integer(figures->outcomes[i]));
    return outcomes;
}

static json_t *statuses_json(const sv_load_figures *figures) {
    json_t *statuses = json_object();
    for (size_t i = 100; i < sizeof figures->statuses / sizeof *figures->statuses; i++)
        if (figures->statuses[i] > 0) {
            char name[8];
            snprintf(name, sizeof name, "%zu", i);
            json_object_set_new(statuses, name, integer(figures->statuses[i]));
        }
    return statuses;
}

static json_t *kinds_json(const sv_load_figures *figures, const sv_workload *workload) {
    json_t *kinds = json_array();
    for (size_t i = 0; i < sv_load_kinds(workload); i++) {
        size_t texts, words;
        sv_load_kind(workload, i, &texts, &words);
        const sv_load_part *part = &figures->kinds[i];
        json_array_append_new(kinds, json_pack("{s:I, s:o, s:I, s:I, s:o}", "texts", (json_int_t)texts, "words",
                                               words ? integer(words) : json_null(), "requests", (json_int_t)part->requests,
                                               "answered", (json_int_t)part->answered, "latency_ms",
                                               sv_load_summary_json(&part->latency_ms)));
    }
    return kinds;
}

json_t *sv_load_figures_json(const sv_load_figures *f, const sv_workload *workload) {
    json_t *reasons = json_array();
    for (size_t i = 0; i < f->reason_count; i++)
        json_array_append_new(reasons, json_string(f->reasons[i]));
    return json_pack("{s:b, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:I}, s:{s:o, s:o}}", "valid",
                     f->valid, "reasons", reasons, "seconds", sv_load_number_json(f->seconds), "requests",
                     (json_int_t)f->requests, "offered_per_s", sv_load_number_json(f->offered_per_s), "answered_per_s",
                     sv_load_number_json(f->answered_per_s), "texts_per_s", sv_load_number_json(f->texts_per_s), "outcomes",
                     outcomes_json(f), "statuses", statuses_json(f), "latency_ms", sv_load_summary_json(&f->all.latency_ms),
                     "kinds", kinds_json(f, workload), "generator", "late_p99_ms", sv_load_number_json(f->lag_p99_ms),
                     "late_max_ms", sv_load_number_json(f->lag_max_ms), "held", (json_int_t)f->held, "steady_state_ms",
                     "first_third", sv_load_number_json(f->first_third_ms), "last_third",
                     sv_load_number_json(f->last_third_ms));
}

void sv_load_csv_header(FILE *file) {
    fputs("Rate (req/s),Offered (req/s),Answered (req/s),Texts/s,p50 (ms),p95 (ms),p99 (ms),p99.9 (ms),Mean (ms),Max (ms),"
          "Requests,Answered,Refused,Failed,Late p99 (ms),State,Reason\n",
          file);
}

/* With a comma in front; empty where there is no figure. */
static void put_number(FILE *file, double value) {
    if (isfinite(value))
        fprintf(file, ",%.3f", value);
    else
        fputc(',', file);
}

void sv_load_csv_line(FILE *file, double rate, const sv_load_figures *f) {
    const sv_summary *latency = &f->all.latency_ms;
    if (rate > 0)
        fprintf(file, "%.3f", rate);
    const double numbers[] = {f->offered_per_s, f->answered_per_s, f->texts_per_s, latency->p50, latency->p95,
                              latency->p99,     latency->p999,     latency->mean,  latency->max};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_number(file, numbers[i]);
    fprintf(file, ",%llu,%llu,%llu,%llu", (unsigned long long)f->requests, (unsigned long long)f->outcomes[SV_LOAD_ANSWERED],
            (unsigned long long)f->outcomes[SV_LOAD_REFUSED], (unsigned long long)sv_load_failures(f));
    put_number(file, f->lag_p99_ms);
    fprintf(file, ",%s,\"", f->valid ? "VALID" : "INVALID"); /* a reason may hold commas, but no quotes */
    for (size_t i = 0; i < f->reason_count; i++)
        fprintf(file, "%s%s", i ? "; " : "", f->reasons[i]);
    fputs("\"\n", file);
}

void sv_load_requests_csv(FILE *file, const sv_load_log *log) {
    fputs("due_s,sent_s,done_s,latency_ms,texts,outcome,status\n", file);
    for (size_t i = 0; i < log->count; i++) {
        const sv_load_record *r = &log->records[i];
        fprintf(file, "%.6f,", (double)r->due_ns / 1e9);
        if (r->sent_ns != UINT64_MAX)
            fprintf(file, "%.6f", (double)r->sent_ns / 1e9);
        fprintf(file, ",%.6f,%.4f,%u,%s,%u\n", (double)r->done_ns / 1e9, (double)(r->done_ns - r->due_ns) / 1e6, r->texts,
                sv_load_outcome_text(r->outcome), r->status);
    }
}
