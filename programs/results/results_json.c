/* study.json: measurements (read back by later stages) and, beside them, the figures that follow (for readers; computed anew,
 * never read). Numbers that don't exist are null. */
#include "results/results.h"

#include <math.h>
#include <string.h>

#include "common/file.h"

/* Adds value to object; false without memory. NaN becomes null. */
static bool put_number(json_t *object, const char *key, double value) {
    return json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null()) == 0;
}

static bool put_integer(json_t *object, const char *key, uint64_t value) {
    return json_object_set_new(object, key, json_integer((json_int_t)value)) == 0;
}

static bool put_string(json_t *object, const char *key, const char *value) {
    return json_object_set_new(object, key, json_string(value)) == 0;
}

static bool put_numbers(json_t *object, const char *key, const double *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_real(values[i])) != 0) {
            json_decref(array);
            return false;
        }
    return json_object_set_new(object, key, array) == 0;
}

/* A new object or array in `object`, which owns it; NULL without memory. */
static json_t *put_child(json_t *object, const char *key, json_t *child) {
    return json_object_set_new(object, key, child) == 0 ? child : NULL;
}

static bool put_estimate(json_t *object, const char *key, sv_estimate estimate) {
    json_t *child = put_child(object, key, json_object());
    return child && put_number(child, "value", estimate.value) && put_number(child, "low", estimate.low) &&
           put_number(child, "high", estimate.high);
}

static bool put_counts(json_t *object, const char *key, const size_t *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_integer((json_int_t)values[i])) != 0) {
            json_decref(array);
            return false;
        }
    return json_object_set_new(object, key, array) == 0;
}

static bool put_latency(json_t *object, const sv_measurement *measured, size_t batch, const sv_summary *summary,
                        sv_estimate p50) {
    json_t *child = put_child(object, "latency", json_object());
    return child && put_integer(child, "calls", summary->count) && put_number(child, "mean_ms", summary->mean) &&
           put_number(child, "min_ms", summary->min) && put_number(child, "max_ms", summary->max) &&
           put_number(child, "deviation_ms", summary->deviation) && put_number(child, "p50_ms", summary->p50) &&
           put_number(child, "p50_low_ms", p50.low) && put_number(child, "p50_high_ms", p50.high) &&
           put_number(child, "p95_ms", summary->p95) && put_number(child, "p99_ms", summary->p99) &&
           put_number(child, "p99_9_ms", summary->p999) && put_number(child, "p50_ms_per_text", summary->p50 / (double)batch) &&
           put_counts(child, "block_calls", measured->latency_blocks, measured->latency_block_count) &&
           put_numbers(child, "samples_ms", measured->latency_ms, measured->latency_count);
}

static bool put_blocks(json_t *object, const sv_measurement *measured) {
    json_t *blocks = put_child(object, "blocks", json_array());
    bool fine = blocks;
    for (size_t i = 0; fine && i < measured->block_count; i++) {
        const sv_block *block = &measured->blocks[i];
        json_t *entry = json_object();
        fine = json_array_append_new(blocks, entry) == 0 && put_integer(entry, "round", block->round) &&
               put_integer(entry, "position", block->position) && put_integer(entry, "calls", block->calls) &&
               put_integer(entry, "texts", block->texts) && put_integer(entry, "tokens", block->tokens) &&
               put_number(entry, "seconds", block->seconds) && put_number(entry, "steal", block->steal) &&
               put_number(entry, "idle_cpu", block->idle_cpu);
    }
    return fine;
}

static bool put_throughput(json_t *object, const sv_row *row, const sv_row_figures *figures) {
    json_t *child = put_child(object, "throughput", json_object());
    return child && put_blocks(child, &row->bench) && put_estimate(child, "texts_per_s", figures->texts_per_s) &&
           put_number(child, "tokens_per_s", figures->tokens_per_s) && put_number(child, "spread", figures->spread) &&
           put_estimate(child, "speedup", figures->speedup) &&
           put_estimate(child, "speedup_same_batch", figures->speedup_same_batch) &&
           put_number(child, "gmacs_per_s", figures->gmacs) && put_number(child, "peak_percent", figures->peak_percent);
}

