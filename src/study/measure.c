/* The stages that take times. Everything is measured the same way: as cells, in interleaved rounds. Workers time themselves
 * (worker.h); what they report is believed only if it fits into the time that went by here. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cpu/peak.h"
#include "study/runner_internal.h"

#define PEAK_MILLISECONDS 60       /* for each kind, in each round */
#define BANDWIDTH_MILLISECONDS 200 /* once */
#define BANDWIDTH_BYTES (256u << 20)
#define SETTLE_US 30000     /* before a block: thread pools spin for a while after their last call */
#define REWARM 3            /* untimed calls before a block, from the second round on */
#define SPREAD_LIMIT 0.05   /* of a row's blocks, above which the reader is warned */
#define STEAL_LIMIT 0.01    /* of a block's CPU time */
#define IDLE_CPU_LIMIT 0.05 /* CPUs that idle workers may use */

/* Something to measure in every round: a row at a batch size on a set of texts. */
typedef struct sv_cell {
    size_t row;
    const char *set;
    size_t texts; /* in the set */
    size_t batch;
    size_t calls;   /* timed, over all rounds; 0: none */
    double seconds; /* of throughput, over all rounds; 0: none */
    size_t warmups; /* before the first block */
    sv_measurement *measured;
} sv_cell;

/* The calls of round `round` when `total` are spread over `rounds` as evenly as whole numbers allow. */
static size_t share(size_t total, size_t rounds, size_t round) {
    return total * (round + 1) / rounds - total * round / rounds;
}

static senvec_status measure_latency(sv_runner *runner, const sv_cell *cell, size_t calls, size_t warmups, senvec_error *err) {
    sv_measurement *measured = cell->measured;
    size_t first = measured->latency_count * cell->batch % cell->texts;
    json_t *reply;
    double wall_s;
    SENVEC_TRY(sv_runner_ask(runner, cell->row,
                             json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "op", "latency", "set", cell->set, "batch",
                                       (json_int_t)cell->batch, "warmups", (json_int_t)warmups, "calls", (json_int_t)calls,
                                       "first", (json_int_t)first),
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
    for (size_t i = 0; !why && i < calls && measured->latency_count < measured->latency_capacity; i++)
        measured->latency_ms[measured->latency_count++] = json_number_value(json_array_get(samples, i)) / 1e6;
    json_decref(reply);
    return why ? sv_runner_implausible(runner, cell->row, "latency", why, err) : SENVEC_OK;
}

/* Fills the block's calls, texts, tokens and seconds; *done is false if the row was given up. */
static senvec_status measure_throughput(sv_runner *runner, const sv_cell *cell, double seconds, sv_block *block, bool *done,
                                        senvec_error *err) {
    /* Each block begins elsewhere, so that a corpus with long stretches of short texts doesn't favour one. */
    size_t first = cell->measured->block_count * cell->batch * 7 % cell->texts;
    json_t *reply;
    double wall_s;
    *done = false;
    SENVEC_TRY(sv_runner_ask(runner, cell->row,
                             json_pack("{s:s, s:s, s:I, s:f, s:I}", "op", "throughput", "set", cell->set, "batch",
                                       (json_int_t)cell->batch, "seconds", seconds, "first", (json_int_t)first),
                             &reply, &wall_s, err));
    if (!reply)
        return SENVEC_OK;
    json_int_t calls = json_integer_value(json_object_get(reply, "calls"));
    json_int_t texts = json_integer_value(json_object_get(reply, "texts"));
    json_int_t tokens = json_integer_value(json_object_get(reply, "tokens"));
    double measured = json_number_value(json_object_get(reply, "seconds"));
    json_decref(reply);
    if (calls < 1 || texts != calls * (json_int_t)cell->batch || tokens < texts)
        return sv_runner_implausible(runner, cell->row, "throughput", "calls, texts and tokens don't agree", err);
    if (measured < seconds || measured > wall_s * 1.001)
        return sv_runner_implausible(runner, cell->row, "throughput", "its seconds are not those that went by", err);
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

static senvec_status measure_block(sv_runner *runner, const sv_cell *cell, size_t round, size_t rounds, size_t position,
                                   senvec_error *err) {
    size_t calls = share(cell->calls, rounds, round);
    usleep(SETTLE_US);
    uint64_t start = sv_clock_ns(), steal = sv_machine_steal_ns(), idle = idle_cpu_ns(runner, cell->row);
    if (calls)
        SENVEC_TRY(measure_latency(runner, cell, calls, round == 0 ? cell->warmups : REWARM, err));
    sv_block block = {.round = round, .position = position};
    bool done = false;
    if (cell->seconds > 0 && runner->workers[cell->row])
        SENVEC_TRY(measure_throughput(runner, cell, cell->seconds / (double)rounds, &block, &done, err));
    if (!done)
        return SENVEC_OK;
    double wall_ns = (double)(sv_clock_ns() - start);
    size_t cpus = runner->machine.online_cpus ? runner->machine.online_cpus : 1;
    block.steal = (double)(sv_machine_steal_ns() - steal) / (wall_ns * (double)cpus);
    block.idle_cpu = (double)(idle_cpu_ns(runner, cell->row) - idle) / wall_ns;
    cell->measured->blocks[cell->measured->block_count++] = block;
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

/* Measures the cells in interleaved rounds, each in an order of its own; `peaks`: and the machine's peaks in every round. */
static senvec_status run_cells(sv_runner *runner, const sv_cell *cells, size_t count, size_t rounds, const char *stage,
                               bool peaks, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(size_t), "the order of cells", &memory, err));
    size_t *order = memory;
    for (size_t i = 0; i < count; i++) {
        size_t blocks = cells[i].seconds > 0 ? rounds : 0;
        order[i] = i;
        SENVEC_TRY(sv_measurement_clear(runner->results, cells[i].measured, cells[i].calls, blocks, err));
    }
    for (size_t round = 0; round < rounds; round++) {
        if (peaks)
            measure_peaks(runner);
        sv_random_shuffle(&runner->random, order, count);
        for (size_t position = 0; position < count; position++) {
            const sv_cell *cell = &cells[order[position]];
            double fraction = (double)(round * count + position) / (double)(rounds * count);
            if (sv_runner_cancelled(runner))
                return sv_runner_fail_cancelled(err);
            sv_runner_progress(runner, fraction, stage, runner->results->rows[cell->row].name);
            if (runner->workers[cell->row])
                SENVEC_TRY(measure_block(runner, cell, round, rounds, position, err));
        }
    }
    return SENVEC_OK;
}

/* Room for `count` cells that lives as long as the results. */
static senvec_status make_cells(sv_runner *runner, size_t count, sv_cell **out, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(sv_cell), "cells", &memory, err));
    *out = memory;
    return SENVEC_OK;
}

