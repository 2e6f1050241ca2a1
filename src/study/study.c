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
#include "study/batching.h"
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

static senvec_status run_bench(const sv_study_options *options, sv_runner *runner, senvec_error *err) {
    (void)options;
    return sv_runner_bench(runner, err);
}

static senvec_status run_sweep(const sv_study_options *options, sv_runner *runner, senvec_error *err) {
    return sv_runner_sweep(runner, SWEEP_PART * options->duration_s, err);
}

static senvec_status run_lengths(const sv_study_options *options, sv_runner *runner, senvec_error *err) {
    return sv_runner_lengths(runner, (options->latency_calls + 1) / 2, LENGTH_PART * options->duration_s, options->quick, err);
}

static senvec_status run_validate(const sv_study_options *options, sv_runner *runner, senvec_error *err) {
    return sv_runner_validate(runner, options->validation_texts, err);
}

/* The stages that need workers, in their order, and how long each takes beside the others, roughly. */
#define LOADING_WEIGHT 8
#define BATCHING_WEIGHT 20
static const struct {
    sv_stage stage;
    double weight;
    senvec_status (*run)(const sv_study_options *options, sv_runner *runner, senvec_error *err);
} stages_of_workers[] = {
    {SV_STAGE_BENCH, 42, run_bench},
    {SV_STAGE_SWEEP, 12, run_sweep},
    {SV_STAGE_LENGTHS, 23, run_lengths},
    {SV_STAGE_VALIDATE, 15, run_validate},
};
enum { STAGES = sizeof stages_of_workers / sizeof stages_of_workers[0] };

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

static senvec_status write_files(const sv_study_options *options, const sv_results *results, senvec_error *err) {
    SENVEC_TRY(sv_results_write_json(results, options->out, err));
    return sv_results_write_csv(results, options->out, err);
}

/* Runs the stages; after each one, or the interruption of one, the files hold what is known. */
static senvec_status run_stages(const sv_study_options *options, unsigned stages, const sv_runner_options *runner_options,
                                meter *m, sv_results *results, senvec_error *err) {
    sv_runner *runner = NULL;
    senvec_status status = sv_runner_open(results, runner_options, &runner, err);
    for (size_t i = 0; status == SENVEC_OK && i < STAGES; i++) {
        if (!(stages & stages_of_workers[i].stage))
            continue;
        m->begin += m->width;
        m->width = stages_of_workers[i].weight;
        status = stages_of_workers[i].run(options, runner, err);
        if (status != SENVEC_OK && status != SENVEC_CANCELLED)
            break;
        senvec_error failure;
        senvec_status written =
            sv_environment_describe(results, options, runner_options->texts, runner_options->model, &failure);
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
                                  const sv_pairs *pairs, meter *m, sv_results *results, senvec_error *err) {
    char scratch[SV_MAX_PATH];
    places here;
    find_places(options, &here);
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
        .progress = show_progress,
        .progress_context = m,
    };
    senvec_status status = run_stages(options, stages, &runner_options, m, results, err);
    rmdir(scratch);
    return status;
}

/* Last, when the workers have left the machine. */
static senvec_status measure_batching(const sv_study_options *options, const char *model, const sv_texts *texts, meter *m,
                                      sv_results *results, senvec_error *err) {
    senvec_error failure;
    m->begin += m->width;
    m->width = BATCHING_WEIGHT;
    senvec_status status = sv_study_batching(results, options, model, texts, show_progress, m, err);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        return status;
    senvec_status written = write_files(options, results, &failure);
    if (written != SENVEC_OK)
        *err = failure;
    return written != SENVEC_OK ? written : status;
}

static senvec_status measure(const sv_study_options *options, unsigned stages, const sv_texts *texts, const sv_pairs *pairs,
                             sv_results *results, senvec_error *err) {
    char model[SV_MAX_PATH];
    unsigned row_stages = 0;
    meter m = {.options = options};
    for (size_t i = 0; i < STAGES; i++)
        if (stages & stages_of_workers[i].stage) {
            row_stages |= stages_of_workers[i].stage;
            m.total += stages_of_workers[i].weight;
        }
    m.width = row_stages ? LOADING_WEIGHT : 0;
    m.total += m.width + (stages & SV_STAGE_BATCHING ? BATCHING_WEIGHT : 0);
    SENVEC_TRY(sv_hub_resolve(options->model, model, err));
    senvec_status status = SENVEC_OK;
    if (row_stages)
        status = measure_rows(options, row_stages, model, texts, pairs, &m, results, err);
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

senvec_status sv_study_run(const sv_study_options *options, unsigned stages, sv_results *results, senvec_error *err) {
    const unsigned measuring = SV_STAGE_BENCH | SV_STAGE_SWEEP | SV_STAGE_LENGTHS | SV_STAGE_VALIDATE | SV_STAGE_BATCHING;
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
    if (status == SENVEC_OK && stages & SV_STAGE_COST) {
        results->price_per_hour = options->price_per_hour;
        status = write_files(options, results, err);
    }
    if (status == SENVEC_OK && stages & measuring) {
        status = load_texts(options, &texts, err);
        if (status == SENVEC_OK && options->sts)
            status = sv_pairs_load(&pairs, options->sts, err);
        if (status == SENVEC_OK)
            status = measure(options, stages, &texts, options->sts ? &pairs : NULL, results, err);
        sv_texts_release(&texts);
        sv_pairs_release(&pairs);
    }
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        sv_results_release(results);
    return status;
}
