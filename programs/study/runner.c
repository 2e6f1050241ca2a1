/* The workers of a study: started, loaded, taught their texts, given up where they fail. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/model_files.h"
#include "study/runner_internal.h"

#define CHECKPOINT_NS (5 * SV_NS_PER_S)

void sv_runner_progress(const sv_runner *runner, double fraction, const char *stage, const char *what) {
    char text[128];
    snprintf(text, sizeof text, "%s%s%s", stage, what[0] ? ": " : "", what);
    if (runner->options->progress)
        runner->options->progress(runner->options->progress_context, fraction, text);
}

senvec_status sv_runner_checkpoint(sv_runner *runner, senvec_error *err) {
    uint64_t now = sv_clock_ns();
    if (!runner->options->checkpoint || now - runner->kept_ns < CHECKPOINT_NS)
        return SENVEC_OK;
    SENVEC_TRY(runner->options->checkpoint(runner->options->checkpoint_context, err));
    runner->kept_ns = sv_clock_ns();
    return SENVEC_OK;
}

bool sv_runner_cancelled(const sv_runner *runner) {
    return runner->options->cancelled && *runner->options->cancelled;
}

senvec_status sv_runner_fail_cancelled(senvec_error *err) {
    return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted; what was measured until then is kept");
}

/* A row's worker failed with `failure`: ends it and marks the row. Only the lack of memory here is an error. */
static senvec_status give_up(sv_runner *runner, size_t index, const senvec_error *failure, senvec_error *err) {
    sv_row *row = &runner->results->rows[index];
    sv_worker_stop(runner->workers[index]);
    runner->workers[index] = NULL;
    if (failure->code == SENVEC_OUT_OF_MEMORY) {
        if (err)
            *err = *failure;
        return SENVEC_OUT_OF_MEMORY;
    }
    const char *reason = failure->message;
    size_t length = strlen(row->name);
    if (strncmp(reason, row->name, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
        reason += length + 2;
    sv_row_mark(row, failure->code == SENVEC_UNSUPPORTED || failure->code == SENVEC_NOT_FOUND ? SV_ROW_MISSING : SV_ROW_FAILED,
                "%s", reason);
    return SENVEC_OK;
}

senvec_status sv_runner_ask(sv_runner *runner, size_t index, json_t *request, json_t **reply, double *wall_s,
                            senvec_error *err) {
    senvec_error failure;
    uint64_t start = sv_clock_ns();
    *reply = NULL;
    if (sv_worker_call(runner->workers[index], request, runner->options->timeout_s, reply, &failure) != SENVEC_OK) {
        *reply = NULL;
        return give_up(runner, index, &failure, err);
    }
    if (wall_s)
        *wall_s = (double)(sv_clock_ns() - start) / 1e9;
    return SENVEC_OK;
}

senvec_status sv_runner_implausible(sv_runner *runner, size_t index, const char *op, const char *why, senvec_error *err) {
    senvec_error failure;
    sv_fail(&failure, SENVEC_SYSTEM, 0, "the worker's answer to \"%s\" makes no sense: %s", op, why);
    return give_up(runner, index, &failure, err);
}

/* ---------------------------------------------------------------- loading */

/* Starts a process for a row. *out is NULL if that failed; the row is marked then. */
static senvec_status start(sv_runner *runner, size_t index, sv_worker **out, senvec_error *err) {
    const sv_runner_options *options = runner->options;
    const sv_row *row = &runner->results->rows[index];
    bool native = strcmp(row->runtime, "senvec") == 0;
    const char *program = native ? options->native : options->python;
    const char *native_arguments[] = {program, "worker", NULL};
    const char *peer_arguments[] = {program, options->worker_script, NULL};
    char omp[40], mkl[40], openblas[40], rayon[40];
    size_t threads = runner->results->threads;
    snprintf(omp, sizeof omp, "OMP_NUM_THREADS=%zu", threads);
    snprintf(mkl, sizeof mkl, "MKL_NUM_THREADS=%zu", threads);
    snprintf(openblas, sizeof openblas, "OPENBLAS_NUM_THREADS=%zu", threads); /* numpy's */
    snprintf(rayon, sizeof rayon, "RAYON_NUM_THREADS=%zu", threads);          /* the tokenizers' */
    /* A peer's own choice of threads would be the host's CPUs. Nothing is fetched, nobody is told: OpenVINO's packages report
     * their use unless they run in continuous integration. */
    const char *const environment[] = {
        omp, mkl, openblas, rayon, "TOKENIZERS_PARALLELISM=true", "HF_HUB_OFFLINE=1", "CI=true", "PYTHONUNBUFFERED=1", NULL};
    senvec_error failure;
    *out = NULL;
    if (!native && (!program || !options->worker_script))
        sv_fail(&failure, SENVEC_NOT_FOUND, 0, "%s",
                options->peers_missing ? options->peers_missing : "no Python for the peers");
    else if (sv_worker_start(row->name, native ? native_arguments : peer_arguments, environment, out, &failure) == SENVEC_OK)
        return SENVEC_OK;
    return give_up(runner, index, &failure, err);
}

/* Where a row's model lies. */
static senvec_status files_of(const sv_runner *runner, const sv_row *row, char out[SV_MAX_PATH], senvec_error *err) {
    const char *model = runner->options->model;
    if (row->files[0])
        return sv_path_join(runner->options->files, row->files, out, err);
    return sv_model_form_at(model) == SV_MODEL_NATIVE ? sv_path_join("", model, out, err) : sv_path_join(model, "", out, err);
}

/* Has the worker of row `index` make the files that it and its siblings load, in a process of its own. */
static senvec_status prepare(sv_runner *runner, size_t index, senvec_error *err) {
    char texts_path[SV_MAX_PATH], files[SV_MAX_PATH], source[SV_MAX_PATH];
    const sv_row *row = &runner->results->rows[index];
    sv_texts calibration;
    json_t *reply = NULL;
    SENVEC_TRY(files_of(runner, row, files, err));
    SENVEC_TRY(sv_path_join(runner->options->files, SV_STUDY_ONNX, source, err));
    SENVEC_TRY(sv_path_join(runner->options->scratch, "calibration.json", texts_path, err));
    SENVEC_TRY(sv_texts_make(&calibration, SV_TEXTS_CALIBRATION, err));
    senvec_status status = sv_texts_write(&calibration, NULL, calibration.count, texts_path, err);
    if (status == SENVEC_OK)
        status = start(runner, index, &runner->workers[index], err);
    if (status == SENVEC_OK && runner->workers[index])
        status = sv_runner_ask(runner, index,
                               json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "op", "prepare", "backend", row->runtime,
                                         "model", runner->options->model, "files", files, "source", source, "texts", texts_path,
                                         "threads", (json_int_t)runner->results->threads),
                               &reply, NULL, err);
    json_decref(reply);
    sv_worker_stop(runner->workers[index]);
    runner->workers[index] = NULL;
    unlink(texts_path);
    sv_texts_release(&calibration);
    return status;
}

/* Makes what the rows load and nobody made before. Where that fails, all rows that need it are marked. */
static senvec_status prepare_all(sv_runner *runner, senvec_error *err) {
    sv_results *results = runner->results;
    const sv_row *done = NULL;
    for (size_t i = 0; i < results->row_count; i++) {
        sv_row *row = &results->rows[i];
        if (strcmp(row->files, SV_STUDY_OPENVINO) != 0)
            continue;
        if (!done) {
            sv_runner_progress(runner, 0, "calibrating", row->name);
            if (row->state != SV_ROW_FAILED) /* as it is where the ONNX file couldn't be written */
                SENVEC_TRY(prepare(runner, i, err));
            done = row;
        } else if (done->state == SV_ROW_FAILED || done->state == SV_ROW_MISSING) {
            sv_row_mark(row, done->state, "%s", done->reason);
        }
    }
    return SENVEC_OK;
}

static senvec_status load(sv_runner *runner, size_t index, senvec_error *err) {
    sv_row *row = &runner->results->rows[index];
    char files[SV_MAX_PATH], source[SV_MAX_PATH];
    json_t *reply;
    SENVEC_TRY(files_of(runner, row, files, err));
    SENVEC_TRY(sv_path_join(runner->options->files, SV_STUDY_ONNX, source, err));
    SENVEC_TRY(
        sv_runner_ask(runner, index,
                      json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s?}", "op", "load", "backend", row->runtime, "model",
                                runner->options->model, "files", files, "source", source, "threads",
                                (json_int_t)runner->results->threads, "precision", row->precision, "cpu", runner->options->cpu),
                      &reply, &row->load_seconds, err));
    if (!reply)
        return SENVEC_OK;
    json_object_del(reply, "ok");
    json_object_del(reply, "id");
    json_decref(row->worker);
    row->worker = reply;
    json_int_t bytes = json_integer_value(json_object_get(reply, "model_bytes"));
    row->model_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    json_int_t macs = json_integer_value(json_object_get(reply, "linear_macs"));
    if (macs > 0)
        runner->results->linear_macs = (uint64_t)macs;
    return SENVEC_OK;
}

