/* The study from end to end: texts, workers, stages, files. */
#include "study/study.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cpu/machine.h"
#include "hub/hub.h"
#include "study/environment.h"
#include "study/places.h"

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
    options->rounds = 5;
    options->latency_calls = 100;
    options->duration_s = 3;
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

static senvec_status measure(const sv_study_options *options, unsigned stages, const sv_texts *texts, sv_results *results,
                             senvec_error *err) {
    char model[SV_MAX_PATH], scratch[SV_MAX_PATH];
    places here;
    find_places(options, &here);
    SENVEC_TRY(sv_hub_resolve(options->model, model, err));
    SENVEC_TRY(make_scratch(scratch, err));
    const sv_runner_options runner_options = {
        .model = model,
        .native = here.program,
        .python = here.python[0] ? here.python : NULL,
        .worker_script = here.worker_script[0] ? here.worker_script : NULL,
        .peers_missing = here.missing,
        .cpu = options->cpu,
        .texts = texts,
        .scratch = scratch,
        .timeout_s = options->timeout_s,
        .cancelled = options->cancelled,
        .progress = options->progress,
        .progress_context = options->progress_context,
    };
    sv_runner *runner = NULL;
    senvec_status status = sv_runner_open(results, &runner_options, &runner, err);
    if (status == SENVEC_OK && stages & SV_STAGE_BENCH)
        status = sv_runner_bench(runner, err);
    if (status == SENVEC_OK && stages & SV_STAGE_VALIDATE)
        status = sv_runner_validate(runner, options->validation_texts, err);
    sv_runner_close(runner);
    rmdir(scratch);
    if (status == SENVEC_OK || status == SENVEC_CANCELLED) {
        senvec_error ignored;
        senvec_status described = sv_environment_describe(results, options, texts, model, status == SENVEC_OK ? err : &ignored);
        if (status == SENVEC_OK)
            status = described;
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
    sv_texts texts = {0};
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
    if (status == SENVEC_OK && stages & (SV_STAGE_BENCH | SV_STAGE_VALIDATE)) {
        status = load_texts(options, &texts, err);
        if (status == SENVEC_OK)
            status = measure(options, stages, &texts, results, err);
        sv_texts_release(&texts);
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
