/* study.json: measurements (read back by later stages, results_read.c) and, beside them, the figures that follow (for readers;
 * computed anew, never read). Numbers that don't exist are null. */
#include "results/results_files.h"

#include <math.h>
#include <string.h>

#include "common/file.h"
#include "results/instances.h"
#include "results/recommendation.h"

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

static bool put_counts(json_t *object, const char *key, const size_t *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_integer((json_int_t)values[i])) != 0) {
            json_decref(array);
            return false;
        }
    return json_object_set_new(object, key, array) == 0;
}

/* The object at `path` ("throughput.speedup") below `root`, made where it isn't there; NULL without memory. */
static json_t *section_of(json_t *root, const char *path) {
    while (root && *path) {
        char key[32];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        json_t *child = json_object_get(root, key);
        root = child ? child : put_child(root, key, json_object());
        path += length + (path[length] == '.');
    }
    return root;
}

static bool put_fields(json_t *object, const sv_field_table *table, const sv_field_source *source) {
    bool fine = true;
    for (size_t i = 0; fine && i < table->count; i++) {
        const sv_field *field = &table->fields[i];
        if (!field->section)
            continue;
        json_t *section = section_of(object, field->section);
        const sv_field_value value = field->get(source);
        if (field->kind == SV_FIELD_TEXT)
            fine = section && put_string(section, field->key, value.text);
        else if (field->kind == SV_FIELD_COUNT || field->kind == SV_FIELD_BYTES)
            fine = section && put_integer(section, field->key, (uint64_t)value.number);
        else
            fine = section && put_number(section, field->key, value.number);
    }
    return fine;
}

static bool put_samples(json_t *object, const sv_measurement *measured) {
    json_t *latency = section_of(object, "latency");
    return latency && put_integer(object, "rounds_done", measured->rounds_done) &&
           put_counts(latency, "block_calls", measured->latency_blocks, measured->latency_block_count) &&
           put_numbers(latency, "samples_ms", measured->latency_ms, measured->latency_count);
}

