/* The first columns of benchmark_results.csv, cost_analysis.csv and batch_throughput.csv have the names of the study that
 * senvec repeats, so that its readers' scripts work; ours follow. "req/s" counts texts. The order here is the order of the
 * columns.
 *
 * X(id, section, key, title, kind, decimals, value): `value` is an expression over the source `s`, and f, the figures of its
 * row. */
#include "results/fields.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define BENCHMARK_FIELDS(X)                                                                                                    \
    X(name, "", "name", "Configuration", TEXT, 0, s->row->name)                                                                \
    X(p50, "latency", "p50_ms", "p50 (ms)", NUMBER, 4, f->latency.p50)                                                         \
    X(p95, "latency", "p95_ms", "p95 (ms)", NUMBER, 4, f->latency.p95)                                                         \
    X(p99, "latency", "p99_ms", "p99 (ms)", NUMBER, 4, f->latency.p99)                                                         \
    X(rate, "throughput.texts_per_s", "value", "Throughput (req/s)", NUMBER, 2, f->texts_per_s.value)                          \
    X(rss, "", "peak_rss_bytes", "Peak Memory (MB)", BYTES, 1, (double)s->row->peak_rss_bytes)                                 \
    X(p999, "latency", "p99_9_ms", "p99.9 (ms)", NUMBER, 4, f->latency.p999)                                                   \
    X(mean, "latency", "mean_ms", "Mean (ms)", NUMBER, 4, f->latency.mean)                                                     \
    X(min, "latency", "min_ms", "Min (ms)", NUMBER, 4, f->latency.min)                                                         \
    X(max, "latency", "max_ms", "Max (ms)", NUMBER, 4, f->latency.max)                                                         \
    X(calls, "latency", "calls", "Timed Calls", COUNT, 0, (double)f->latency.count)                                            \
    X(batch, "", "batch", "Batch Size", COUNT, 0, (double)s->row->batch)                                                       \
    X(p50_text, "latency", "p50_ms_per_text", "p50 per Text (ms)", NUMBER, 5, f->latency.p50 / (double)s->row->batch)          \
    X(p50_low, "latency", "p50_low_ms", "p50 Low (ms)", NUMBER, 4, f->p50.low)                                                 \
    X(p50_high, "latency", "p50_high_ms", "p50 High (ms)", NUMBER, 4, f->p50.high)                                             \
    X(rate_low, "throughput.texts_per_s", "low", "Throughput Low (req/s)", NUMBER, 2, f->texts_per_s.low)                      \
    X(rate_high, "throughput.texts_per_s", "high", "Throughput High (req/s)", NUMBER, 2, f->texts_per_s.high)                  \
    X(tokens, "throughput", "tokens_per_s", "Tokens/s", NUMBER, 1, f->tokens_per_s)                                            \
    X(spread, "throughput", "spread", "Block Spread (%)", PERCENT, 2, f->spread)                                               \
    X(speedup, "throughput.speedup", "value", "Speedup", NUMBER, 3, f->speedup.value)                                          \
    X(speedup_low, "throughput.speedup", "low", "Speedup Low", NUMBER, 3, f->speedup.low)                                      \
    X(speedup_high, "throughput.speedup", "high", "Speedup High", NUMBER, 3, f->speedup.high)                                  \
    X(same, "throughput.speedup_same_batch", "value", "Speedup Same Batch", NUMBER, 3, f->speedup_same_batch.value)            \
    X(same_low, "throughput.speedup_same_batch", "low", "Speedup Same Batch Low", NUMBER, 3, f->speedup_same_batch.low)        \
    X(same_high, "throughput.speedup_same_batch", "high", "Speedup Same Batch High", NUMBER, 3, f->speedup_same_batch.high)    \
    X(gmacs, "throughput", "gmacs_per_s", "GMAC/s", NUMBER, 2, f->gmacs)                                                       \
    X(peak, "throughput", "peak_percent", "Peak (%)", NUMBER, 1, f->peak_percent)                                              \
    X(cosine_mean, NULL, NULL, "Cosine Mean", NUMBER, 8, f->cosine[SV_VALIDATION_CORPUS].mean)                                 \
    X(cosine_min, NULL, NULL, "Cosine Min", NUMBER, 8, f->cosine[SV_VALIDATION_CORPUS].min)                                    \
    X(model, "", "model_bytes", "Model Size (MB)", BYTES, 2, (double)s->row->model_bytes)                                      \
    X(load, NULL, NULL, "Load Time (s)", NUMBER, 3, s->row->load_seconds > 0 ? s->row->load_seconds : NAN)                     \
    X(runtime, "", "runtime", "Runtime", TEXT, 0, s->row->runtime)                                                             \
    X(precision, "", "precision", "Precision", TEXT, 0, s->row->precision)                                                     \
    X(threads, NULL, NULL, "Threads", COUNT, 0, (double)s->results->threads)                                                   \
    X(state, "", "state", "State", TEXT, 0, sv_row_state_text(s->row->state))                                                  \
    X(reason, "", "reason", "Reason", TEXT, 0, s->row->reason)                                                                 \
    X(step, "", "step", NULL, TEXT, 0, s->row->step)                                                                           \
    X(files, "", "files", NULL, TEXT, 0, s->row->files)                                                                        \
    X(load_seconds, "", "load_seconds", NULL, NUMBER, 0, s->row->load_seconds)                                                 \
    X(corpus_tokens, "", "corpus_tokens", NULL, COUNT, 0, (double)s->row->tokens)                                              \
    X(spearman, "", "sts_spearman", NULL, NUMBER, 0, s->row->sts_spearman)                                                     \
    X(deviation, "latency", "deviation_ms", NULL, NUMBER, 0, f->latency.deviation)