/* Makes texts[pick[0 .. count)] (all if `pick` is NULL) known to row `index`'s worker as `set`; they are in the file `path`.
 * *tokens gets their number. */
static senvec_status teach(sv_runner *runner, size_t index, const char *set, const char *path, size_t count, uint64_t *tokens,
                           senvec_error *err) {
    json_t *reply;
    *tokens = 0;
    SENVEC_TRY(
        sv_runner_ask(runner, index, json_pack("{s:s, s:s, s:s}", "op", "texts", "path", path, "set", set), &reply, NULL, err));
    if (!reply)
        return SENVEC_OK;
    json_int_t known = json_integer_value(json_object_get(reply, "count"));
    json_int_t total = json_integer_value(json_object_get(reply, "tokens"));
    json_decref(reply);
    if (known != (json_int_t)count || total < known)
        return sv_runner_implausible(runner, index, "texts", "another number of texts", err);
    *tokens = (uint64_t)total;
    return SENVEC_OK;
}

senvec_status sv_runner_teach(sv_runner *runner, const char *set, const sv_texts *texts, const size_t *pick, size_t count,
                              uint64_t *tokens, senvec_error *err) {
    sv_results *results = runner->results;
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(runner->options->scratch, "texts.json", path, err));
    SENVEC_TRY(sv_texts_write(texts, pick, count, path, err));
    senvec_status status = SENVEC_OK;
    const sv_row *first = NULL;
    uint64_t first_tokens = 0;
    for (size_t i = 0; status == SENVEC_OK && i < results->row_count; i++) {
        uint64_t own;
        if (!runner->workers[i])
            continue;
        status = teach(runner, i, set, path, count, &own, err);
        if (status != SENVEC_OK || !runner->workers[i])
            continue;
        if (strcmp(set, SV_TEXTS_CORPUS) == 0)
            results->rows[i].tokens = own;
        if (!first) {
            first = &results->rows[i];
            first_tokens = own;
        } else if (own != first_tokens) {
            sv_results_warn(results, "texts \"%s\": %s reads them as %llu tokens, %s as %llu: they don't do the same work", set,
                            results->rows[i].name, (unsigned long long)own, first->name, (unsigned long long)first_tokens);
        }
    }
    unlink(path);
    if (tokens)
        *tokens = first_tokens;
    return status;
}

