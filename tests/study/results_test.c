/* Figures from measurements by hand, the CSV files byte for byte, study.json there and back. */
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

static const char *directory = "results_test.tmp";

static const sv_configuration base = {"PyTorch (single)", "torch", "fp32", "the baseline", "", 1};
static const sv_configuration base_batch = {"PyTorch (batch=32)", "torch", "fp32", "the baseline", "", 32};
static const sv_configuration fast = {"senvec fp32 (batch=32)", "senvec", "fp32", "native engine", "", 32};
static const sv_configuration broken = {"Broken, \"quoted\"", "stub", "fp32", "none", "", 1};

/* Calls of 1, 2, 3, ... times `unit` ms, dealt out to the rounds in turn; blocks of one second with `texts` texts. */
static void measure(sv_results *results, sv_row *row, size_t calls, double unit, size_t rounds, uint64_t texts) {
    void *memory;
    assert_int_equal(sv_arena_alloc(&results->arena, calls, sizeof(double), "samples", &memory, NULL), SENVEC_OK);
    row->bench.latency_ms = memory;
    row->bench.latency_count = calls;
    for (size_t i = 0; i < calls; i++)
        row->bench.latency_ms[i % rounds * (calls / rounds) + i / rounds] = unit * (double)(i + 1);
    assert_int_equal(sv_arena_alloc(&results->arena, rounds, sizeof(size_t), "blocks", &memory, NULL), SENVEC_OK);
    row->bench.latency_blocks = memory;
    row->bench.latency_block_count = rounds;
    for (size_t i = 0; i < rounds; i++)
        row->bench.latency_blocks[i] = calls / rounds;
    assert_int_equal(sv_arena_alloc(&results->arena, rounds, sizeof(sv_block), "blocks", &memory, NULL), SENVEC_OK);
    row->bench.blocks = memory;
    row->bench.block_count = rounds;
    for (size_t i = 0; i < rounds; i++)
        row->bench.blocks[i] =
            (sv_block){.round = i, .calls = texts / row->batch, .texts = texts, .tokens = texts * 10, .seconds = 1};
    row->state = SV_ROW_MEASURED;
    row->peak_rss_bytes = 512u << 20;
    row->model_bytes = 90868376;
    row->load_seconds = 2.5;
}

static void fill(sv_results *results) {
    const sv_configuration *const rows[] = {&base, &base_batch, &fast, &broken};
    assert_int_equal(sv_results_init(results, NULL), SENVEC_OK);
    assert_int_equal(sv_results_plan(results, rows, 4, NULL), SENVEC_OK);
    snprintf(results->created, sizeof results->created, "2026-01-02T03:04:05Z");
    results->seed = 7;
    results->threads = 2;
    results->rounds = 4;
    results->price_per_hour = 0.05;
    results->linear_macs = 10000000;
    results->peak_fp32 = 100;
    measure(results, &results->rows[0], 200, 0.1, 4, 68);
    measure(results, &results->rows[1], 200, 1, 4, 320);
    measure(results, &results->rows[2], 200, 0.5, 4, 640);
    sv_row_mark(&results->rows[3], SV_ROW_FAILED, "the worker died, \"alas\"");
}

/* The rows that are known least come first; those without blocks don't. */
static void rows_by_width(void **state) {
    (void)state;
    static const double wobble[3] = {.1, .3, .2};
    sv_results results;
    size_t rows[4], count;
    fill(&results);
    for (size_t i = 0; i < 3; i++)
        for (size_t b = 0; b < 4; b++)
            results.rows[i].bench.blocks[b].seconds = exp(b % 2 ? wobble[i] : -wobble[i]);
    assert_int_equal(sv_rows_by_width(&results, rows, &count, NULL), SENVEC_OK);
    assert_int_equal(count, 3);
    assert_true(rows[0] == 1 && rows[1] == 2 && rows[2] == 0);
    sv_results_release(&results);
}

