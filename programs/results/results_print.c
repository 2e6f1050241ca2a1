/* The summary on the terminal: what a reader wants to know first, in at most 128 columns. */
#include "results/results.h"

#include <math.h>
#include <string.h>

/* `value` with about four significant digits in `width` columns, or a dash. */
static void put(FILE *stream, int width, double value) {
    if (!isfinite(value))
        fprintf(stream, " %*s", width, "-");
    else
        fprintf(stream, " %*.*f", width, value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3, value);
}

/* "1234 +- 12": the value and the larger half of its interval, if it has one. */
static void put_estimate(FILE *stream, int width, sv_estimate estimate, int decimals) {
    char text[40] = "-";
    double half = fmax(estimate.high - estimate.value, estimate.value - estimate.low);
    if (half > 0)
        snprintf(text, sizeof text, "%.*f +-%.*f", decimals, estimate.value, decimals, half);
    else if (isfinite(estimate.value))
        snprintf(text, sizeof text, "%.*f", decimals, estimate.value);
    fprintf(stream, " %*s", width, text);
}

senvec_status sv_results_print(const sv_results *results, FILE *stream, senvec_error *err) {
    const sv_row *baseline = sv_results_baseline(results);
    fprintf(stream, "%-31s %9s %9s %9s %15s %14s %9s %7s %7s %9s\n", "configuration", "p50 ms", "p95 ms", "p99 ms", "texts/s",
            "x baseline", "cosine", "% peak", "RSS MB", "USD / 1M");
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures f;
        SENVEC_TRY(sv_row_figures_compute(results, row, &f, err));
        fprintf(stream, "%-31s", row->name);
        if (row->state != SV_ROW_MEASURED) {
            fprintf(stream, " %s%s%s\n", sv_row_state_text(row->state), row->reason[0] ? ": " : "", row->reason);
            continue;
        }
        put(stream, 9, f.latency.p50);
        put(stream, 9, f.latency.p95);
        put(stream, 9, f.latency.p99);
        put_estimate(stream, 15, f.texts_per_s, 1);
        put_estimate(stream, 14, f.speedup, 2);
        double cosine = f.cosine[SV_VALIDATION_CORPUS].mean;
        if (isfinite(cosine))
            fprintf(stream, " %9.6f", cosine);
        else
            fprintf(stream, " %9s", "-");
        put(stream, 7, f.peak_percent);
        put(stream, 7, (double)row->peak_rss_bytes / 1048576);
        fprintf(stream, " %9.5f\n", f.usd_per_1m);
    }
    fprintf(stream,
            "%zu threads for each; latency of a whole call; +- is the larger half of the 95 %% interval; baseline: %s; "
            "cosine against: %s; %g USD an hour; seed %llu\n",
            results->threads, baseline ? baseline->name : "none", results->reference[0] ? results->reference : "nothing",
            results->price_per_hour, (unsigned long long)results->seed);
    size_t index;
    json_t *warning, *best;
    json_array_foreach(json_object_get(results->batching, "best"), index, best) fprintf(
        stream, "%s, policy %s: %.0f single texts/s within %g ms at p99, Poisson arrivals\n",
        json_string_value(json_object_get(results->batching, "name")), json_string_value(json_object_get(best, "policy")),
        json_number_value(json_object_get(best, "rate")), json_number_value(json_object_get(results->batching, "bound_ms")));
    json_array_foreach(results->warnings, index, warning) fprintf(stream, "warning: %s\n", json_string_value(warning));
    return SENVEC_OK;
}
