/* What is timed of the services. Every run is an object in results->services, named by service, load and step: what an
 * interrupted study has of them is not measured again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loadgen/find_rate.h"
#include "loadgen/load_files.h"
#include "stats/random.h"
#include "study/batching.h"
#include "study/services_internal.h"

enum { MOST_SEARCH_RUNS = 5, MOST_CONFIRMATIONS = 6 };
#define MOST_BLOCK_S 5.0
#define CONFIRM_STEP 0.93 /* from a rate that doesn't hold to the next one to try */

static const struct {
    const char *name;
    size_t clients, texts; /* of a request */
} loads[] = {{"single", 1, 1}, {"together", SV_SERVICE_CLIENTS, 1}, {"bulk", SV_BULK_CLIENTS, SV_BULK_TEXTS}};
enum { SINGLE, TOGETHER, BULK, LOADS };

static double get(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool is_text(const json_t *object, const char *key, const char *text) {
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

static const json_t *find_run(const sv_services_stage *s, const sv_served *item, const char *load, size_t step) {
    size_t index;
    const json_t *run;
    json_array_foreach(json_object_get(s->results->services, "runs"), index, run) {
        if (json_integer_value(json_object_get(run, "step")) == (json_int_t)step && is_text(run, "load", load) &&
            is_text(run, "service", item->service->name))
            return run;
    }
    return NULL;
}

static senvec_status keep_run(const sv_services_stage *s, const sv_served *item, const char *load, size_t step, double rate,
                              const sv_workload *workload, const sv_load_figures *figures, senvec_error *err) {
    json_t *run = sv_load_figures_json(figures, workload);
    json_object_set_new(run, "service", json_string(item->service->name));
    json_object_set_new(run, "load", json_string(load));
    json_object_set_new(run, "step", json_integer((json_int_t)step));
    sv_put_number(run, "rate", rate > 0 ? rate : NAN);
    if (json_array_append_new(json_object_get(s->results->services, "runs"), run) != 0)
        return sv_services_no_memory(err);
    return sv_services_checkpoint(s, err);
}

static senvec_status run_plan(const sv_services_stage *s, const sv_load_plan *plan, const sv_workload *workload,
                              sv_http_target *target, size_t samples, sv_load_figures *out, senvec_error *err) {
    sv_load_log log = {0};
    sv_load_target driver = sv_http_target_driver(target);
    senvec_status status = sv_load_run(plan, workload, &driver, &log, err);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, samples, out, err);
    sv_load_log_release(&log);
    return status == SENVEC_OK && sv_services_cancelled(s) ? sv_services_fail_cancelled(err) : status;
}

/* Longer where nothing was answered in the time; a service that still answers nothing then has failed. */
static senvec_status run_block(const sv_services_stage *s, size_t load, sv_http_target *target, size_t round,
                               sv_load_figures *out, senvec_error *err) {
    const sv_workload *workload = load == BULK ? &s->bulk : &s->one;
    for (double seconds = s->block_s;; seconds *= 4) {
        const sv_load_plan plan = {.loop = SV_LOAD_CLOSED_LOOP,
                                   .clients = loads[load].clients,
                                   .warmup_s = fmin(seconds / 4, 0.2),
                                   .duration_s = fmin(seconds, MOST_BLOCK_S),
                                   .timeout_s = SV_SERVICE_TIMEOUT_S,
                                   .seed = s->options->seed + round,
                                   .cancelled = s->options->cancelled};
        SENVEC_TRY(run_plan(s, &plan, workload, target, 1, out, err));
        if (out->answered_per_s > 0)
            return SENVEC_OK;
        if (seconds >= MOST_BLOCK_S)
            return sv_fail(err, SENVEC_NETWORK, 0, "it answered none of %llu requests of %zu clients in %g s",
                           (unsigned long long)out->requests, loads[load].clients, out->seconds);
    }
}

static senvec_status measure_block(sv_services_stage *s, sv_served *item, size_t load, size_t round, senvec_error *err) {
    senvec_error failure;
    sv_load_figures figures;
    sv_http_target *target = NULL;
    const sv_workload *workload = load == BULK ? &s->bulk : &s->one;
    sv_services_progress(s, item->service->name);
    if (!item->runs || find_run(s, item, loads[load].name, round))
        return SENVEC_OK;
    senvec_status status = sv_service_target(item, workload, false, &target, &failure);
    if (status == SENVEC_OK)
        status = run_block(s, load, target, round, &figures, &failure);
    sv_http_target_close(target);
    if (status != SENVEC_OK)
        return sv_service_give_up(item, SV_ROW_FAILED, &failure, err);
    return keep_run(s, item, loads[load].name, round, 0, workload, &figures, err);
}

static senvec_status measure_rounds(sv_services_stage *s, senvec_error *err) {
    size_t order[SV_MAX_SERVICES];
    for (size_t round = 0; round < s->rounds; round++)
        for (size_t load = 0; load < LOADS; load++) {
            sv_random random;
            sv_random_seed(&random, s->options->seed * 1000003 + round * LOADS + load);
            for (size_t i = 0; i < s->count; i++)
                order[i] = i;
            sv_random_shuffle(&random, order, s->count);
            for (size_t i = 0; i < s->count; i++)
                SENVEC_TRY(measure_block(s, &s->items[order[i]], load, round, err));
        }
    return SENVEC_OK;
}

static int by_value(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The median of a percentile of the rounds; NaN where some round has none. */
static double median_of(const sv_services_stage *s, const sv_served *item, size_t load, const char *percentile) {
    double values[SV_SERVICE_ROUNDS];
    for (size_t round = 0; round < s->rounds; round++) {
        const json_t *run = find_run(s, item, loads[load].name, round);
        values[round] = get(json_object_get(run, "latency_ms"), percentile);
        if (!isfinite(values[round]))
            return NAN;
    }
    qsort(values, s->rounds, sizeof *values, by_value);
    return (values[s->rounds / 2] + values[(s->rounds - 1) / 2]) / 2;
}

/* What the rounds of a service say, into its row. */
static senvec_status conclude_rounds(const sv_services_stage *s, sv_served *item, senvec_error *err) {
    json_t *all = json_object();
    for (size_t load = 0; load < LOADS; load++) {
        sv_rate rates[SV_SERVICE_ROUNDS];
        sv_estimate rate;
        json_t *own = json_object(), *estimate = json_object();
        for (size_t round = 0; round < s->rounds; round++) {
            const json_t *run = find_run(s, item, loads[load].name, round);
            const double seconds = get(run, "seconds");
            rates[round] = (sv_rate){get(run, "texts_per_s") * seconds, seconds};
        }
        senvec_status status = sv_estimate_rate(rates, s->rounds, 0, s->results->seed, &rate, err);
        sv_put_number(estimate, "value", rate.value);
        sv_put_number(estimate, "low", rate.low);
        sv_put_number(estimate, "high", rate.high);
        json_object_set_new(own, "texts_per_s", estimate);
        sv_put_number(own, "p50_ms", median_of(s, item, load, "p50"));
        sv_put_number(own, "p95_ms", median_of(s, item, load, "p95"));
        sv_put_number(own, "p99_ms", median_of(s, item, load, "p99"));
        json_object_set_new(all, loads[load].name, own);
        if (status != SENVEC_OK) {
            json_decref(all);
            return status;
        }
    }
    item->idle_ms = median_of(s, item, SINGLE, "p50");
    json_object_set_new(item->row, "state", json_string(sv_row_state_text(SV_ROW_MEASURED)));
    json_object_set_new(item->row, "reason", json_string(""));
    return json_object_set_new(item->row, "loads", all) == 0 ? SENVEC_OK : sv_services_no_memory(err);
}

/* --------------------------------------------------------------- under load */

static double capacity_of(const sv_served *item) {
    return get(json_object_get(json_object_get(json_object_get(item->row, "loads"), "together"), "texts_per_s"), "value");
}

/* The same rates for all, in steps of equal ratio: from what the slowest service does easily to more than the fastest does. */
static senvec_status plan_rates(sv_services_stage *s, senvec_error *err) {
    double least = INFINITY, most = 0;
    if (json_object_get(s->results->services, "rates"))
        return SENVEC_OK;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].runs) {
            least = fmin(least, 0.4 * capacity_of(&s->items[i]));
            most = fmax(most, 1.2 * capacity_of(&s->items[i]));
        }
    json_t *rates = json_array();
    for (size_t i = 0; i < s->steps && most > 0; i++)
        json_array_append_new(rates, json_real(least * pow(most / least, (double)i / (double)(s->steps - 1))));
    return json_object_set_new(s->results->services, "rates", rates) == 0 ? SENVEC_OK : sv_services_no_memory(err);
}

