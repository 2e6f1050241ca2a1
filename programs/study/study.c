/* The study from end to end: texts, workers, stages, files. */
#include "study/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cpu/machine.h"
#include "common/file.h"
#include "hub/hub.h"
#include "study/batching.h"
#include "study/budget.h"
#include "study/environment.h"
#include "study/scores.h"
#include "study/services.h"
#include "study/stages.h"
#include "study/study_internal.h"
#include "system/temporary.h"

/* Of the duration that a configuration's throughput is measured for: for each batch size, and for each length of text. */
#define SWEEP_PART 0.3
#define LENGTH_PART 0.2

static senvec_status list_services(const sv_study_options *options, sv_service_list *out, senvec_error *err) {
    return sv_service_list_make(options->ready_services, options->peers, sv_service_has_llama(), options->services,
                                options->service_count, out, err);
}

/* ---------------------------------------------------------------- stages */

/* `seed` is the study's, so that a stage with another one has the same sample. */
static senvec_status load_texts(const sv_study_options *options, uint64_t seed, sv_texts *texts, senvec_error *err) {
    if (options->key && options->column)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--key is for JSON lines and --column for CSV: give one of them");
    const sv_corpus_options corpus = {
        .format = options->key      ? SV_CORPUS_JSONL
                  : options->column ? SV_CORPUS_CSV
                                    : SV_CORPUS_AUTO,
        .key = options->key,
        .column = options->column,
    };
    return sv_texts_load(texts, options->corpus, &corpus, options->texts, seed, err);
}

/* The reader's own labels, as loaded. */
typedef struct sv_label_files {
    sv_pairs pairs;
    sv_search_task search;
    sv_class_task classes;
} sv_label_files;

static senvec_status load_labels(const sv_study_options *options, sv_label_files *files, sv_labels *out, senvec_error *err) {
    const bool queries = options->queries, documents = options->documents, qrels = options->qrels;
    *out = (sv_labels){.tolerance = options->tolerance};
    if ((queries || documents || qrels) && !(queries && documents && qrels))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--queries, --documents and --qrels belong together: %s is missing",
                       !queries     ? "--queries"
                       : !documents ? "--documents"
                                    : "--qrels");
    if (options->pairs) {
        SENVEC_TRY(sv_pairs_load(&files->pairs, options->pairs, err));
        out->pairs = &files->pairs;
    }
    if (queries) {
        SENVEC_TRY(sv_search_task_load(&files->search, options->documents, options->queries, options->qrels, err));
        out->search = &files->search;
    }
    if (options->classes) {
        SENVEC_TRY(sv_class_task_load(&files->classes, options->classes, err));
        out->classes = &files->classes;
    }
    return SENVEC_OK;
}

static void release_labels(sv_label_files *files) {
    sv_pairs_release(&files->pairs);
    sv_search_task_release(&files->search);
    sv_class_task_release(&files->classes);
}

