#include "results/instances.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/cost.h"

#define HOURS_A_MONTH 730.0
enum { MOST_TYPES = 1000, MOST_FIELD = 128 };

static const struct {
    const char *title, *key;
    bool number;
} columns[] = {
    {"Provider", "provider", false},
    {"Instance", "name", false},
    {"vCPUs", "vcpus", true},
    {"Cores", "cores", true},
    {"Processor", "processor", false},
    {"ISA", "isa", false},
    {"GHz", "ghz", true},
    {"INT8 MAC/cycle", "int8_macs", true},
    {"BF16 MAC/cycle", "bf16_macs", true},
    {"FP32 MAC/cycle", "fp32_macs", true},
    {"INT8 Fraction", "int8_fraction", true},
    {"BF16 Fraction", "bf16_fraction", true},
    {"FP32 Fraction", "fp32_fraction", true},
    {"USD per hour", "usd_per_hour", true},
    {"Date", "date", false},
    {"Source", "source", false},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* A line's fields into `fields`; false if there are others than COLUMNS, or one is too long. */
static bool split(const char *line, size_t length, char fields[COLUMNS][MOST_FIELD]) {
    size_t column = 0, used = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i == length || line[i] == ',') {
            fields[column][used] = '\0';
            used = 0;
            if (++column == COLUMNS)
                return i == length;
        } else if (used + 1 < MOST_FIELD) {
            fields[column][used++] = line[i];
        } else {
            return false;
        }
    }
    return false;
}

static senvec_status add_type(char fields[COLUMNS][MOST_FIELD], const char *name, size_t number, json_t *list,
                              senvec_error *err) {
    json_t *type = json_object();
    for (size_t c = 0; c < COLUMNS; c++) {
        char *end;
        const double value = columns[c].number ? strtod(fields[c], &end) : 0;
        if (columns[c].number && (!fields[c][0] || *end || !(value >= 0 && value < 1e9))) {
            json_decref(type);
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: line %zu: %s is \"%s\", not a number from 0 on", name, number,
                           columns[c].title, fields[c]);
        }
        json_object_set_new(type, columns[c].key, columns[c].number ? json_real(value) : json_string(fields[c]));
    }
    return json_array_append_new(list, type) == 0 ? SENVEC_OK
                                                  : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for it", name);
}

senvec_status sv_instances_parse(const char *text, const char *name, json_t **out, senvec_error *err) {
    char fields[COLUMNS][MOST_FIELD];
    json_t *list = json_array();
    senvec_status status = SENVEC_OK;
    size_t number = 1;
    for (const char *line = text; status == SENVEC_OK && *line; number++) {
        size_t length = strcspn(line, "\n");
        const char *next = line + length + (line[length] == '\n');
        length -= length > 0 && line[length - 1] == '\r';
        const bool whole = split(line, length, fields);
        if (length == 0)
            ;
        else if (!whole)
            status = sv_fail(err, SENVEC_FORMAT, 0, "%s: line %zu: not %d fields of at most %d bytes with commas between them",
                             name, number, COLUMNS, MOST_FIELD - 1);
        else if (number > 1 && json_array_size(list) < MOST_TYPES)
            status = add_type(fields, name, number, list, err);
        else if (number > 1)
            status = sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %d instance types", name, MOST_TYPES);
        for (size_t c = 0; status == SENVEC_OK && number == 1 && c < COLUMNS; c++)
            if (!whole || strcmp(fields[c], columns[c].title) != 0)
                status = sv_fail(err, SENVEC_FORMAT, 0, "%s: column %zu must be called \"%s\"", name, c + 1, columns[c].title);
        line = next;
    }
    if (status == SENVEC_OK && json_array_size(list) == 0)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: no instance type in it", name);
    if (status == SENVEC_OK)
        *out = list;
    else
        json_decref(list);
    return status;
}

/* ------------------------------------------------------------- predictions */

static double number_at(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double member(const json_t *type, const char *precision, const char *what) {
    char key[32];
    snprintf(key, sizeof key, "%s_%s", precision, what);
    return number_at(type, key);
}

static void put(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

/* The engine's row in batches with the most texts/s; SIZE_MAX: none. */
static size_t fastest_row(const sv_results *results, const sv_figures *figures) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        const bool fits = strcmp(row->runtime, "senvec") == 0 && row->batch > 1 && row->state == SV_ROW_MEASURED;
        if (fits && (best == SIZE_MAX || figures->rows[i].texts_per_s.value > figures->rows[best].texts_per_s.value))
            best = i;
    }
    return best;
}

