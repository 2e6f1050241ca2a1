/* The tables. The first columns of benchmark_results.csv and cost_analysis.csv have the names of the study that senvec repeats,
 * so that its readers' scripts work; ours follow. A number that doesn't exist is an empty field. RFC 4180 with "\n".
 *
 * MB are 2^20 bytes, as in the original. "req/s" counts texts. */
#include "results/results.h"

#include <math.h>
#include <string.h>

#include "common/file.h"
#include "results/cost.h"

/* One field; the first of a line has no comma. Quoted where it must be. */
static void put_text(FILE *file, const char *text, bool first) {
    if (!first)
        fputc(',', file);
    if (!text[strcspn(text, ",\"\n\r")]) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

/* `decimals` digits after the point. */
static void put_number(FILE *file, double value, int decimals) {
    fputc(',', file);
    if (isfinite(value))
        fprintf(file, "%.*f", decimals, value);
}

static void put_integer(FILE *file, uint64_t value) {
    fprintf(file, ",%llu", (unsigned long long)value);
}

static double get_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double megabytes(uint64_t bytes) {
    return bytes ? (double)bytes / 1048576.0 : NAN;
}

typedef senvec_status table_fn(const sv_results *results, FILE *file, senvec_error *err);

static senvec_status benchmark_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("Configuration,p50 (ms),p95 (ms),p99 (ms),Throughput (req/s),Peak Memory (MB),"
          "p99.9 (ms),Mean (ms),Min (ms),Max (ms),Timed Calls,Batch Size,p50 per Text (ms),p50 Low (ms),p50 High (ms),"
          "Throughput Low (req/s),Throughput High (req/s),Tokens/s,Block Spread (%),"
          "Speedup,Speedup Low,Speedup High,Speedup Same Batch,Speedup Same Batch Low,Speedup Same Batch High,"
          "GMAC/s,Peak (%),Cosine Mean,Cosine Min,Model Size (MB),Load Time (s),Runtime,Precision,Threads,State,Reason\n",
          file);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures f;
        SENVEC_TRY(sv_row_figures_compute(results, row, &f, err));
        put_text(file, row->name, true);
        put_number(file, f.latency.p50, 4);
        put_number(file, f.latency.p95, 4);
        put_number(file, f.latency.p99, 4);
        put_number(file, f.texts_per_s.value, 2);
        put_number(file, megabytes(row->peak_rss_bytes), 1);
        put_number(file, f.latency.p999, 4);
        put_number(file, f.latency.mean, 4);
        put_number(file, f.latency.min, 4);
        put_number(file, f.latency.max, 4);
        put_integer(file, f.latency.count);
        put_integer(file, row->batch);
        put_number(file, f.latency.p50 / (double)row->batch, 5);
        put_number(file, f.p50.low, 4);
        put_number(file, f.p50.high, 4);
        put_number(file, f.texts_per_s.low, 2);
        put_number(file, f.texts_per_s.high, 2);
        put_number(file, f.tokens_per_s, 1);
        put_number(file, 100 * f.spread, 2);
        put_number(file, f.speedup.value, 3);
        put_number(file, f.speedup.low, 3);
        put_number(file, f.speedup.high, 3);
        put_number(file, f.speedup_same_batch.value, 3);
        put_number(file, f.speedup_same_batch.low, 3);
        put_number(file, f.speedup_same_batch.high, 3);
        put_number(file, f.gmacs, 2);
        put_number(file, f.peak_percent, 1);
        put_number(file, f.cosine[SV_VALIDATION_CORPUS].mean, 8);
        put_number(file, f.cosine[SV_VALIDATION_CORPUS].min, 8);
        put_number(file, megabytes(row->model_bytes), 2);
        put_number(file, row->load_seconds > 0 ? row->load_seconds : NAN, 3);
        put_text(file, row->runtime, false);
        put_text(file, row->precision, false);
        put_integer(file, results->threads);
        put_text(file, sv_row_state_text(row->state), false);
        put_text(file, row->reason, false);
        fputc('\n', file);
    }
    return SENVEC_OK;
}

static senvec_status cost_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("Configuration,Throughput (req/s),Requests/Hour,Cost per 1K requests ($),"
          "Cost per 1M requests ($),Cost per 1M Low ($),Cost per 1M High ($),Saving (%),Price per Hour ($)\n",
          file);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures f;
        SENVEC_TRY(sv_row_figures_compute(results, row, &f, err));
        put_text(file, row->name, true);
        put_number(file, f.texts_per_s.value, 2);
        put_number(file, f.texts_per_s.value * 3600, 0);
        put_number(file, f.usd_per_1k, 10);
        put_number(file, f.usd_per_1m, 7);
        /* Cheap is fast: the interval turns over. */
        put_number(file, f.usd_per_1m * f.texts_per_s.value / f.texts_per_s.high, 7);
        put_number(file, f.usd_per_1m * f.texts_per_s.value / f.texts_per_s.low, 7);
        put_number(file, 100 * f.saving, 2);
        put_number(file, results->price_per_hour, 4);
        fputc('\n', file);
    }
    return SENVEC_OK;
}

