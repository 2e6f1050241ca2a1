/* The study from end to end: texts, workers, stages, files. */
#include "study/study.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cpu/machine.h"
#include "common/file.h"
#include "common/model_files.h"
#include "hub/hub.h"
#include "io/places.h"
#include "onnx/onnx_export.h"
#include "study/batching.h"
#include "study/environment.h"
#include "study/scores.h"
#include "study/stages.h"
#include "system/temporary.h"

/* Of the duration that a configuration's throughput is measured for: for each batch size, and for each length of text. */
#define SWEEP_PART 0.3
#define LENGTH_PART 0.2

void sv_study_options_init(sv_study_options *options) {
    *options = (sv_study_options){
        .model = SV_DEFAULT_MODEL,
        .out = "results",
        .peers = "all",
        .texts = 10000,
        .validation_texts = 1000,
        .rounds = 10,
        .latency_calls = 200,
        .duration_s = 10,
        .timeout_s = 300,
        .price_per_hour = 0.05,
        .tolerance = 0.01,
        .seed = 1,
    };
}

void sv_study_options_go_on(sv_study_options *options) {
    *options = (sv_study_options){.out = "results", .timeout_s = 300, .price_per_hour = -1, .tolerance = -1};
}

void sv_study_options_quick(sv_study_options *options) {
    options->quick = true;
    options->rounds = 4;
    options->latency_calls = 24;
    options->duration_s = 1;
    options->validation_texts = 40;
}

/* ----------------------------------------------------------------- places */

/* What a run needs besides the model and the texts. */
typedef struct places {
    char program[SV_MAX_PATH];
    char worker_script[SV_MAX_PATH]; /* "": not found */
    char python[SV_MAX_PATH];        /* "": not found */
    char missing[SV_MAX_PATH + 200]; /* what isn't there, and what to do */
} places;

static void find_places(const sv_study_options *options, places *out) {
    *out = (places){0};
    sv_place_program(out->program);
    sv_place_beside("peers/worker.py", out->worker_script);
    if (!out->worker_script[0])
        sv_place_beside("share/senvec/peers/worker.py", out->worker_script);
    sv_place_python(options->python, out->python);
    if (!out->worker_script[0])
        snprintf(out->missing, sizeof out->missing, "peers/worker.py is not beside %s; install it, or use --peers none",
                 out->program);
    else if (!out->python[0])
        snprintf(out->missing, sizeof out->missing,
                 "no Python for the peers; ./run study makes .venv, --python names another one");
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

/* An option that decides what is compared: what the study was made with, which what is given must be. */
static senvec_status keep(const char *option, const json_t *settings, const char *key, const char **given, senvec_error *err) {
    const char *made_with = json_string_value(json_object_get(settings, key));
    if (*given && settings && strcmp(*given, made_with ? made_with : "") != 0)
        return sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s %s: this study was made with %s; go on with the same, or begin anew with \"senvec study bench --anew\"", option,
            *given, made_with ? made_with : "none given");
    *given = made_with;
    return SENVEC_OK;
}

static void take_text(const json_t *settings, const char *key, const char **given) {
    if (!*given)
        *given = json_string_value(json_object_get(settings, key));
}

static void take_count(const json_t *settings, const char *key, size_t *given) {
    if (!*given)
        *given = (size_t)json_integer_value(json_object_get(settings, key));
}

/* For stages that go on from `results`: the study's options where none are given. The texts point into it. */
static senvec_status go_on(sv_study_options *options, sv_results *results, senvec_error *err) {
    const json_t *settings = json_object_get(results->environment, "settings");
    sv_study_options defaults;
    sv_study_options_init(&defaults);
    SENVEC_TRY(keep("--peers", settings, "peers", &options->peers, err));
    SENVEC_TRY(keep("--cpu", settings, "cpu", &options->cpu, err));
    if (options->threads && options->threads != results->threads)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "--threads %zu: this study was made with %zu; go on with the same, or begin anew with \"senvec study "
                       "bench --anew\"",
                       options->threads, results->threads);
    take_text(settings, "model", &options->model);
    if (!options->corpus) {
        take_text(settings, "corpus", &options->corpus);
        take_text(settings, "key", &options->key);
        take_text(settings, "column", &options->column);
    }
    take_text(settings, "pairs", &options->pairs);
    take_text(settings, "queries", &options->queries);
    take_text(settings, "documents", &options->documents);
    take_text(settings, "qrels", &options->qrels);
    take_text(settings, "classes", &options->classes);
    if (!(options->tolerance >= 0))
        options->tolerance = json_number_value(json_object_get(settings, "tolerance"));
    take_count(settings, "texts", &options->texts);
    take_count(settings, "validation_texts", &options->validation_texts);
    options->quick = options->quick || results->quick;
    options->model = options->model ? options->model : defaults.model;
    options->peers = options->peers ? options->peers : defaults.peers;
    options->texts = options->texts ? options->texts : defaults.texts;
    options->validation_texts = options->validation_texts ? options->validation_texts : defaults.validation_texts;
    options->rounds = options->rounds ? options->rounds : results->rounds;
    options->latency_calls = options->latency_calls ? options->latency_calls : results->latency_calls;
    options->duration_s = options->duration_s > 0 ? options->duration_s : results->duration_s;
    options->seed = options->seed ? options->seed : results->seed;
    if (options->price_per_hour >= 0)
        results->price_per_hour = options->price_per_hour;
    return SENVEC_OK;
}

