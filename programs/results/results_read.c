/* Reads study.json: the measurements, from which the figures beside them are computed anew. */
#include "results/results.h"

#include <math.h>
#include <string.h>

#include "common/file.h"
#include "results/fields.h"

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
    out->rounds_done = get_integer(object, "rounds_done");
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
        const json_t *child = json_object_get(object, sv_validation_key(set));
        sv_validation *out = &row->validation[set];
        out->pairwise_error_max = get_number(child, "pairwise_error_max");
        out->pairwise_error_mean = get_number(child, "pairwise_error_mean");
        out->neighbours = get_number(child, "neighbours");
        for (sv_form form = 0; form < SV_FORMS; form++)
            out->recall[form] = get_number(json_object_get(child, "recall_at_10"), sv_form_text(form));
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
        const json_t *texts = json_object_get(root, sv_validation_texts_key(set));
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
    results->rewarm_s = get_number(options, "rewarm_s");
    results->duration_s = get_number(options, "duration_s");
    results->quick = json_is_true(json_object_get(options, "quick"));
    results->price_per_hour = get_number(options, "usd_per_hour");
    results->linear_macs = get_integer(peak, "linear_macs_per_token");
    results->peak_fp32 = get_number(peak, "fp32_gmacs_per_s");
    results->peak_bf16 = get_number(peak, "bf16_gmacs_per_s");
    results->peak_int8 = get_number(peak, "int8_gmacs_per_s");
    results->bandwidth = get_number(peak, "read_gb_per_s");
}

/* A list of strings. */
static bool is_text_list(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return json_is_array(list);
}

static senvec_status decode(sv_results *results, const json_t *root, const char *path, senvec_error *err) {
    json_int_t version = json_integer_value(json_object_get(root, "schema_version"));
    if (version != SV_STUDY_SCHEMA_VERSION)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: schema version %lld, this program reads %d; run the study again", path,
                       (long long)version, SV_STUDY_SCHEMA_VERSION);
    json_t *environment = json_object_get(root, "environment"), *warnings = json_object_get(root, "warnings");
    const json_t *rows = json_object_get(root, "configurations"), *series = json_object_get(root, "series");
    if (!json_is_object(environment) || !is_text_list(warnings) || !json_is_array(rows) || !json_is_array(series))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a study; run the study again", path);
    json_t *labels = json_object_get(root, "labels");
    results->labels = json_is_object(labels) ? json_incref(labels) : NULL;
    json_t *instances = json_object_get(root, "instances");
    results->instances = json_is_object(instances) ? json_incref(instances) : NULL;
    json_t *batching = json_object_get(root, "batching"); /* older studies have none */
    results->batching = json_is_object(batching) ? json_incref(batching) : NULL;
    json_t *services = json_object_get(root, "services"); /* older studies have none */
    results->services = json_is_object(services) ? json_incref(services) : NULL;
    json_object_update(results->stages, json_object_get(root, "stages")); /* older studies have none: they are whole */
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
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: not there; run \"senvec study bench\" or \"senvec study\" first", path);
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
