/* The stages that measure. Workers time themselves (worker.h); what they report is believed only if it fits into the time that
 * went by here. */
#include "study/runner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cpu/isa.h"
#include "cpu/machine.h"
#include "cpu/peak.h"
#include "study/compare.h"
#include "study/random.h"
#include "study/worker.h"

#define PEAK_MILLISECONDS 60       /* for each kind, in each round */
#define BANDWIDTH_MILLISECONDS 200 /* once */
#define BANDWIDTH_BYTES (256u << 20)
#define SPREAD_LIMIT 0.05   /* of a row's blocks, above which the reader is warned */
#define STEAL_LIMIT 0.01    /* of a block's CPU time */
#define IDLE_CPU_LIMIT 0.05 /* CPUs that idle workers may use */

struct sv_runner {
    sv_results *results;
    const sv_runner_options *options;
    sv_worker **workers; /* [row_count]; NULL: the row doesn't run */
    sv_isa_flags isa;
    sv_random random;
    sv_machine machine;
};

static void progress(const sv_runner *runner, double fraction, const char *stage, const char *what) {
    char text[128];
    snprintf(text, sizeof text, "%s%s%s", stage, what[0] ? ": " : "", what);
    if (runner->options->progress)
        runner->options->progress(runner->options->progress_context, fraction, text);
}

static bool cancelled(const sv_runner *runner) {
    return runner->options->cancelled && *runner->options->cancelled;
}

static senvec_status fail_cancelled(senvec_error *err) {
    return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted; what was measured until then is kept");
}

