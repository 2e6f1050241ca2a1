/* Figures from measurements. Intervals are those of docs/STUDY.md. */
#include "results/figures.h"

#include <math.h>
#include <string.h>

#include "io/texts.h"
#include "results/cost.h"

/* The blocks of `measured` and `other` (may be NULL) of the rounds that both have, as rates; *count gets their number. Both
 * arrays have room for measured->block_count. */
static void paired_rates(const sv_measurement *measured, const sv_measurement *other, sv_rate *rates, sv_rate *other_rates,
                         size_t *count) {
    *count = 0;
    for (size_t i = 0, j = 0; i < measured->block_count; i++) {
        const sv_block *block = &measured->blocks[i];
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

/* Of a measurement, or of its ratio to another. */
static senvec_status estimate_rate(const sv_results *results, const sv_measurement *measured, const sv_measurement *other,
                                   double drift, sv_estimate *out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *rates, *other_rates;
    size_t count;
    senvec_status status = sv_arena_alloc(&arena, measured->block_count, sizeof(sv_rate), "rates", &rates, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, measured->block_count, sizeof(sv_rate), "rates", &other_rates, err);
    if (status == SENVEC_OK) {
        paired_rates(measured, other, rates, other_rates, &count);
        status = other ? sv_estimate_ratio(rates, other_rates, count, results->seed, out, err)
                       : sv_estimate_rate(rates, count, drift, results->seed, out, err);
    }
    sv_arena_release(&arena);
    return status;
}

/* The ratio of texts/s to `other`'s. Without a common round, as under load, it is that of the means and has no interval. */
static senvec_status compare_rates(const sv_results *results, const sv_measurement *measured, const sv_measurement *other,
                                   sv_estimate *out, senvec_error *err) {
    SENVEC_TRY(estimate_rate(results, measured, other, 0, out, err));
    if (isnan(out->value)) {
        sv_estimate above, below;
        SENVEC_TRY(estimate_rate(results, measured, NULL, 0, &above, err));
        SENVEC_TRY(estimate_rate(results, other, NULL, 0, &below, err));
        double ratio = above.value / below.value;
        *out = (sv_estimate){ratio, ratio, ratio};
    }
    return SENVEC_OK;
}

static double block_rate(const sv_block *block) {
    return (double)block->texts / block->seconds;
}

/* levels[b] = the logarithm of the rate of block b against the mean of all. */
static void levels_of(const sv_measurement *measured, double *levels) {
    double mean = 0;
    for (size_t b = 0; b < measured->block_count; b++) {
        levels[b] = log(block_rate(&measured->blocks[b]));
        mean += levels[b] / (double)measured->block_count;
    }
    for (size_t b = 0; b < measured->block_count; b++)
        levels[b] -= mean;
}

senvec_status sv_results_drift(const sv_results *results, double *out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *all, *of_round;
    size_t rounds = 0, rows = 0;
    *out = 0;
    for (size_t i = 0; i < results->row_count; i++)
        if (results->rows[i].bench.block_count > rounds)
            rounds = results->rows[i].bench.block_count;
    /* The levels of a row, one row after the other; a round's, of all rows; and the medians of those. */
    senvec_status status = sv_arena_alloc(&arena, (results->row_count + 1) * rounds, sizeof(double), "rounds", &all, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, results->row_count, sizeof(double), "rounds", &of_round, err);
    if (status == SENVEC_OK) {
        double *levels = all, *values = of_round, *medians = levels + results->row_count * rounds;
        for (size_t i = 0; i < results->row_count; i++)
            if (results->rows[i].bench.block_count == rounds)
                levels_of(&results->rows[i].bench, levels + rows++ * rounds);
        for (size_t round = 0; status == SENVEC_OK && round < rounds; round++) {
            sv_summary summary;
            for (size_t i = 0; i < rows; i++)
                values[i] = levels[i * rounds + round];
            status = sv_summarize(values, rows, &summary, err);
            medians[round] = summary.p50;
        }
        *out = status == SENVEC_OK ? sv_drift(medians, rounds) : 0;
    }
    sv_arena_release(&arena);
    return status;
}

/* The machine's drift or the row's own, whichever is larger. */
static senvec_status row_drift(const sv_row *row, double machine, double *out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *levels;
    senvec_status status = sv_arena_alloc(&arena, row->bench.block_count, sizeof(double), "rounds", &levels, err);
    if (status == SENVEC_OK) {
        levels_of(&row->bench, levels);
        *out = fmax(machine, sv_drift(levels, row->bench.block_count));
    }
    sv_arena_release(&arena);
    return status;
}

senvec_status sv_rows_by_width(const sv_results *results, size_t *rows, size_t *count, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *memory;
    double machine;
    *count = 0;
    senvec_status status = sv_results_drift(results, &machine, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, results->row_count, sizeof(double), "widths", &memory, err);
    for (size_t i = 0; status == SENVEC_OK && i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        double drift, *widths = memory;
        sv_estimate rate;
        if (row->bench.block_count == 0)
            continue;
        status = row_drift(row, machine, &drift, err);
        if (status == SENVEC_OK)
            status = estimate_rate(results, &row->bench, NULL, drift, &rate, err);
        if (status != SENVEC_OK)
            break;
        size_t place = (*count)++;
        for (; place > 0 && widths[place - 1] < rate.high / rate.low; place--) {
            widths[place] = widths[place - 1];
            rows[place] = rows[place - 1];
        }
        widths[place] = rate.high / rate.low;
        rows[place] = i;
    }
    sv_arena_release(&arena);
    return status;
}

/* `machine`: the machine's drift. */
static senvec_status measurement_figures(const sv_results *results, const sv_row *row, const sv_measurement *measured,
                                         double machine, sv_series_figures *out, senvec_error *err) {
    double drift;
    *out = (sv_series_figures){0};
    for (size_t i = 0; i < measured->block_count; i++) {
        out->texts += (double)measured->blocks[i].texts;
        out->calls += (double)measured->blocks[i].calls;
        out->tokens += (double)measured->blocks[i].tokens;
        out->seconds += measured->blocks[i].seconds;
    }
    SENVEC_TRY(row_drift(row, machine, &drift, err));
    SENVEC_TRY(sv_summarize(measured->latency_ms, measured->latency_count, &out->latency, err));
    SENVEC_TRY(sv_estimate_median(measured->latency_ms, measured->latency_blocks, measured->latency_block_count, drift,
                                  results->seed, &out->p50, err));
    return estimate_rate(results, measured, NULL, drift, &out->texts_per_s, err);
}

senvec_status sv_measurement_figures(const sv_results *results, const sv_row *row, const sv_measurement *measured,
                                     sv_series_figures *out, senvec_error *err) {
    double drift;
    SENVEC_TRY(sv_results_drift(results, &drift, err));
    return measurement_figures(results, row, measured, drift, out, err);
}

senvec_status sv_row_use_cases(const sv_results *results, const sv_row *row, const sv_row_figures *figures, sv_use_cases *out,
                               senvec_error *err) {
    *out = (sv_use_cases){NAN, NAN, NAN, NAN, NAN, NAN};
    const sv_series *query = sv_results_series(results, row, SV_SERIES_LENGTH, SV_TEXTS_QUERY, 1);
    const sv_series *listing = sv_results_series(results, row, SV_SERIES_LENGTH, SV_TEXTS_LISTING, 1);
    sv_summary summary;
    if (query) {
        SENVEC_TRY(sv_summarize(query->measured.latency_ms, query->measured.latency_count, &summary, err));
        out->query_ms = summary.p50;
        out->query_p95_ms = summary.p95;
    }
    if (listing) {
        SENVEC_TRY(sv_summarize(listing->measured.latency_ms, listing->measured.latency_count, &summary, err));
        out->listing_ms = summary.p50;
        out->listing_p95_ms = summary.p95;
    }
    if (strcmp(row->runtime, SV_STUDY_BATCHER) == 0) /* a re-index has no callers that come one by one */
        return SENVEC_OK;
    out->reindex_hours = 1e6 / figures->texts_per_s.value / 3600;
    out->reindex_usd = figures->usd_per_1m;
    return SENVEC_OK;
}

double sv_rate_spread(const sv_measurement *measured) {
    double sum = 0, squares = 0, n = (double)measured->block_count;
    for (size_t i = 0; i < measured->block_count; i++)
        sum += block_rate(&measured->blocks[i]);
    double mean = sum / n;
    for (size_t i = 0; i < measured->block_count; i++) {
        double difference = block_rate(&measured->blocks[i]) - mean;
        squares += difference * difference;
    }
    return n > 1 ? sqrt(squares / (n - 1)) / mean : NAN;
}

senvec_status sv_results_steadiness(const sv_results *results, sv_steadiness *out, senvec_error *err) {
    const sv_row *baseline = sv_results_baseline(results);
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *memory;
    size_t count = 0;
    senvec_status status = sv_arena_alloc(&arena, results->row_count, sizeof(double), "spreads", &memory, err);
    if (status == SENVEC_OK) {
        double *spreads = memory;
        sv_summary summary;
        for (size_t i = 0; i < results->row_count; i++)
            if (results->rows[i].bench.block_count > 1)
                spreads[count++] = sv_rate_spread(&results->rows[i].bench);
        status = sv_summarize(spreads, count, &summary, err);
        *out = (sv_steadiness){.spread = summary.p50, .baseline_spread = baseline ? sv_rate_spread(&baseline->bench) : NAN};
        out->quotable = !(out->spread > SV_STEADY_LIMIT) && !(out->baseline_spread > SV_STEADY_LIMIT);
    }
    sv_arena_release(&arena);
    return status;
}

static double peak_of(const sv_results *results, const char *precision) {
    if (strcmp(precision, "int8") == 0)
        return results->peak_int8;
    if (strcmp(precision, "bf16") == 0)
        return results->peak_bf16;
    return results->peak_fp32;
}

static const sv_estimate unknown = {NAN, NAN, NAN};
static const sv_summary unknown_summary = {
    .mean = NAN, .min = NAN, .max = NAN, .deviation = NAN, .p1 = NAN, .p50 = NAN, .p95 = NAN, .p99 = NAN, .p999 = NAN};

static sv_row_figures unknown_row(void) {
    sv_row_figures row = {.latency = unknown_summary,
                          .p50 = unknown,
                          .texts_per_s = unknown,
                          .tokens_per_s = NAN,
                          .spread = NAN,
                          .speedup = unknown,
                          .speedup_same_batch = unknown,
                          .gmacs = NAN,
                          .peak_percent = NAN,
                          .usd_per_1k = NAN,
                          .usd_per_1m = NAN,
                          .usd_per_1m_tokens = NAN,
                          .saving = NAN};
    for (size_t set = 0; set < SV_VALIDATION_SETS; set++)
        row.cosine[set] = unknown_summary;
    return row;
}

/* `ratios`: whether they may be given. */
static senvec_status row_figures(const sv_results *results, const sv_row *row, double machine, bool ratios, sv_row_figures *out,
                                 senvec_error *err) {
    *out = unknown_row();
    for (size_t set = 0; set < SV_VALIDATION_SETS; set++)
        SENVEC_TRY(sv_summarize(row->validation[set].cosines, row->validation[set].count, &out->cosine[set], err));
    sv_series_figures bench;
    SENVEC_TRY(measurement_figures(results, row, &row->bench, machine, &bench, err));
    out->latency = bench.latency;
    out->p50 = bench.p50;
    if (row->state != SV_ROW_MEASURED || row->bench.block_count == 0)
        return SENVEC_OK;

    const sv_row *baseline = sv_results_baseline(results);
    const sv_row *same_batch = sv_results_first_measured(results, row->batch, baseline->runtime);
    out->texts_per_s = bench.texts_per_s;
    if (ratios)
        SENVEC_TRY(compare_rates(results, &row->bench, &baseline->bench, &out->speedup, err));
    if (ratios && same_batch)
        SENVEC_TRY(compare_rates(results, &row->bench, &same_batch->bench, &out->speedup_same_batch, err));
    out->tokens_per_s = bench.tokens / bench.seconds;
    out->spread = sv_rate_spread(&row->bench);
    double peak = peak_of(results, row->precision);
    if (results->linear_macs)
        out->gmacs = out->tokens_per_s * (double)results->linear_macs / 1e9;
    if (peak > 0)
        out->peak_percent = 100 * out->gmacs / peak;
    out->usd_per_1k = sv_cost_usd(results->price_per_hour, out->texts_per_s.value, 1e3);
    out->usd_per_1m = sv_cost_usd(results->price_per_hour, out->texts_per_s.value, 1e6);
    out->usd_per_1m_tokens = sv_cost_usd(results->price_per_hour, out->tokens_per_s, 1e6);
    out->saving = 1 - 1 / out->speedup.value;
    return SENVEC_OK;
}

senvec_status sv_row_figures_compute(const sv_results *results, const sv_row *row, sv_row_figures *out, senvec_error *err) {
    double drift;
    sv_steadiness steadiness;
    SENVEC_TRY(sv_results_drift(results, &drift, err));
    SENVEC_TRY(sv_results_steadiness(results, &steadiness, err));
    return row_figures(results, row, drift, steadiness.quotable, out, err);
}

static senvec_status make_room(const sv_results *results, sv_figures *f, senvec_error *err) {
    void *rows, *use_cases, *series;
    SENVEC_TRY(sv_arena_alloc(&f->arena, results->row_count, sizeof *f->rows, "figures", &rows, err));
    SENVEC_TRY(sv_arena_alloc(&f->arena, results->row_count, sizeof *f->use_cases, "figures", &use_cases, err));
    SENVEC_TRY(sv_arena_alloc(&f->arena, results->series_count, sizeof *f->series, "figures", &series, err));
    f->rows = rows;
    f->use_cases = use_cases;
    f->series = series;
    return SENVEC_OK;
}

static senvec_status compute(const sv_results *results, sv_figures *f, senvec_error *err) {
    SENVEC_TRY(make_room(results, f, err));
    SENVEC_TRY(sv_results_drift(results, &f->drift, err));
    SENVEC_TRY(sv_results_steadiness(results, &f->steadiness, err));
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        SENVEC_TRY(row_figures(results, row, f->drift, f->steadiness.quotable, &f->rows[i], err));
        SENVEC_TRY(sv_row_use_cases(results, row, &f->rows[i], &f->use_cases[i], err));
    }
    for (size_t i = 0; i < results->series_count; i++) {
        const sv_series *s = &results->series[i];
        SENVEC_TRY(measurement_figures(results, &results->rows[s->row], &s->measured, f->drift, &f->series[i], err));
    }
    return SENVEC_OK;
}

senvec_status sv_figures_compute(const sv_results *results, sv_figures *out, senvec_error *err) {
    sv_figures figures = {0};
    sv_arena_init(&figures.arena, NULL);
    senvec_status status = compute(results, &figures, err);
    if (status == SENVEC_OK)
        *out = figures;
    else
        sv_arena_release(&figures.arena);
    return status;
}

senvec_status sv_figures_unknown(const sv_results *results, sv_figures *out, senvec_error *err) {
    sv_figures figures = {.drift = NAN, .steadiness = {NAN, NAN, true}};
    sv_arena_init(&figures.arena, NULL);
    senvec_status status = make_room(results, &figures, err);
    if (status != SENVEC_OK) {
        sv_arena_release(&figures.arena);
        return status;
    }
    for (size_t i = 0; i < results->row_count; i++) {
        figures.rows[i] = unknown_row();
        figures.use_cases[i] = (sv_use_cases){NAN, NAN, NAN, NAN, NAN, NAN};
    }
    for (size_t i = 0; i < results->series_count; i++)
        figures.series[i] = (sv_series_figures){.latency = unknown_summary, .p50 = unknown, .texts_per_s = unknown};
    *out = figures;
    return SENVEC_OK;
}

void sv_figures_release(sv_figures *figures) {
    if (figures->rows)
        sv_arena_release(&figures->arena);
    *figures = (sv_figures){0};
}