static void figures_by_hand(void **state) {
    (void)state;
    sv_results results;
    sv_row_figures f;
    fill(&results);
    assert_ptr_equal(sv_results_baseline(&results), &results.rows[0]);
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[2], &f, NULL), SENVEC_OK);
    assert_true(f.latency.p50 == 50 && f.latency.p95 == 95 && f.latency.p99 == 99);
    assert_true(f.texts_per_s.value == 640 && f.texts_per_s.low == 640);
    assert_true(fabs(f.speedup.value - 640.0 / 68) < 1e-12);
    assert_true(f.speedup_same_batch.value == 2);
    assert_true(f.tokens_per_s == 6400);
    assert_true(f.spread == 0);
    assert_true(fabs(f.gmacs - 64) < 1e-9 && fabs(f.peak_percent - 64) < 1e-9);
    assert_true(fabs(f.saving - (1 - 68.0 / 640)) < 1e-12);
    /* A row that took no part in the rounds: against all of the baseline's, without an interval. */
    results.rows[2].bench.blocks[0].round = 4;
    results.rows[2].bench.block_count = 1;
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[2], &f, NULL), SENVEC_OK);
    assert_true(fabs(f.speedup.value - 640.0 / 68) < 1e-12 && f.speedup.low == f.speedup.high);
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[3], &f, NULL), SENVEC_OK);
    assert_true(isnan(f.texts_per_s.value) && isnan(f.latency.p50) && isnan(f.usd_per_1m));
    sv_results_release(&results);
}

/* A baseline whose rounds differ by more than a fifth: no ratio is given, and everything else is. */
static void a_busy_machine_has_no_ratios(void **state) {
    (void)state;
    sv_results results;
    sv_row_figures f;
    sv_steadiness steadiness;
    fill(&results);
    assert_int_equal(sv_results_steadiness(&results, &steadiness, NULL), SENVEC_OK);
    assert_true(steadiness.quotable && steadiness.spread == 0);
    results.rows[0].bench.blocks[0].seconds = 3;
    assert_int_equal(sv_results_steadiness(&results, &steadiness, NULL), SENVEC_OK);
    assert_true(!steadiness.quotable && steadiness.spread == 0 && steadiness.baseline_spread > 0.2);
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[2], &f, NULL), SENVEC_OK);
    assert_true(isnan(f.speedup.value) && isnan(f.speedup_same_batch.value) && isnan(f.saving));
    assert_true(f.texts_per_s.value == 640 && f.usd_per_1m > 0);
    sv_results_release(&results);
}

/* Rows that get slower by 1 % a round, all but one that was measured in fewer rounds: the drift is that of the rounds' median.
 */
static void drift_is_what_rows_have_in_common(void **state) {
    (void)state;
    sv_results results;
    sv_row_figures f;
    double drift, levels[8];
    fill(&results);
    assert_int_equal(sv_results_drift(&results, &drift, NULL), SENVEC_OK);
    assert_true(drift == 0); /* four rounds that are all alike */
    for (size_t i = 0; i < 2; i++) {
        measure(&results, &results.rows[i], 200, 1, 8, 68);
        for (size_t b = 0; b < 8; b++)
            results.rows[i].bench.blocks[b].seconds = exp(0.01 * (double)b) * (i ? 3 : 1);
    }
    for (size_t b = 0; b < 8; b++)
        levels[b] = -0.01 * (double)b;
    assert_int_equal(sv_results_drift(&results, &drift, NULL), SENVEC_OK);
    assert_true(drift > 0.02 && fabs(drift - sv_drift(levels, 8)) < 1e-12);
    double wide = exp(sv_student_quantile(7) * drift);
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[1], &f, NULL), SENVEC_OK);
    assert_true(f.texts_per_s.high > f.texts_per_s.value * wide && f.texts_per_s.low < f.texts_per_s.value / wide);
    assert_true(f.p50.high > f.p50.value * wide && f.p50.low < f.p50.value / wide);
    assert_true(f.speedup.high - f.speedup.low < 1e-12); /* both drift alike */
    /* A row that slows down more than the others doesn't move the machine's level; its own calls have its own drift. */
    measure(&results, &results.rows[2], 200, 1, 8, 68);
    for (size_t b = 0; b < 8; b++)
        results.rows[2].bench.blocks[b].seconds = exp(0.03 * (double)b);
    assert_int_equal(sv_results_drift(&results, &drift, NULL), SENVEC_OK);
    assert_true(fabs(drift - sv_drift(levels, 8)) < 1e-12);
    assert_int_equal(sv_row_figures_compute(&results, &results.rows[2], &f, NULL), SENVEC_OK);
    assert_true(f.p50.high > f.p50.value * pow(wide, 3) && f.p50.low < f.p50.value / pow(wide, 3));
    sv_results_release(&results);
}

