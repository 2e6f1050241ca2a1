/* The tables. A number that doesn't exist is an empty field. RFC 4180 with "\n". What the columns are is in fields.c. */
#include "results/instances.h"
#include "results/results_files.h"

#include <math.h>
#include <string.h>

#include "common/file.h"

void sv_csv_put_text(FILE *file, const char *text) {
    const char *guard = *text && strchr("=+-@\t\r", *text) ? "'" : "";
    if (!text[strcspn(text, ",\"\n\r")]) {
        fprintf(file, "%s%s", guard, text);
        return;
    }
    fprintf(file, "\"%s", guard);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

void sv_csv_put_number(FILE *file, double value, int decimals) {
    if (isfinite(value))
        fprintf(file, "%.*f", decimals, value);
}

static void put_titles(FILE *file, const sv_field_table *table) {
    const char *comma = "";
    for (size_t i = 0; i < table->count; i++)
        if (table->fields[i].title) {
            fputs(comma, file);
            sv_csv_put_text(file, table->fields[i].title);
            comma = ",";
        }
    fputc('\n', file);
}

static void put_line(FILE *file, const sv_field_table *table, const sv_field_source *source) {
    const char *comma = "";
    for (size_t i = 0; i < table->count; i++) {
        const sv_field *field = &table->fields[i];
        if (!field->title)
            continue;
        fputs(comma, file);
        comma = ",";
        if (field->kind == SV_FIELD_TEXT)
            sv_csv_put_text(file, field->get(source).text);
        else
            sv_csv_put_number(file, sv_field_shown(field, source), field->decimals);
    }
    fputc('\n', file);
}

typedef void table_fn(const sv_results *results, const sv_figures *figures, FILE *file);

static void row_table(const sv_results *results, const sv_figures *figures, const sv_field_table *table, FILE *file) {
    put_titles(file, table);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_field_source source = sv_row_source(results, figures, i);
        put_line(file, table, &source);
    }
}

static void benchmark_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    row_table(results, figures, &sv_benchmark_fields, file);
}

static void cost_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    row_table(results, figures, &sv_cost_fields, file);
}

static void use_cases_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    row_table(results, figures, &sv_use_case_fields, file);
}

static void validation_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    put_titles(file, &sv_validation_fields);
    for (size_t i = 0; i < results->row_count; i++) {
        sv_field_source source = sv_row_source(results, figures, i);
        for (source.set = 0; source.set < SV_VALIDATION_SETS; source.set++)
            put_line(file, &sv_validation_fields, &source);
    }
}

/* A line a text, a column a configuration. */
static void validation_texts_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    (void)figures;
    fputs("Texts From,Text Index,Text", file);
    for (size_t i = 0; i < results->row_count; i++) {
        fputc(',', file);
        sv_csv_put_text(file, results->rows[i].name);
    }
    fputc('\n', file);
    for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++)
        for (size_t t = 0; t < results->validation[set].count; t++) {
            fprintf(file, "%s,%zu,", sv_validation_set_name(set), t);
            sv_csv_put_text(file, results->validation[set].texts[t]);
            for (size_t i = 0; i < results->row_count; i++) {
                const sv_validation *validation = &results->rows[i].validation[set];
                fputc(',', file);
                sv_csv_put_number(file, t < validation->count ? validation->cosines[t] : NAN, 8);
            }
            fputc('\n', file);
        }
}

static void series_table(const sv_results *results, const sv_figures *figures, sv_series_kind kind, const sv_field_table *table,
                         FILE *file) {
    put_titles(file, table);
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_field_source source = sv_series_source(results, figures, i);
        if (source.series->kind == kind && (kind != SV_SERIES_SWEEP || source.series->measured.block_count))
            put_line(file, table, &source);
    }
}

static void sweep_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    series_table(results, figures, SV_SERIES_SWEEP, &sv_sweep_fields, file);
}

static void lengths_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    series_table(results, figures, SV_SERIES_LENGTH, &sv_length_fields, file);
}

/* A number of `object`, after a comma. */
static void put_member(FILE *file, const json_t *object, const char *key, double factor, int decimals) {
    const json_t *value = json_object_get(object, key);
    fputc(',', file);
    sv_csv_put_number(file, json_is_number(value) ? factor * json_number_value(value) : NAN, decimals);
}

