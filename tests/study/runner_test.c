/* The runner with a stub in place of the runtimes: what is timed, what is counted, and what becomes of workers that misbehave.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "results/figures.h"
#include "study/runner.h"
#include "study/scores.h"

static const char *scratch = "runner_test.tmp";

typedef struct trial {
    sv_texts texts;
    sv_results results;
    sv_runner_options options;
    sv_runner *runner;
} trial;

static volatile sig_atomic_t interrupt_flag;
static int interrupt_after; /* progress calls until the flag is set; 0: never */

static char stages_seen[400]; /* "1corpus 1batch 1text 2corpus ...": a word where round or part change */

/* Adds the round and the part that `what` names, unless they are the last that were seen. */
static void note_stage(const char *what) {
    unsigned long round, rounds;
    char part[16], word[24];
    if (sscanf(what, "round %lu/%lu, %15[a-z]", &round, &rounds, part) != 3)
        return;
    snprintf(word, sizeof word, "%lu%s ", round, part);
    size_t length = strlen(stages_seen), size = strlen(word);
    if (length >= size && strcmp(stages_seen + length - size, word) == 0)
        return;
    snprintf(stages_seen + length, sizeof stages_seen - length, "%s", word);
}

static void count_down(void *context, double fraction, const char *what) {
    (void)context;
    assert_true(fraction >= 0 && fraction <= 1 && what[0]);
    note_stage(what);
    if (interrupt_after && --interrupt_after == 0)
        interrupt_flag = 1;
}

