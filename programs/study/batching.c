#include "study/batching.h"

#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "loadgen/batcher_target.h"
#include "loadgen/find_rate.h"
#include "loadgen/load_files.h"
#include "study/worker.h"

enum { CALLERS = 64, LEAST_ANSWERS = 2 * CALLERS, SLOTS = 16384, POLICIES = 3, MOST_RUNS = 5 };
enum { CLOSE_CONFIRMATIONS = 4, MOST_CONFIRMATIONS = 12 };
#define MOST_CAPACITY_S 5.0
#define CLOSE_STEP 0.97 /* from a rate that doesn't hold to the next one to try; after CLOSE_CONFIRMATIONS ... */
#define WIDE_STEP 0.9   /* ... the machine is slower than it was, and small steps would not find how much */
#define MOST_WARMUP_S 0.3
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
    sv_workload corpus, mixed;
    double capacity, mixed_capacity; /* requests/s */
    sv_row *row;
    size_t runs; /* asked for until now; those that results->batching has are not measured again */
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

/* A batcher and the target that drives it, for as long as one policy is measured. */
typedef struct service {
    sv_batcher *batcher;
    sv_batcher_target *target;
} service;

static senvec_status open_service(const stage *s, sv_policy policy, const sv_workload *workload, service *out,
                                  senvec_error *err) {
    const sv_batcher_options options = {
        .policy = policy,
        .target_ns = (uint64_t)(SV_BATCHING_BOUND_MS * 1e6),
        .max_wait_ns = (uint64_t)(SV_BATCHING_BOUND_MS * 1e6), /* the bound is promised, so what would miss it is refused */
        .threads = s->results->threads,
        .max_requests = SLOTS,
    };
    *out = (service){0};
    SENVEC_TRY(sv_batcher_open(s->model, &options, &out->batcher, err));
    senvec_status status = sv_batcher_target_open(out->batcher, s->info.dimensions, workload, SLOTS, &out->target, err);
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
                          .warmup_s = fmin(s->run_s, MOST_WARMUP_S),
                          .duration_s = fmax(s->run_s, 1.1 * (double)s->samples / rate),
                          .timeout_s = TIMEOUT_S,
                          .seed = s->options->seed,
                          .cancelled = s->options->cancelled};
}

/* One run of a policy, and what it says. */
static senvec_status run_plan(const stage *s, sv_policy policy, const sv_workload *workload, const sv_load_plan *plan,
                              sv_load_figures *out, senvec_error *err) {
    service open;
    sv_load_log log = {0};
    SENVEC_TRY(open_service(s, policy, workload, &open, err));
    sv_load_target driver = sv_batcher_target_driver(open.target);
    senvec_status status = sv_load_run(plan, workload, &driver, &log, err);
    close_service(&open);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, s->samples, out, err);
    sv_load_log_release(&log);
    return status;
}

/* Requests a second that the engine can do if they come together at once. A run with a handful of answers says little of that,
 * as a short one on a slow or busy machine is, so it is repeated for longer. */
static senvec_status measure_capacity(const stage *s, const sv_workload *workload, double *out, senvec_error *err) {
    sv_load_figures figures;
    for (double seconds = s->run_s;; seconds *= 2) {
        const sv_load_plan plan = {.loop = SV_LOAD_CLOSED_LOOP,
                                   .clients = CALLERS,
                                   .warmup_s = fmin(seconds, MOST_WARMUP_S),
                                   .duration_s = seconds,
                                   .timeout_s = TIMEOUT_S,
                                   .seed = s->options->seed,
                                   .cancelled = s->options->cancelled};
        SENVEC_TRY(run_plan(s, SV_POLICY_GREEDY, workload, &plan, &figures, err));
        if (figures.all.answered >= LEAST_ANSWERS || seconds >= MOST_CAPACITY_S || is_cancelled(s))
            break;
    }
    *out = figures.answered_per_s;
    return SENVEC_OK;
}

static senvec_status checkpoint(const stage *s, senvec_error *err) {
    return s->options->checkpoint ? s->options->checkpoint(s->options->checkpoint_context, err) : SENVEC_OK;
}

