/* The summary on the terminal: what a reader wants to know first, in 80 columns. */
#include <math.h>
#include <string.h>

#include "results/recommendation.h"
#include "results/results_files.h"

/* Half an interval over its value: from here on the value alone would mislead. */
#define WIDE 0.1

/* `value` with about four significant digits in `width` columns, or a dash. */
static void put(FILE *stream, int width, double value) {
    if (!isfinite(value))
        fprintf(stream, " %*s", width, "-");
    else
        fprintf(stream, " %*.*f", width, value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3, value);
}

/* The columns after the name: which field, under which heading. */
static const struct {
    const sv_field_table *table;
    const char *title, *heading;
    int width;
} columns[] = {
    {&sv_benchmark_fields, "p50 (ms)", "p50 ms", 7},     {&sv_benchmark_fields, "Throughput (req/s)", "texts/s", 7},
    {&sv_benchmark_fields, "Speedup", "speedup", 7},     {&sv_benchmark_fields, "Cosine Mean", "cosine", 8},
    {&sv_benchmark_fields, "Peak Memory (MB)", "MB", 6}, {&sv_cost_fields, "Cost per 1M requests ($)", "USD/1M", 7},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static void print_row(const sv_field_source *source, FILE *stream) {
    const sv_row *row = source->row;
    fprintf(stream, "%-31s", row->name);
    if (row->state != SV_ROW_MEASURED) {
        fprintf(stream, " %s%s%s\n", sv_row_state_text(row->state), row->reason[0] ? ": " : "", row->reason);
        return;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        const sv_field *field = sv_field_titled(columns[i].table, columns[i].title);
        double value = sv_field_shown(field, source);
        if (field == sv_field_titled(&sv_benchmark_fields, "Cosine Mean") && isfinite(value))
            fprintf(stream, " %*.6f", columns[i].width, value);
        else
            put(stream, columns[i].width, value);
    }
    fputc('\n', stream);
}

static bool is_wide(sv_estimate estimate) {
    return fmax(estimate.high - estimate.value, estimate.value - estimate.low) > WIDE * estimate.value;
}

/* Rows whose texts/s aren't known to a tenth. */
static void print_wide_intervals(const sv_results *results, const sv_figures *figures, FILE *stream) {
    bool any = false;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_estimate rate = figures->rows[i].texts_per_s;
        if (!is_wide(rate))
            continue;
        if (!any)
            fputs("not known to 10 %; texts/s, 95 % interval:\n", stream);
        any = true;
        fprintf(stream, "  %-29s %.4g to %.4g\n", results->rows[i].name, rate.low, rate.high);
    }
}

/* Texts/s of the swept rows, a line each; the sizes of the first one are those of all. */
static void print_sweep(const sv_results *results, const sv_figures *figures, FILE *stream) {
    size_t line = SIZE_MAX, first = SIZE_MAX;
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_series *series = &results->series[i];
        if (series->kind != SV_SERIES_SWEEP || series->measured.block_count == 0)
            continue;
        if (first == SIZE_MAX) {
            first = series->row;
            fprintf(stream, "%-31s", "texts/s, by texts a call");
            for (size_t k = i; k < results->series_count; k++)
                if (results->series[k].kind == SV_SERIES_SWEEP && results->series[k].row == first)
                    fprintf(stream, " %7zu", results->series[k].batch);
        }
        if (series->row != line)
            fprintf(stream, "\n  %-29s", sv_series_source(results, figures, i).runtime);
        line = series->row;
        put(stream, 7, figures->series[i].texts_per_s.value);
    }
    if (first != SIZE_MAX)
        fputc('\n', stream);
}

static void print_load(const sv_results *results, FILE *stream) {
    const char *name = json_string_value(json_object_get(results->batching, "name"));
    double bound = json_number_value(json_object_get(results->batching, "bound_ms"));
    size_t index;
    json_t *best;
    json_array_foreach(json_object_get(results->batching, "best"), index, best) {
        const char *policy = json_string_value(json_object_get(best, "policy"));
        double rate = json_number_value(json_object_get(best, "rate"));
        if (rate > 0)
            fprintf(stream, "%s, policy %s:\n  %.0f single texts/s with a p99 of %g ms, Poisson arrivals\n", name ? name : "",
                    policy ? policy : "", rate, bound);
    }
}

/* What an index that keeps the vectors in fewer bytes no longer finds. */
static void print_recall(const sv_results *results, FILE *stream) {
    static const struct {
        sv_form form;
        const char *heading;
    } forms[] = {{SV_FORM_FLOAT16, "float16"},
                 {SV_FORM_INT8, "int8"},
                 {SV_FORM_BINARY, "binary"},
                 {SV_FORM_HALF, "1/2 dims"},
                 {SV_FORM_QUARTER, "1/4 dims"}};
    bool any = false;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_validation *own = &results->rows[i].validation[SV_VALIDATION_CORPUS];
        if (!own->count || !isfinite(own->recall[SV_FORM_INT8]))
            continue;
        if (!any) {
            fprintf(stream, "recall@10 lost against float32 (%%)");
            for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
                fprintf(stream, f ? " %9s" : " %6s", forms[f].heading);
            fputc('\n', stream);
        }
        any = true;
        fprintf(stream, "  %-29s", results->rows[i].name);
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
            fprintf(stream, " %9.2f", 100 * (1 - own->recall[forms[f].form]));
        fputc('\n', stream);
    }
}

