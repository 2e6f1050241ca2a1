/* What takes times. Everything is measured the same way: as cells, in interleaved rounds. Workers time themselves
 * (worker.h); what they report is believed only if it fits into the time that went by here. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "peak/peak.h"
#include "results/figures.h"
#include "stats/random.h"
#include "study/runner_internal.h"

#define PEAK_MILLISECONDS 60       /* for each kind, in each round; no longer than a block of throughput */
#define BANDWIDTH_MILLISECONDS 200 /* once; no longer than four blocks */
#define BANDWIDTH_BYTES (256u << 20)
#define SETTLE_US 30000 /* before a block: thread pools spin for a while after their last call */
#define REWARM                                                                                                                 \
    3 /* untimed calls before timed ones (more until SV_REWARM_S have passed), and before the first block of a series */

/* Something to measure in every round: a row at a batch size on a set of texts. */
typedef struct sv_cell {
    size_t row;
    const char *set;
    size_t texts; /* in the set */
    size_t batch;
    size_t calls;   /* timed, over all rounds; 0: none */
    double seconds; /* of throughput, over all rounds; 0: none */
    size_t warmups; /* before the first block */
    bool warm;      /* that has been */
    double wall_s;  /* what its last visit took; 0 before */
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
                             json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:I}", "op", "latency", "set", cell->set, "batch",
                                       (json_int_t)cell->batch, "warmups", (json_int_t)warmups, "warmup_s", SV_REWARM_S,
                                       "calls", (json_int_t)calls, "first", (json_int_t)first),
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
    if (!why) {
        for (size_t i = 0; i < calls; i++)
            measured->latency_ms[measured->latency_count++] = json_number_value(json_array_get(samples, i)) / 1e6;
        if (calls)
            measured->latency_blocks[measured->latency_block_count++] = calls;
    }
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
    if (calls < 1 || texts < 0 || texts % (json_int_t)cell->batch || texts / (json_int_t)cell->batch != calls || tokens < texts)
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

static senvec_status measure_block(sv_runner *runner, sv_cell *cell, size_t round, size_t rounds, size_t position,
                                   senvec_error *err) {
    size_t calls = share(cell->calls, rounds, round);
    usleep(SETTLE_US);
    uint64_t start = sv_clock_ns(), steal = sv_machine_steal_ns(), idle = idle_cpu_ns(runner, cell->row);
    size_t warmups = !cell->warm ? cell->warmups : calls ? REWARM : 0;
    cell->warm = true;
    if (calls || warmups)
        SENVEC_TRY(measure_latency(runner, cell, calls, warmups, err));
    sv_block block = {.round = round, .position = position};
    bool done = false;
    if (cell->seconds > 0 && runner->workers[cell->row])
        SENVEC_TRY(measure_throughput(runner, cell, cell->seconds / (double)rounds, &block, &done, err));
    double wall_ns = (double)(sv_clock_ns() - start);
    cell->wall_s = (wall_ns + 1e3 * SETTLE_US) / SV_NS_PER_S;
    if (!done)
        return SENVEC_OK;
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
    const double block = ceil(1e3 * results->duration_s / (double)runner->options->rounds);
    const unsigned milliseconds = (unsigned)fmin(PEAK_MILLISECONDS, block);
    if (!(results->bandwidth > 0))
        results->bandwidth =
            sv_read_bandwidth(BANDWIDTH_BYTES, results->threads, (unsigned)fmin(BANDWIDTH_MILLISECONDS, 4 * block));
    double *best[] = {
        [SV_PEAK_FP32] = &results->peak_fp32, [SV_PEAK_BF16] = &results->peak_bf16, [SV_PEAK_INT8] = &results->peak_int8};
    for (sv_peak_kind kind = SV_PEAK_FP32; kind <= SV_PEAK_INT8; kind++)
        *best[kind] = fmax(*best[kind], sv_peak_gmacs(kind, runner->isa, results->threads, milliseconds, NULL));
}

/* Cells that a round visits one soon after the other, in an order of its own. */
typedef struct sv_part {
    const char *stage; /* for the progress */
    sv_cell *cells;
    size_t *order; /* [count] */
    size_t count;
} sv_part;

/* Room for `count` cells that lives as long as the results. */
static senvec_status make_part(sv_runner *runner, const char *stage, size_t count, sv_part *out, senvec_error *err) {
    void *cells, *order;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(sv_cell), "cells", &cells, err));
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(size_t), "the order of cells", &order, err));
    *out = (sv_part){stage, cells, order, count};
    return SENVEC_OK;
}