static json_t *describe_run(const stage *s, const char *policy, const sv_workload *workload, double rate,
                            const sv_load_figures *figures) {
    json_t *run = sv_load_figures_json(figures, workload);
    double capacity = workload == &s->mixed ? s->mixed_capacity : s->capacity;
    json_object_set_new(run, "policy", json_string(policy));
    json_object_set_new(run, "set", json_string(workload == &s->mixed ? "mixed" : "corpus"));
    json_object_set_new(run, "rate", json_real(rate));
    json_object_set_new(run, "part", json_real(rate / capacity));
    return run;
}

static senvec_status measure_run(stage *s, sv_policy policy, const sv_workload *workload, double rate, senvec_error *err) {
    sv_load_figures figures;
    const sv_load_plan plan = open_loop(s, rate);
    if (s->runs++ < json_array_size(json_object_get(s->results->batching, "runs"))) {
        show_progress(s, s->run_s, "adaptive batching");
        return SENVEC_OK;
    }
    senvec_status status = run_plan(s, policy, workload, &plan, &figures, err);
    if (status == SENVEC_OK && !is_cancelled(s) &&
        json_array_append_new(json_object_get(s->results->batching, "runs"),
                              describe_run(s, sv_policy_names[policy], workload, rate, &figures)) != 0)
        status = no_memory(err);
    show_progress(s, s->run_s, "adaptive batching");
    if (status == SENVEC_OK && !is_cancelled(s))
        status = checkpoint(s, err);
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

static void show_step(void *context, double rate, const sv_load_log *log, const sv_load_figures *figures) {
    stage *s = context;
    (void)rate, (void)log, (void)figures;
    show_progress(s, s->run_s, "adaptive batching: highest rate");
}

/* What the policy's curve says: the highest rate that was within the bound below all that weren't (0: none), and the first one
 * that wasn't (0: none). */
static void search_bounds(const stage *s, sv_policy policy, double *passed, double *failed) {
    const json_t *run;
    size_t i;
    *passed = *failed = 0;
    json_array_foreach(json_object_get(s->results->batching, "runs"), i, run) {
        if (strcmp(json_string_value(json_object_get(run, "policy")), sv_policy_names[policy]) != 0 ||
            strcmp(json_string_value(json_object_get(run, "set")), "corpus") != 0)
            continue;
        double p99 = json_number_value(json_object_get(json_object_get(run, "latency_ms"), "p99"));
        double refused = json_number_value(json_object_get(json_object_get(run, "outcomes"), "refused"));
        double requests = json_number_value(json_object_get(run, "requests"));
        double rate = json_number_value(json_object_get(run, "rate"));
        if (json_is_true(json_object_get(run, "valid")) && p99 <= SV_BATCHING_BOUND_MS &&
            refused <= SV_LOAD_MOST_FAILED * requests) {
            *passed = rate;
            *failed = 0;
        } else if (*failed == 0) {
            *failed = rate;
        }
    }
}

static senvec_status find_rate(stage *s, sv_policy policy, double *rate, senvec_error *err) {
    double passed, failed;
    service open;
    search_bounds(s, policy, &passed, &failed);
    sv_load_plan plan = open_loop(s, passed > 0 && failed > 0 ? sqrt(passed * failed) : passed > 0 ? 1.2 * passed : failed / 2);
    const sv_load_goal goal = {.bound_ms = SV_BATCHING_BOUND_MS,
                               .most_rate = 4 * s->capacity,
                               .passed_rate = passed,
                               .failed_rate = failed,
                               .most_runs = MOST_RUNS,
                               .tolerance = 0.03,
                               .samples = s->samples,
                               .step = show_step,
                               .step_context = s};
    SENVEC_TRY(open_service(s, policy, &s->corpus, &open, err));
    sv_load_target driver = sv_batcher_target_driver(open.target);
    senvec_status status = sv_load_find_rate(&plan, &goal, &s->corpus, &driver, rate, err);
    close_service(&open);
    return status;
}

/* The run at the default policy's highest rate is the row: its latencies, and one block of throughput. */
static senvec_status fill_row(stage *s, const sv_load_log *log, const sv_load_figures *figures, double tokens_per_text,
                              senvec_error *err) {
    sv_measurement *bench = &s->row->bench;
    SENVEC_TRY(sv_measurement_clear(s->results, bench, figures->all.answered, 1, err));
    for (size_t i = 0; i < log->count; i++) {
        const sv_load_record *record = &log->records[i];
        if (record->outcome == SV_LOAD_ANSWERED && record->due_ns >= log->window_begin_ns &&
            record->due_ns < log->window_end_ns && bench->latency_count < bench->latency_capacity)
            bench->latency_ms[bench->latency_count++] = (double)(record->done_ns - record->due_ns) / 1e6;
    }
    const uint64_t texts = figures->all.answered;
    bench->blocks[bench->block_count++] = (sv_block){
        .round = SV_ROUND_ALONE,
        .calls = texts,
        .texts = texts,
        .tokens = (uint64_t)(tokens_per_text * (double)texts),
        .seconds = figures->seconds,
    };
    s->row->state = SV_ROW_MEASURED;
    s->row->reason[0] = '\0';
    return SENVEC_OK;
}

/* A run at `rate`; *best gets its description if the rate is sustained, else NULL. */
static senvec_status try_rate(stage *s, sv_policy policy, double rate, uint64_t seed, json_t **best, senvec_error *err) {
    service open;
    sv_load_log log = {0};
    sv_load_figures figures;
    sv_batcher_stats stats;
    sv_load_plan plan = open_loop(s, rate);
    plan.seed = seed;
    plan.bound_ms = SV_BATCHING_BOUND_MS;
    plan.duration_s = fmax(plan.duration_s, s->options->duration_s);
    *best = NULL;
    SENVEC_TRY(open_service(s, policy, &s->corpus, &open, err));
    sv_load_target driver = sv_batcher_target_driver(open.target);
    senvec_status status = sv_load_run(&plan, &s->corpus, &driver, &log, err);
    sv_batcher_read_stats(open.batcher, &stats);
    close_service(&open);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, s->samples, &figures, err);
    if (status == SENVEC_OK && is_cancelled(s))
        status = sv_fail(err, SENVEC_CANCELLED, 0, "interrupted");
    if (status == SENVEC_OK && sv_load_sustained(&figures, SV_BATCHING_BOUND_MS)) {
        *best = describe_run(s, sv_policy_names[policy], &s->corpus, rate, &figures);
        if (policy == SV_POLICY_SLO)
            status = fill_row(s, &log, &figures, (double)stats.tokens / (double)stats.texts, err);
    }
    sv_load_log_release(&log);
    return status;
}