static senvec_status validation_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("Configuration,Texts From,Reference,Texts,Cosine Mean,Cosine Min,Cosine p1,Pairwise Error Max,Pairwise Error Mean,"
          "Top-10 Neighbours Found (%),STS Spearman\n",
          file);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures f;
        SENVEC_TRY(sv_row_figures_compute(results, row, &f, err));
        for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++) {
            const sv_validation *validation = &row->validation[set];
            bool compared = validation->count;
            put_text(file, row->name, true);
            put_text(file, sv_validation_set_name(set), false);
            put_text(file, results->reference, false);
            put_integer(file, validation->count);
            put_number(file, f.cosine[set].mean, 8);
            put_number(file, f.cosine[set].min, 8);
            put_number(file, f.cosine[set].p1, 8);
            put_number(file, compared ? validation->pairwise_error_max : NAN, 7);
            put_number(file, compared ? validation->pairwise_error_mean : NAN, 7);
            put_number(file, compared ? 100 * validation->neighbours : NAN, 2);
            put_number(file, row->sts_spearman, 5);
            fputc('\n', file);
        }
    }
    return SENVEC_OK;
}

/* A line a text, a column a configuration. */
static senvec_status validation_texts_table(const sv_results *results, FILE *file, senvec_error *err) {
    (void)err;
    fputs("Texts From,Text Index,Text", file);
    for (size_t i = 0; i < results->row_count; i++)
        put_text(file, results->rows[i].name, false);
    fputc('\n', file);
    for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++)
        for (size_t t = 0; t < results->validation[set].count; t++) {
            fprintf(file, "%s,%zu", sv_validation_set_name(set), t);
            put_text(file, results->validation[set].texts[t], false);
            for (size_t i = 0; i < results->row_count; i++) {
                const sv_validation *validation = &results->rows[i].validation[set];
                put_number(file, t < validation->count ? validation->cosines[t] : NAN, 8);
            }
            fputc('\n', file);
        }
    return SENVEC_OK;
}

/* The first three columns are the original's. */
static senvec_status sweep_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("batch_size,total_time_s,throughput_rps,Configuration,Throughput Low (req/s),Throughput High (req/s),Embedded "
          "Texts,Calls,"
          "ms per Call,ms per Text\n",
          file);
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_series *series = &results->series[i];
        sv_series_figures f;
        char name[64];
        if (series->kind != SV_SERIES_SWEEP || !series->measured.block_count)
            continue;
        SENVEC_TRY(sv_measurement_figures(results, &results->rows[series->row], &series->measured, &f, err));
        fprintf(file, "%zu", series->batch);
        put_number(file, f.seconds, 9);
        put_number(file, f.texts_per_s.value, 2);
        snprintf(name, sizeof name, "%s", results->rows[series->row].name);
        name[strcspn(name, "(")] = '\0'; /* "PyTorch (batch=32)": the batch is in its own column */
        for (size_t end = strlen(name); end && name[end - 1] == ' '; end--)
            name[end - 1] = '\0';
        put_text(file, name, false);
        put_number(file, f.texts_per_s.low, 2);
        put_number(file, f.texts_per_s.high, 2);
        put_number(file, f.texts, 0);
        put_number(file, f.calls, 0);
        put_number(file, 1e3 * f.seconds / f.calls, 4);
        put_number(file, 1e3 * f.seconds / f.texts, 5);
        fputc('\n', file);
    }
    return SENVEC_OK;
}

static senvec_status lengths_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("Configuration,Texts,Tokens per Text,Batch Size,p50 (ms),p95 (ms),p50 Low (ms),p50 High (ms),Timed Calls,"
          "Throughput (req/s),Throughput Low (req/s),Throughput High (req/s),Tokens/s\n",
          file);
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_series *series = &results->series[i];
        sv_series_figures f;
        if (series->kind != SV_SERIES_LENGTH)
            continue;
        SENVEC_TRY(sv_measurement_figures(results, &results->rows[series->row], &series->measured, &f, err));
        put_text(file, results->rows[series->row].name, true);
        put_text(file, series->set, false);
        put_number(file, series->tokens_per_text, 1);
        put_integer(file, series->batch);
        put_number(file, f.latency.p50, 4);
        put_number(file, f.latency.p95, 4);
        put_number(file, f.p50.low, 4);
        put_number(file, f.p50.high, 4);
        put_integer(file, f.latency.count);
        put_number(file, f.texts_per_s.value, 2);
        put_number(file, f.texts_per_s.low, 2);
        put_number(file, f.texts_per_s.high, 2);
        put_number(file, f.tokens / f.seconds, 1);
        fputc('\n', file);
    }
    return SENVEC_OK;
}