static void put_own_text(FILE *file, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    sv_csv_put_text(file, text ? text : "");
}

/* The end of a line for a run under load: whether it is valid, and why not. */
static void put_verdict(FILE *file, const json_t *run) {
    const char *reason = json_string_value(json_array_get(json_object_get(run, "reasons"), 0));
    fputs(json_is_true(json_object_get(run, "valid")) ? ",VALID," : ",INVALID,", file);
    sv_csv_put_text(file, reason ? reason : "");
    fputc('\n', file);
}

/* p99 against the offered rate, for each policy; and the mix of lengths, in a line for each length. What is shown comes from
 * the load generator's own report, which study.json keeps as it is. */
static void load_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    (void)figures;
    fputs("Policy,Texts,Words,Rate (req/s),Part of Capacity (%),Answered (req/s),p50 (ms),p95 (ms),p99 (ms),p99.9 (ms),"
          "Requests,Answered,Refused,State,Reason\n",
          file);
    size_t i, k;
    const json_t *run, *kind;
    json_array_foreach(json_object_get(results->batching, "runs"), i, run) {
        json_array_foreach(json_object_get(run, "kinds"), k, kind) {
            const json_t *latency = json_object_get(kind, "latency_ms"), *outcomes = json_object_get(run, "outcomes");
            put_own_text(file, run, "policy");
            fputc(',', file);
            put_own_text(file, run, "set");
            put_member(file, kind, "words", 1, 0);
            put_member(file, run, "rate", 1, 2);
            put_member(file, run, "part", 100, 1);
            put_member(file, run, "answered_per_s", 1, 2);
            put_member(file, latency, "p50", 1, 4);
            put_member(file, latency, "p95", 1, 4);
            put_member(file, latency, "p99", 1, 4);
            put_member(file, latency, "p99.9", 1, 4);
            put_member(file, kind, "requests", 1, 0);
            put_member(file, kind, "answered", 1, 0);
            put_member(file, outcomes, "refused", 1, 0);
            put_verdict(file, run);
        }
    }
}

/* A line a service. */
static void services_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    static const char *const loads[] = {"single", "together", "bulk"};
    (void)figures;
    fputs("Service", file);
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        fprintf(file, ",%s: p50 (ms),%s: p99 (ms),%s: texts/s,%s: Low,%s: High", loads[i], loads[i], loads[i], loads[i],
                loads[i]);
    fputs(",Highest Rate within the Bound (req/s),Cosine Mean,Cosine Min,Cold Start (s),Warm Start (s),Peak Memory (MB),"
          "Memory of One (MB),Memory of Two (MB),URL,Dialect,Model,State,Reason\n",
          file);
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(results->services, "rows"), index, row) {
        put_own_text(file, row, "name");
        for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
            const json_t *load = json_object_get(json_object_get(row, "loads"), loads[i]);
            const json_t *rate = json_object_get(load, "texts_per_s");
            put_member(file, load, "p50_ms", 1, 4);
            put_member(file, load, "p99_ms", 1, 4);
            put_member(file, rate, "value", 1, 2);
            put_member(file, rate, "low", 1, 2);
            put_member(file, rate, "high", 1, 2);
        }
        put_member(file, json_object_get(row, "best"), "rate", 1, 2);
        put_member(file, row, "cosine_mean", 1, 8);
        put_member(file, row, "cosine_min", 1, 8);
        put_member(file, row, "cold_start_s", 1, 4);
        put_member(file, row, "warm_start_s", 1, 4);
        put_member(file, row, "peak_rss_bytes", 1.0 / (1 << 20), 1);
        put_member(file, row, "pss_bytes", 1.0 / (1 << 20), 1);
        put_member(file, row, "pss_2_bytes", 1.0 / (1 << 20), 1);
        static const char *const texts[] = {"url", "dialect", "model", "state", "reason"};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            fputc(',', file);
            put_own_text(file, row, texts[i]);
        }
        fputc('\n', file);
    }
}