/* A model's other form that couldn't be made: the rows that need it say why. Memory that ran out ends the study. */
static senvec_status mark_rows(sv_results *results, const char *files, senvec_status status, const senvec_error *failure,
                               senvec_error *err) {
    if (status == SENVEC_OUT_OF_MEMORY && err)
        *err = *failure;
    if (status == SENVEC_OK || status == SENVEC_OUT_OF_MEMORY)
        return status;
    for (size_t i = 0; i < results->row_count; i++) {
        const char *own = results->rows[i].files;
        const bool derived = strcmp(files, SV_STUDY_ONNX) == 0 && strcmp(own, SV_STUDY_OPENVINO) == 0;
        if (derived || strcmp(own, files) == 0)
            sv_row_mark(&results->rows[i], SV_ROW_FAILED, "%s", failure->message);
    }
    return SENVEC_OK;
}

/* The native file in int8, in a second; of a model that is one already, a copy. */
static senvec_status export_native(const sv_study_options *options, sv_results *results, const char *model, senvec_error *err) {
    char path[SV_MAX_PATH];
    senvec_error failure;
    const senvec_quantize_options quantize = {.cpu = options->cpu};
    SENVEC_TRY(sv_path_join(options->out, SV_STUDY_NATIVE_INT8, path, err));
    senvec_status status =
        sv_path_is_file(model) ? sv_copy_file(model, path, &failure) : senvec_quantize(model, path, &quantize, &failure);
    return mark_rows(results, SV_STUDY_NATIVE_INT8, status, &failure, err);
}

/* Writes the models that rows need: in a second, so always anew, and never of another model. */
static senvec_status export_models(const sv_study_options *options, sv_results *results, const char *model, senvec_error *err) {
    static const struct {
        const char *files;
        sv_onnx_precision precision;
    } exports[] = {{SV_STUDY_ONNX, SV_ONNX_FP32}, {SV_STUDY_ONNX_INT8, SV_ONNX_INT8}};
    for (size_t e = 0; e < sizeof exports / sizeof exports[0]; e++) {
        bool needed = false;
        for (size_t i = 0; i < results->row_count; i++) {
            const char *files = results->rows[i].files;
            bool derived = e == 0 && strcmp(files, SV_STUDY_OPENVINO) == 0;
            needed = needed || derived || strcmp(files, exports[e].files) == 0;
        }
        char path[SV_MAX_PATH];
        senvec_error failure;
        SENVEC_TRY(sv_path_join(options->out, exports[e].files, path, err));
        if (!needed)
            continue;
        const sv_onnx_options onnx = {.precision = exports[e].precision};
        SENVEC_TRY(mark_rows(results, exports[e].files, sv_onnx_export(model, path, onnx, NULL, &failure), &failure, err));
    }
    return export_native(options, results, model, err);
}

#define TIMED_STAGES (SV_STAGE_BENCH | SV_STAGE_SWEEP | SV_STAGE_LENGTHS)

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

/* How long a set of stages takes, roughly, beside LOADING_WEIGHT. */
#define LOADING_WEIGHT 8
static double weight_of(unsigned stages) {
    return (stages & SV_STAGE_BENCH ? 42 : 0) + (stages & SV_STAGE_SWEEP ? 20 : 0) + (stages & SV_STAGE_LENGTHS ? 24 : 0) +
           (stages & SV_STAGE_VALIDATE ? 15 : 0) + (stages & SV_STAGE_BATCHING ? 20 : 0);
}

/* Turns the progress of a stage into that of the whole. */
typedef struct meter {
    const sv_study_options *options;
    double begin, width, total; /* weights: of what is done, of the current stage, of everything */
} meter;