/* Rows named by their kind; a kind "x32" is kind "x" with batch 32. */
static void begin(trial *t, const char *const *kinds, size_t count) {
    static sv_configuration configurations[8];
    static char runtimes[8][16];
    const sv_configuration *pointers[8];
    memset(t, 0, sizeof *t);
    interrupt_flag = 0;
    interrupt_after = 0;
    stages_seen[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(kinds[i], "3");
        snprintf(runtimes[i], sizeof runtimes[i], "%.*s", (int)length, kinds[i]);
        configurations[i] = (sv_configuration){kinds[i], runtimes[i], "fp32", "a stub", "", kinds[i][length] ? 32 : 1};
        pointers[i] = &configurations[i];
    }
    assert_int_equal(sv_texts_load(&t->texts, NULL, NULL, 100, 1, NULL), SENVEC_OK);
    assert_int_equal(sv_results_init(&t->results, NULL), SENVEC_OK);
    assert_int_equal(sv_results_plan(&t->results, pointers, count, NULL), SENVEC_OK);
    t->results.seed = 5;
    t->results.threads = 1;
    t->results.rounds = 3;
    t->results.latency_calls = 100;
    t->results.warmups = 2;
    t->results.duration_s = 0.15;
    t->results.price_per_hour = 0.05;
    t->options = (sv_runner_options){.model = "no-model",
                                     .files = scratch,
                                     .native = "/nonexistent/senvec",
                                     .python = PYTHON,
                                     .worker_script = STUB,
                                     .texts = &t->texts,
                                     .scratch = scratch,
                                     .timeout_s = 600,
                                     .rounds = 3,
                                     .seed = 5,
                                     .cancelled = &interrupt_flag,
                                     .progress = count_down};
    senvec_error err;
    if (sv_runner_open(&t->results, &t->options, &t->runner, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
}

static void end(trial *t) {
    sv_runner_close(t->runner);
    sv_results_release(&t->results);
    sv_texts_release(&t->texts);
}

static senvec_status bench(trial *t, senvec_error *err) {
    return sv_runner_measure(t->runner, &(sv_measuring){.bench = true}, err);
}

static sv_row_figures figures(const trial *t, size_t row) {
    sv_row_figures f;
    assert_int_equal(sv_row_figures_compute(&t->results, &t->results.rows[row], &f, NULL), SENVEC_OK);
    return f;
}

static bool warned(const trial *t, const char *words) {
    size_t index;
    json_t *line;
    json_array_foreach(t->results.warnings, index, line) {
        if (strstr(json_string_value(line), words))
            return true;
    }
    return false;
}

/* A batch row times whole batch calls (1 ms + 32 x 0.2 ms), and its throughput counts texts. The stub's calls may take longer
 * than it says, however long, but never less. */
static void batch_rows_time_batch_calls(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady", "steady32"}, 2);
    assert_int_equal(bench(&t, NULL), SENVEC_OK);
    sv_row_figures single = figures(&t, 0), batch = figures(&t, 1);
    assert_int_equal(single.latency.count, 100);
    assert_int_equal(batch.latency.count, 100);
    assert_true(single.latency.min >= 1.2);
    assert_true(batch.latency.min >= 7.4);
    for (size_t i = 0; i < 2; i++) {
        const sv_row *row = &t.results.rows[i];
        assert_int_equal(row->state, SV_ROW_MEASURED);
        assert_int_equal(row->bench.block_count, 3);
        assert_true(row->peak_rss_bytes > 1 << 20);
        assert_true(row->model_bytes == 12345);
        for (size_t b = 0; b < 3; b++) {
            assert_true(row->bench.blocks[b].texts == row->bench.blocks[b].calls * row->batch);
            assert_true(row->bench.blocks[b].seconds >= 0.05);
        }
    }
    assert_true(single.texts_per_s.value < 1 / 0.0012);
    assert_true(batch.texts_per_s.value < 32 / 0.0074);
    for (size_t i = 0; i < 2; i++) {
        double least = INFINITY, most = 0;
        for (size_t b = 0; b < 3; b++) {
            const sv_block *block = &t.results.rows[i].bench.blocks[b];
            least = fmin(least, (double)block->texts / block->seconds);
            most = fmax(most, (double)block->texts / block->seconds);
        }
        const sv_row_figures *f = i ? &batch : &single;
        assert_true(f->texts_per_s.value >= 0.999 * least && f->texts_per_s.value <= 1.001 * most);
    }
    /* Three unequal blocks may not straddle it, and on a busy machine there is none. */
    assert_true(isnan(batch.speedup.value) || (batch.speedup.value > 0 && batch.speedup.low <= batch.speedup.high));
    end(&t);
}

/* Three stalls of 60 ms in a hundred calls: the median doesn't see them, p99 must. */
static void a_stall_shows_in_p99(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady", "stall"}, 2);
    assert_int_equal(bench(&t, NULL), SENVEC_OK);
    sv_row_figures stall = figures(&t, 1);
    assert_true(stall.latency.p99 >= 60);
    assert_true(stall.latency.p50 < stall.latency.p99);
    end(&t);
}

static void order_is_seeded(void **state) {
    (void)state;
    size_t positions[2][3][3];
    for (size_t run = 0; run < 2; run++) {
        trial t;
        begin(&t, (const char *const[]){"steady", "slow", "stall"}, 3);
        t.results.latency_calls = 3;
        assert_int_equal(bench(&t, NULL), SENVEC_OK);
        for (size_t row = 0; row < 3; row++)
            for (size_t round = 0; round < 3; round++)
                positions[run][row][round] = t.results.rows[row].bench.blocks[round].position;
        end(&t);
    }
    assert_memory_equal(positions[0], positions[1], sizeof positions[0]);
    bool shuffled = false;
    for (size_t row = 0; row < 3; row++)
        for (size_t round = 1; round < 3; round++)
            shuffled = shuffled || positions[0][row][round] != positions[0][row][0];
    assert_true(shuffled);
}

/* Workers that go wrong are marked with the reason; their neighbours are measured to the end. */
static void failures_are_marked(void **state) {
    (void)state;
    enum { KINDS = 6 };
    static const struct {
        const char *kind, *reason;
        sv_row_state state;
    } cases[2][KINDS] = {
        {
            {"die", "exit code 3 during \"latency\": late words", SV_ROW_FAILED},
            {"crash", "killed by signal 11", SV_ROW_FAILED},
            {"hang", "no answer to \"latency\" within 10 s", SV_ROW_FAILED},
            {"rubbish", "something else than a reply: Segmentation fault?", SV_ROW_FAILED},
            {"chatty", "something else than a reply: and another thing", SV_ROW_FAILED},
            {"refuse", "no such model", SV_ROW_FAILED},
        },
        {
            {"lie", "longer than the time that went by", SV_ROW_FAILED},
            {"few", "another number of samples than calls", SV_ROW_FAILED},
            {"texts32", "calls, texts and tokens don't agree", SV_ROW_FAILED},
            {"absent", "stub is not installed", SV_ROW_MISSING},
            {"senvec", "/nonexistent/senvec cannot be started", SV_ROW_MISSING},
            {"slow", "", SV_ROW_MEASURED},
        },
    };
    for (size_t group = 0; group < 2; group++) {
        const char *kinds[KINDS + 2] = {"steady"};
        for (size_t i = 0; i < KINDS; i++)
            kinds[i + 1] = cases[group][i].kind;
        kinds[KINDS + 1] = "steady32";
        trial t;
        begin(&t, kinds, KINDS + 2);
        t.options.timeout_s = 10; /* for "hang"; the others answer within milliseconds, or seconds on a busy machine */
        t.results.latency_calls = 12;
        assert_int_equal(bench(&t, NULL), SENVEC_OK);
        for (size_t i = 0; i < KINDS; i++) {
            const sv_row *row = &t.results.rows[i + 1];
            if (row->state != cases[group][i].state || !strstr(row->reason, cases[group][i].reason))
                fail_msg("%s: %s, the reason is \"%s\"", row->name, sv_row_state_text(row->state), row->reason);
        }
        for (size_t i = 0; i < KINDS + 2; i += KINDS + 1) {
            assert_int_equal(t.results.rows[i].state, SV_ROW_MEASURED);
            assert_int_equal(t.results.rows[i].bench.block_count, 3);
            assert_int_equal(t.results.rows[i].bench.latency_count, 12);
        }
        end(&t);
    }
}

/* Another cast of it would be written to study.json as 2^64 bytes. */
static void a_negative_size_is_none(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"negative"}, 1);
    assert_int_equal(bench(&t, NULL), SENVEC_OK);
    assert_int_equal(t.results.rows[0].state, SV_ROW_MEASURED);
    assert_true(t.results.rows[0].model_bytes == 0);
    end(&t);
}