/* The keys of a set: the corpus's are the short ones. */
static const char *const validation_keys[] = {[SV_VALIDATION_CORPUS] = "validation", [SV_VALIDATION_WIDE] = "validation_wide"};
static const char *const text_keys[] = {
    [SV_VALIDATION_CORPUS] = "validation_texts", [SV_VALIDATION_WIDE] = "validation_texts_wide"};

static bool put_validation(json_t *object, sv_validation_set set, const sv_row *row, const sv_row_figures *figures) {
    const sv_validation *validation = &row->validation[set];
    const sv_summary *cosine = &figures->cosine[set];
    bool compared = validation->count;
    json_t *child = put_child(object, validation_keys[set], json_object());
    return child && put_integer(child, "texts", validation->count) && put_number(child, "cosine_mean", cosine->mean) &&
           put_number(child, "cosine_min", cosine->min) && put_number(child, "cosine_p1", cosine->p1) &&
           put_number(child, "pairwise_error_max", compared ? validation->pairwise_error_max : NAN) &&
           put_number(child, "pairwise_error_mean", compared ? validation->pairwise_error_mean : NAN) &&
           put_number(child, "neighbours", compared ? validation->neighbours : NAN) &&
           put_numbers(child, "cosines", validation->cosines, validation->count);
}

static bool put_cost(json_t *object, const sv_row_figures *figures) {
    json_t *child = put_child(object, "cost", json_object());
    return child && put_number(child, "usd_per_1k_texts", figures->usd_per_1k) &&
           put_number(child, "usd_per_1m_texts", figures->usd_per_1m) && put_number(child, "saving", figures->saving);
}

static bool put_use_cases(json_t *object, const sv_use_cases *cases) {
    json_t *child = put_child(object, "use_cases", json_object());
    return child && put_number(child, "query_ms", cases->query_ms) && put_number(child, "query_p95_ms", cases->query_p95_ms) &&
           put_number(child, "listing_ms", cases->listing_ms) && put_number(child, "listing_p95_ms", cases->listing_p95_ms) &&
           put_number(child, "reindex_1m_hours", cases->reindex_hours) &&
           put_number(child, "reindex_1m_usd", cases->reindex_usd);
}

static senvec_status fail_memory(senvec_error *err) {
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to write the results");
}

static senvec_status encode_row(const sv_results *results, const sv_row *row, json_t *rows, senvec_error *err) {
    sv_row_figures figures;
    sv_use_cases cases;
    SENVEC_TRY(sv_row_figures_compute(results, row, &figures, err));
    SENVEC_TRY(sv_row_use_cases(results, row, &cases, err));
    json_t *object = json_object();
    if (json_array_append_new(rows, object) == 0 && put_string(object, "name", row->name) &&
        put_string(object, "runtime", row->runtime) && put_string(object, "precision", row->precision) &&
        put_string(object, "step", row->step) && put_string(object, "files", row->files) &&
        put_integer(object, "batch", row->batch) && put_string(object, "state", sv_row_state_text(row->state)) &&
        put_string(object, "reason", row->reason) &&
        json_object_set(object, "worker", row->worker ? row->worker : json_null()) == 0 &&
        put_number(object, "load_seconds", row->load_seconds) && put_integer(object, "model_bytes", row->model_bytes) &&
        put_integer(object, "peak_rss_bytes", row->peak_rss_bytes) && put_integer(object, "corpus_tokens", row->tokens) &&
        put_latency(object, &row->bench, row->batch, &figures.latency, figures.p50) && put_throughput(object, row, &figures) &&
        put_validation(object, SV_VALIDATION_CORPUS, row, &figures) &&
        put_validation(object, SV_VALIDATION_WIDE, row, &figures) && put_number(object, "sts_spearman", row->sts_spearman) &&
        put_cost(object, &figures) && put_use_cases(object, &cases))
        return SENVEC_OK;
    return fail_memory(err);
}