/* A row's worker failed with `failure`: ends it and marks the row. Only the lack of memory here is an error. */
static senvec_status give_up(sv_runner *runner, size_t index, const senvec_error *failure, senvec_error *err) {
    sv_row *row = &runner->results->rows[index];
    sv_worker_stop(runner->workers[index]);
    runner->workers[index] = NULL;
    if (failure->code == SENVEC_OUT_OF_MEMORY) {
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

/* Sends a request to a row's worker. On failure the row is given up and *reply is NULL; the status is an error only if the
 * study must end. `wall_s` (may be NULL) gets the time that it took. */
static senvec_status ask(sv_runner *runner, size_t index, json_t *request, json_t **reply, double *wall_s, senvec_error *err) {
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

/* The worker's answer can't be true. */
static senvec_status implausible(sv_runner *runner, size_t index, const char *op, const char *why, senvec_error *err) {
    senvec_error failure;
    sv_fail(&failure, SENVEC_SYSTEM, 0, "the worker's answer to \"%s\" makes no sense: %s", op, why);
    return give_up(runner, index, &failure, err);
}

/* ---------------------------------------------------------------- loading */

static senvec_status start(sv_runner *runner, size_t index, senvec_error *err) {
    const sv_runner_options *options = runner->options;
    const sv_row *row = &runner->results->rows[index];
    bool native = strcmp(row->runtime, "senvec") == 0;
    const char *program = native ? options->native : options->python;
    const char *native_arguments[] = {program, "worker", NULL};
    const char *peer_arguments[] = {program, options->worker_script, NULL};
    char omp[40], mkl[40];
    snprintf(omp, sizeof omp, "OMP_NUM_THREADS=%zu", runner->results->threads);
    snprintf(mkl, sizeof mkl, "MKL_NUM_THREADS=%zu", runner->results->threads);
    /* A peer's own choice of threads would be the host's CPUs; the tokenizers must not fork pools; nothing is fetched. */
    const char *const environment[] = {omp, mkl, "TOKENIZERS_PARALLELISM=false", "HF_HUB_OFFLINE=1", "PYTHONUNBUFFERED=1",
                                       NULL};
    senvec_error failure;
    if (!native && (!program || !options->worker_script))
        sv_fail(&failure, SENVEC_NOT_FOUND, 0, "%s",
                options->peers_missing ? options->peers_missing : "no Python for the peers");
    else if (sv_worker_start(row->name, native ? native_arguments : peer_arguments, environment, &runner->workers[index],
                             &failure) == SENVEC_OK)
        return SENVEC_OK;
    return give_up(runner, index, &failure, err);
}

static senvec_status load(sv_runner *runner, size_t index, const char *texts_path, senvec_error *err) {
    sv_row *row = &runner->results->rows[index];
    json_t *reply;
    SENVEC_TRY(ask(runner, index,
                   json_pack("{s:s, s:s, s:s, s:I, s:s, s:s?}", "op", "load", "backend", row->runtime, "model",
                             runner->options->model, "threads", (json_int_t)runner->results->threads, "precision",
                             row->precision, "cpu", runner->options->cpu),
                   &reply, &row->load_seconds, err));
    if (!reply)
        return SENVEC_OK;
    json_object_del(reply, "ok");
    json_object_del(reply, "id");
    json_decref(row->worker);
    row->worker = reply;
    row->model_bytes = (uint64_t)json_integer_value(json_object_get(reply, "model_bytes"));
    json_int_t macs = json_integer_value(json_object_get(reply, "linear_macs"));
    if (macs > 0)
        runner->results->linear_macs = (uint64_t)macs;

    SENVEC_TRY(ask(runner, index, json_pack("{s:s, s:s}", "op", "texts", "path", texts_path), &reply, NULL, err));
    if (!reply)
        return SENVEC_OK;
    json_int_t count = json_integer_value(json_object_get(reply, "count"));
    json_int_t tokens = json_integer_value(json_object_get(reply, "tokens"));
    json_decref(reply);
    if (count != (json_int_t)runner->options->texts->count || tokens < count)
        return implausible(runner, index, "texts", "another number of texts", err);
    row->tokens = (uint64_t)tokens;
    return SENVEC_OK;
}

senvec_status sv_runner_open(sv_results *results, const sv_runner_options *options, sv_runner **out, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_isa_flags isa;
    SENVEC_TRY(sv_isa_choose(options->cpu, &isa, err));
    SENVEC_TRY(sv_path_join(options->scratch, "texts.json", path, err));
    SENVEC_TRY(sv_texts_write(options->texts, NULL, options->texts->count, path, err));
    sv_runner *runner = calloc(1, sizeof *runner);
    sv_worker **workers = calloc(results->row_count + 1, sizeof *workers);
    if (!runner || !workers) {
        free(runner);
        free(workers);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the study's workers");
    }
    *runner = (sv_runner){.results = results, .options = options, .workers = workers, .isa = isa};
    sv_random_seed(&runner->random, results->seed);
    sv_machine_describe(&runner->machine);

    senvec_status status = SENVEC_OK;
    for (size_t i = 0; status == SENVEC_OK && i < results->row_count; i++) {
        progress(runner, (double)i / (double)results->row_count, "loading", results->rows[i].name);
        if (cancelled(runner))
            status = fail_cancelled(err);
        if (status == SENVEC_OK)
            status = start(runner, i, err);
        if (status == SENVEC_OK && runner->workers[i])
            status = load(runner, i, path, err);
    }
    unlink(path);
    if (status != SENVEC_OK) {
        sv_runner_close(runner);
        return status;
    }
    const sv_row *first = NULL;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (!runner->workers[i])
            continue;
        if (!first)
            first = row;
        else if (row->tokens != first->tokens)
            sv_results_warn(results, "%s reads the corpus as %llu tokens, %s as %llu: they don't do the same work", row->name,
                            (unsigned long long)row->tokens, first->name, (unsigned long long)first->tokens);
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

/* ------------------------------------------------------------------ bench */

static senvec_status measure_latency(sv_runner *runner, size_t index, size_t calls, senvec_error *err) {
    const sv_results *results = runner->results;
    sv_row *row = &results->rows[index];
    size_t first = row->latency_count * row->batch % runner->options->texts->count;
    json_t *reply;
    double wall_s;
    SENVEC_TRY(ask(runner, index,
                   json_pack("{s:s, s:I, s:I, s:I, s:I}", "op", "latency", "batch", (json_int_t)row->batch, "warmups",
                             (json_int_t)results->warmups, "calls", (json_int_t)calls, "first", (json_int_t)first),
                   &reply, &wall_s, err));
    if (!reply)
        return SENVEC_OK;
    const json_t *samples = json_object_get(reply, "samples_ns");
    double sum = 0;
    bool positive = true;
    for (size_t i = 0; i < json_array_size(samples); i++) {
        double ns = json_number_value(json_array_get(samples, i));
        positive = positive && ns > 0;
        sum += ns;
    }
    const char *why = NULL;
    if (json_array_size(samples) != calls)
        why = "another number of samples than calls";
    else if (!positive)
        why = "a call that took no time";
    else if (sum / 1e9 > wall_s * 1.001)
        why = "the calls took longer than the time that went by";
    for (size_t i = 0; !why && i < calls && row->latency_count < row->latency_capacity; i++)
        row->latency_ms[row->latency_count++] = json_number_value(json_array_get(samples, i)) / 1e6;
    json_decref(reply);
    return why ? implausible(runner, index, "latency", why, err) : SENVEC_OK;
}

static senvec_status measure_throughput(sv_runner *runner, size_t index, sv_block *block, bool *done, senvec_error *err) {
    const sv_results *results = runner->results;
    sv_row *row = &results->rows[index];
    double seconds = results->duration_s / (double)results->rounds, wall_s;
    size_t first = row->block_count * row->batch * 7 % runner->options->texts->count;
    json_t *reply;
    *done = false;
    SENVEC_TRY(ask(runner, index,
                   json_pack("{s:s, s:I, s:f, s:I}", "op", "throughput", "batch", (json_int_t)row->batch, "seconds", seconds,
                             "first", (json_int_t)first),
                   &reply, &wall_s, err));
    if (!reply)
        return SENVEC_OK;
    json_int_t calls = json_integer_value(json_object_get(reply, "calls"));
    json_int_t texts = json_integer_value(json_object_get(reply, "texts"));
    json_int_t tokens = json_integer_value(json_object_get(reply, "tokens"));
    double measured = json_number_value(json_object_get(reply, "seconds"));
    json_decref(reply);
    if (calls < 1 || texts != calls * (json_int_t)row->batch || tokens < texts)
        return implausible(runner, index, "throughput", "calls, texts and tokens don't agree", err);
    if (measured < seconds || measured > wall_s * 1.001)
        return implausible(runner, index, "throughput", "its seconds are not those that went by", err);
    block->calls = (uint64_t)calls;
    block->texts = (uint64_t)texts;
    block->tokens = (uint64_t)tokens;
    block->seconds = measured;
    *done = true;
    return SENVEC_OK;
}

/* CPU time of all workers but `index`. */
static uint64_t idle_cpu_ns(const sv_runner *runner, size_t index) {
    uint64_t sum = 0;
    for (size_t i = 0; i < runner->results->row_count; i++)
        if (i != index && runner->workers[i])
            sum += sv_worker_cpu_ns(runner->workers[i]);
    return sum;
}

/* The calls of round `round` when `total` are spread over `rounds` as evenly as whole numbers allow. */
static size_t share(size_t total, size_t rounds, size_t round) {
    return total * (round + 1) / rounds - total * round / rounds;
}

static senvec_status measure_block(sv_runner *runner, size_t index, size_t round, size_t position, senvec_error *err) {
    sv_results *results = runner->results;
    sv_row *row = &results->rows[index];
    uint64_t start = sv_clock_ns(), steal = sv_machine_steal_ns(), idle = idle_cpu_ns(runner, index);
    size_t calls = share(results->latency_calls, results->rounds, round);
    if (calls)
        SENVEC_TRY(measure_latency(runner, index, calls, err));
    bool done = false;
    sv_block block = {.round = round, .position = position};
    if (runner->workers[index])
        SENVEC_TRY(measure_throughput(runner, index, &block, &done, err));
    if (!done)
        return SENVEC_OK;
    double wall_ns = (double)(sv_clock_ns() - start);
    size_t cpus = runner->machine.online_cpus ? runner->machine.online_cpus : 1;
    block.steal = (double)(sv_machine_steal_ns() - steal) / (wall_ns * (double)cpus);
    block.idle_cpu = (double)(idle_cpu_ns(runner, index) - idle) / wall_ns;
    row->blocks[row->block_count++] = block;
    row->peak_rss_bytes = sv_worker_peak_rss(runner->workers[index]);
    row->state = SV_ROW_MEASURED;
    return SENVEC_OK;
}

/* What the linear layers are compared with; needless where no engine said how much they compute. */
static void measure_peaks(sv_runner *runner) {
    sv_results *results = runner->results;
    if (!results->linear_macs)
        return;
    if (!(results->bandwidth > 0))
        results->bandwidth = sv_read_bandwidth(BANDWIDTH_BYTES, results->threads, BANDWIDTH_MILLISECONDS);
    double *best[] = {
        [SV_PEAK_FP32] = &results->peak_fp32, [SV_PEAK_BF16] = &results->peak_bf16, [SV_PEAK_INT8] = &results->peak_int8};
    for (sv_peak_kind kind = SV_PEAK_FP32; kind <= SV_PEAK_INT8; kind++)
        *best[kind] = fmax(*best[kind], sv_peak_gmacs(kind, runner->isa, results->threads, PEAK_MILLISECONDS, NULL));
}

/* Room for what a bench adds to a row. Results of an earlier bench are dropped. */
static senvec_status make_room(sv_results *results, sv_row *row, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, results->latency_calls, sizeof(double), "latency samples", &memory, err));
    row->latency_ms = memory;
    row->latency_count = 0;
    row->latency_capacity = results->latency_calls;
    SENVEC_TRY(sv_arena_alloc(&results->arena, results->rounds, sizeof(sv_block), "blocks", &memory, err));
    row->blocks = memory;
    row->block_count = 0;
    row->block_capacity = results->rounds;
    return SENVEC_OK;
}

/* What the reader should know about the quality of the numbers. */
static senvec_status judge(sv_runner *runner, senvec_error *err) {
    sv_results *results = runner->results;
    double steal = 0, idle = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures figures;
        SENVEC_TRY(sv_row_figures_compute(results, row, &figures, err));
        if (figures.spread > SPREAD_LIMIT)
            sv_results_warn(results, "%s: its blocks differ by %.1f %% (standard deviation): the machine was noisy", row->name,
                            100 * figures.spread);
        for (size_t b = 0; b < row->block_count; b++) {
            steal = fmax(steal, row->blocks[b].steal);
            idle = fmax(idle, row->blocks[b].idle_cpu);
        }
    }
    if (steal > STEAL_LIMIT)
        sv_results_warn(results, "the hypervisor took up to %.1f %% of the CPU time of a block", 100 * steal);
    if (idle > IDLE_CPU_LIMIT)
        sv_results_warn(results, "idle workers used up to %.2f CPUs while another one was measured", idle);
    const char *governor = runner->machine.governor;
    if (governor[0] && strcmp(governor, "performance") != 0)
        sv_results_warn(results, "the CPU frequency governor is \"%s\", not \"performance\"", governor);
    return SENVEC_OK;
}

senvec_status sv_runner_bench(sv_runner *runner, senvec_error *err) {
    sv_results *results = runner->results;
    size_t rows = results->row_count, done = 0;
    for (size_t i = 0; i < rows; i++)
        SENVEC_TRY(make_room(results, &results->rows[i], err));
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, rows, sizeof(size_t), "the order of rows", &memory, err));
    size_t *order = memory;
    for (size_t i = 0; i < rows; i++)
        order[i] = i;

    for (size_t round = 0; round < results->rounds; round++) {
        measure_peaks(runner);
        sv_random_shuffle(&runner->random, order, rows);
        for (size_t position = 0; position < rows; position++, done++) {
            size_t index = order[position];
            if (cancelled(runner)) {
                SENVEC_TRY(judge(runner, err));
                return fail_cancelled(err);
            }
            progress(runner, (double)done / (double)(rows * results->rounds), "measuring", results->rows[index].name);
            if (runner->workers[index])
                SENVEC_TRY(measure_block(runner, index, round, position, err));
        }
    }
    return judge(runner, err);
}