senvec_status sv_runner_open(sv_results *results, const sv_runner_options *options, sv_runner **out, senvec_error *err) {
    sv_isa_flags isa;
    SENVEC_TRY(sv_isa_choose(options->cpu, &isa, err));
    sv_runner *runner = calloc(1, sizeof *runner);
    sv_worker **workers = calloc(results->row_count + 1, sizeof *workers);
    if (!runner || !workers) {
        free(runner);
        free(workers);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the study's workers");
    }
    *runner = (sv_runner){.results = results, .options = options, .workers = workers, .isa = isa};
    sv_machine_describe(&runner->machine);

    senvec_status status = prepare_all(runner, err);
    for (size_t i = 0; status == SENVEC_OK && i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_runner_progress(runner, (double)i / (double)results->row_count, "loading", row->name);
        if (sv_runner_cancelled(runner))
            status = sv_runner_fail_cancelled(err);
        else if ((row->state == SV_ROW_PLANNED || row->state == SV_ROW_MEASURED) && strcmp(row->runtime, SV_STUDY_BATCHER) != 0)
            status = start(runner, i, &runner->workers[i], err);
        if (status == SENVEC_OK && runner->workers[i])
            status = load(runner, i, err);
    }
    if (status == SENVEC_OK)
        status = sv_runner_teach(runner, SV_TEXTS_CORPUS, options->texts, NULL, options->texts->count, NULL, err);
    if (status != SENVEC_OK) {
        sv_runner_close(runner);
        return status;
    }
    *out = runner;
    return SENVEC_OK;
}

void sv_runner_close(sv_runner *runner) {
    if (!runner)
        return;
    for (size_t i = 0; i < runner->results->row_count; i++)
        sv_worker_stop(runner->workers[i]);
    free(runner->workers);
    free(runner);
}
