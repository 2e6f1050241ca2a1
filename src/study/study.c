/* The study from end to end: texts, workers, stages, files. */
#include "study/study.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cpu/machine.h"
#include "hub/hub.h"
#include "onnx/onnx_export.h"
#include "study/environment.h"
#include "study/places.h"

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
        .seed = 1,
    };
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

/* A private folder for what workers read and write. */
static senvec_status make_scratch(char out[SV_MAX_PATH], senvec_error *err) {
    const char *base = getenv("TMPDIR");
    SENVEC_TRY(sv_path_join(base && base[0] ? base : P_tmpdir, "senvec-study-XXXXXX", out, err));
    if (!mkdtemp(out))
        return sv_fail(err, SENVEC_IO, 0, "%s: no folder for temporary files can be made; set TMPDIR", out);
    return SENVEC_OK;
}

/* ---------------------------------------------------------------- stages */

static senvec_status load_texts(const sv_study_options *options, sv_texts *texts, senvec_error *err) {
    if (options->key && options->column)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--key is for JSON lines and --column for CSV: give one of them");
    const sv_corpus_options corpus = {
        .format = options->key      ? SV_CORPUS_JSONL
                  : options->column ? SV_CORPUS_CSV
                                    : SV_CORPUS_AUTO,
        .key = options->key,
        .column = options->column,
    };
    return sv_texts_load(texts, options->corpus, &corpus, options->texts, options->seed, err);
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
    results->duration_s = options->duration_s;
    results->quick = options->quick;
    results->price_per_hour = options->price_per_hour;
    return SENVEC_OK;
}

/* Writes the ONNX files that rows need: in a second, so always anew, and never of another model. */
static senvec_status export_models(const sv_study_options *options, const sv_results *results, const char *model,
                                   senvec_error *err) {
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
        SENVEC_TRY(sv_path_join(options->out, exports[e].files, path, err));
        if (needed)
            SENVEC_TRY(sv_onnx_export(model, path, (sv_onnx_options){.precision = exports[e].precision}, NULL, err));
    }
    return SENVEC_OK;
}

static senvec_status run_stages(const sv_study_options *options, unsigned stages, sv_runner *runner, senvec_error *err) {
    if (stages & SV_STAGE_BENCH)
        SENVEC_TRY(sv_runner_bench(runner, err));
    if (stages & SV_STAGE_SWEEP)
        SENVEC_TRY(sv_runner_sweep(runner, SWEEP_PART * options->duration_s, err));
    if (stages & SV_STAGE_LENGTHS)
        SENVEC_TRY(sv_runner_lengths(runner, (options->latency_calls + 1) / 2, LENGTH_PART * options->duration_s,
                                     options->quick, err));
    if (stages & SV_STAGE_VALIDATE)
        SENVEC_TRY(sv_runner_validate(runner, options->validation_texts, err));
    return SENVEC_OK;
}

static senvec_status measure(const sv_study_options *options, unsigned stages, const sv_texts *texts, const sv_pairs *pairs,
                             sv_results *results, senvec_error *err) {
    char model[SV_MAX_PATH], scratch[SV_MAX_PATH];
    places here;
    find_places(options, &here);
    SENVEC_TRY(sv_hub_resolve(options->model, model, err));
    SENVEC_TRY(export_models(options, results, model, err));
    SENVEC_TRY(make_scratch(scratch, err));
    const sv_runner_options runner_options = {
        .model = model,
        .files = options->out,
        .native = here.program,
        .python = here.python[0] ? here.python : NULL,
        .worker_script = here.worker_script[0] ? here.worker_script : NULL,
        .peers_missing = here.missing,
        .cpu = options->cpu,
        .texts = texts,
        .pairs = pairs,
        .scratch = scratch,
        .timeout_s = options->timeout_s,
        .cancelled = options->cancelled,
        .progress = options->progress,
        .progress_context = options->progress_context,
    };
    sv_runner *runner = NULL;
    senvec_status status = sv_runner_open(results, &runner_options, &runner, err);
    if (status == SENVEC_OK)
        status = run_stages(options, stages, runner, err);
    sv_runner_close(runner);
    rmdir(scratch);
    if (status == SENVEC_OK)
        return sv_environment_describe(results, options, texts, model, err);
    if (status == SENVEC_CANCELLED) {
        senvec_error ignored;
        sv_environment_describe(results, options, texts, model, &ignored);
    }
    return status;
}

static senvec_status write_files(const sv_study_options *options, const sv_results *results, senvec_error *err) {
    SENVEC_TRY(sv_results_write_json(results, options->out, err));
    return sv_results_write_csv(results, options->out, err);
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

senvec_status sv_study_run(const sv_study_options *options, unsigned stages, sv_results *results, senvec_error *err) {
    const unsigned measuring = SV_STAGE_BENCH | SV_STAGE_SWEEP | SV_STAGE_LENGTHS | SV_STAGE_VALIDATE;
    sv_texts texts = {0};
    sv_pairs pairs = {0};
    SENVEC_TRY(sv_peers_check(options->peers, err));
    SENVEC_TRY(check_out(options->out, err));
    senvec_status status = SENVEC_OK;
    *results = (sv_results){0};
    if (stages & SV_STAGE_BENCH)
        status = plan(options, results, err);
    else
        status = sv_results_read(results, options->out, err);
    if (status == SENVEC_OK && stages & SV_STAGE_COST)
        results->price_per_hour = options->price_per_hour;
    if (status == SENVEC_OK && stages & measuring) {
        status = load_texts(options, &texts, err);
        if (status == SENVEC_OK && options->sts)
            status = sv_pairs_load(&pairs, options->sts, err);
        if (status == SENVEC_OK)
            status = measure(options, stages, &texts, options->sts ? &pairs : NULL, results, err);
        sv_texts_release(&texts);
        sv_pairs_release(&pairs);
    }
    if (status == SENVEC_OK)
        status = write_files(options, results, err);
    else if (status == SENVEC_CANCELLED) {
        senvec_error failure;
        if (write_files(options, results, &failure) != SENVEC_OK) {
            status = failure.code;
            *err = failure;
        }
    }
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        sv_results_release(results);
    return status;
}