/* --------------------------------------------------------------- validate */

/* The vectors of the validation texts by one row: *out (malloc'ed, [count, *dimensions]), NULL if the row was given up. */
static senvec_status fetch_vectors(sv_runner *runner, size_t index, const char *texts_path, size_t count, float **out,
                                   size_t *dimensions, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_row *row = &runner->results->rows[index];
    json_t *reply;
    *out = NULL;
    SENVEC_TRY(sv_path_join(runner->options->scratch, "vectors.f32", path, err));
    SENVEC_TRY(ask(runner, index, json_pack("{s:s, s:s}", "op", "texts", "path", texts_path), &reply, NULL, err));
    if (!reply)
        return SENVEC_OK;
    json_decref(reply);
    SENVEC_TRY(ask(runner, index, json_pack("{s:s, s:I, s:s}", "op", "embed", "batch", (json_int_t)row->batch, "path", path),
                   &reply, NULL, err));
    if (!reply)
        return SENVEC_OK;
    size_t given = (size_t)json_integer_value(json_object_get(reply, "count"));
    *dimensions = (size_t)json_integer_value(json_object_get(reply, "dimensions"));
    json_decref(reply);

    sv_file_map map = {0};
    senvec_status status = sv_file_map_open(path, &map, err);
    if (status == SENVEC_OK && (given != count || *dimensions == 0 || map.size / sizeof(float) / *dimensions != count))
        status = implausible(runner, index, "embed", "another number of vectors than texts", err);
    else if (status == SENVEC_OK && !(*out = malloc(map.size)))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu vectors", count);
    else if (status == SENVEC_OK)
        memcpy(*out, map.data, map.size);
    sv_file_map_close(&map);
    unlink(path);
    return status;
}