/* Cheap is fast: the interval of the cost is that of the rate, turned over. */
#define COST_FIELDS(X)                                                                                                         \
    X(cost_name, NULL, NULL, "Configuration", TEXT, 0, s->row->name)                                                           \
    X(cost_rate, NULL, NULL, "Throughput (req/s)", NUMBER, 2, f->texts_per_s.value)                                            \
    X(cost_hour, NULL, NULL, "Requests/Hour", NUMBER, 0, f->texts_per_s.value * 3600)                                          \
    X(usd_1k, "cost", "usd_per_1k_texts", "Cost per 1K requests ($)", NUMBER, 10, f->usd_per_1k)                               \
    X(usd_1m, "cost", "usd_per_1m_texts", "Cost per 1M requests ($)", NUMBER, 7, f->usd_per_1m)                                \
    X(usd_low, NULL, NULL, "Cost per 1M Low ($)", NUMBER, 7, f->usd_per_1m * f->texts_per_s.value / f->texts_per_s.high)       \
    X(usd_high, NULL, NULL, "Cost per 1M High ($)", NUMBER, 7, f->usd_per_1m * f->texts_per_s.value / f->texts_per_s.low)      \
    X(saving, "cost", "saving", "Saving (%)", PERCENT, 2, f->saving)                                                           \
    X(price, NULL, NULL, "Price per Hour ($)", NUMBER, 4, s->results->price_per_hour)                                          \
    X(usd_tokens, "cost", "usd_per_1m_tokens", "Cost per 1M tokens ($)", NUMBER, 8, f->usd_per_1m_tokens)

#define USE_CASE_FIELDS(X)                                                                                                     \
    X(uses_name, NULL, NULL, "Configuration", TEXT, 0, s->row->name)                                                           \
    X(query, "use_cases", "query_ms", "Query p50 (ms)", NUMBER, 4, s->uses->query_ms)                                          \
    X(query_p95, "use_cases", "query_p95_ms", "Query p95 (ms)", NUMBER, 4, s->uses->query_p95_ms)                              \
    X(listing, "use_cases", "listing_ms", "New Listing p50 (ms)", NUMBER, 4, s->uses->listing_ms)                              \
    X(listing_p95, "use_cases", "listing_p95_ms", "New Listing p95 (ms)", NUMBER, 4, s->uses->listing_p95_ms)                  \
    X(reindex_hours, "use_cases", "reindex_1m_hours", "Re-index 1M Texts (h)", NUMBER, 5, s->uses->reindex_hours)              \
    X(reindex_usd, "use_cases", "reindex_1m_usd", "Re-index 1M Texts ($)", NUMBER, 7, s->uses->reindex_usd)

