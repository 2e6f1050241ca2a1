#include "results/recommendation.h"

#include <math.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The score that is worst for a configuration's vectors in a form, among those that decide; NULL if there is none. *bytes gets
 * the size of a vector. */
static const json_t *worst_score(const sv_results *results, const char *name, const char *form, double *low, double *bytes) {
    const json_t *worst = NULL;
    size_t index;
    json_t *entry;
    *low = INFINITY;
    json_array_foreach(json_object_get(results->labels, "scores"), index, entry) {
        if (strcmp(text_of(entry, "configuration"), name) != 0 || strcmp(text_of(entry, "form"), form) != 0 ||
            !json_is_true(json_object_get(entry, "main")))
            continue;
        const json_t *value = json_object_get(entry, "low");
        double own = json_is_number(value) ? json_number_value(value) : -INFINITY;
        if (!worst || own < *low) {
            worst = entry;
            *low = own;
            *bytes = json_number_value(json_object_get(entry, "bytes"));
        }
    }
    return worst;
}

static double cost_of(const sv_results *results, const sv_figures *figures, size_t i) {
    return results->rows[i].state == SV_ROW_MEASURED ? figures->rows[i].usd_per_1m : NAN;
}

/* The smallest form of the row's vectors that passes. */
static void choose_form(const sv_results *results, const char *name, double tolerance, char out[16], double *bytes) {
    static const char *const names[] = {"float32", "int8", "half", "binary"};
    double least = INFINITY;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        double low, size = 0;
        if (worst_score(results, name, names[f], &low, &size) && low >= -tolerance && size < least) {
            least = size;
            snprintf(out, 16, "%s", names[f]);
        }
    }
    *bytes = least;
}

bool sv_recommend(const sv_results *results, const sv_figures *figures, sv_recommendation *out) {
    *out = (sv_recommendation){0};
    if (!results->labels)
        return false;
    const double tolerance = json_number_value(json_object_get(results->labels, "tolerance"));
    const char *baseline = text_of(results->labels, "baseline");
    size_t best = SIZE_MAX, cheaper = SIZE_MAX;
    double low, bytes, cheaper_low = 0;
    if (!figures->steadiness.quotable) {
        snprintf(out->reason, sizeof out->reason,
                 "None: the machine was busy, so that nobody can tell what is cheapest. Measure again when nothing else runs.");
        return true;
    }
    for (size_t i = 0; i < results->row_count; i++) {
        double cost = cost_of(results, figures, i);
        if (worst_score(results, results->rows[i].name, "float32", &low, &bytes) && low >= -tolerance && isfinite(cost) &&
            (best == SIZE_MAX || cost < cost_of(results, figures, best)))
            best = i;
    }
    if (best == SIZE_MAX) {
        snprintf(
            out->reason, sizeof out->reason,
            "None: no measured configuration's interval excludes a loss of more than %g against %s. Give more labels, which "
            "make intervals narrower, or a larger --tolerance.",
            tolerance, baseline);
        return true;
    }
    out->row = &results->rows[best];
    choose_form(results, out->row->name, tolerance, out->form, &bytes);
    for (size_t i = 0; i < results->row_count; i++) {
        double cost = cost_of(results, figures, i), unused;
        if (cost < cost_of(results, figures, best) && worst_score(results, results->rows[i].name, "float32", &low, &unused) &&
            (cheaper == SIZE_MAX || low > cheaper_low)) {
            cheaper = i;
            cheaper_low = low;
        }
    }
    int used =
        snprintf(out->reason, sizeof out->reason,
                 "%s costs $%.3g for a million texts, and at none of your tasks does its 95 %% interval allow a loss of more "
                 "than %g against %s, also with its vectors kept as %s (%.0f bytes). ",
                 out->row->name, cost_of(results, figures, best), tolerance, baseline, out->form, bytes);
    if (cheaper == SIZE_MAX)
        snprintf(out->reason + used, sizeof out->reason - (size_t)used, "Nothing that was measured is cheaper.");
    else
        snprintf(out->reason + used, sizeof out->reason - (size_t)used,
                 "What is cheaper may lose more: %s, at $%.3g, up to %.3g.", results->rows[cheaper].name,
                 cost_of(results, figures, cheaper), -cheaper_low);
    return true;
}