/* The row whose vectors count as right. SIZE_MAX: none runs. */
static size_t choose_reference(const sv_runner *runner) {
    for (int choice = 0; choice < 3; choice++)
        for (size_t i = 0; i < runner->results->row_count; i++) {
            const sv_row *row = &runner->results->rows[i];
            bool torch = strcmp(row->runtime, "torch") == 0, fp32 = strcmp(row->precision, "fp32") == 0;
            if (runner->workers[i] && (choice == 2 || (choice == 1 && fp32) || (choice == 0 && torch)))
                return i;
        }
    return SIZE_MAX;
}

static senvec_status keep_texts(sv_runner *runner, size_t count, senvec_error *err) {
    sv_results *results = runner->results;
    const sv_texts *texts = runner->options->texts;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, count, sizeof(char *), "texts", &memory, err));
    results->validation_texts = memory;
    for (results->validation_count = 0; results->validation_count < count; results->validation_count++) {
        const senvec_text *text = &texts->texts[texts->distinct[results->validation_count]];
        SENVEC_TRY(sv_arena_string(&results->arena, text->data, text->length,
                                   &results->validation_texts[results->validation_count], err));
    }
    return SENVEC_OK;
}

static senvec_status compare_row(sv_runner *runner, size_t index, const float *vectors, const float *reference, size_t count,
                                 size_t dimensions, senvec_error *err) {
    sv_row *row = &runner->results->rows[index];
    sv_comparison comparison;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(double), "cosines", &memory, err));
    SENVEC_TRY(sv_compare_vectors(vectors, reference, count, dimensions, memory, &comparison, err));
    row->cosines = memory;
    row->cosine_count = count;
    row->pairwise_error_max = comparison.pairwise_error_max;
    row->pairwise_error_mean = comparison.pairwise_error_mean;
    row->neighbours = comparison.neighbours;
    return SENVEC_OK;
}