/* As long as the samples need: a tenth more, since a Poisson process rarely gives the mean. */
static sv_load_plan open_loop(const sv_services_stage *s, double rate, uint64_t seed) {
    return (sv_load_plan){.loop = SV_LOAD_POISSON,
                          .rate = rate,
                          .warmup_s = fmin(s->run_s, 0.3),
                          .duration_s = fmax(s->run_s, 1.1 * (double)s->samples / rate),
                          .timeout_s = SV_SERVICE_TIMEOUT_S,
                          .bound_ms = 20 * SV_BATCHING_BOUND_MS, /* far beyond it a queue only grows */
                          .seed = s->options->seed + seed,
                          .cancelled = s->options->cancelled};
}

static bool is_sustained(const json_t *run) {
    return json_is_true(json_object_get(run, "valid")) &&
           get(json_object_get(run, "latency_ms"), "p99") <= SV_BATCHING_BOUND_MS &&
           get(json_object_get(run, "outcomes"), "refused") <= SV_LOAD_MOST_FAILED * get(run, "requests");
}

static senvec_status measure_rate(sv_services_stage *s, sv_served *item, size_t step, double rate, senvec_error *err) {
    senvec_error failure;
    sv_load_figures figures;
    sv_http_target *target = NULL;
    sv_services_progress(s, item->service->name);
    if (!item->runs || item->failed > 0)
        return SENVEC_OK;
    if (!find_run(s, item, "curve", step)) {
        const sv_load_plan plan = open_loop(s, rate, step);
        senvec_status status = sv_service_target(item, &s->one, false, &target, &failure);
        if (status == SENVEC_OK)
            status = run_plan(s, &plan, &s->one, target, s->samples, &figures, &failure);
        if (status == SENVEC_OK) { /* what it still has in its queue would disturb the next service's run */
            sv_load_target driver = sv_http_target_driver(target);
            status = sv_load_settle(&plan, fmax(item->idle_ms, SV_BATCHING_BOUND_MS), &s->one, &driver, &failure);
        }
        sv_http_target_close(target);
        if (status != SENVEC_OK)
            return sv_service_give_up(item, SV_ROW_FAILED, &failure, err);
        SENVEC_TRY(keep_run(s, item, "curve", step, rate, &s->one, &figures, err));
    }
    *(is_sustained(find_run(s, item, "curve", step)) ? &item->passed : &item->failed) = rate;
    return SENVEC_OK;
}