static senvec_status encode_series(const sv_results *results, const sv_series *series, json_t *list, senvec_error *err) {
    sv_series_figures figures;
    SENVEC_TRY(sv_measurement_figures(results, &results->rows[series->row], &series->measured, &figures, err));
    json_t *object = json_object(), *throughput;
    if (json_array_append_new(list, object) == 0 && put_string(object, "kind", sv_series_kind_text(series->kind)) &&
        put_string(object, "configuration", results->rows[series->row].name) && put_string(object, "texts", series->set) &&
        put_integer(object, "batch", series->batch) && put_number(object, "tokens_per_text", series->tokens_per_text) &&
        put_latency(object, &series->measured, series->batch, &figures.latency, figures.p50) &&
        (throughput = put_child(object, "throughput", json_object())) && put_blocks(throughput, &series->measured) &&
        put_estimate(throughput, "texts_per_s", figures.texts_per_s) &&
        put_number(throughput, "tokens_per_s", figures.tokens / figures.seconds))
        return SENVEC_OK;
    return fail_memory(err);
}

static bool put_validation_texts(json_t *root, const sv_results *results) {
    bool fine = true;
    for (sv_validation_set set = 0; fine && set < SV_VALIDATION_SETS; set++) {
        json_t *texts = put_child(root, text_keys[set], json_array());
        fine = texts;
        for (size_t i = 0; fine && i < results->validation[set].count; i++)
            fine = json_array_append_new(texts, json_string(results->validation[set].texts[i])) == 0;
    }
    return fine;
}

static bool put_options(json_t *root, const sv_results *results) {
    json_t *options = put_child(root, "options", json_object());
    return options && put_integer(options, "seed", results->seed) && put_integer(options, "threads", results->threads) &&
           put_integer(options, "rounds", results->rounds) && put_integer(options, "latency_calls", results->latency_calls) &&
           put_integer(options, "warmups", results->warmups) && put_number(options, "duration_s", results->duration_s) &&
           json_object_set_new(options, "quick", json_boolean(results->quick)) == 0 &&
           put_number(options, "usd_per_hour", results->price_per_hour);
}

static bool put_peak(json_t *root, const sv_results *results) {
    json_t *peak = put_child(root, "peak", json_object());
    return peak && put_integer(peak, "linear_macs_per_token", results->linear_macs) &&
           put_number(peak, "fp32_gmacs_per_s", results->peak_fp32) &&
           put_number(peak, "bf16_gmacs_per_s", results->peak_bf16) &&
           put_number(peak, "int8_gmacs_per_s", results->peak_int8) && put_number(peak, "read_gb_per_s", results->bandwidth);
}

static bool put_head(json_t *root, const sv_results *results) {
    const sv_row *baseline = sv_results_baseline(results);
    return put_integer(root, "schema_version", SV_STUDY_SCHEMA_VERSION) &&
           put_string(root, "senvec_version", senvec_version()) && put_string(root, "created", results->created) &&
           put_options(root, results) && put_peak(root, results) &&
           put_string(root, "baseline", baseline ? baseline->name : "") && put_string(root, "reference", results->reference) &&
           put_integer(root, "sts_pairs", results->sts_pairs) && put_validation_texts(root, results) &&
           json_object_set(root, "batching", results->batching ? results->batching : json_null()) == 0 &&
           json_object_set(root, "environment", results->environment) == 0 &&
           json_object_set(root, "warnings", results->warnings) == 0;
}

static senvec_status write_json(const json_t *value, const char *directory, const char *name, size_t flags, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_path_join(directory, name, path, err));
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    bool written = json_dumpf(value, file.stream, flags) == 0 && fputc('\n', file.stream) != EOF;
    if (!written && !ferror(file.stream)) {
        sv_atomic_file_abort(&file);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to write it", path);
    }
    return sv_atomic_file_commit(&file, err);
}