/* The order is the round's own, so that a study which goes on has the one that it would have had. */
static void shuffle(const sv_runner *runner, const sv_part *part, size_t place, size_t round) {
    sv_random random;
    sv_random_seed(&random, runner->options->seed * 1000003 + 4 * round + place);
    for (size_t i = 0; i < part->count; i++)
        part->order[i] = i;
    sv_random_shuffle(&random, part->order, part->count);
}

static senvec_status visit_part(sv_runner *runner, const sv_part *part, size_t round, size_t *visited, size_t total,
                                senvec_error *err) {
    const size_t rounds = runner->options->rounds;
    sv_results *results = runner->results;
    char stage[64];
    snprintf(stage, sizeof stage, "round %zu/%zu, %s", round + 1, rounds, part->stage);
    for (size_t position = 0; position < part->count; position++) {
        sv_cell *cell = &part->cells[part->order[position]];
        sv_row *row = &results->rows[cell->row];
        if (sv_runner_cancelled(runner))
            return sv_runner_fail_cancelled(err);
        sv_runner_progress(runner, (double)(*visited)++ / (double)total, stage, row->name);
        if (!runner->workers[cell->row] || cell->measured->rounds_done > round)
            continue;
        SENVEC_TRY(measure_block(runner, cell, round, rounds, position, err));
        cell->measured->rounds_done = round + 1;
        /* A row's memory is what the corpus takes: read before larger batches and longer texts come. */
        if (round == 0 && cell->measured == &row->bench && runner->workers[cell->row])
            row->peak_rss_bytes = sv_worker_peak_rss(runner->workers[cell->row]);
        SENVEC_TRY(sv_runner_checkpoint(runner, err));
    }
    return SENVEC_OK;
}

/* For what the cell will have, beside what it has of a study that goes on. */
static senvec_status make_room(sv_runner *runner, const sv_cell *cell, senvec_error *err) {
    const size_t rounds = runner->options->rounds;
    return runner->options->go_on ? sv_measurement_reserve(runner->results, cell->measured, cell->calls, rounds, err)
                                  : sv_measurement_clear(runner->results, cell->measured, cell->calls, rounds, err);
}

/* Has every cell been visited in this round? */
static bool is_done(const sv_part *parts, size_t count, size_t round) {
    for (size_t p = 0; p < count; p++)
        for (size_t i = 0; i < parts[p].count; i++)
            if (parts[p].cells[i].measured->rounds_done <= round)
                return false;
    return true;
}

/* Are there series of that kind, of a study that goes on? */
static bool has_series(const sv_runner *runner, sv_series_kind kind) {
    for (size_t s = 0; runner->options->go_on && s < runner->results->series_count; s++)
        if (runner->results->series[s].kind == kind)
            return true;
    return false;
}

/* Measures the parts in interleaved rounds, so that every cell is spread over the whole time; `peaks`: and the machine's peaks
 * in every round. */
static senvec_status run_parts(sv_runner *runner, const sv_part *parts, size_t count, bool peaks, senvec_error *err) {
    const size_t rounds = runner->options->rounds;
    size_t visited = 0, total = 0;
    for (size_t p = 0; p < count; p++) {
        total += rounds * parts[p].count;
        for (size_t i = 0; i < parts[p].count; i++)
            SENVEC_TRY(make_room(runner, &parts[p].cells[i], err));
    }
    for (size_t round = 0; round < rounds; round++) {
        if (peaks && !is_done(parts, count, round))
            measure_peaks(runner);
        for (size_t p = 0; p < count; p++) {
            shuffle(runner, &parts[p], p, round);
            SENVEC_TRY(visit_part(runner, &parts[p], round, &visited, total, err));
        }
    }
    return SENVEC_OK;
}

/* The rows that a further round visits: the baseline, as ratios pair the blocks of a round, and the half of the others whose
 * texts/s are known least; into part->order, shuffled. */
static senvec_status choose_cells(const sv_runner *runner, const sv_part *part, size_t round, size_t *rows, size_t *count,
                                  senvec_error *err) {
    const sv_row *baseline = sv_results_baseline(runner->results);
    size_t known, others = 0;
    sv_random random;
    *count = 0;
    SENVEC_TRY(sv_rows_by_width(runner->results, rows, &known, err));
    for (size_t i = 0; i < known; i++) {
        const bool first = &runner->results->rows[rows[i]] == baseline;
        if (runner->workers[rows[i]] && (first || others++ < known / 2))
            part->order[(*count)++] = rows[i];
    }
    sv_random_seed(&random, runner->options->seed * 1000003 + 4 * round);
    sv_random_shuffle(&random, part->order, *count);
    return SENVEC_OK;
}