/* All rows against the vectors of row `base`. */
static senvec_status compare_rows(sv_runner *runner, size_t base, const char *texts_path, size_t count, const float *reference,
                                  size_t dimensions, senvec_error *err) {
    size_t rows = runner->results->row_count;
    for (size_t i = 0; i < rows; i++) {
        float *vectors = NULL;
        size_t own_dimensions = dimensions;
        progress(runner, (double)i / (double)rows, "validating", runner->results->rows[i].name);
        if (cancelled(runner))
            return fail_cancelled(err);
        senvec_status status = SENVEC_OK;
        if (i != base && runner->workers[i])
            status = fetch_vectors(runner, i, texts_path, count, &vectors, &own_dimensions, err);
        if (status == SENVEC_OK && vectors && own_dimensions != dimensions)
            status = implausible(runner, i, "embed", "vectors of another length than the reference's", err);
        else if (status == SENVEC_OK && (vectors || i == base))
            status = compare_row(runner, i, vectors ? vectors : reference, reference, count, dimensions, err);
        free(vectors);
        SENVEC_TRY(status);
    }
    return SENVEC_OK;
}

senvec_status sv_runner_validate(sv_runner *runner, size_t limit, senvec_error *err) {
    const sv_texts *texts = runner->options->texts;
    size_t count = texts->distinct_count < limit ? texts->distinct_count : limit, dimensions = 0, base = 0;
    char path[SV_MAX_PATH];
    float *reference = NULL;
    SENVEC_TRY(sv_path_join(runner->options->scratch, "validation.json", path, err));
    SENVEC_TRY(sv_texts_write(texts, texts->distinct, count, path, err));
    senvec_status status = SENVEC_OK;
    /* A reference that fails is given up, and the next best takes its place. */
    while (status == SENVEC_OK && !reference && (base = choose_reference(runner)) != SIZE_MAX)
        status = fetch_vectors(runner, base, path, count, &reference, &dimensions, err);
    if (status == SENVEC_OK && reference) {
        snprintf(runner->results->reference, sizeof runner->results->reference, "%s", runner->results->rows[base].name);
        status = keep_texts(runner, count, err);
        if (status == SENVEC_OK)
            status = compare_rows(runner, base, path, count, reference, dimensions, err);
    }
    free(reference);
    unlink(path);
    return status;
}