static void a_reply_has_a_maximum(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"endless"}, 1);
    assert_int_equal(bench(&t, NULL), SENVEC_OK);
    assert_int_equal(t.results.rows[0].state, SV_ROW_FAILED);
    assert_non_null(strstr(t.results.rows[0].reason, "reply is over"));
    assert_null(sv_results_baseline(&t.results));
    end(&t);
}

static void no_python(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady"}, 1);
    sv_runner_close(t.runner);
    t.options.python = NULL;
    t.options.peers_missing = "Python isn't there; run ./run study";
    assert_int_equal(sv_runner_open(&t.results, &t.options, &t.runner, NULL), SENVEC_OK);
    assert_int_equal(t.results.rows[0].state, SV_ROW_MISSING);
    assert_string_equal(t.results.rows[0].reason, "Python isn't there; run ./run study");
    assert_int_equal(bench(&t, NULL), SENVEC_OK);
    assert_int_equal(sv_runner_validate(t.runner, 10, NULL), SENVEC_OK);
    end(&t);
}

static void different_work_is_noticed(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady", "count"}, 2);
    assert_true(warned(&t, "they don't do the same work"));
    end(&t);
}

static void interruption_keeps_what_is_done(void **state) {
    (void)state;
    trial t;
    senvec_error err;
    begin(&t, (const char *const[]){"steady", "slow"}, 2);
    interrupt_after = 3; /* in the second round */
    assert_int_equal(bench(&t, &err), SENVEC_CANCELLED);
    assert_int_equal(t.results.rows[0].bench.block_count + t.results.rows[1].bench.block_count, 3);
    assert_true(figures(&t, 0).texts_per_s.value > 0);
    end(&t);
}