static bool put_blocks(json_t *object, const sv_measurement *measured) {
    json_t *throughput = section_of(object, "throughput");
    json_t *blocks = throughput ? put_child(throughput, "blocks", json_array()) : NULL;
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

static bool put_validations(json_t *object, sv_field_source source) {
    bool fine = true;
    for (source.set = 0; fine && source.set < SV_VALIDATION_SETS; source.set++) {
        const sv_validation *validation = &source.row->validation[source.set];
        json_t *child = put_child(object, sv_validation_key(source.set), json_object());
        fine = child && put_fields(child, &sv_validation_fields, &source) &&
               put_numbers(child, "cosines", validation->cosines, validation->count);
    }
    return fine;
}

static bool put_row(json_t *rows, const sv_field_source *source) {
    const sv_row *row = source->row;
    json_t *object = json_object();
    return json_array_append_new(rows, object) == 0 && put_fields(object, &sv_benchmark_fields, source) &&
           put_fields(object, &sv_cost_fields, source) && put_fields(object, &sv_use_case_fields, source) &&
           json_object_set(object, "worker", row->worker ? row->worker : json_null()) == 0 &&
           put_samples(object, &row->bench) && put_blocks(object, &row->bench) && put_validations(object, *source);
}

static bool put_series(json_t *list, const sv_field_source *source) {
    json_t *object = json_object();
    return json_array_append_new(list, object) == 0 && put_fields(object, &sv_length_fields, source) &&
           put_samples(object, &source->series->measured) && put_blocks(object, &source->series->measured);
}

static bool put_validation_texts(json_t *root, const sv_results *results) {
    bool fine = true;
    for (sv_validation_set set = 0; fine && set < SV_VALIDATION_SETS; set++) {
        json_t *texts = put_child(root, sv_validation_texts_key(set), json_array());
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
           put_integer(options, "warmups", results->warmups) && put_number(options, "rewarm_s", results->rewarm_s) &&
           put_number(options, "duration_s", results->duration_s) &&
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

static bool put_steadiness(json_t *root, const sv_steadiness *steadiness) {
    json_t *object = put_child(root, "steadiness", json_object());
    return object && json_object_set_new(object, "quotable", json_boolean(steadiness->quotable)) == 0 &&
           put_number(object, "spread", steadiness->spread) &&
           put_number(object, "baseline_spread", steadiness->baseline_spread) && put_number(object, "limit", SV_STEADY_LIMIT);
}

/* The scores, and what follows from them and the costs. */
static bool put_labels(json_t *root, const sv_results *results, const sv_figures *figures) {
    sv_recommendation advice;
    if (!sv_recommend(results, figures, &advice))
        return json_object_set_new(root, "labels", json_null()) == 0;
    json_t *object = put_child(root, "labels", json_copy(results->labels));
    json_t *child = object ? put_child(object, "recommendation", json_object()) : NULL;
    return child && put_string(child, "configuration", advice.row ? advice.row->name : "") &&
           put_string(child, "form", advice.form) && put_string(child, "reason", advice.reason);
}

/* What was given, and what follows from it and the figures. */
static bool put_instances(json_t *root, const sv_results *results, const sv_figures *figures) {
    json_t *predicted = sv_instances_predict(results, figures);
    if (predicted)
        return json_object_set_new(root, "instances", predicted) == 0;
    return json_object_set(root, "instances", results->instances ? results->instances : json_null()) == 0;
}

static bool put_head(json_t *root, const sv_results *results) {
    const sv_row *baseline = sv_results_baseline(results);
    return put_integer(root, "schema_version", SV_STUDY_SCHEMA_VERSION) &&
           put_string(root, "senvec_version", senvec_version()) && put_string(root, "created", results->created) &&
           put_options(root, results) && put_peak(root, results) &&
           put_string(root, "baseline", baseline ? baseline->name : "") && put_string(root, "reference", results->reference) &&
           put_integer(root, "sts_pairs", results->sts_pairs) && put_validation_texts(root, results) &&
           json_object_set(root, "stages", results->stages) == 0 &&
           json_object_set(root, "batching", results->batching ? results->batching : json_null()) == 0 &&
           json_object_set(root, "services", results->services ? results->services : json_null()) == 0 &&
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
static bool encode(const sv_results *results, const sv_figures *figures, json_t *root, json_t *latency) {
    json_t *rows, *series;
    bool fine = put_head(root, results) && put_number(root, "drift", figures->drift) &&
                put_steadiness(root, &figures->steadiness) && put_labels(root, results, figures) &&
                put_instances(root, results, figures) && (rows = put_child(root, "configurations", json_array())) &&
                (series = put_child(root, "series", json_array()));
    for (size_t i = 0; fine && i < results->row_count; i++) {
        const sv_field_source source = sv_row_source(results, figures, i);
        const sv_measurement *bench = &source.row->bench;
        fine = put_row(rows, &source) &&
               (bench->latency_count == 0 || put_numbers(latency, source.row->name, bench->latency_ms, bench->latency_count));
    }
    for (size_t i = 0; fine && i < results->series_count; i++) {
        const sv_field_source source = sv_series_source(results, figures, i);
        fine = put_series(series, &source);
    }
    return fine;
}

senvec_status sv_results_checkpoint(const sv_results *results, const char *directory, senvec_error *err) {
    json_t *root = json_object(), *latency = json_object();
    sv_figures figures = {0};
    senvec_status status = sv_figures_unknown(results, &figures, err);
    if (status == SENVEC_OK)
        status = encode(results, &figures, root, latency)
                     ? write_json(root, directory, "study.json", JSON_COMPACT | JSON_REAL_PRECISION(9), err)
                     : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to write the results");
    sv_figures_release(&figures);
    json_decref(root);
    json_decref(latency);
    return status;
}

senvec_status sv_write_json(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err) {
    const size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(9);
    json_t *root = json_object(), *latency = json_object();
    senvec_status status = encode(results, figures, root, latency)
                               ? SENVEC_OK
                               : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to write the results");
    if (status == SENVEC_OK)
        status = write_json(root, directory, "study.json", flags, err);
    if (status == SENVEC_OK)
        status = write_json(latency, directory, "latency_data.json", flags, err);
    if (status == SENVEC_OK)
        status = write_json(results->environment, directory, "environment.json", JSON_INDENT(2) | JSON_REAL_PRECISION(6), err);
    json_decref(root);
    json_decref(latency);
    return status;
}

senvec_status sv_results_write(const sv_results *results, const char *directory, senvec_error *err) {
    sv_figures figures;
    SENVEC_TRY(sv_figures_compute(results, &figures, err));
    senvec_status status = sv_write_json(results, &figures, directory, err);
    if (status == SENVEC_OK)
        status = sv_write_csv(results, &figures, directory, err);
    sv_figures_release(&figures);
    return status;
}