static senvec_status measure_curves(sv_services_stage *s, senvec_error *err) {
    const json_t *rates = json_object_get(s->results->services, "rates");
    for (size_t step = 0; step < json_array_size(rates); step++)
        for (size_t i = 0; i < s->count; i++)
            SENVEC_TRY(
                measure_rate(s, &s->items[(i + step) % s->count], step, json_number_value(json_array_get(rates, step)), err));
    return SENVEC_OK;
}

/* The search's rate had the luckiest of its runs, so it is measured once more, longer and with other arrivals; where it doesn't
 * hold then, lower ones are. *best: what holds, or NULL. */
static senvec_status confirm(sv_services_stage *s, sv_http_target *target, double rate, json_t **best, senvec_error *err) {
    *best = NULL;
    for (uint64_t attempt = 1; rate > 0 && !*best && attempt <= MOST_CONFIRMATIONS; attempt++, rate *= CONFIRM_STEP) {
        sv_load_figures figures;
        sv_load_plan plan = open_loop(s, rate, 100 + attempt);
        plan.duration_s = fmax(plan.duration_s, 2 * s->run_s);
        SENVEC_TRY(run_plan(s, &plan, &s->one, target, s->samples, &figures, err));
        if (!sv_load_sustained(&figures, SV_BATCHING_BOUND_MS))
            continue;
        *best = sv_load_figures_json(&figures, &s->one);
        sv_put_number(*best, "rate", rate);
    }
    if (!*best)
        *best = json_pack("{s:f}", "rate", 0.0);
    return *best ? SENVEC_OK : sv_services_no_memory(err);
}

static senvec_status search(sv_services_stage *s, sv_served *item, senvec_error *err) {
    senvec_error failure;
    sv_http_target *target = NULL;
    json_t *best = NULL;
    double rate = 0;
    sv_services_progress(s, item->service->name);
    if (!item->runs || json_object_get(item->row, "best"))
        return SENVEC_OK;
    const double first = item->passed > 0 && item->failed > 0 ? sqrt(item->passed * item->failed)
                         : item->passed > 0                   ? 1.2 * item->passed
                                                              : item->failed / 2;
    const sv_load_plan plan = open_loop(s, first, 50);
    const sv_load_goal goal = {.bound_ms = SV_BATCHING_BOUND_MS,
                               .most_rate = fmax(4 * capacity_of(item), first),
                               .passed_rate = item->passed,
                               .failed_rate = item->failed,
                               .most_runs = MOST_SEARCH_RUNS,
                               .tolerance = 0.05,
                               .samples = s->samples};
    senvec_status status = sv_service_target(item, &s->one, false, &target, &failure);
    if (status == SENVEC_OK) {
        sv_load_target driver = sv_http_target_driver(target);
        status = sv_load_find_rate(&plan, &goal, &s->one, &driver, &rate, &failure);
    }
    if (status == SENVEC_OK)
        status = confirm(s, target, rate, &best, &failure);
    sv_http_target_close(target);
    if (status != SENVEC_OK)
        return sv_service_give_up(item, SV_ROW_FAILED, &failure, err);
    if (json_object_set_new(item->row, "best", best) != 0)
        return sv_services_no_memory(err);
    return sv_services_checkpoint(s, err);
}

senvec_status sv_services_measure(sv_services_stage *s, senvec_error *err) {
    SENVEC_TRY(measure_rounds(s, err));
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].runs)
            SENVEC_TRY(conclude_rounds(s, &s->items[i], err));
    SENVEC_TRY(plan_rates(s, err));
    SENVEC_TRY(measure_curves(s, err));
    for (size_t i = 0; i < s->count; i++)
        SENVEC_TRY(search(s, &s->items[i], err));
    return SENVEC_OK;
}