static void validation_finds_differences(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"slow", "steady32", "drift", "forget"}, 4);
    assert_int_equal(sv_runner_validate(t.runner, 15, NULL), SENVEC_OK);
    assert_string_equal(t.results.reference, "slow");
    assert_int_equal(t.results.validation[SV_VALIDATION_CORPUS].count, 15);
    assert_string_equal(t.results.validation[SV_VALIDATION_CORPUS].texts[14], sv_default_corpus[14 * 20 / 15]);
    assert_int_equal(t.results.validation[SV_VALIDATION_WIDE].count, 15);
    for (sv_validation_set set = 0; set < SV_VALIDATION_SETS; set++) {
        const sv_validation *batch = &t.results.rows[1].validation[set], *drift = &t.results.rows[2].validation[set];
        assert_true(figures(&t, 0).cosine[set].min > 1 - 1e-9);
        assert_true(figures(&t, 1).cosine[set].min > 1 - 1e-9);
        assert_true(figures(&t, 2).cosine[set].min < 1 - 1e-6);
        assert_int_equal(drift->count, 15);
        assert_true(batch->pairwise_error_max < 1e-9 && drift->pairwise_error_max > 1e-6);
        assert_true(batch->neighbours == 1);
        assert_int_equal(t.results.rows[3].validation[set].count, 0);
    }
    assert_string_equal(t.results.rows[3].reason, "no vectors today");
    end(&t);
}

/* The stub's vectors depend on the texts' lengths, so cosines do; the labels follow the cosines, then run against them. */
static void labelled_pairs_are_scored(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady"}, 1);
    FILE *file = fopen("runner_test.csv", "w");
    assert_non_null(file);
    fputs("first,second,score\n\"a, b\",x,1\nfour,words of some length,2\nlonger than that by far,y,3\n", file);
    assert_int_equal(fclose(file), 0);
    sv_pairs pairs;
    assert_int_equal(sv_pairs_load(&pairs, "runner_test.csv", NULL), SENVEC_OK);
    assert_int_equal(pairs.texts.count, 6);
    assert_string_equal(pairs.texts.texts[0].data, "a, b");
    const sv_labels labels = {.pairs = &pairs, .tolerance = 0.01};
    assert_int_equal(sv_study_labels(t.runner, &labels, NULL), SENVEC_OK);
    assert_int_equal(t.results.sts_pairs, 3);
    double rho = t.results.rows[0].sts_spearman;
    assert_true(fabs(rho) <= 1);
    for (size_t i = 0; i < 3; i++)
        pairs.labels[i] = -pairs.labels[i];
    assert_int_equal(sv_study_labels(t.runner, &labels, NULL), SENVEC_OK);
    assert_true(fabs(t.results.rows[0].sts_spearman + rho) < 1e-12);
    sv_pairs_release(&pairs);

    file = fopen("runner_test.csv", "w");
    fputs("a,b,1\nc,d,often\n", file);
    assert_int_equal(fclose(file), 0);
    senvec_error err;
    assert_int_equal(sv_pairs_load(&pairs, "runner_test.csv", &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "record 2: the label \"often\""));
    unlink("runner_test.csv");
    end(&t);
}

/* A batch of b takes at least 1 + 0.2 b ms. */
static void sweep_varies_the_batch(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"torch", "torch32", "steady32"}, 3);
    assert_int_equal(sv_runner_measure(t.runner, &(sv_measuring){.sweep = true, .sweep_seconds = 0.15}, NULL), SENVEC_OK);
    static const size_t batches[] = {1, 4, 8, 16, 32, 64};
    assert_int_equal(t.results.series_count, 6); /* of "torch32" only */
    for (size_t i = 0; i < 6; i++) {
        const sv_series *series = sv_results_series(&t.results, &t.results.rows[1], SV_SERIES_SWEEP, "corpus", batches[i]);
        assert_non_null(series);
        sv_series_figures f;
        assert_int_equal(sv_measurement_figures(&t.results, &t.results.rows[series->row], &series->measured, &f, NULL),
                         SENVEC_OK);
        assert_int_equal(series->measured.block_count, 3);
        assert_true(f.texts == f.calls * (double)batches[i]);
        assert_true(f.seconds / f.calls >= 0.001 + 0.0002 * (double)batches[i]);
        assert_true(f.texts_per_s.value > 0);
        assert_true(f.texts_per_s.value <= (double)batches[i] / (0.001 + 0.0002 * (double)batches[i]));
    }
    /* Another sweep replaces the first. */
    assert_int_equal(sv_runner_measure(t.runner, &(sv_measuring){.sweep = true, .sweep_seconds = 0.03}, NULL), SENVEC_OK);
    assert_int_equal(t.results.series_count, 6);
    end(&t);
}