/* Everything, into `root`, and the rows' samples by name, into `latency`. */
static senvec_status encode(const sv_results *results, json_t *root, json_t *latency, senvec_error *err) {
    json_t *rows, *series;
    double drift;
    SENVEC_TRY(sv_results_drift(results, &drift, err));
    if (!put_head(root, results) || !put_number(root, "drift", drift) ||
        !(rows = put_child(root, "configurations", json_array())) || !(series = put_child(root, "series", json_array())))
        return fail_memory(err);
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        SENVEC_TRY(encode_row(results, row, rows, err));
        if (row->bench.latency_count && !put_numbers(latency, row->name, row->bench.latency_ms, row->bench.latency_count))
            return fail_memory(err);
    }
    for (size_t i = 0; i < results->series_count; i++)
        SENVEC_TRY(encode_series(results, &results->series[i], series, err));
    return SENVEC_OK;
}

senvec_status sv_results_write_json(const sv_results *results, const char *directory, senvec_error *err) {
    json_t *root = json_object(), *latency = json_object();
    senvec_status status = encode(results, root, latency, err);
    if (status == SENVEC_OK)
        status = write_json(root, directory, "study.json", JSON_INDENT(1) | JSON_REAL_PRECISION(9), err);
    if (status == SENVEC_OK)
        status = write_json(latency, directory, "latency_data.json", JSON_INDENT(1) | JSON_REAL_PRECISION(9), err);
    if (status == SENVEC_OK)
        status = write_json(results->environment, directory, "environment.json", JSON_INDENT(2) | JSON_REAL_PRECISION(6), err);
    json_decref(root);
    json_decref(latency);
    return status;
}

/* ---------------------------------------------------------------- reading */

/* Missing or null: NaN. */
static double get_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t get_integer(const json_t *object, const char *key) {
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void get_string(const json_t *object, const char *key, char *out, size_t size) {
    const char *value = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", value ? value : "");
}

static senvec_status get_numbers(sv_results *results, const json_t *object, const char *key, double **out, size_t *count,
                                 senvec_error *err) {
    const json_t *array = json_object_get(object, key);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(array), sizeof(double), key, &memory, err));
    *out = memory;
    *count = json_array_size(array);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = json_number_value(json_array_get(array, i));
    return SENVEC_OK;
}

static sv_row_state parse_state(const char *text) {
    for (sv_row_state state = SV_ROW_PLANNED; state <= SV_ROW_FAILED; state++)
        if (strcmp(text, sv_row_state_text(state)) == 0)
            return state;
    return SV_ROW_PLANNED;
}

/* Older studies have none. */
static senvec_status decode_latency_blocks(sv_results *results, const json_t *latency, const char *name, sv_measurement *out,
                                           senvec_error *err) {
    const json_t *counts = json_object_get(latency, "block_calls");
    size_t calls = 0;
    bool known = true;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(counts), sizeof(size_t), "blocks", &memory, err));
    out->latency_blocks = memory;
    out->latency_block_count = out->latency_block_capacity = json_array_size(counts);
    for (size_t i = 0; i < out->latency_block_count; i++) {
        json_int_t block = json_integer_value(json_array_get(counts, i));
        known = known && block > 0 && (uint64_t)block <= out->latency_count - calls;
        calls += out->latency_blocks[i] = known ? (size_t)block : 0;
    }
    if (!known || (out->latency_block_count && calls != out->latency_count))
        return sv_fail(err, SENVEC_FORMAT, 0, "study.json: other blocks than calls of %s; run the study again", name);
    return SENVEC_OK;
}