#define COMPARED(value) (s->row->validation[s->set].count ? s->row->validation[s->set].value : NAN)
#define VALIDATION_FIELDS(X)                                                                                                   \
    X(validated_name, NULL, NULL, "Configuration", TEXT, 0, s->row->name)                                                      \
    X(validated_set, NULL, NULL, "Texts From", TEXT, 0, sv_validation_set_name(s->set))                                        \
    X(validated_by, NULL, NULL, "Reference", TEXT, 0, s->results->reference)                                                   \
    X(validated, "", "texts", "Texts", COUNT, 0, (double)s->row->validation[s->set].count)                                     \
    X(set_mean, "", "cosine_mean", "Cosine Mean", NUMBER, 8, f->cosine[s->set].mean)                                           \
    X(set_min, "", "cosine_min", "Cosine Min", NUMBER, 8, f->cosine[s->set].min)                                               \
    X(set_p1, "", "cosine_p1", "Cosine p1", NUMBER, 8, f->cosine[s->set].p1)                                                   \
    X(pair_max, "", "pairwise_error_max", "Pairwise Error Max", NUMBER, 7, COMPARED(pairwise_error_max))                       \
    X(pair_mean, "", "pairwise_error_mean", "Pairwise Error Mean", NUMBER, 7, COMPARED(pairwise_error_mean))                   \
    X(neighbours, "", "neighbours", "Top-10 Neighbours Found (%)", PERCENT, 2, COMPARED(neighbours))                           \
    X(recall_float16, "recall_at_10", "float16", "Recall@10 as float16 (%)", PERCENT, 2, COMPARED(recall[SV_FORM_FLOAT16]))    \
    X(recall_int8, "recall_at_10", "int8", "Recall@10 as int8 (%)", PERCENT, 2, COMPARED(recall[SV_FORM_INT8]))                \
    X(recall_binary, "recall_at_10", "binary", "Recall@10 as binary (%)", PERCENT, 2, COMPARED(recall[SV_FORM_BINARY]))        \
    X(recall_half, "recall_at_10", "half", "Recall@10 of First Half (%)", PERCENT, 2, COMPARED(recall[SV_FORM_HALF]))          \
    X(recall_quarter, "recall_at_10", "quarter", "Recall@10 of First Quarter (%)", PERCENT, 2,                                 \
      COMPARED(recall[SV_FORM_QUARTER]))                                                                                       \
    X(set_spearman, NULL, NULL, "STS Spearman", NUMBER, 5, s->row->sts_spearman)

#define SWEEP_FIELDS(X)                                                                                                        \
    X(sweep_batch, NULL, NULL, "batch_size", COUNT, 0, (double)s->series->batch)                                               \
    X(sweep_seconds, NULL, NULL, "total_time_s", NUMBER, 9, s->measured->seconds)                                              \
    X(sweep_rate, NULL, NULL, "throughput_rps", NUMBER, 2, s->measured->texts_per_s.value)                                     \
    X(sweep_name, NULL, NULL, "Configuration", TEXT, 0, s->runtime)                                                            \
    X(sweep_low, NULL, NULL, "Throughput Low (req/s)", NUMBER, 2, s->measured->texts_per_s.low)                                \
    X(sweep_high, NULL, NULL, "Throughput High (req/s)", NUMBER, 2, s->measured->texts_per_s.high)                             \
    X(sweep_texts, NULL, NULL, "Embedded Texts", NUMBER, 0, s->measured->texts)                                                \
    X(sweep_calls, NULL, NULL, "Calls", NUMBER, 0, s->measured->calls)                                                         \
    X(sweep_ms, NULL, NULL, "ms per Call", NUMBER, 4, 1e3 * s->measured->seconds / s->measured->calls)                         \
    X(sweep_text_ms, NULL, NULL, "ms per Text", NUMBER, 5, 1e3 * s->measured->seconds / s->measured->texts)

/* study.json has the same keys for both kinds of series; the sections of a row hold in a series as well. */
#define LENGTH_FIELDS(X)                                                                                                       \
    X(length_name, "", "configuration", "Configuration", TEXT, 0, s->row->name)                                                \
    X(length_set, "", "texts", "Texts", TEXT, 0, s->series->set)                                                               \
    X(length_tokens, "", "tokens_per_text", "Tokens per Text", NUMBER, 1, s->series->tokens_per_text)                          \
    X(length_batch, "", "batch", "Batch Size", COUNT, 0, (double)s->series->batch)                                             \
    X(length_p50, "latency", "p50_ms", "p50 (ms)", NUMBER, 4, s->measured->latency.p50)                                        \
    X(length_p95, "latency", "p95_ms", "p95 (ms)", NUMBER, 4, s->measured->latency.p95)                                        \
    X(length_p50_low, "latency", "p50_low_ms", "p50 Low (ms)", NUMBER, 4, s->measured->p50.low)                                \
    X(length_p50_high, "latency", "p50_high_ms", "p50 High (ms)", NUMBER, 4, s->measured->p50.high)                            \
    X(length_calls, "latency", "calls", "Timed Calls", COUNT, 0, (double)s->measured->latency.count)                           \
    X(length_rate, "throughput.texts_per_s", "value", "Throughput (req/s)", NUMBER, 2, s->measured->texts_per_s.value)         \
    X(length_low, "throughput.texts_per_s", "low", "Throughput Low (req/s)", NUMBER, 2, s->measured->texts_per_s.low)          \
    X(length_high, "throughput.texts_per_s", "high", "Throughput High (req/s)", NUMBER, 2, s->measured->texts_per_s.high)      \
    X(length_rate_tokens, "throughput", "tokens_per_s", "Tokens/s", NUMBER, 1, s->measured->tokens / s->measured->seconds)     \
    X(length_kind, "", "kind", NULL, TEXT, 0, sv_series_kind_text(s->series->kind))                                            \
    X(length_mean, "latency", "mean_ms", NULL, NUMBER, 0, s->measured->latency.mean)                                           \
    X(length_min, "latency", "min_ms", NULL, NUMBER, 0, s->measured->latency.min)                                              \
    X(length_max, "latency", "max_ms", NULL, NUMBER, 0, s->measured->latency.max)                                              \
    X(length_deviation, "latency", "deviation_ms", NULL, NUMBER, 0, s->measured->latency.deviation)                            \
    X(length_p99, "latency", "p99_ms", NULL, NUMBER, 0, s->measured->latency.p99)                                              \
    X(length_p999, "latency", "p99_9_ms", NULL, NUMBER, 0, s->measured->latency.p999)                                          \
    X(length_text, "latency", "p50_ms_per_text", NULL, NUMBER, 0, s->measured->latency.p50 / (double)s->series->batch)