/* What the reader should know about the quality of the numbers. */
static senvec_status judge(sv_runner *runner, senvec_error *err) {
    sv_results *results = runner->results;
    const sv_row *worst = NULL;
    size_t noisy = 0;
    double steal = 0, idle = 0, worst_spread = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        sv_row_figures figures;
        SENVEC_TRY(sv_row_figures_compute(results, row, &figures, err));
        noisy += figures.spread > SPREAD_LIMIT;
        if (figures.spread > worst_spread) {
            worst_spread = figures.spread;
            worst = row;
        }
        for (size_t b = 0; b < row->bench.block_count; b++) {
            steal = fmax(steal, row->bench.blocks[b].steal);
            idle = fmax(idle, row->bench.blocks[b].idle_cpu);
        }
    }
    if (noisy)
        sv_results_warn(results,
                        "the machine was noisy: the blocks of %zu configurations differ by over %.0f %% (standard deviation), "
                        "most those of %s: %.1f %%",
                        noisy, 100 * SPREAD_LIMIT, worst->name, 100 * worst_spread);
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
    sv_cell *cells;
    SENVEC_TRY(make_cells(runner, results->row_count, &cells, err));
    for (size_t i = 0; i < results->row_count; i++)
        cells[i] = (sv_cell){.row = i,
                             .set = SV_TEXTS_CORPUS,
                             .texts = runner->options->texts->count,
                             .batch = results->rows[i].batch,
                             .calls = results->latency_calls,
                             .seconds = results->duration_s,
                             .warmups = results->warmups,
                             .measured = &results->rows[i].bench};
    senvec_status status = run_cells(runner, cells, results->row_count, results->rounds, "measuring", true, err);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        return status;
    for (size_t i = 0; i < results->row_count; i++) {
        sv_row *row = &results->rows[i];
        if (!runner->workers[i] || !row->bench.block_count)
            continue;
        row->state = SV_ROW_MEASURED;
        row->peak_rss_bytes = sv_worker_peak_rss(runner->workers[i]);
    }
    SENVEC_TRY(judge(runner, status == SENVEC_OK ? err : NULL));
    return status;
}