static void assert_file(const char *name, const char *expected) {
    char path[200], content[8192];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(content, 1, sizeof content - 1, file);
    content[length] = '\0';
    fclose(file);
    assert_string_equal(content, expected);
}

static void csv_byte_for_byte(void **state) {
    (void)state;
    sv_results results;
    fill(&results);
    assert_int_equal(sv_results_write(&results, directory, NULL), SENVEC_OK);
    assert_file(
        "benchmark_results.csv",
        "Configuration,p50 (ms),p95 (ms),p99 (ms),Throughput (req/s),Peak Memory (MB),"
        "p99.9 (ms),Mean (ms),Min (ms),Max (ms),Timed Calls,Batch Size,p50 per Text (ms),p50 Low (ms),p50 High (ms),"
        "Throughput Low (req/s),Throughput High (req/s),Tokens/s,Block Spread (%),"
        "Speedup,Speedup Low,Speedup High,Speedup Same Batch,Speedup Same Batch Low,Speedup Same Batch High,"
        "GMAC/s,Peak (%),Cosine Mean,Cosine Min,Model Size (MB),Load Time (s),Runtime,Precision,Threads,State,Reason\n"
        "PyTorch (single),10.0000,19.0000,19.8000,68.00,512.0,,10.0500,0.1000,20.0000,200,1,10.00000,9.8124,10.1912,"
        "68.00,68.00,680.0,0.00,1.000,1.000,1.000,1.000,1.000,1.000,"
        "6.80,6.8,,,86.66,2.500,torch,fp32,2,measured,\n"
        "PyTorch (batch=32),100.0000,190.0000,198.0000,320.00,512.0,,100.5000,1.0000,200.0000,200,32,3.12500,98.1239,101.9120,"
        "320.00,320.00,3200.0,0.00,4.706,4.706,4.706,1.000,1.000,1.000,"
        "32.00,32.0,,,86.66,2.500,torch,fp32,2,measured,\n"
        "senvec fp32 (batch=32),50.0000,95.0000,99.0000,640.00,512.0,,50.2500,0.5000,100.0000,200,32,1.56250,49.0620,50.9560,"
        "640.00,640.00,6400.0,0.00,9.412,9.412,9.412,2.000,2.000,2.000,"
        "64.00,64.0,,,86.66,2.500,senvec,fp32,2,measured,\n"
        "\"Broken, \"\"quoted\"\"\",,,,,,,,,,0,1,,,,,,,,,,,,,,,,,,,,stub,fp32,2,failed,\"the worker died, \"\"alas\"\"\"\n");
    assert_file("cost_analysis.csv",
                "Configuration,Throughput (req/s),Requests/Hour,Cost per 1K requests ($),"
                "Cost per 1M requests ($),Cost per 1M Low ($),Cost per 1M High ($),Saving (%),Price per Hour ($),"
                "Cost per 1M tokens ($)\n"
                "PyTorch (single),68.00,244800,0.0002042484,0.2042484,0.2042484,0.2042484,0.00,0.0500,0.02042484\n"
                "PyTorch (batch=32),320.00,1152000,0.0000434028,0.0434028,0.0434028,0.0434028,78.75,0.0500,0.00434028\n"
                "senvec fp32 (batch=32),640.00,2304000,0.0000217014,0.0217014,0.0217014,0.0217014,89.38,0.0500,0.00217014\n"
                "\"Broken, \"\"quoted\"\"\",,,,,,,,0.0500,\n");
    sv_results_release(&results);
}