/* A line a service and rate. */
static void service_curves_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    (void)figures;
    fputs("Service,Rate (req/s),Answered (req/s),p50 (ms),p95 (ms),p99 (ms),Requests,Refused,State,Reason\n", file);
    size_t index;
    const json_t *run;
    json_array_foreach(json_object_get(results->services, "runs"), index, run) {
        const char *load = json_string_value(json_object_get(run, "load"));
        const json_t *latency = json_object_get(run, "latency_ms");
        if (!load || strcmp(load, "curve") != 0)
            continue;
        put_own_text(file, run, "service");
        put_member(file, run, "rate", 1, 2);
        put_member(file, run, "answered_per_s", 1, 2);
        put_member(file, latency, "p50", 1, 4);
        put_member(file, latency, "p95", 1, 4);
        put_member(file, latency, "p99", 1, 4);
        put_member(file, run, "requests", 1, 0);
        put_member(file, json_object_get(run, "outcomes"), "refused", 1, 0);
        put_verdict(file, run);
    }
}

static void put_costs(FILE *file, const json_t *costs, double price) {
    fputc(',', file);
    sv_csv_put_number(file, price, 5);
    put_member(file, costs, "texts_per_s", 1, 1);
    put_member(file, costs, "usd_per_1m_texts", 1, 6);
    put_member(file, costs, "held_per_s", 1, 1);
    put_member(file, costs, "replicas", 1, 0);
    put_member(file, costs, "usd_per_month", 1, 2);
}

/* This machine, and a line an instance type. */
static void instances_table(const sv_results *results, const sv_figures *figures, FILE *file) {
    static const char *const texts[] = {"provider", "name", "processor", "isa", "precision"};
    json_t *all = sv_instances_predict(results, figures);
    size_t index;
    const json_t *type;
    fputs("Provider,Instance,Processor,ISA,Precision,Predicted,USD per hour,Throughput (req/s),Cost per 1M requests ($),"
          "Held (req/s),Replicas,Cost per month ($),Date,Source\n,this machine,,,",
          file);
    put_own_text(file, all, "precision");
    fputs(",no", file);
    put_costs(file, json_object_get(all, "here"), results->price_per_hour);
    fputs(",,\n", file);
    json_array_foreach(json_object_get(all, "types"), index, type) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            put_own_text(file, type, texts[i]);
            fputc(',', file);
        }
        fputs("yes", file);
        put_costs(file, type, json_number_value(json_object_get(type, "usd_per_hour")));
        fputc(',', file);
        put_own_text(file, type, "date");
        fputc(',', file);
        put_own_text(file, type, "source");
        fputc('\n', file);
    }
    json_decref(all);
}

static senvec_status write_table(const sv_results *results, const sv_figures *figures, const char *directory, const char *name,
                                 table_fn *table, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_path_join(directory, name, path, err));
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    table(results, figures, file.stream);
    senvec_status status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    return status;
}

static bool has_series(const sv_results *results, sv_series_kind kind) {
    for (size_t i = 0; i < results->series_count; i++)
        if (results->series[i].kind == kind)
            return true;
    return false;
}

senvec_status sv_write_csv(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err) {
    bool benchmarked = false;
    for (size_t i = 0; i < results->row_count; i++)
        benchmarked = benchmarked || results->rows[i].bench.block_count || results->rows[i].state == SV_ROW_FAILED;
    const struct {
        bool wanted;
        const char *name;
        table_fn *table;
    } tables[] = {
        {benchmarked, "benchmark_results.csv", benchmark_table},
        {benchmarked, "cost_analysis.csv", cost_table},
        {has_series(results, SV_SERIES_SWEEP), "batch_throughput.csv", sweep_table},
        {has_series(results, SV_SERIES_LENGTH), "text_lengths.csv", lengths_table},
        {has_series(results, SV_SERIES_LENGTH), "use_cases.csv", use_cases_table},
        {results->batching, "load_curves.csv", load_table},
        {results->services, "services.csv", services_table},
        {results->services, "service_curves.csv", service_curves_table},
        {benchmarked && results->instances, "instances.csv", instances_table},
        {results->reference[0], "validation.csv", validation_table},
        {results->reference[0], "validation_texts.csv", validation_texts_table},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i].wanted)
            SENVEC_TRY(write_table(results, figures, directory, tables[i].name, tables[i].table, err));
    return SENVEC_OK;
}