/* ----------------------------------------------------- sweep and lengths */

/* Does the sweep vary this row's batch? The baseline, the classic int8 step, and the engine. */
static bool is_swept(const sv_row *row) {
    return row->batch > 1 && (strcmp(row->runtime, "torch") == 0 || strcmp(row->runtime, "senvec") == 0 ||
                              (strcmp(row->runtime, "onnxruntime") == 0 && strcmp(row->precision, "int8") == 0));
}

senvec_status sv_runner_sweep(sv_runner *runner, double seconds, senvec_error *err) {
    static const size_t batches[] = {1, 4, 8, 16, 32, 64};
    enum { BATCHES = sizeof batches / sizeof batches[0] };
    sv_results *results = runner->results;
    size_t corpus = runner->options->texts->count, count = 0, first, c = 0;
    for (size_t i = 0; i < results->row_count; i++)
        if (runner->workers[i] && is_swept(&results->rows[i]))
            count += BATCHES;
    sv_cell *cells;
    SENVEC_TRY(make_cells(runner, count, &cells, err));
    SENVEC_TRY(sv_results_add_series(results, SV_SERIES_SWEEP, count, &first, err));
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (!runner->workers[i] || !is_swept(row))
            continue;
        for (size_t b = 0; b < BATCHES; b++, c++) {
            sv_series *series = &results->series[first + c];
            series->row = i;
            series->batch = batches[b];
            series->tokens_per_text = (double)row->tokens / (double)corpus;
            snprintf(series->set, sizeof series->set, "%s", SV_TEXTS_CORPUS);
            cells[c] = (sv_cell){.row = i,
                                 .set = SV_TEXTS_CORPUS,
                                 .texts = corpus,
                                 .batch = batches[b],
                                 .seconds = seconds,
                                 .measured = &series->measured};
        }
    }
    return run_cells(runner, cells, count, results->rounds, "batch sizes", false, err);
}

/* Makes one of our own sets known to the workers. */
static senvec_status teach_own(sv_runner *runner, const char *name, size_t *count, double *tokens_per_text, senvec_error *err) {
    sv_texts texts;
    uint64_t tokens = 0;
    SENVEC_TRY(sv_texts_make(&texts, name, err));
    *count = texts.count;
    senvec_status status = sv_runner_teach(runner, name, &texts, NULL, texts.count, &tokens, err);
    *tokens_per_text = (double)tokens / (double)texts.count;
    sv_texts_release(&texts);
    return status;
}

senvec_status sv_runner_lengths(sv_runner *runner, size_t calls, double seconds, bool quick, senvec_error *err) {
    static const char *const names[] = {SV_TEXTS_QUERY, SV_TEXTS_LISTING, SV_TEXTS_LONG};
    enum { SETS = sizeof names / sizeof names[0] };
    const size_t sets = quick ? SETS - 1 : SETS;
    sv_results *results = runner->results;
    size_t counts[SETS], count = 0, first, c = 0;
    double tokens[SETS];
    for (size_t s = 0; s < sets; s++)
        SENVEC_TRY(teach_own(runner, names[s], &counts[s], &tokens[s], err));
    for (size_t i = 0; i < results->row_count; i++)
        if (runner->workers[i] && (results->rows[i].batch == 1 || !quick))
            count += sets;
    sv_cell *cells;
    SENVEC_TRY(make_cells(runner, count, &cells, err));
    SENVEC_TRY(sv_results_add_series(results, SV_SERIES_LENGTH, count, &first, err));
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        bool single = row->batch == 1;
        if (!runner->workers[i] || (!single && quick))
            continue;
        for (size_t s = 0; s < sets; s++, c++) {
            sv_series *series = &results->series[first + c];
            series->row = i;
            series->batch = row->batch;
            series->tokens_per_text = tokens[s];
            snprintf(series->set, sizeof series->set, "%s", names[s]);
            cells[c] = (sv_cell){.row = i,
                                 .set = names[s],
                                 .texts = counts[s],
                                 .batch = row->batch,
                                 .calls = single ? calls : 0,
                                 .seconds = single ? 0 : seconds,
                                 .warmups = REWARM,
                                 .measured = &series->measured};
        }
    }
    return run_cells(runner, cells, count, SV_LENGTH_ROUNDS, "text lengths", false, err);
}
