/* Rows, and figures from measurements. */
#include "study/results.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "study/cost.h"

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

senvec_status sv_results_init(sv_results *results, senvec_error *err) {
    *results = (sv_results){.environment = json_object(), .warnings = json_array()};
    sv_arena_init(&results->arena, NULL);
    if (results->environment && results->warnings)
        return SENVEC_OK;
    sv_results_release(results);
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for results");
}

void sv_results_release(sv_results *results) {
    for (size_t i = 0; i < results->row_count; i++)
        json_decref(results->rows[i].worker);
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
        row->batch = configuration->batch;
        row->pairwise_error_max = row->pairwise_error_mean = row->neighbours = NAN;
    }
    return SENVEC_OK;
}

sv_row *sv_results_find(const sv_results *results, const char *name) {
    for (size_t i = 0; i < results->row_count; i++)
        if (strcmp(results->rows[i].name, name) == 0)
            return &results->rows[i];
    return NULL;
}

/* The first measured row of a batch size (0: any) and a runtime (NULL: any). */
static const sv_row *first_measured(const sv_results *results, size_t batch, const char *runtime) {
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (row->state == SV_ROW_MEASURED && (batch == 0 || row->batch == batch) &&
            (!runtime || strcmp(row->runtime, runtime) == 0))
            return row;
    }
    return NULL;
}

const sv_row *sv_results_baseline(const sv_results *results) {
    const sv_row *single = first_measured(results, 1, NULL);
    return single ? single : first_measured(results, 0, NULL);
}

void sv_row_mark(sv_row *row, sv_row_state state, const char *format, ...) {
    va_list arguments;
    row->state = state;
    va_start(arguments, format);
    vsnprintf(row->reason, sizeof row->reason, format, arguments);
    va_end(arguments);
}

void sv_results_warn(sv_results *results, const char *format, ...) {
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t index;
    json_t *known;
    json_array_foreach(results->warnings, index, known) {
        if (strcmp(json_string_value(known), line) == 0)
            return;
    }
    json_array_append_new(results->warnings, json_string(line));
}

/* The blocks of `row` and `other` (may be NULL) of the rounds that both have, as rates; *count gets their number. Both arrays
 * have room for row->block_count. */
static void paired_rates(const sv_row *row, const sv_row *other, sv_rate *rates, sv_rate *other_rates, size_t *count) {
    *count = 0;
    for (size_t i = 0, j = 0; i < row->block_count; i++) {
        const sv_block *block = &row->blocks[i];
        if (other) {
            while (j < other->block_count && other->blocks[j].round < block->round)
                j++;
            if (j == other->block_count || other->blocks[j].round != block->round)
                continue;
            other_rates[*count] = (sv_rate){(double)other->blocks[j].texts, other->blocks[j].seconds};
        }
        rates[(*count)++] = (sv_rate){(double)block->texts, block->seconds};
    }
}

/* texts/s of `row`, or its ratio to `other`'s if that isn't NULL. */
static senvec_status estimate(const sv_results *results, const sv_row *row, const sv_row *other, sv_estimate *out,
                              senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *rates, *other_rates;
    size_t count;
    senvec_status status = sv_arena_alloc(&arena, row->block_count, sizeof(sv_rate), "rates", &rates, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, row->block_count, sizeof(sv_rate), "rates", &other_rates, err);
    if (status == SENVEC_OK) {
        paired_rates(row, other, rates, other_rates, &count);
        status = other ? sv_estimate_ratio(rates, other_rates, count, results->seed, out, err)
                       : sv_estimate_rate(rates, count, results->seed, out, err);
    }
    sv_arena_release(&arena);
    return status;
}

/* Standard deviation over mean of the blocks' rates. */
static double spread(const sv_row *row) {
    double sum = 0, squares = 0, n = (double)row->block_count;
    for (size_t i = 0; i < row->block_count; i++)
        sum += (double)row->blocks[i].texts / row->blocks[i].seconds;
    double mean = sum / n;
    for (size_t i = 0; i < row->block_count; i++) {
        double difference = (double)row->blocks[i].texts / row->blocks[i].seconds - mean;
        squares += difference * difference;
    }
    return n > 1 ? sqrt(squares / (n - 1)) / mean : NAN;
}

static double peak_of(const sv_results *results, const char *precision) {
    if (strcmp(precision, "int8") == 0)
        return results->peak_int8;
    if (strcmp(precision, "bf16") == 0)
        return results->peak_bf16;
    return results->peak_fp32;
}

senvec_status sv_row_figures_compute(const sv_results *results, const sv_row *row, sv_row_figures *out, senvec_error *err) {
    const sv_estimate unknown = {NAN, NAN, NAN};
    *out = (sv_row_figures){.texts_per_s = unknown,
                            .tokens_per_s = NAN,
                            .spread = NAN,
                            .speedup = unknown,
                            .speedup_same_batch = unknown,
                            .gmacs = NAN,
                            .peak_percent = NAN,
                            .usd_per_1k = NAN,
                            .usd_per_1m = NAN,
                            .saving = NAN};
    SENVEC_TRY(sv_summarize(row->cosines, row->cosine_count, &out->cosine, err));
    SENVEC_TRY(sv_summarize(row->latency_ms, row->latency_count, &out->latency, err));
    if (row->state != SV_ROW_MEASURED || row->block_count == 0)
        return SENVEC_OK;

    const sv_row *baseline = sv_results_baseline(results);
    const sv_row *same_batch = first_measured(results, row->batch, baseline->runtime);
    SENVEC_TRY(estimate(results, row, NULL, &out->texts_per_s, err));
    SENVEC_TRY(estimate(results, row, baseline, &out->speedup, err));
    if (same_batch)
        SENVEC_TRY(estimate(results, row, same_batch, &out->speedup_same_batch, err));
    double tokens = 0, seconds = 0;
    for (size_t i = 0; i < row->block_count; i++) {
        tokens += (double)row->blocks[i].tokens;
        seconds += row->blocks[i].seconds;
    }
    out->tokens_per_s = tokens / seconds;
    out->spread = spread(row);
    double peak = peak_of(results, row->precision);
    if (results->linear_macs)
        out->gmacs = out->tokens_per_s * (double)results->linear_macs / 1e9;
    if (peak > 0)
        out->peak_percent = 100 * out->gmacs / peak;
    out->usd_per_1k = sv_cost_usd(results->price_per_hour, out->texts_per_s.value, 1e3);
    out->usd_per_1m = sv_cost_usd(results->price_per_hour, out->texts_per_s.value, 1e6);
    out->saving = 1 - 1 / out->speedup.value;
    return SENVEC_OK;
}