/* The rate that the search found had the luckiest of its runs, so it is measured once more, longer and with other arrivals;
 * where it doesn't hold then, lower ones are. */
static senvec_status confirm(stage *s, sv_policy policy, double rate, senvec_error *err) {
    json_t *best = NULL;
    for (uint64_t attempt = 1; rate > 0 && !best && attempt <= MOST_CONFIRMATIONS; attempt++) {
        SENVEC_TRY(try_rate(s, policy, rate, s->options->seed + attempt, &best, err));
        rate *= attempt < CLOSE_CONFIRMATIONS ? CLOSE_STEP : WIDE_STEP;
    }
    show_progress(s, s->options->duration_s, "adaptive batching: highest rate");
    if (!best)
        best = json_pack("{s:s, s:f}", "policy", sv_policy_names[policy], "rate", 0.0);
    if (json_array_append_new(json_object_get(s->results->batching, "best"), best) != 0)
        return no_memory(err);
    return checkpoint(s, err);
}

static senvec_status describe(stage *s, senvec_error *err) {
    json_decref(s->results->batching);
    s->results->batching =
        json_pack("{s:s, s:s, s:s, s:I, s:f, s:i, s:i, s:f, s:f, s:f, s:f, s:I, s:[], s:[]}", "name", s->row->name, "precision",
                  s->row->precision, "tier", s->info.tier, "threads", (json_int_t)s->results->threads, "bound_ms",
                  SV_BATCHING_BOUND_MS, "callers", CALLERS, "fixed_texts", SV_FIXED_TEXTS, "fixed_wait_ms",
                  (double)SV_FIXED_WAIT_NS / 1e6, "capacity_per_s", s->capacity, "mixed_capacity_per_s", s->mixed_capacity,
                  "seconds", s->run_s, "samples", (json_int_t)s->samples, "runs", "best");
    json_decref(s->row->worker);
    s->row->worker = json_pack("{s:{s:s}, s:{s:s, s:I, s:s, s:f}}", "versions", "senvec", senvec_version(), "settings",
                               "ISA tier", s->info.tier, "threads", (json_int_t)s->results->threads, "policy",
                               sv_policy_names[SV_POLICY_SLO], "p99 at most (ms)", SV_BATCHING_BOUND_MS);
    return s->results->batching && s->row->worker ? SENVEC_OK : no_memory(err);
}