/* A spreadsheet computes what begins like a formula; numbers stay as they are. */
static void texts_are_no_formulas(void **state) {
    (void)state;
    sv_results results;
    fill(&results);
    static const char *const texts[] = {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"a\",1)",
                                        "1=1",  "",   "'=1"};
    double cosines[] = {-1, -0.5};
    snprintf(results.reference, sizeof results.reference, "PyTorch (single)");
    results.validation[SV_VALIDATION_WIDE].texts = (const char **)texts;
    results.validation[SV_VALIDATION_WIDE].count = sizeof texts / sizeof *texts;
    for (size_t i = 0; i < 3; i++) {
        results.rows[i].validation[SV_VALIDATION_WIDE].cosines = cosines;
        results.rows[i].validation[SV_VALIDATION_WIDE].count = i == 0 ? 2 : 0;
    }
    assert_int_equal(sv_results_write(&results, directory, NULL), SENVEC_OK);
    char expected[2048];
    const char *set = sv_validation_set_name(SV_VALIDATION_WIDE);
    static const char *const fields[] = {"'=1+1,-1.00000000",
                                         "'+1,-0.50000000",
                                         "'-1,",
                                         "'@SUM(A1),",
                                         "'\t=1,",
                                         "\"'\r=1\",",
                                         "\"'=HYPERLINK(\"\"a\"\",1)\",",
                                         "1=1,",
                                         ",",
                                         "'=1,"};
    int length = snprintf(expected, sizeof expected,
                          "Texts From,Text Index,Text,PyTorch (single),PyTorch (batch=32),senvec fp32 (batch=32),"
                          "\"Broken, \"\"quoted\"\"\"\n");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        length += snprintf(expected + length, sizeof expected - (size_t)length, "%s,%zu,%s,,,\n", set, i, fields[i]);
    assert_file("validation_texts.csv", expected);
    sv_results_release(&results);
}

static void json_there_and_back(void **state) {
    (void)state;
    sv_results results, again;
    fill(&results);
    double cosines[] = {1, 0.5};
    const char *texts[] = {"one", "two, \xe2\x82\xac"};
    results.rows[2].validation[SV_VALIDATION_WIDE].cosines = cosines;
    results.rows[2].validation[SV_VALIDATION_WIDE].count = 2;
    results.rows[2].validation[SV_VALIDATION_WIDE].neighbours = 0.75;
    results.rows[2].validation[SV_VALIDATION_WIDE].recall[SV_FORM_BINARY] = 0.5;
    results.rows[2].validation[SV_VALIDATION_WIDE].recall[SV_FORM_QUARTER] = NAN;
    results.validation[SV_VALIDATION_WIDE].texts = texts;
    results.validation[SV_VALIDATION_WIDE].count = 2;
    snprintf(results.reference, sizeof results.reference, "PyTorch (single)");
    sv_results_warn(&results, "noisy: %d", 1);
    sv_results_warn(&results, "noisy: %d", 1);
    assert_int_equal(sv_results_write(&results, directory, NULL), SENVEC_OK);
    assert_int_equal(sv_results_read(&again, directory, NULL), SENVEC_OK);
    assert_int_equal(again.row_count, 4);
    assert_int_equal(json_array_size(again.warnings), 1);
    assert_string_equal(again.validation[SV_VALIDATION_WIDE].texts[1], texts[1]);
    for (size_t i = 0; i < 4; i++) {
        sv_row_figures before, after;
        assert_string_equal(results.rows[i].name, again.rows[i].name);
        assert_string_equal(results.rows[i].reason, again.rows[i].reason);
        assert_int_equal(results.rows[i].state, again.rows[i].state);
        assert_int_equal(sv_row_figures_compute(&results, &results.rows[i], &before, NULL), SENVEC_OK);
        assert_int_equal(sv_row_figures_compute(&again, &again.rows[i], &after, NULL), SENVEC_OK);
        assert_true(isnan(before.latency.p99) || fabs(before.latency.p99 - after.latency.p99) < 1e-6);
        assert_true(isnan(before.speedup.low) || before.speedup.low == after.speedup.low);
        assert_true(isnan(before.p50.low) || fabs(before.p50.low - after.p50.low) < 1e-6);
        assert_int_equal(again.rows[i].bench.latency_block_count, results.rows[i].bench.latency_block_count);
        assert_true(before.usd_per_1m == after.usd_per_1m || isnan(before.usd_per_1m));
    }
    assert_int_equal(again.rows[2].validation[SV_VALIDATION_WIDE].count, 2);
    assert_true(again.rows[2].validation[SV_VALIDATION_WIDE].recall[SV_FORM_BINARY] == 0.5 &&
                isnan(again.rows[2].validation[SV_VALIDATION_WIDE].recall[SV_FORM_QUARTER]));
    assert_true(again.rows[2].validation[SV_VALIDATION_WIDE].neighbours == 0.75 && isnan(again.rows[0].sts_spearman));
    sv_results_release(&results);

    /* The second writing is the same file. */
    char first[200], copy[200];
    snprintf(first, sizeof first, "%s/study.json", directory);
    snprintf(copy, sizeof copy, "%s/study.copy", directory);
    assert_int_equal(rename(first, copy), 0);
    assert_int_equal(sv_results_write(&again, directory, NULL), SENVEC_OK);
    json_t *one = json_load_file(first, 0, NULL), *two = json_load_file(copy, 0, NULL);
    assert_true(one && json_equal(one, two));
    json_decref(one);
    json_decref(two);
    sv_results_release(&again);
    unlink(copy);
}