static void show_progress(void *context, double fraction, const char *what) {
    const meter *m = context;
    if (m->options->progress)
        m->options->progress(m->options->progress_context, (m->begin + m->width * fraction) / m->total, what);
}

/* What a study that is killed goes on from. */
typedef struct keeper {
    const char *out;
    const sv_results *results;
} keeper;

static senvec_status keep_results(void *context, senvec_error *err) {
    const keeper *k = context;
    return sv_results_checkpoint(k->results, k->out, err);
}

static senvec_status write_files(const sv_study_options *options, const sv_results *results, senvec_error *err) {
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
    places here;
    find_places(options, &here);
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

/* Last, when the workers have left the machine. */
static senvec_status measure_batching(const sv_study_options *options, const char *model, const sv_texts *texts, meter *m,
                                      sv_results *results, senvec_error *err) {
    senvec_error failure;
    m->begin += m->width;
    m->width = weight_of(SV_STAGE_BATCHING);
    senvec_status status = sv_study_batching(results, options, texts, show_progress, m, err);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        return status;
    senvec_status written = sv_environment_describe(results, options, texts, model, &failure);
    if (written == SENVEC_OK && status == SENVEC_OK)
        written = sv_stages_put(results, "done", sv_stages_in(results, "done") | SV_STAGE_BATCHING, &failure);
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
    SENVEC_TRY(sv_hub_resolve(options->model, model, err));
    if (!(stages & SV_STAGE_BENCH) || options->go_on)
        SENVEC_TRY(sv_environment_check(results, options, texts, model, err));
    SENVEC_TRY(sv_stages_put(results, "planned", sv_stages_in(results, "planned") | asked, err));
    SENVEC_TRY(sv_stages_put(results, "done", done, err));
    SENVEC_TRY(sv_environment_describe(results, options, texts, model, err));
    if (stages & SV_STAGE_BENCH && !options->go_on)
        SENVEC_TRY(sv_results_checkpoint(results, options->out, err));
    SENVEC_TRY(export_models(options, results, model, err));
    senvec_status status = SENVEC_OK;
    if (row_stages)
        status = measure_rows(options, row_stages, model, texts, labels, &m, results, err);
    if (status == SENVEC_OK && stages & SV_STAGE_BATCHING)
        status = measure_batching(options, model, texts, &m, results, err);
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
    if (!(stages & (WORKER_STAGES | SV_STAGE_BATCHING)))
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

/* An option of an interrupted study that is given anew must be what it was. */
static senvec_status same_count(const char *option, size_t given, size_t made_with, senvec_error *err) {
    return given && given != made_with
               ? sv_fail(
                     err, SENVEC_INVALID_ARGUMENT, 0,
                     "%s %zu: the interrupted study in the folder was made with %zu; go on with the same, give another folder "
                     "by -o, or begin anew with --anew",
                     option, given, made_with)
               : SENVEC_OK;
}

static senvec_status check_same(const sv_study_options *given, const sv_results *results, senvec_error *err) {
    SENVEC_TRY(same_count("--rounds", given->rounds, results->rounds, err));
    SENVEC_TRY(same_count("--calls", given->latency_calls, results->latency_calls, err));
    SENVEC_TRY(same_count("--seed", (size_t)given->seed, (size_t)results->seed, err));
    if ((given->duration_s > 0 && given->duration_s != results->duration_s) || (given->quick && !results->quick))
        return sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s: the interrupted study in the folder was made otherwise; go on with the same, give another folder by "
            "-o, or begin anew with --anew",
            given->quick && !results->quick ? "--quick" : "--duration");
    return SENVEC_OK;
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
    senvec_status status = options->go_on ? check_same(options, results, err) : SENVEC_OK;
    if (status == SENVEC_OK)
        status = go_on(options, results, err);
    if (status == SENVEC_OK && options->go_on)
        json_array_clear(results->warnings); /* they are found again */
    if (status != SENVEC_OK)
        sv_results_release(results);
    return status;
}

senvec_status sv_study_run(const sv_study_options *given, unsigned stages, sv_results *results, senvec_error *err) {
    sv_study_options options = *given;
    const keeper k = {given->out, results};
    if (options.peers)
        SENVEC_TRY(sv_peers_check(options.peers, err));
    SENVEC_TRY(check_out(options.out, err));
    *results = (sv_results){0};
    options.checkpoint = keep_results;
    options.checkpoint_context = (void *)&k;
    SENVEC_TRY(begin(&options, stages, results, err));
    json_t *settings = json_incref(json_object_get(results->environment, "settings")); /* holds texts of the options */
    senvec_status status = run(&options, stages, results, err);
    json_decref(settings);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        sv_results_release(results);
    return status;
}