/* "latency" and "throughput" of a configuration or a series. */
static senvec_status decode_measurement(sv_results *results, const json_t *object, const char *name, sv_measurement *out,
                                        senvec_error *err) {
    const json_t *latency = json_object_get(object, "latency");
    SENVEC_TRY(get_numbers(results, latency, "samples_ms", &out->latency_ms, &out->latency_count, err));
    out->latency_capacity = out->latency_count;
    SENVEC_TRY(decode_latency_blocks(results, latency, name, out, err));
    const json_t *blocks = json_object_get(json_object_get(object, "throughput"), "blocks");
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(blocks), sizeof(sv_block), "blocks", &memory, err));
    out->blocks = memory;
    out->block_count = out->block_capacity = json_array_size(blocks);
    for (size_t i = 0; i < out->block_count; i++) {
        const json_t *entry = json_array_get(blocks, i);
        out->blocks[i] = (sv_block){
            .round = get_integer(entry, "round"),
            .position = get_integer(entry, "position"),
            .calls = get_integer(entry, "calls"),
            .texts = get_integer(entry, "texts"),
            .tokens = get_integer(entry, "tokens"),
            .seconds = get_number(entry, "seconds"),
            .steal = get_number(entry, "steal"),
            .idle_cpu = get_number(entry, "idle_cpu"),
        };
        if (!(out->blocks[i].seconds > 0))
            return sv_fail(err, SENVEC_FORMAT, 0, "study.json: a block of %s without seconds; run the study again", name);
    }
    return SENVEC_OK;
}

static senvec_status decode_row(sv_results *results, const json_t *object, sv_row *row, senvec_error *err) {
    char state[16];
    get_string(object, "name", row->name, sizeof row->name);
    get_string(object, "runtime", row->runtime, sizeof row->runtime);
    get_string(object, "precision", row->precision, sizeof row->precision);
    get_string(object, "step", row->step, sizeof row->step);
    get_string(object, "files", row->files, sizeof row->files);
    get_string(object, "reason", row->reason, sizeof row->reason);
    get_string(object, "state", state, sizeof state);
    row->state = parse_state(state);
    row->batch = get_integer(object, "batch");
    if (!row->name[0] || row->batch == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "study.json: a configuration without a name or batch; run the study again");
    const json_t *worker = json_object_get(object, "worker");
    row->worker = json_is_object(worker) ? json_incref((json_t *)worker) : NULL;
    row->load_seconds = get_number(object, "load_seconds");
    row->model_bytes = get_integer(object, "model_bytes");
    row->peak_rss_bytes = get_integer(object, "peak_rss_bytes");
    row->tokens = get_integer(object, "corpus_tokens");
    row->sts_spearman = get_number(object, "sts_spearman");
    for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++) {
        const json_t *child = json_object_get(object, validation_keys[set]);
        sv_validation *out = &row->validation[set];
        out->pairwise_error_max = get_number(child, "pairwise_error_max");
        out->pairwise_error_mean = get_number(child, "pairwise_error_mean");
        out->neighbours = get_number(child, "neighbours");
        SENVEC_TRY(get_numbers(results, child, "cosines", &out->cosines, &out->count, err));
    }
    return decode_measurement(results, object, row->name, &row->bench, err);
}

static senvec_status decode_series(sv_results *results, const json_t *object, sv_series *series, senvec_error *err) {
    char kind[16], name[64];
    get_string(object, "kind", kind, sizeof kind);
    get_string(object, "configuration", name, sizeof name);
    get_string(object, "texts", series->set, sizeof series->set);
    series->kind = strcmp(kind, sv_series_kind_text(SV_SERIES_SWEEP)) == 0 ? SV_SERIES_SWEEP : SV_SERIES_LENGTH;
    series->batch = get_integer(object, "batch");
    series->tokens_per_text = get_number(object, "tokens_per_text");
    const sv_row *row = sv_results_find(results, name);
    if (!row || series->batch == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "study.json: a series without a configuration or batch; run the study again");
    series->row = (size_t)(row - results->rows);
    return decode_measurement(results, object, name, &series->measured, err);
}