static senvec_status use_cases_table(const sv_results *results, FILE *file, senvec_error *err) {
    fputs("Configuration,Query p50 (ms),Query p95 (ms),New Listing p50 (ms),New Listing p95 (ms),"
          "Re-index 1M Texts (h),Re-index 1M Texts ($)\n",
          file);
    for (size_t i = 0; i < results->row_count; i++) {
        sv_use_cases cases;
        SENVEC_TRY(sv_row_use_cases(results, &results->rows[i], &cases, err));
        put_text(file, results->rows[i].name, true);
        put_number(file, cases.query_ms, 4);
        put_number(file, cases.query_p95_ms, 4);
        put_number(file, cases.listing_ms, 4);
        put_number(file, cases.listing_p95_ms, 4);
        put_number(file, cases.reindex_hours, 5);
        put_number(file, cases.reindex_usd, 7);
        fputc('\n', file);
    }
    return SENVEC_OK;
}

/* p99 against the offered rate, for each policy; and the mix of lengths, in a line for each length. */
static senvec_status load_table(const sv_results *results, FILE *file, senvec_error *err) {
    (void)err;
    fputs("Policy,Texts,Words,Rate (req/s),Part of Capacity (%),Answered (req/s),p50 (ms),p95 (ms),p99 (ms),p99.9 (ms),"
          "Requests,Answered,Refused,State,Reason\n",
          file);
    size_t i, k;
    const json_t *run, *kind;
    json_array_foreach(json_object_get(results->batching, "runs"), i, run) {
        json_array_foreach(json_object_get(run, "kinds"), k, kind) {
            const json_t *latency = json_object_get(kind, "latency_ms"), *outcomes = json_object_get(run, "outcomes");
            const char *reason = json_string_value(json_array_get(json_object_get(run, "reasons"), 0));
            put_text(file, json_string_value(json_object_get(run, "policy")), true);
            put_text(file, json_string_value(json_object_get(run, "set")), false);
            put_number(file, get_number(kind, "words"), 0);
            put_number(file, get_number(run, "rate"), 2);
            put_number(file, 100 * get_number(run, "part"), 1);
            put_number(file, get_number(run, "answered_per_s"), 2);
            put_number(file, get_number(latency, "p50"), 4);
            put_number(file, get_number(latency, "p95"), 4);
            put_number(file, get_number(latency, "p99"), 4);
            put_number(file, get_number(latency, "p99.9"), 4);
            put_number(file, get_number(kind, "requests"), 0);
            put_number(file, get_number(kind, "answered"), 0);
            put_number(file, get_number(outcomes, "refused"), 0);
            fputs(json_is_true(json_object_get(run, "valid")) ? ",VALID" : ",INVALID", file);
            put_text(file, reason ? reason : "", false);
            fputc('\n', file);
        }
    }
    return SENVEC_OK;
}

static senvec_status write_table(const sv_results *results, const char *directory, const char *name, table_fn *table,
                                 senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_path_join(directory, name, path, err));
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    senvec_status status = table(results, file.stream, err);
    if (status == SENVEC_OK)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    return status;
}

static bool has_series(const sv_results *results, sv_series_kind kind) {
    for (size_t i = 0; i < results->series_count; i++)
        if (results->series[i].kind == kind)
            return true;
    return false;
}

senvec_status sv_results_write_csv(const sv_results *results, const char *directory, senvec_error *err) {
    bool benchmarked = false;
    for (size_t i = 0; i < results->row_count; i++)
        benchmarked = benchmarked || results->rows[i].bench.block_count || results->rows[i].state == SV_ROW_FAILED;
    if (benchmarked) {
        SENVEC_TRY(write_table(results, directory, "benchmark_results.csv", benchmark_table, err));
        SENVEC_TRY(write_table(results, directory, "cost_analysis.csv", cost_table, err));
    }
    if (has_series(results, SV_SERIES_SWEEP))
        SENVEC_TRY(write_table(results, directory, "batch_throughput.csv", sweep_table, err));
    if (has_series(results, SV_SERIES_LENGTH)) {
        SENVEC_TRY(write_table(results, directory, "text_lengths.csv", lengths_table, err));
        SENVEC_TRY(write_table(results, directory, "use_cases.csv", use_cases_table, err));
    }
    if (results->batching)
        SENVEC_TRY(write_table(results, directory, "load_curves.csv", load_table, err));
    if (results->reference[0]) {
        SENVEC_TRY(write_table(results, directory, "validation.csv", validation_table, err));
        SENVEC_TRY(write_table(results, directory, "validation_texts.csv", validation_texts_table, err));
    }
    return SENVEC_OK;
}