/* Single texts a second that the batcher's default policy held here with a p99 of at most `p99_ms`; NaN: none. What a run of
 * the curve held counts up to the rate that was searched for, if that had the same bound or a longer one. */
static double held_here(const sv_results *results, double p99_ms) {
    const json_t *lists[] = {json_object_get(results->batching, "best"), json_object_get(results->batching, "runs")};
    const double bound = number_at(results->batching, "bound_ms");
    double held = NAN, most = INFINITY;
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        size_t index;
        const json_t *run;
        json_array_foreach(lists[l], index, run) {
            const char *policy = json_string_value(json_object_get(run, "policy"));
            const char *set = json_string_value(json_object_get(run, "set"));
            const double p99 = number_at(json_object_get(run, "latency_ms"), "p99"), rate = number_at(run, "rate");
            if (!policy || strcmp(policy, "slo") != 0)
                continue;
            if (l == 0 && p99_ms <= bound)
                most = rate;
            if (json_is_true(json_object_get(run, "valid")) && (!set || strcmp(set, "corpus") == 0) && p99 <= p99_ms &&
                rate <= most && !(rate <= held))
                held = rate;
        }
    }
    return held;
}

/* What a machine of that speed and price costs, for many texts and for the load. */
static void put_costs(json_t *object, const json_t *wanted, double texts_per_s, double held, double price) {
    const double replicas = ceil(number_at(wanted, "load_per_s") / held);
    put(object, "texts_per_s", texts_per_s);
    put(object, "usd_per_1m_texts", sv_cost_usd(price, texts_per_s, 1e6));
    put(object, "held_per_s", held);
    put(object, "replicas", replicas);
    put(object, "usd_per_month", replicas * HOURS_A_MONTH * price);
}

/* The precision of the engine with the most texts/s there; `macs` are those of a text, `row` is the one that was measured. */
static double predict(json_t *type, const sv_row *row, double reached, double macs) {
    static const char *const precisions[] = {"int8", "bf16", "fp32"};
    const char *isa = json_string_value(json_object_get(type, "isa"));
    const char *tier = json_string_value(json_object_get(json_object_get(row->worker, "settings"), "ISA tier"));
    double best = 0;
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        const bool same = isa && tier && strcmp(isa, tier) == 0 && strcmp(precisions[p], row->precision) == 0;
        const double fraction = same && isfinite(reached) ? reached : member(type, precisions[p], "fraction");
        const double peak = number_at(type, "cores") * number_at(type, "ghz") * 1e9 * member(type, precisions[p], "macs");
        const double texts_per_s = peak * fraction / macs;
        if (texts_per_s > best) {
            best = texts_per_s;
            json_object_set_new(type, "precision", json_string(precisions[p]));
            json_object_set_new(type, "same_isa", json_boolean(same));
        }
    }
    return best > 0 ? best : NAN;
}

json_t *sv_instances_predict(const sv_results *results, const sv_figures *figures) {
    const size_t best = fastest_row(results, figures);
    const bool known = results->instances && best != SIZE_MAX && results->linear_macs && figures->steadiness.quotable;
    json_t *all = known ? json_deep_copy(results->instances) : NULL;
    json_t *here = json_object(), *type;
    size_t index;
    if (!all || json_object_set(all, "here", here) != 0) {
        json_decref(here);
        json_decref(all);
        return NULL;
    }
    const sv_row *row = &results->rows[best];
    const sv_row_figures *own = &figures->rows[best];
    const double held = held_here(results, number_at(all, "p99_ms"));
    const double macs = own->tokens_per_s / own->texts_per_s.value * (double)results->linear_macs;
    json_object_set_new(all, "configuration", json_string(row->name));
    json_object_set_new(all, "precision", json_string(row->precision));
    put_costs(here, all, own->texts_per_s.value, held, results->price_per_hour);
    json_array_foreach(json_object_get(all, "types"), index, type) {
        const double texts_per_s = predict(type, row, own->peak_percent / 100, macs);
        put_costs(type, all, texts_per_s, held * texts_per_s / own->texts_per_s.value, number_at(type, "usd_per_hour"));
    }
    json_decref(here);
    return all;
}
