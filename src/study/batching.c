#include "study/batching.h"

#include <math.h>
#include <string.h>

#include "load/batcher_target.h"
#include "load/find_rate.h"
#include "load/load_files.h"

enum { CALLERS = 64, SLOTS = 16384, POLICIES = 3, MOST_RUNS = 5 };
#define WARMUP_S 0.3
#define TIMEOUT_S 10.0

/* Rates of the curves, as parts of the capacity: dense where latency turns. */
static const double parts[] = {0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2};
static const double quick_parts[] = {0.4, 0.7, 1.2};
#define MIXED_PART 0.7

/* The mix of lengths, in words (about 1.3 tokens each): queries, paragraphs, texts that fill the model. */
static const sv_mix mixed_words = {3, {4, 60, 190}, {6, 3, 1}};

typedef struct stage {
    sv_results *results;
    const sv_study_options *options;
    sv_runner_progress_fn *progress;
    void *progress_context;
    double done, total; /* seconds of load, for the progress */
    double run_s;
    size_t samples;
    senvec_model *model;
    senvec_model_info info;
    sv_load_pool corpus, mixed;
    double capacity, mixed_capacity; /* requests/s */
    const char *policy;              /* of the steps of a search */
    json_t *best_run;
} stage;

static bool is_cancelled(const stage *s) {
    return s->options->cancelled && *s->options->cancelled;
}

static void show_progress(stage *s, double seconds, const char *what) {
    s->done += seconds;
    if (s->progress)
        s->progress(s->progress_context, s->done < s->total ? s->done / s->total : 1, what);
}

static senvec_status no_memory(senvec_error *err) {
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the results");
}

/* The precision of the fastest row so far; auto where nothing was measured. */
static senvec_status fastest_precision(const sv_results *results, senvec_precision *out, senvec_error *err) {
    static const char *const names[] = {
        [SENVEC_PRECISION_FP32] = "fp32", [SENVEC_PRECISION_BF16] = "bf16", [SENVEC_PRECISION_INT8] = "int8"};
    double best = 0;
    *out = SENVEC_PRECISION_AUTO;
    for (size_t i = 0; i < results->row_count; i++) {
        sv_row_figures figures;
        const sv_row *row = &results->rows[i];
        if (strcmp(row->runtime, "senvec") != 0 || row->state != SV_ROW_MEASURED)
            continue;
        SENVEC_TRY(sv_row_figures_compute(results, row, &figures, err));
        for (int precision = SENVEC_PRECISION_FP32; precision <= SENVEC_PRECISION_INT8; precision++)
            if (strcmp(row->precision, names[precision]) == 0 && figures.texts_per_s.value > best) {
                best = figures.texts_per_s.value;
                *out = (senvec_precision)precision;
            }
    }
    return SENVEC_OK;
}

/* A batcher and the target that drives it, for as long as one policy is measured. */
typedef struct service {
    sv_batcher *batcher;
    sv_batcher_target *target;
} service;

static senvec_status open_service(const stage *s, sv_policy policy, const sv_load_pool *pool, service *out, senvec_error *err) {
    const sv_batcher_options options = {
        .policy = policy,
        .target_ns = (uint64_t)(SV_BATCHING_BOUND_MS * 1e6),
        .threads = s->results->threads,
        .max_requests = SLOTS,
    };
    *out = (service){0};
    SENVEC_TRY(sv_batcher_open(s->model, &options, &out->batcher, err));
    senvec_status status = sv_batcher_target_open(out->batcher, s->info.dimensions, pool, SLOTS, &out->target, err);
    if (status != SENVEC_OK)
        sv_batcher_close(out->batcher);
    return status;
}

static void close_service(service *open) {
    sv_batcher_target_close(open->target);
    sv_batcher_close(open->batcher);
}

/* As long as the samples need: a tenth more, since a Poisson process rarely gives the mean. */
static sv_load_plan open_loop(const stage *s, double rate) {
    return (sv_load_plan){.loop = SV_LOAD_POISSON,
                          .rate = rate,
                          .warmup_s = WARMUP_S,
                          .duration_s = fmax(s->run_s, 1.1 * (double)s->samples / rate),
                          .timeout_s = TIMEOUT_S,
                          .seed = s->options->seed,
                          .cancelled = s->options->cancelled};
}