static senvec_status decode_validation_texts(sv_results *results, const json_t *root, const char *path, senvec_error *err) {
    for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++) {
        const json_t *texts = json_object_get(root, text_keys[set]);
        void *memory;
        SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(texts), sizeof(char *), "texts", &memory, err));
        results->validation[set].texts = memory;
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *text = json_array_get(texts, i);
            if (!json_is_string(text))
                return sv_fail(err, SENVEC_FORMAT, 0, "%s: a validation text that isn't a string; run the study again", path);
            SENVEC_TRY(sv_arena_string(&results->arena, json_string_value(text), json_string_length(text),
                                       &results->validation[set].texts[results->validation[set].count++], err));
        }
    }
    return SENVEC_OK;
}

static void decode_options(sv_results *results, const json_t *options, const json_t *peak) {
    results->seed = get_integer(options, "seed");
    results->threads = get_integer(options, "threads");
    results->rounds = get_integer(options, "rounds");
    results->latency_calls = get_integer(options, "latency_calls");
    results->warmups = get_integer(options, "warmups");
    results->duration_s = get_number(options, "duration_s");
    results->quick = json_is_true(json_object_get(options, "quick"));
    results->price_per_hour = get_number(options, "usd_per_hour");
    results->linear_macs = get_integer(peak, "linear_macs_per_token");
    results->peak_fp32 = get_number(peak, "fp32_gmacs_per_s");
    results->peak_bf16 = get_number(peak, "bf16_gmacs_per_s");
    results->peak_int8 = get_number(peak, "int8_gmacs_per_s");
    results->bandwidth = get_number(peak, "read_gb_per_s");
}

static senvec_status decode(sv_results *results, const json_t *root, const char *path, senvec_error *err) {
    json_int_t version = json_integer_value(json_object_get(root, "schema_version"));
    if (version != SV_STUDY_SCHEMA_VERSION)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: schema version %lld, this program reads %d; run the study again", path,
                       (long long)version, SV_STUDY_SCHEMA_VERSION);
    json_t *environment = json_object_get(root, "environment"), *warnings = json_object_get(root, "warnings");
    const json_t *rows = json_object_get(root, "configurations"), *series = json_object_get(root, "series");
    if (!json_is_object(environment) || !json_is_array(warnings) || !json_is_array(rows) || !json_is_array(series))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a study; run the study again", path);
    json_t *batching = json_object_get(root, "batching"); /* older studies have none */
    results->batching = json_is_object(batching) ? json_incref(batching) : NULL;
    json_object_update(results->environment, environment);
    json_array_extend(results->warnings, warnings);
    get_string(root, "created", results->created, sizeof results->created);
    get_string(root, "reference", results->reference, sizeof results->reference);
    results->sts_pairs = get_integer(root, "sts_pairs");
    decode_options(results, json_object_get(root, "options"), json_object_get(root, "peak"));
    SENVEC_TRY(decode_validation_texts(results, root, path, err));

    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(rows), sizeof(sv_row), "rows", &memory, err));
    results->rows = memory;
    for (size_t i = 0; i < json_array_size(rows); i++)
        SENVEC_TRY(decode_row(results, json_array_get(rows, i), &results->rows[results->row_count++], err));
    SENVEC_TRY(sv_arena_alloc(&results->arena, json_array_size(series), sizeof(sv_series), "series", &memory, err));
    results->series = memory;
    for (size_t i = 0; i < json_array_size(series); i++)
        SENVEC_TRY(decode_series(results, json_array_get(series, i), &results->series[results->series_count++], err));
    return SENVEC_OK;
}

senvec_status sv_results_read(sv_results *results, const char *directory, senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, "study.json", path, err));
    if (!sv_path_is_file(path))
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: not there; run \"senvec bench\" or \"senvec study\" first", path);
    json_error_t where;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &where);
    if (!root)
        return sv_fail(err, SENVEC_FORMAT, (uint64_t)where.position, "%s: line %d: %s; run the study again", path, where.line,
                       where.text);
    senvec_status status = sv_results_init(results, err);
    if (status == SENVEC_OK) {
        status = decode(results, root, path, err);
        if (status != SENVEC_OK)
            sv_results_release(results);
    }
    json_decref(root);
    return status;
}