static senvec_status make_room_for_one(sv_runner *runner, const sv_cell *cell, size_t calls, senvec_error *err) {
    const sv_measurement *m = cell->measured;
    const bool room = m->block_count < m->block_capacity && m->latency_block_count < m->latency_block_capacity &&
                      m->latency_count + calls <= m->latency_capacity;
    return room ? SENVEC_OK
                : sv_measurement_reserve(runner->results, cell->measured, 2 * (m->latency_count + calls),
                                         2 * (m->block_count + 1), err);
}

/* Further rounds of rows on the corpus, as long as there is time for another block. */
static senvec_status spend(sv_runner *runner, const sv_part *part, const sv_measuring *what, senvec_error *err) {
    const size_t rounds = runner->options->rounds;
    size_t round = rounds, count = 1;
    void *rows;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, part->count, sizeof(size_t), "rows", &rows, err));
    for (size_t i = 0; i < part->count; i++)
        round = part->cells[i].measured->rounds_done > round ? part->cells[i].measured->rounds_done : round;
    for (; count > 0; round++) {
        SENVEC_TRY(choose_cells(runner, part, round, rows, &count, err));
        for (size_t position = 0; position < count; position++) {
            sv_cell *cell = &part->cells[part->order[position]];
            char stage[64];
            snprintf(stage, sizeof stage, "round %zu, what is known least", round + 1);
            if (sv_runner_cancelled(runner))
                return sv_runner_fail_cancelled(err);
            if (!what->more(what->more_context, fmax(cell->wall_s, cell->seconds / (double)rounds)))
                return SENVEC_OK;
            sv_runner_progress(runner, 1, stage, runner->results->rows[cell->row].name);
            if (!runner->workers[cell->row])
                continue;
            SENVEC_TRY(make_room_for_one(runner, cell, share(cell->calls, rounds, round), err));
            SENVEC_TRY(measure_block(runner, cell, round, rounds, position, err));
            cell->measured->rounds_done = round + 1;
            SENVEC_TRY(sv_runner_checkpoint(runner, err));
        }
    }
    return SENVEC_OK;
}

static senvec_status bench_cells(sv_runner *runner, sv_part *out, senvec_error *err) {
    sv_results *results = runner->results;
    SENVEC_TRY(make_part(runner, "corpus", results->row_count, out, err));
    for (size_t i = 0; i < results->row_count; i++)
        out->cells[i] = (sv_cell){.row = i,
                                  .set = SV_TEXTS_CORPUS,
                                  .texts = runner->options->texts->count,
                                  .batch = results->rows[i].batch,
                                  .calls = results->latency_calls,
                                  .seconds = results->duration_s,
                                  .warmups = results->warmups,
                                  .measured = &results->rows[i].bench};
    return SENVEC_OK;
}

/* ----------------------------------------------------- sweep and lengths */

/* Does the sweep vary this row's batch? The baseline, the classic int8 step, and the engine. */
static bool is_swept(const sv_row *row) {
    return row->batch > 1 && (strcmp(row->runtime, "torch") == 0 || strcmp(row->runtime, "senvec") == 0 ||
                              (strcmp(row->runtime, "onnxruntime") == 0 && strcmp(row->precision, "int8") == 0));
}

/* Rows, batches and texts of the sweep. */
static senvec_status plan_sweep(sv_runner *runner, senvec_error *err) {
    static const size_t batches[] = {1, 4, 8, 16, 32, 64};
    enum { BATCHES = sizeof batches / sizeof batches[0] };
    sv_results *results = runner->results;
    size_t count = 0, s;
    for (size_t i = 0; i < results->row_count; i++)
        if (runner->workers[i] && is_swept(&results->rows[i]))
            count += BATCHES;
    if (has_series(runner, SV_SERIES_SWEEP))
        return SENVEC_OK;
    SENVEC_TRY(sv_results_add_series(results, SV_SERIES_SWEEP, count, &s, err));
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (!runner->workers[i] || !is_swept(row))
            continue;
        for (size_t b = 0; b < BATCHES; b++, s++) {
            sv_series *series = &results->series[s];
            series->row = i;
            series->batch = batches[b];
            series->tokens_per_text = (double)row->tokens / (double)runner->options->texts->count;
            snprintf(series->set, sizeof series->set, "%s", SV_TEXTS_CORPUS);
        }
    }
    return SENVEC_OK;
}

/* Our own sets of texts, which the workers know when `count` is above 0. */
typedef struct own_set {
    const char *name;
    size_t count;
    double tokens_per_text;
} own_set;

enum { OWN_SETS = 3 };

/* Makes one of our own sets known to the workers. */
static senvec_status teach_own(sv_runner *runner, own_set *set, senvec_error *err) {
    sv_texts texts;
    uint64_t tokens = 0;
    SENVEC_TRY(sv_texts_make(&texts, set->name, err));
    set->count = texts.count;
    senvec_status status = sv_runner_teach(runner, set->name, &texts, NULL, texts.count, &tokens, err);
    set->tokens_per_text = (double)tokens / (double)texts.count;
    sv_texts_release(&texts);
    return status;
}