static void write_study(const char *content) {
    char path[200];
    snprintf(path, sizeof path, "%s/study.json", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void broken_studies(void **state) {
    (void)state;
    sv_results results;
    senvec_error err;
    assert_int_equal(sv_results_read(&results, "no-such-folder", &err), SENVEC_NOT_FOUND);
    assert_non_null(strstr(err.message, "senvec study"));
    write_study("{\"schema_version\": 1,");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "line 1"));
    write_study("{\"schema_version\": 99}");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_UNSUPPORTED);
    write_study("[]");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_UNSUPPORTED);
    write_study("{\"schema_version\": 1}");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_FORMAT);
    write_study("{\"schema_version\": 1, \"environment\": {}, \"warnings\": [], \"series\": [], "
                "\"configurations\": [{}]}");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_FORMAT);
    write_study("{\"schema_version\": 1, \"environment\": {}, \"warnings\": [], \"validation_texts\": [3], "
                "\"series\": [], \"configurations\": []}");
    assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_FORMAT);
    static const char *const blocks[] = {"[1]", "[1, 2]", "[2, 0]", "[-1, 3]", "[\"two\"]"};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        char study[400];
        snprintf(study, sizeof study,
                 "{\"schema_version\": 1, \"environment\": {}, \"warnings\": [], \"series\": [], \"configurations\": "
                 "[{\"name\": \"a\", \"batch\": 1, \"latency\": {\"samples_ms\": [1, 2], \"block_calls\": %s}}]}",
                 blocks[i]);
        write_study(study);
        assert_int_equal(sv_results_read(&results, directory, &err), SENVEC_FORMAT);
        assert_non_null(strstr(err.message, "blocks"));
    }
}

static int make_directory(void **state) {
    (void)state;
    mkdir(directory, 0777);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    static const char *const names[] = {"study.json", "latency_data.json", "environment.json", "benchmark_results.csv",
                                        "cost_analysis.csv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_width),
        cmocka_unit_test(figures_by_hand),
        cmocka_unit_test(a_busy_machine_has_no_ratios),
        cmocka_unit_test(drift_is_what_rows_have_in_common),
        cmocka_unit_test(csv_byte_for_byte),
        cmocka_unit_test(texts_are_no_formulas),
        cmocka_unit_test(json_there_and_back),
        cmocka_unit_test(broken_studies),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
