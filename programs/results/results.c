/* Rows, series and what is said about them. */
#include "results/results.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "io/texts.h"

const char *sv_row_state_text(sv_row_state state) {
    switch (state) {
#define STATE_TEXT(name, text)                                                                                                 \
    case name:                                                                                                                 \
        return text;
        SV_ROW_STATE_MAP(STATE_TEXT)
#undef STATE_TEXT
    }
    return "";
}

const char *sv_series_kind_text(sv_series_kind kind) {
    switch (kind) {
#define KIND_TEXT(name, text)                                                                                                  \
    case name:                                                                                                                 \
        return text;
        SV_SERIES_KIND_MAP(KIND_TEXT)
#undef KIND_TEXT
    }
    return "";
}

const char *sv_form_text(sv_form form) {
    switch (form) {
#define FORM_TEXT(name, text)                                                                                                  \
    case name:                                                                                                                 \
        return text;
        SV_FORM_MAP(FORM_TEXT)
#undef FORM_TEXT
    case SV_FORMS:
        break;
    }
    return "";
}

const char *sv_validation_set_name(sv_validation_set set) {
    return set == SV_VALIDATION_CORPUS ? SV_TEXTS_CORPUS : SV_TEXTS_WIDE;
}

senvec_status sv_results_init(sv_results *results, senvec_error *err) {
    *results = (sv_results){.environment = json_object(), .warnings = json_array(), .stages = json_object()};
    sv_arena_init(&results->arena, NULL);
    if (results->environment && results->warnings && results->stages)
        return SENVEC_OK;
    sv_results_release(results);
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for results");
}

void sv_results_release(sv_results *results) {
    for (size_t i = 0; i < results->row_count; i++)
        json_decref(results->rows[i].worker);
    json_decref(results->stages);
    json_decref(results->labels);
    json_decref(results->instances);
    json_decref(results->batching);
    json_decref(results->services);
    json_decref(results->environment);
    json_decref(results->warnings);
    sv_arena_release(&results->arena);
    *results = (sv_results){0};
}

senvec_status sv_results_plan(sv_results *results, const sv_configuration *const *configurations, size_t count,
                              senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, count, sizeof(sv_row), "result rows", &memory, err));
    results->rows = memory;
    results->row_count = count;
    for (size_t i = 0; i < count; i++) {
        sv_row *row = &results->rows[i];
        const sv_configuration *configuration = configurations[i];
        snprintf(row->name, sizeof row->name, "%s", configuration->name);
        snprintf(row->runtime, sizeof row->runtime, "%s", configuration->runtime);
        snprintf(row->precision, sizeof row->precision, "%s", configuration->precision);
        snprintf(row->step, sizeof row->step, "%s", configuration->step);
        snprintf(row->files, sizeof row->files, "%s", configuration->files);
        row->batch = configuration->batch;
        row->sts_spearman = NAN;
    }
    return SENVEC_OK;
}

sv_row *sv_results_find(const sv_results *results, const char *name) {
    for (size_t i = 0; i < results->row_count; i++)
        if (strcmp(results->rows[i].name, name) == 0)
            return &results->rows[i];
    return NULL;
}

const sv_row *sv_results_first_measured(const sv_results *results, size_t batch, const char *runtime) {
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (row->state == SV_ROW_MEASURED && row->bench.block_count && (batch == 0 || row->batch == batch) &&
            (!runtime || strcmp(row->runtime, runtime) == 0))
            return row;
    }
    return NULL;
}

const sv_row *sv_results_baseline(const sv_results *results) {
    const sv_row *single = sv_results_first_measured(results, 1, NULL);
    return single ? single : sv_results_first_measured(results, 0, NULL);
}

void sv_row_mark(sv_row *row, sv_row_state state, const char *format, ...) {
    va_list arguments;
    row->state = state;
    va_start(arguments, format);
    vsnprintf(row->reason, sizeof row->reason, format, arguments);
    va_end(arguments);
    sv_utf8_clean(row->reason); /* it may have been cut inside of a character */
}

void sv_results_warn(sv_results *results, const char *format, ...) {
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sv_utf8_clean(line);
    size_t index;
    json_t *known;
    json_array_foreach(results->warnings, index, known) {
        if (strcmp(json_string_value(known), line) == 0)
            return;
    }
    json_array_append_new(results->warnings, json_string(line));
}

const sv_series *sv_results_series(const sv_results *results, const sv_row *row, sv_series_kind kind, const char *set,
                                   size_t batch) {
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_series *series = &results->series[i];
        if (series->kind == kind && &results->rows[series->row] == row && (!set || strcmp(series->set, set) == 0) &&
            (batch == 0 || series->batch == batch))
            return series;
    }
    return NULL;
}

senvec_status sv_results_add_series(sv_results *results, sv_series_kind kind, size_t count, size_t *first, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, results->series_count + count, sizeof(sv_series), "series", &memory, err));
    sv_series *series = memory;
    size_t kept = 0;
    for (size_t i = 0; i < results->series_count; i++)
        if (results->series[i].kind != kind)
            series[kept++] = results->series[i];
    for (size_t i = 0; i < count; i++)
        series[kept + i].kind = kind;
    *first = kept;
    results->series = series;
    results->series_count = kept + count;
    return SENVEC_OK;
}

senvec_status sv_measurement_clear(sv_results *results, sv_measurement *measured, size_t calls, size_t blocks,
                                   senvec_error *err) {
    void *samples, *counts, *room;
    SENVEC_TRY(sv_arena_alloc(&results->arena, calls, sizeof(double), "latency samples", &samples, err));
    SENVEC_TRY(sv_arena_alloc(&results->arena, blocks, sizeof(size_t), "blocks", &counts, err));
    SENVEC_TRY(sv_arena_alloc(&results->arena, blocks, sizeof(sv_block), "blocks", &room, err));
    *measured = (sv_measurement){.latency_ms = samples,
                                 .latency_capacity = calls,
                                 .latency_blocks = counts,
                                 .latency_block_capacity = blocks,
                                 .blocks = room,
                                 .block_capacity = blocks};
    return SENVEC_OK;
}

senvec_status sv_measurement_reserve(sv_results *results, sv_measurement *measured, size_t calls, size_t blocks,
                                     senvec_error *err) {
    const sv_measurement old = *measured;
    size_t most_calls = old.latency_count > calls ? old.latency_count : calls;
    size_t most_blocks = old.block_count > old.latency_block_count ? old.block_count : old.latency_block_count;
    SENVEC_TRY(sv_measurement_clear(results, measured, most_calls, most_blocks > blocks ? most_blocks : blocks, err));
    for (size_t i = 0; i < old.latency_count; i++)
        measured->latency_ms[i] = old.latency_ms[i];
    for (size_t i = 0; i < old.latency_block_count; i++)
        measured->latency_blocks[i] = old.latency_blocks[i];
    for (size_t i = 0; i < old.block_count; i++)
        measured->blocks[i] = old.blocks[i];
    measured->latency_count = old.latency_count;
    measured->latency_block_count = old.latency_block_count;
    measured->block_count = old.block_count;
    measured->rounds_done = old.rounds_done;
    return SENVEC_OK;
}