static double number_at(const json_t *object, const char *first, const char *second, const char *third) {
    const json_t *value = json_object_get(object, first);
    value = second ? json_object_get(value, second) : value;
    value = third ? json_object_get(value, third) : value;
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Services over HTTP: a line each. */
static void print_services(const sv_results *results, FILE *stream) {
    size_t index;
    const json_t *row;
    const json_t *rows = json_object_get(results->services, "rows");
    const char *reference = json_string_value(json_object_get(results->services, "reference"));
    if (json_array_size(rows) > 0)
        fprintf(stream, "%-33s %7s %7s %7s %7s %8s\n", "over HTTP", "p50 ms", "texts/s", "bulk/s", "held/s", "cosine");
    json_array_foreach(rows, index, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *state = json_string_value(json_object_get(row, "state"));
        const char *reason = json_string_value(json_object_get(row, "reason"));
        fprintf(stream, "%-33s", name ? name : "");
        if (!state || strcmp(state, sv_row_state_text(SV_ROW_MEASURED)) != 0) {
            fprintf(stream, " %s%s%s\n", state ? state : "", reason && *reason ? ": " : "", reason ? reason : "");
            continue;
        }
        const json_t *loads = json_object_get(row, "loads");
        const double cosine = number_at(row, "cosine_mean", NULL, NULL);
        put(stream, 7, number_at(loads, "single", "p50_ms", NULL));
        put(stream, 7, number_at(loads, "together", "texts_per_s", "value"));
        put(stream, 7, number_at(loads, "bulk", "texts_per_s", "value"));
        put(stream, 7, number_at(row, "best", "rate", NULL));
        if (isfinite(cosine))
            fprintf(stream, " %8.6f\n", cosine);
        else
            fprintf(stream, " %8s\n", "-");
    }
    if (json_array_size(rows) > 0)
        fprintf(stream,
                "p50 is of one client; texts/s of many that ask for one text each; bulk of requests\nof many texts; held: "
                "the highest rate with a p99 of %g ms; cosine against %s\n",
                number_at(results->services, "bound_ms", NULL, NULL), reference ? reference : "nothing");
}

/* The scores of float32 vectors, and the recommendation. */
static void print_labels(const sv_results *results, const sv_figures *figures, FILE *stream) {
    sv_recommendation advice;
    size_t index;
    json_t *entry;
    if (!sv_recommend(results, figures, &advice))
        return;
    fprintf(stream, "your labels, float32 vectors:%10smetric   value  less %s's (95 %% interval)\n", "",
            json_string_value(json_object_get(results->labels, "baseline")));
    json_array_foreach(json_object_get(results->labels, "scores"), index, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "form")), "float32") != 0)
            continue;
        fprintf(stream, "  %-29s %14s  %.4f  %+.4f to %+.4f\n", json_string_value(json_object_get(entry, "configuration")),
                json_string_value(json_object_get(entry, "metric")), json_number_value(json_object_get(entry, "value")),
                json_number_value(json_object_get(entry, "low")), json_number_value(json_object_get(entry, "high")));
    }
    fprintf(stream, "recommended: %s\n", advice.reason);
}

senvec_status sv_results_print(const sv_results *results, FILE *stream, senvec_error *err) {
    const sv_row *baseline = sv_results_baseline(results);
    sv_figures figures;
    SENVEC_TRY(sv_figures_compute(results, &figures, err));
    if (!figures.steadiness.quotable)
        fprintf(
            stream,
            "THIS MACHINE WAS BUSY: the same work was up to %.0f %% faster or slower from one\nround to the next. Don't quote "
            "these figures; measure again when nothing else\nruns here. Ratios are left out.\n\n",
            100 * fmax(figures.steadiness.spread, figures.steadiness.baseline_spread));
    size_t index;
    json_t *warning;
    json_array_foreach(results->warnings, index, warning) {
        const char *text = json_string_value(warning);
        fprintf(stream, "warning: %s\n", text ? text : "");
    }
    fprintf(stream, "%-31s", "configuration");
    for (size_t i = 0; i < COLUMNS; i++)
        fprintf(stream, " %*s", columns[i].width, columns[i].heading);
    fputc('\n', stream);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_field_source source = sv_row_source(results, &figures, i);
        print_row(&source, stream);
    }
    fprintf(stream,
            "p50 is of a whole call; speedup against %s;\ncosine against %s; %zu threads for each; %g USD an hour; seed %llu\n",
            baseline ? baseline->name : "nothing", results->reference[0] ? results->reference : "nothing", results->threads,
            results->price_per_hour, (unsigned long long)results->seed);
    print_wide_intervals(results, &figures, stream);
    print_sweep(results, &figures, stream);
    print_load(results, stream);
    print_recall(results, stream);
    print_services(results, stream);
    print_labels(results, &figures, stream);
    sv_figures_release(&figures);
    return SENVEC_OK;
}