/* Rows and texts of the text lengths; `quick` as in sv_measuring. */
static senvec_status plan_lengths(sv_runner *runner, bool quick, own_set sets[OWN_SETS], senvec_error *err) {
    const size_t used = quick ? OWN_SETS - 1 : OWN_SETS;
    sv_results *results = runner->results;
    size_t count = 0, s;
    for (size_t k = 0; k < used; k++)
        SENVEC_TRY(teach_own(runner, &sets[k], err));
    for (size_t i = 0; i < results->row_count; i++)
        if (runner->workers[i] && (results->rows[i].batch == 1 || !quick))
            count += used;
    if (has_series(runner, SV_SERIES_LENGTH))
        return SENVEC_OK;
    SENVEC_TRY(sv_results_add_series(results, SV_SERIES_LENGTH, count, &s, err));
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        if (!runner->workers[i] || (row->batch > 1 && quick))
            continue;
        for (size_t k = 0; k < used; k++, s++) {
            sv_series *series = &results->series[s];
            series->row = i;
            series->batch = row->batch;
            series->tokens_per_text = sets[k].tokens_per_text;
            snprintf(series->set, sizeof series->set, "%s", sets[k].name);
        }
    }
    return SENVEC_OK;
}

static size_t texts_of(const sv_runner *runner, const own_set sets[OWN_SETS], const char *name) {
    for (size_t k = 0; k < OWN_SETS; k++)
        if (strcmp(sets[k].name, name) == 0)
            return sets[k].count;
    return runner->options->texts->count;
}

/* The cells of the series of a kind: throughput, or where texts of another length are taken one by one, latency. */
static senvec_status series_cells(sv_runner *runner, sv_series_kind kind, const char *stage, const sv_measuring *what,
                                  const own_set sets[OWN_SETS], sv_part *out, senvec_error *err) {
    sv_results *results = runner->results;
    size_t count = 0, c = 0;
    for (size_t s = 0; s < results->series_count; s++)
        count += results->series[s].kind == kind;
    SENVEC_TRY(make_part(runner, stage, count, out, err));
    for (size_t s = 0; s < results->series_count; s++) {
        sv_series *series = &results->series[s];
        bool timed = kind == SV_SERIES_LENGTH && series->batch == 1;
        if (series->kind != kind)
            continue;
        out->cells[c++] = (sv_cell){.row = series->row,
                                    .set = series->set,
                                    .texts = texts_of(runner, sets, series->set),
                                    .batch = series->batch,
                                    .calls = timed ? what->length_calls : 0,
                                    .seconds = timed                      ? 0
                                               : kind == SV_SERIES_LENGTH ? what->length_seconds
                                                                          : what->sweep_seconds,
                                    .warmups = REWARM,
                                    .measured = &series->measured};
    }
    return SENVEC_OK;
}

/* ---------------------------------------------------------------- the whole */

static void mark_measured(const sv_runner *runner, const sv_measuring *what) {
    sv_row *rows = runner->results->rows;
    for (size_t i = 0; what->bench && i < runner->results->row_count; i++)
        if (runner->workers[i] && rows[i].bench.block_count)
            rows[i].state = SV_ROW_MEASURED;
}

senvec_status sv_runner_measure(sv_runner *runner, const sv_measuring *what, senvec_error *err) {
    own_set sets[OWN_SETS] = {{.name = SV_TEXTS_QUERY}, {.name = SV_TEXTS_LISTING}, {.name = SV_TEXTS_LONG}};
    sv_part parts[3];
    size_t count = 0;
    /* All series first: making room for more moves those that are there. */
    if (what->sweep)
        SENVEC_TRY(plan_sweep(runner, err));
    if (what->lengths)
        SENVEC_TRY(plan_lengths(runner, what->quick, sets, err));
    if (what->bench)
        SENVEC_TRY(bench_cells(runner, &parts[count++], err));
    if (what->sweep)
        SENVEC_TRY(series_cells(runner, SV_SERIES_SWEEP, "batch sizes", what, sets, &parts[count++], err));
    if (what->lengths)
        SENVEC_TRY(series_cells(runner, SV_SERIES_LENGTH, "text lengths", what, sets, &parts[count++], err));
    senvec_status status = run_parts(runner, parts, count, what->bench, err);
    mark_measured(runner, what);
    if (status == SENVEC_OK && what->bench && what->more)
        status = spend(runner, &parts[0], what, err);
    if (!what->bench || (status != SENVEC_OK && status != SENVEC_CANCELLED))
        return status;
    sv_runner_judge(runner);
    return status;
}