/* Rows and settings for a study that begins. */
static senvec_status plan(const sv_study_options *options, sv_results *results, senvec_error *err) {
    const sv_configuration **chosen = calloc(sv_configuration_count, sizeof *chosen);
    if (!chosen)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the plan");
    size_t count = 0;
    for (size_t i = 0; i < sv_configuration_count; i++)
        if (sv_peers_include(options->peers, sv_configurations[i].runtime))
            chosen[count++] = &sv_configurations[i];
    senvec_status status = sv_results_init(results, err);
    if (status == SENVEC_OK) {
        status = sv_results_plan(results, chosen, count, err);
        if (status != SENVEC_OK)
            sv_results_release(results);
    }
    free(chosen);
    if (status != SENVEC_OK)
        return status;
    time_t now = time(NULL);
    struct tm utc;
    strftime(results->created, sizeof results->created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    results->seed = options->seed;
    results->threads = options->threads ? options->threads : sv_machine_threads();
    results->rounds = options->rounds;
    results->latency_calls = options->latency_calls;
    results->warmups = 10;
    results->rewarm_s = SV_REWARM_S;
    results->duration_s = options->duration_s;
    results->quick = options->quick;
    results->price_per_hour = options->price_per_hour;
    return SENVEC_OK;
}

#define TIMED_STAGES (SV_STAGE_BENCH | SV_STAGE_SWEEP | SV_STAGE_LENGTHS)

/* How long a set of stages takes, roughly, beside LOADING_WEIGHT. */
#define LOADING_WEIGHT 8
static double weight_of(unsigned stages) {
    return (stages & SV_STAGE_BENCH ? 42 : 0) + (stages & SV_STAGE_SWEEP ? 20 : 0) + (stages & SV_STAGE_LENGTHS ? 24 : 0) +
           (stages & SV_STAGE_VALIDATE ? 15 : 0) + (stages & SV_STAGE_BATCHING ? 20 : 0) +
           (stages & SV_STAGE_SERVICES ? 40 : 0);
}

/* Those of the timed stages that are asked for, in the same rounds. */
static senvec_status run_timed(const sv_study_options *options, const sv_labels *labels, unsigned stages, sv_runner *runner,
                               senvec_error *err) {
    (void)labels;
    const sv_measuring what = {
        .bench = stages & SV_STAGE_BENCH,
        .sweep = stages & SV_STAGE_SWEEP,
        .sweep_seconds = SWEEP_PART * options->duration_s,
        .lengths = stages & SV_STAGE_LENGTHS,
        .length_calls = (options->latency_calls + 1) / 2,
        .length_seconds = LENGTH_PART * options->duration_s,
        .quick = options->quick,
        .more = options->budget_s > 0 ? sv_budget_has_time : NULL,
        .more_context = options->budget,
    };
    return sv_runner_measure(runner, &what, err);
}

static senvec_status run_validate(const sv_study_options *options, const sv_labels *labels, unsigned stages, sv_runner *runner,
                                  senvec_error *err) {
    (void)stages;
    SENVEC_TRY(sv_runner_validate(runner, options->validation_texts, err));
    return labels->pairs || labels->search || labels->classes ? sv_study_labels(runner, labels, err) : SENVEC_OK;
}

/* What needs workers, in its order. */
static const struct {
    unsigned stages;
    senvec_status (*run)(const sv_study_options *options, const sv_labels *labels, unsigned stages, sv_runner *runner,
                         senvec_error *err);
} worker_steps[] = {{TIMED_STAGES, run_timed}, {SV_STAGE_VALIDATE, run_validate}};
enum { WORKER_STEPS = sizeof worker_steps / sizeof worker_steps[0] };
#define WORKER_STAGES (TIMED_STAGES | SV_STAGE_VALIDATE)

/* Turns the progress of a stage into that of the whole. */
typedef struct meter {
    const sv_study_options *options;
    double begin, width, total; /* weights: of what is done, of the current stage, of everything */
} meter;

static void show_progress(void *context, double fraction, const char *what) {
    const meter *m = context;
    double done = (m->begin + m->width * fraction) / m->total;
    if (m->options->budget_s > 0)
        done = fmin(sv_budget_spent(m->options->budget) / m->options->budget_s, 1);
    if (m->options->progress)
        m->options->progress(m->options->progress_context, done, what);
}

/* What a study that is killed goes on from. */
typedef struct keeper {
    const char *out;
    const sv_results *results;
    const sv_budget *budget;
} keeper;

static senvec_status keep_results(void *context, senvec_error *err) {
    const keeper *k = context;
    sv_budget_keep(k->budget);
    return sv_results_checkpoint(k->results, k->out, err);
}

static senvec_status write_files(const sv_study_options *options, const sv_results *results, senvec_error *err) {
    sv_budget_keep(options->budget);
    return sv_results_write(results, options->out, err);
}

/* Runs the stages; after each one, or the interruption of one, the files hold what is known. */
static senvec_status run_stages(const sv_study_options *options, const sv_labels *labels, unsigned stages,
                                const sv_runner_options *runner_options, meter *m, sv_results *results, senvec_error *err) {
    sv_runner *runner = NULL;
    senvec_status status = sv_runner_open(results, runner_options, &runner, err);
    for (size_t i = 0; status == SENVEC_OK && i < WORKER_STEPS; i++) {
        const unsigned wanted = stages & worker_steps[i].stages;
        if (!wanted)
            continue;
        m->begin += m->width;
        m->width = weight_of(wanted);
        status = worker_steps[i].run(options, labels, wanted, runner, err);
        if (status != SENVEC_OK && status != SENVEC_CANCELLED)
            break;
        senvec_error failure;
        senvec_status written =
            sv_environment_describe(results, options, runner_options->texts, runner_options->model, &failure);
        if (written == SENVEC_OK && status == SENVEC_OK)
            written = sv_stages_put(results, "done", sv_stages_in(results, "done") | wanted, &failure);
        if (written == SENVEC_OK)
            written = write_files(options, results, &failure);
        if (written != SENVEC_OK) {
            status = written;
            *err = failure;
        }
    }
    sv_runner_close(runner);
    return status;
}

/* The stages that need workers. */
static senvec_status measure_rows(const sv_study_options *options, unsigned stages, const char *model, const sv_texts *texts,
                                  const sv_labels *labels, meter *m, sv_results *results, senvec_error *err) {
    char scratch[SV_MAX_PATH];
    sv_study_places here;
    sv_study_find_places(options, &here);
    SENVEC_TRY(sv_temporary_folder("study", scratch, err));
    const sv_runner_options runner_options = {
        .model = model,
        .files = options->out,
        .native = here.program,
        .python = here.python[0] ? here.python : NULL,
        .worker_script = here.worker_script[0] ? here.worker_script : NULL,
        .peers_missing = here.missing,
        .cpu = options->cpu,
        .texts = texts,
        .scratch = scratch,
        .timeout_s = options->timeout_s,
        .rounds = options->rounds,
        .seed = options->seed,
        .cancelled = options->cancelled,
        .progress = show_progress,
        .progress_context = m,
        .go_on = options->go_on,
        .checkpoint = options->checkpoint,
        .checkpoint_context = options->checkpoint_context,
    };
    senvec_status status = run_stages(options, labels, stages, &runner_options, m, results, err);
    sv_remove_tree(scratch, NULL);
    return status;
}

/* The services beside each other, over HTTP. */
static senvec_status run_services(const sv_study_options *options, const char *model, const sv_texts *texts, meter *m,
                                  sv_results *results, senvec_error *err) {
    sv_service_list list;
    sv_study_places here;
    char scratch[SV_MAX_PATH], native[SV_MAX_PATH], onnx[SV_MAX_PATH];
    SENVEC_TRY(list_services(options, &list, err));
    sv_study_find_places(options, &here);
    SENVEC_TRY(sv_path_join(options->out, SV_STUDY_NATIVE_INT8, native, err));
    SENVEC_TRY(sv_path_join(options->out, SV_STUDY_ONNX_INT8, onnx, err));
    SENVEC_TRY(sv_temporary_folder("services", scratch, err));
    const sv_service_places service_places = {
        .program = here.program,
        .python = here.python[0] ? here.python : NULL,
        .script = here.serve_script[0] ? here.serve_script : NULL,
        .model = model,
        .native = native,
        .onnx = onnx,
        .cpu = options->cpu,
        .scratch = scratch,
        .threads = results->threads,
        .timeout_s = options->timeout_s,
        .cancelled = options->cancelled,
    };
    senvec_status status = sv_study_services(results, options, &list, &service_places, texts, show_progress, m, err);
    sv_remove_tree(scratch, NULL);
    return status;
}

static senvec_status run_batching(const sv_study_options *options, const char *model, const sv_texts *texts, meter *m,
                                  sv_results *results, senvec_error *err) {
    (void)model;
    return sv_study_batching(results, options, texts, show_progress, m, err);
}

/* Last, when the workers have left the machine. */
static const struct {
    sv_stage stage;
    senvec_status (*run)(const sv_study_options *options, const char *model, const sv_texts *texts, meter *m,
                         sv_results *results, senvec_error *err);
} late_steps[] = {{SV_STAGE_BATCHING, run_batching}, {SV_STAGE_SERVICES, run_services}};
enum { LATE_STEPS = sizeof late_steps / sizeof late_steps[0] };
#define LATE_STAGES (SV_STAGE_BATCHING | SV_STAGE_SERVICES)

static senvec_status measure_late(const sv_study_options *options, size_t step, const char *model, const sv_texts *texts,
                                  meter *m, sv_results *results, senvec_error *err) {
    const sv_stage stage = late_steps[step].stage;
    senvec_error failure;
    m->begin += m->width;
    m->width = weight_of(stage);
    senvec_status status = late_steps[step].run(options, model, texts, m, results, err);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        return status;
    senvec_status written = sv_environment_describe(results, options, texts, model, &failure);
    if (written == SENVEC_OK && status == SENVEC_OK)
        written = sv_stages_put(results, "done", sv_stages_in(results, "done") | stage, &failure);
    if (written == SENVEC_OK)
        written = write_files(options, results, &failure);
    if (written != SENVEC_OK)
        *err = failure;
    return written != SENVEC_OK ? written : status;
}

static senvec_status measure(const sv_study_options *options, unsigned asked, const sv_texts *texts, const sv_labels *labels,
                             sv_results *results, senvec_error *err) {
    char model[SV_MAX_PATH];
    const unsigned done = sv_stages_in(results, "done") & (options->go_on ? ~0u : ~asked), stages = asked & ~done;
    const unsigned row_stages = stages & WORKER_STAGES;
    meter m = {.options = options, .width = row_stages ? LOADING_WEIGHT : 0};
    m.total = m.width + weight_of(stages);
    options->budget->later = weight_of(stages & ~(unsigned)TIMED_STAGES) / (LOADING_WEIGHT + weight_of(TIMED_STAGES));
    SENVEC_TRY(sv_hub_resolve(options->model, model, err));
    if (!(stages & SV_STAGE_BENCH) || options->go_on)
        SENVEC_TRY(sv_environment_check(results, options, texts, model, err));
    SENVEC_TRY(sv_stages_put(results, "planned", sv_stages_in(results, "planned") | asked, err));
    SENVEC_TRY(sv_stages_put(results, "done", done, err));
    SENVEC_TRY(sv_environment_describe(results, options, texts, model, err));
    if (stages & SV_STAGE_BENCH && !options->go_on)
        SENVEC_TRY(sv_results_checkpoint(results, options->out, err));
    SENVEC_TRY(sv_study_export_models(options, results, model, err));
    senvec_status status = SENVEC_OK;
    if (row_stages)
        status = measure_rows(options, row_stages, model, texts, labels, &m, results, err);
    for (size_t i = 0; status == SENVEC_OK && i < LATE_STEPS; i++)
        if (stages & late_steps[i].stage)
            status = measure_late(options, i, model, texts, &m, results, err);
    return status;
}

/* A results folder that can't be written should be noticed before minutes of measuring. */
static senvec_status check_out(const char *out, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file probe = {0};
    SENVEC_TRY(sv_make_directories(out, err));
    SENVEC_TRY(sv_path_join(out, "study.json", path, err));
    SENVEC_TRY(sv_atomic_file_open(&probe, path, err));
    sv_atomic_file_abort(&probe);
    return SENVEC_OK;
}

/* The stages, with options that are complete. */
static senvec_status run(const sv_study_options *options, unsigned stages, sv_results *results, senvec_error *err) {
    sv_texts texts = {0};
    sv_label_files files = {0};
    sv_labels labels;
    if (!(stages & (WORKER_STAGES | LATE_STAGES)))
        return write_files(options, results, err);
    senvec_status status = load_texts(options, results->seed, &texts, err);
    if (status == SENVEC_OK)
        status = load_labels(options, &files, &labels, err);
    if (status == SENVEC_OK)
        status = measure(options, stages, &texts, &labels, results, err);
    sv_texts_release(&texts);
    release_labels(&files);
    return status;
}

/* What stages that are measured anew have found before, so that nothing of it is taken for theirs if they are interrupted. */
static senvec_status forget(unsigned stages, sv_results *results, senvec_error *err) {
    size_t unused;
    if (stages & SV_STAGE_BATCHING) {
        json_decref(results->batching);
        results->batching = NULL;
    }
    if (stages & SV_STAGE_SERVICES) {
        json_decref(results->services);
        results->services = NULL;
    }
    return stages & SV_STAGE_SWEEP ? sv_results_add_series(results, SV_SERIES_SWEEP, 0, &unused, err) : SENVEC_OK;
}

/* Plans a study, or reads the one that is gone on with. */
static senvec_status begin(sv_study_options *options, unsigned stages, sv_results *results, senvec_error *err) {
    sv_study_found found = SV_STUDY_NONE;
    if (stages & SV_STAGE_BENCH && !options->anew)
        SENVEC_TRY(sv_study_look(options->out, &found, NULL, err));
    options->go_on = found == SV_STUDY_INTERRUPTED;
    if (stages & SV_STAGE_BENCH && !options->go_on)
        return plan(options, results, err);
    SENVEC_TRY(sv_results_read(results, options->out, err));
    const bool whole = options->go_on;
    senvec_status status = whole ? sv_study_options_check(options, results, err) : SENVEC_OK;
    if (status == SENVEC_OK)
        status = sv_study_options_take(options, results, err);
    if (status == SENVEC_OK && whole)
        json_array_clear(results->warnings); /* they are found again */
    /* A stage that is asked for alone goes on as well, if it was interrupted. */
    options->go_on = whole || sv_stages_in(results, "planned") & ~sv_stages_in(results, "done") & stages;
    if (status == SENVEC_OK && !options->go_on)
        status = forget(stages, results, err);
    if (status != SENVEC_OK)
        sv_results_release(results);
    return status;
}

/* Where there is no service beside `senvec serve`, there is nothing to compare over HTTP; asked for alone, that is an error. */
static senvec_status choose_services(const sv_study_options *options, unsigned *stages, senvec_error *err) {
    sv_service_list list;
    SENVEC_TRY(list_services(options, &list, err));
    if (*stages == SV_STAGE_SERVICES && list.count == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "no service to measure: name one by --service NAME=URL, or choose of --services torch,onnx,llama");
    if (list.count == 0)
        *stages &= ~(unsigned)SV_STAGE_SERVICES;
    return SENVEC_OK;
}

senvec_status sv_study_run(const sv_study_options *given, unsigned stages, sv_results *results, senvec_error *err) {
    sv_study_options options = *given;
    sv_budget budget = {0};
    const keeper k = {given->out, results, &budget};
    if (options.peers)
        SENVEC_TRY(sv_peers_check(options.peers, err));
    SENVEC_TRY(check_out(options.out, err));
    *results = (sv_results){0};
    options.checkpoint = keep_results;
    options.checkpoint_context = (void *)&k;
    options.budget = &budget;
    SENVEC_TRY(begin(&options, stages, results, err));
    sv_budget_begin(&budget, options.budget_s, results, options.go_on);
    json_t *settings = json_incref(json_object_get(results->environment, "settings")); /* holds texts of the options */
    senvec_status status = sv_study_choose_instances(&options, results, err);
    if (status == SENVEC_OK)
        status = choose_services(&options, &stages, err);
    if (status == SENVEC_OK)
        status = run(&options, stages, results, err);
    json_decref(settings);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        sv_results_release(results);
    return status;
}