/* Requests a second that the engine can do if they come together at once. */
static senvec_status measure_capacity(stage *s, const sv_load_pool *pool, double *out, senvec_error *err) {
    service open;
    sv_load_log log = {0};
    sv_load_figures figures;
    sv_load_plan plan = {.loop = SV_LOAD_CLOSED_LOOP,
                         .clients = CALLERS,
                         .warmup_s = WARMUP_S,
                         .duration_s = s->run_s,
                         .timeout_s = TIMEOUT_S,
                         .seed = s->options->seed,
                         .cancelled = s->options->cancelled};
    SENVEC_TRY(open_service(s, SV_POLICY_GREEDY, pool, &open, err));
    sv_load_target driver = sv_batcher_target_driver(open.target);
    senvec_status status = sv_load_run(&plan, pool, &driver, &log, err);
    close_service(&open);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, s->samples, &figures, err);
    sv_load_log_release(&log);
    if (status == SENVEC_OK)
        *out = figures.answered_per_s;
    return status;
}

static json_t *describe_run(const stage *s, const char *policy, const sv_load_pool *pool, double rate,
                            const sv_load_figures *figures) {
    json_t *run = sv_load_figures_json(figures, pool);
    double capacity = pool == &s->mixed ? s->mixed_capacity : s->capacity;
    json_object_set_new(run, "policy", json_string(policy));
    json_object_set_new(run, "set", json_string(pool == &s->mixed ? "mixed" : "corpus"));
    json_object_set_new(run, "rate", json_real(rate));
    json_object_set_new(run, "part", json_real(rate / capacity));
    return run;
}

static senvec_status measure_run(stage *s, sv_policy policy, const sv_load_pool *pool, double rate, senvec_error *err) {
    service open;
    sv_load_log log = {0};
    sv_load_figures figures;
    sv_load_plan plan = open_loop(s, rate);
    SENVEC_TRY(open_service(s, policy, pool, &open, err));
    sv_load_target driver = sv_batcher_target_driver(open.target);
    senvec_status status = sv_load_run(&plan, pool, &driver, &log, err);
    close_service(&open);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, s->samples, &figures, err);
    if (status == SENVEC_OK && !is_cancelled(s) &&
        json_array_append_new(json_object_get(s->results->batching, "runs"),
                              describe_run(s, sv_policy_names[policy], pool, rate, &figures)) != 0)
        status = no_memory(err);
    sv_load_log_release(&log);
    show_progress(s, s->run_s, "adaptive batching");
    return status == SENVEC_OK && is_cancelled(s) ? sv_fail(err, SENVEC_CANCELLED, 0, "interrupted") : status;
}

static senvec_status measure_curves(stage *s, senvec_error *err) {
    const double *part = s->options->quick ? quick_parts : parts;
    size_t count = s->options->quick ? sizeof quick_parts / sizeof *quick_parts : sizeof parts / sizeof *parts;
    for (size_t i = 0; i < count; i++)
        for (int policy = 0; policy < POLICIES; policy++)
            SENVEC_TRY(measure_run(s, (sv_policy)policy, &s->corpus, part[i] * s->capacity, err));
    for (int policy = 0; policy < POLICIES; policy++)
        SENVEC_TRY(measure_run(s, (sv_policy)policy, &s->mixed, MIXED_PART * s->mixed_capacity, err));
    return SENVEC_OK;
}

/* Keeps the run of the highest rate that was sustained. */
static void take_step(void *context, double rate, const sv_load_log *log, const sv_load_figures *figures) {
    stage *s = context;
    (void)log;
    if (sv_load_sustained(figures, SV_BATCHING_BOUND_MS)) {
        json_decref(s->best_run);
        s->best_run = describe_run(s, s->policy, &s->corpus, rate, figures);
    }
    show_progress(s, s->run_s, "adaptive batching: highest rate");
}

/* What the policy's curve says: the run at the highest rate that was within the bound below all that weren't (NULL: none), and
 * the first rate that wasn't (0: none). */
static json_t *search_bounds(const stage *s, sv_policy policy, double *failed) {
    json_t *passed = NULL, *run;
    size_t i;
    *failed = 0;
    json_array_foreach(json_object_get(s->results->batching, "runs"), i, run) {
        if (strcmp(json_string_value(json_object_get(run, "policy")), sv_policy_names[policy]) != 0 ||
            strcmp(json_string_value(json_object_get(run, "set")), "corpus") != 0)
            continue;
        double p99 = json_number_value(json_object_get(json_object_get(run, "latency_ms"), "p99"));
        double refused = json_number_value(json_object_get(json_object_get(run, "outcomes"), "refused"));
        double requests = json_number_value(json_object_get(run, "requests"));
        if (json_is_true(json_object_get(run, "valid")) && p99 <= SV_BATCHING_BOUND_MS &&
            refused <= SV_LOAD_MOST_FAILED * requests) {
            passed = run;
            *failed = 0;
        } else if (*failed == 0) {
            *failed = json_number_value(json_object_get(run, "rate"));
        }
    }
    return json_incref(passed);
}