static void lengths_are_measured(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady", "steady32"}, 2);
    sv_measuring what = {.lengths = true, .length_calls = 8, .length_seconds = 0.04};
    assert_int_equal(sv_runner_measure(t.runner, &what, NULL), SENVEC_OK);
    assert_int_equal(t.results.series_count, 6);
    const sv_series *query = sv_results_series(&t.results, &t.results.rows[0], SV_SERIES_LENGTH, "query", 1);
    const sv_series *listing = sv_results_series(&t.results, &t.results.rows[0], SV_SERIES_LENGTH, "80 tokens", 1);
    const sv_series *bulk = sv_results_series(&t.results, &t.results.rows[1], SV_SERIES_LENGTH, "256 tokens", 32);
    assert_int_equal(query->measured.latency_count, 8);
    assert_int_equal(query->measured.block_count, 0);
    assert_int_equal(bulk->measured.latency_count, 0);
    assert_int_equal(bulk->measured.block_count, 3);
    assert_true(query->tokens_per_text < 7 && listing->tokens_per_text > 50 && bulk->tokens_per_text > 256);
    what.length_calls = 4;
    what.quick = true;
    assert_int_equal(sv_runner_measure(t.runner, &what, NULL), SENVEC_OK);
    assert_int_equal(t.results.series_count, 2);
    const sv_row_figures figures_of_row = figures(&t, 0);
    sv_use_cases cases;
    assert_int_equal(sv_row_use_cases(&t.results, &t.results.rows[0], &figures_of_row, &cases, NULL), SENVEC_OK);
    assert_true(cases.query_ms >= 1.2 && cases.listing_ms >= 1.2 && isnan(cases.reindex_hours));
    end(&t);
}

/* Everything in the same rounds, the corpus first in each; an interruption in the second round leaves the first one whole. */
static void stages_share_the_rounds(void **state) {
    (void)state;
    const sv_measuring all = {
        .bench = true, .sweep = true, .sweep_seconds = 0.03, .lengths = true, .length_calls = 8, .length_seconds = 0.03};
    for (size_t run = 0; run < 2; run++) {
        const bool cut = run == 1;
        trial t;
        begin(&t, (const char *const[]){"torch", "torch32", "steady"}, 3);
        t.results.latency_calls = 7;
        interrupt_after = cut ? 3 + 6 + 9 + 2 : 0;
        assert_int_equal(sv_runner_measure(t.runner, &all, NULL), cut ? SENVEC_CANCELLED : SENVEC_OK);
        assert_string_equal(stages_seen, cut ? "1corpus 1batch 1text 2corpus "
                                             : "1corpus 1batch 1text 2corpus 2batch 2text 3corpus 3batch 3text ");
        assert_int_equal(t.results.series_count, 6 + 9);
        for (size_t i = 0; i < t.results.series_count; i++) {
            const sv_series *series = &t.results.series[i];
            bool timed = series->kind == SV_SERIES_LENGTH && series->batch == 1;
            assert_int_equal(series->measured.block_count, timed ? 0 : cut ? 1 : 3);
            assert_int_equal(series->measured.latency_block_count, !timed ? 0 : cut ? 1 : 3);
            assert_int_equal(series->measured.latency_count, !timed ? 0 : cut ? 2 : 8);
            sv_series_figures f;
            assert_int_equal(sv_measurement_figures(&t.results, &t.results.rows[series->row], &series->measured, &f, NULL),
                             SENVEC_OK);
            assert_true(timed ? f.p50.low <= f.p50.value && f.p50.value <= f.p50.high : isnan(f.p50.value));
            assert_true(!timed || f.p50.value == f.latency.p50);
        }
        for (size_t i = 0; i < 3; i++) {
            const sv_measurement *bench = &t.results.rows[i].bench;
            assert_int_equal(t.results.rows[i].state, SV_ROW_MEASURED);
            assert_true(t.results.rows[i].peak_rss_bytes > 1 << 20);
            assert_in_range(bench->block_count, 1, 3);
            assert_int_equal(bench->latency_block_count, bench->block_count);
            size_t calls = 0;
            for (size_t b = 0; b < bench->latency_block_count; b++)
                calls += bench->latency_blocks[b];
            assert_int_equal(calls, bench->latency_count);
        }
        end(&t);
    }
}