#define VALUE_TEXT(value) ((sv_field_value){.text = (value)})
#define VALUE_COUNT(value) ((sv_field_value){.number = (value)})
#define VALUE_NUMBER(value) ((sv_field_value){.number = (value)})
#define VALUE_PERCENT(value) ((sv_field_value){.number = (value)})
#define VALUE_BYTES(value) ((sv_field_value){.number = (value)})

#define GETTER(id, section, key, title, kind, decimals, value)                                                                 \
    static sv_field_value get_##id(const sv_field_source *s) {                                                                 \
        const sv_row_figures *f = s->figures;                                                                                  \
        (void)f;                                                                                                               \
        return VALUE_##kind(value);                                                                                            \
    }
#define ENTRY(id, section, key, title, kind, decimals, value) {section, key, title, SV_FIELD_##kind, decimals, get_##id},
#define TABLE(name, FIELDS)                                                                                                    \
    FIELDS(GETTER)                                                                                                             \
    static const sv_field name##_list[] = {FIELDS(ENTRY)};                                                                     \
    const sv_field_table name = {name##_list, sizeof name##_list / sizeof *name##_list};

TABLE(sv_benchmark_fields, BENCHMARK_FIELDS)
TABLE(sv_cost_fields, COST_FIELDS)
TABLE(sv_use_case_fields, USE_CASE_FIELDS)
TABLE(sv_validation_fields, VALIDATION_FIELDS)
TABLE(sv_sweep_fields, SWEEP_FIELDS)
TABLE(sv_length_fields, LENGTH_FIELDS)

sv_field_source sv_row_source(const sv_results *results, const sv_figures *figures, size_t i) {
    return (sv_field_source){
        .results = results, .row = &results->rows[i], .figures = &figures->rows[i], .uses = &figures->use_cases[i]};
}

sv_field_source sv_series_source(const sv_results *results, const sv_figures *figures, size_t i) {
    sv_field_source source = sv_row_source(results, figures, results->series[i].row);
    source.series = &results->series[i];
    source.measured = &figures->series[i];
    const char *name = source.row->name;
    size_t length = strcspn(name, "(");
    while (length && name[length - 1] == ' ')
        length--;
    snprintf(source.runtime, sizeof source.runtime, "%.*s", (int)length, name);
    return source;
}

const sv_field *sv_field_titled(const sv_field_table *table, const char *title) {
    for (size_t i = 0; i < table->count; i++)
        if (table->fields[i].title && strcmp(table->fields[i].title, title) == 0)
            return &table->fields[i];
    assert(!"a field of that title");
    return NULL;
}

double sv_field_shown(const sv_field *field, const sv_field_source *source) {
    double value = field->get(source).number;
    if (field->kind == SV_FIELD_PERCENT)
        return 100 * value;
    if (field->kind == SV_FIELD_BYTES)
        return value > 0 ? value / 1048576 : NAN;
    return value;
}

const char *sv_validation_key(sv_validation_set set) {
    return set == SV_VALIDATION_CORPUS ? "validation" : "validation_wide"; /* the corpus's are the short ones */
}

const char *sv_validation_texts_key(sv_validation_set set) {
    return set == SV_VALIDATION_CORPUS ? "validation_texts" : "validation_texts_wide";
}