static senvec_status find_best(stage *s, sv_policy policy, senvec_error *err) {
    double failed, rate;
    service open;
    s->best_run = search_bounds(s, policy, &failed);
    s->policy = sv_policy_names[policy];
    double passed = json_number_value(json_object_get(s->best_run, "rate"));
    sv_load_plan plan = open_loop(s, passed > 0 && failed > 0 ? sqrt(passed * failed) : passed > 0 ? 1.2 * passed : failed / 2);
    const sv_load_goal goal = {.bound_ms = SV_BATCHING_BOUND_MS,
                               .most_rate = 4 * s->capacity,
                               .passed_rate = passed,
                               .failed_rate = failed,
                               .most_runs = MOST_RUNS,
                               .tolerance = 0.03,
                               .samples = s->samples,
                               .step = take_step,
                               .step_context = s};
    senvec_status status = open_service(s, policy, &s->corpus, &open, err);
    if (status == SENVEC_OK) {
        sv_load_target driver = sv_batcher_target_driver(open.target);
        status = sv_load_find_rate(&plan, &goal, &s->corpus, &driver, &rate, err);
        close_service(&open);
    }
    if (status == SENVEC_OK) {
        json_t *best = s->best_run ? json_incref(s->best_run) : json_pack("{s:s, s:f}", "policy", s->policy, "rate", 0.0);
        if (json_array_append_new(json_object_get(s->results->batching, "best"), best) != 0)
            status = no_memory(err);
    }
    json_decref(s->best_run);
    s->best_run = NULL;
    return status;
}

static senvec_status describe(stage *s, senvec_error *err) {
    static const char *const precisions[] = {"auto", "fp32", "bf16", "int8"};
    const char *precision = precisions[s->info.precision];
    char name[64];
    snprintf(name, sizeof name, "senvec %s + adaptive batching", precision);
    json_decref(s->results->batching);
    s->results->batching = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:I, s:[], s:[]}", "name", name, "precision",
                                     precision, "tier", s->info.tier, "threads", (json_int_t)s->results->threads, "bound_ms",
                                     SV_BATCHING_BOUND_MS, "capacity_per_s", s->capacity, "mixed_capacity_per_s",
                                     s->mixed_capacity, "seconds", s->run_s, "samples", (json_int_t)s->samples, "runs", "best");
    return s->results->batching ? SENVEC_OK : no_memory(err);
}

static senvec_status measure(stage *s, const sv_texts *texts, senvec_error *err) {
    const sv_mix one = {1, {1}, {1}};
    SENVEC_TRY(sv_load_pool_make(&s->corpus, texts->texts, texts->count, &one, NULL, s->options->seed, err));
    SENVEC_TRY(sv_load_pool_make(&s->mixed, texts->texts, texts->count, &one, &mixed_words, s->options->seed, err));
    SENVEC_TRY(measure_capacity(s, &s->corpus, &s->capacity, err));
    SENVEC_TRY(measure_capacity(s, &s->mixed, &s->mixed_capacity, err));
    if (is_cancelled(s))
        return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted");
    if (!(s->capacity > 0 && s->mixed_capacity > 0))
        return sv_fail(err, SENVEC_SYSTEM, 0, "the batcher answered nothing in %g s; use a longer --duration", s->run_s);
    SENVEC_TRY(describe(s, err));
    SENVEC_TRY(measure_curves(s, err));
    for (int policy = 0; policy < POLICIES; policy++)
        SENVEC_TRY(find_best(s, (sv_policy)policy, err));
    return SENVEC_OK;
}

senvec_status sv_study_batching(sv_results *results, const sv_study_options *options, const char *model, const sv_texts *texts,
                                sv_runner_progress_fn *progress, void *progress_context, senvec_error *err) {
    stage s = {.results = results,
               .options = options,
               .progress = progress,
               .progress_context = progress_context,
               .run_s = fmax(0.3 * options->duration_s, 0.3),
               .samples = options->quick ? 100 : 1000};
    s.total = s.run_s * POLICIES * (options->quick ? 8 : 14);
    senvec_model_options model_options = {.cpu = options->cpu};
    SENVEC_TRY(fastest_precision(results, &model_options.precision, err));
    SENVEC_TRY(senvec_model_open(model, &model_options, &s.model, err));
    senvec_model_describe(s.model, &s.info);
    senvec_status status = measure(&s, texts, err);
    sv_load_pool_release(&s.corpus);
    sv_load_pool_release(&s.mixed);
    senvec_model_free(s.model);
    return status;
}