static bool permit(void *context, double seconds) {
    int *permits = context;
    assert_true(seconds > 0);
    return (*permits)-- > 0;
}

/* What is left after the rounds goes into further ones: the baseline in each, the others while they are known least. An
 * interrupted study goes on with the next one. */
static void what_is_left_is_spent(void **state) {
    (void)state;
    trial t;
    begin(&t, (const char *const[]){"steady", "stall", "slow", "steady32"}, 4);
    int permits = 7;
    sv_measuring what = {.bench = true, .more = permit, .more_context = &permits};
    assert_int_equal(sv_runner_measure(t.runner, &what, NULL), SENVEC_OK);
    assert_int_equal(permits, -1);
    permits = 5;
    t.options.go_on = true;
    assert_int_equal(sv_runner_measure(t.runner, &what, NULL), SENVEC_OK);
    size_t blocks = 0;
    for (size_t i = 0; i < 4; i++) {
        const sv_measurement *bench = &t.results.rows[i].bench;
        size_t calls = 0;
        blocks += bench->block_count;
        for (size_t b = 0; b < bench->block_count; b++) {
            calls += bench->latency_blocks[b];
            assert_true(b < 3 ? bench->blocks[b].round == b : bench->blocks[b].round > bench->blocks[b - 1].round);
        }
        assert_int_equal(bench->latency_block_count, bench->block_count);
        assert_int_equal(bench->latency_count, calls);
        assert_in_range(calls, 33 * bench->block_count, 34 * bench->block_count);
    }
    assert_int_equal(blocks, 4 * 3 + 7 + 5);
    /* Rounds of three blocks: 3, 3 and 1 that was cut, then 3 and 2. The two that were cut may lack the baseline. */
    assert_in_range(t.results.rows[0].bench.block_count, 3 + 3, 3 + 5);
    end(&t);
}

static void what_cannot_be_prepared_is_marked(void **state) {
    (void)state;
    static const sv_configuration configurations[] = {
        {"ready", "steady", "fp32", "a stub", "", 1},
        {"one", "unprepared", "int8", "a stub", SV_STUDY_OPENVINO, 1},
        {"two", "unprepared", "int8", "a stub", SV_STUDY_OPENVINO, 32},
    };
    const sv_configuration *const rows[] = {&configurations[0], &configurations[1], &configurations[2]};
    trial t;
    begin(&t, (const char *const[]){"steady"}, 1);
    sv_runner_close(t.runner);
    sv_results_release(&t.results);
    assert_int_equal(sv_results_init(&t.results, NULL), SENVEC_OK);
    assert_int_equal(sv_results_plan(&t.results, rows, 3, NULL), SENVEC_OK);
    t.results.threads = 1;
    assert_int_equal(sv_runner_open(&t.results, &t.options, &t.runner, NULL), SENVEC_OK);
    assert_int_equal(t.results.rows[0].state, SV_ROW_PLANNED);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(t.results.rows[i].state, SV_ROW_FAILED);
        assert_string_equal(t.results.rows[i].reason, "nothing to prepare");
    }
    end(&t);
}

static int make_scratch(void **state) {
    (void)state;
    mkdir(scratch, 0777);
    return 0;
}

/* The runner leaves nothing behind, or this fails. */
static int remove_scratch(void **state) {
    (void)state;
    return rmdir(scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_rows_time_batch_calls),
        cmocka_unit_test(a_stall_shows_in_p99),
        cmocka_unit_test(order_is_seeded),
        cmocka_unit_test(failures_are_marked),
        cmocka_unit_test(a_negative_size_is_none),
        cmocka_unit_test(a_reply_has_a_maximum),
        cmocka_unit_test(no_python),
        cmocka_unit_test(different_work_is_noticed),
        cmocka_unit_test(interruption_keeps_what_is_done),
        cmocka_unit_test(validation_finds_differences),
        cmocka_unit_test(labelled_pairs_are_scored),
        cmocka_unit_test(sweep_varies_the_batch),
        cmocka_unit_test(lengths_are_measured),
        cmocka_unit_test(stages_share_the_rounds),
        cmocka_unit_test(what_is_left_is_spent),
        cmocka_unit_test(what_cannot_be_prepared_is_marked),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