/* Is there something of a study that was interrupted? */
static bool goes_on(const stage *s) {
    return s->options->go_on && s->results->batching;
}

static senvec_status measure(stage *s, const sv_texts *texts, senvec_error *err) {
    const sv_mix one = {1, {1}, {1}};
    SENVEC_TRY(sv_workload_make(&s->corpus, texts->texts, texts->count, &one, NULL, s->options->seed, err));
    SENVEC_TRY(sv_workload_make(&s->mixed, texts->texts, texts->count, &one, &mixed_words, s->options->seed, err));
    if (goes_on(s)) {
        s->capacity = json_number_value(json_object_get(s->results->batching, "capacity_per_s"));
        s->mixed_capacity = json_number_value(json_object_get(s->results->batching, "mixed_capacity_per_s"));
    } else {
        SENVEC_TRY(measure_capacity(s, &s->corpus, &s->capacity, err));
        SENVEC_TRY(measure_capacity(s, &s->mixed, &s->mixed_capacity, err));
        if (is_cancelled(s))
            return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted");
        if (!(s->capacity > 0 && s->mixed_capacity > 0))
            return sv_fail(err, SENVEC_SYSTEM, 0, "the batcher answered nothing in %g s: is the machine overloaded?",
                           MOST_CAPACITY_S);
        SENVEC_TRY(describe(s, err));
    }
    SENVEC_TRY(measure_curves(s, err));
    for (int policy = (int)json_array_size(json_object_get(s->results->batching, "best")); policy < POLICIES; policy++) {
        double rate;
        SENVEC_TRY(find_rate(s, (sv_policy)policy, &rate, err));
        SENVEC_TRY(confirm(s, (sv_policy)policy, rate, err));
    }
    if (s->row->state != SV_ROW_MEASURED)
        sv_row_mark(s->row, SV_ROW_MISSING, "no rate was found at which p99 stays within %g ms", SV_BATCHING_BOUND_MS);
    return SENVEC_OK;
}

static senvec_status open_model(stage *s, const char *path, senvec_error *err) {
    const senvec_model_options options = {.precision = SENVEC_PRECISION_INT8, .cpu = s->options->cpu};
    const uint64_t start = sv_clock_ns();
    SENVEC_TRY(senvec_model_open(path, &options, &s->model, err));
    senvec_model_describe(s->model, &s->info);
    s->row->load_seconds = (double)(sv_clock_ns() - start) / 1e9;
    s->row->model_bytes = sv_path_size(path);
    return SENVEC_OK;
}

senvec_status sv_study_batching(sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                sv_runner_progress_fn *progress, void *progress_context, senvec_error *err) {
    char path[SV_MAX_PATH];
    stage s = {.results = results,
               .options = options,
               .progress = progress,
               .progress_context = progress_context,
               .run_s = fmax(0.3 * options->duration_s, 0.02),
               .samples = (size_t)fmin(fmax(100 * options->duration_s, 100), 1000)}; /* p99 is given from 100 on */
    s.total = POLICIES * (s.run_s * (options->quick ? 8 : 14) + options->duration_s);
    for (size_t i = 0; i < results->row_count; i++)
        if (strcmp(results->rows[i].runtime, SV_STUDY_BATCHER) == 0)
            s.row = &results->rows[i];
    if (!s.row)
        return sv_fail(err, SENVEC_FORMAT, 0, "study.json: from before adaptive batching was part of it; run the study again");
    if (s.row->state == SV_ROW_FAILED)
        return SENVEC_OK;
    if (!goes_on(&s)) {
        s.row->state = SV_ROW_PLANNED;
        SENVEC_TRY(sv_measurement_clear(results, &s.row->bench, 0, 0, err));
    }
    SENVEC_TRY(sv_path_join(options->out, s.row->files, path, err));
    sv_own_peak_rss_reset();
    SENVEC_TRY(open_model(&s, path, err));
    senvec_status status = measure(&s, texts, err);
    s.row->peak_rss_bytes = sv_own_peak_rss();
    sv_workload_release(&s.corpus);
    sv_workload_release(&s.mixed);
    senvec_model_free(s.model);
    return status;
}
