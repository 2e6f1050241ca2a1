/* The load generator but for its sockets: schedules, runs and verdicts in simulated time, the search, mixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "load_simulation.h"
#include "loadgen/arrivals.h"
#include "loadgen/find_rate.h"
#include "loadgen/search.h"

#define MS UINT64_C(1000000)

/* Texts of one word, requests of one text. */
static void make_workload(sv_workload *workload) {
    const senvec_text text = {"word", 4};
    senvec_error err;
    sv_mix one;
    assert_int_equal(sv_mix_parse("1", 10, "size", &one, &err), SENVEC_OK);
    assert_int_equal(sv_workload_make(workload, &text, 1, &one, NULL, 1, &err), SENVEC_OK);
}

/* Runs the plan against the simulation and judges it. */
static void run_plan(const sv_load_plan *plan, simulation *s, sv_load_log *log, sv_load_figures *figures) {
    sv_workload workload;
    senvec_error err;
    sv_load_target target = simulation_target(s);
    make_workload(&workload);
    assert_int_equal(sv_load_run(plan, &workload, &target, log, &err), SENVEC_OK);
    assert_int_equal(sv_load_judge(log, 1000, figures, &err), SENVEC_OK);
    sv_workload_release(&workload);
}

static bool has_reason(const sv_load_figures *figures, const char *words) {
    for (size_t i = 0; i < figures->reason_count; i++)
        if (strstr(figures->reasons[i], words))
            return true;
    return false;
}

static void assert_near(double value, double expected, double part) {
    if (!(fabs(value - expected) <= part * fabs(expected)))
        fail_msg("%g is not within %g of %g", value, part, expected);
}

static void test_arrivals(void **state) {
    (void)state;
    enum { N = 200000 };
    sv_arrivals a, again, other;
    sv_arrivals_init(&a, false, 100, 1);
    for (uint64_t i = 1; i <= 1000; i++, sv_arrivals_take(&a))
        assert_int_equal(sv_arrivals_peek(&a), i * 10 * MS);

    sv_arrivals_init(&a, true, 1000, 7);
    sv_arrivals_init(&again, true, 1000, 7);
    sv_arrivals_init(&other, true, 1000, 8);
    assert_int_not_equal(sv_arrivals_peek(&a), sv_arrivals_peek(&other));
    size_t longer = 0;
    uint64_t before = 0;
    for (size_t i = 0; i < N; i++) {
        uint64_t at = sv_arrivals_peek(&a);
        assert_int_equal(at, sv_arrivals_peek(&again));
        assert_true(at >= before);
        longer += at - before > MS;
        before = at;
        sv_arrivals_take(&a);
        sv_arrivals_take(&again);
    }
    assert_near((double)before, (double)N * 1e6, 0.01);
    assert_near((double)longer / N, exp(-1), 0.01); /* exponential: this part of the gaps is longer than the mean */
}

static void test_mix(void **state) {
    (void)state;
    sv_mix mix;
    senvec_error err;
    static const char *const wrong[] = {"",
                                        "0",
                                        "x",
                                        "1,",
                                        ",1",
                                        "1:0",
                                        "1:-1",
                                        "1:",
                                        "11",
                                        "1:x",
                                        "1 ",
                                        " 1",
                                        "1:1:1",
                                        "1;2",
                                        "1:nan",
                                        "99999999999999999999",
                                        "1,2,3,4,5,6,7,8,9"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (sv_mix_parse(wrong[i], 10, "size", &mix, &err) != SENVEC_INVALID_ARGUMENT)
            fail_msg("'%s' was taken", wrong[i]);
    assert_int_equal(sv_mix_parse("1:9,10:0.5,3:.5", 10, "size", &mix, &err), SENVEC_OK);
    size_t seen[3] = {0};
    sv_random random;
    sv_random_seed(&random, 1);
    for (size_t i = 0; i < 100000; i++)
        seen[sv_mix_draw(&mix, &random)]++;
    assert_near((double)seen[0], 90000, 0.01);
    assert_near((double)seen[1], 5000, 0.05);
}

static size_t count_words(senvec_text text) {
    size_t words = 1;
    for (size_t i = 0; i < text.length; i++)
        words += text.data[i] == ' ';
    return words;
}

static void test_pool(void **state) {
    (void)state;
    const senvec_text texts[] = {{"one  two\tthree", 14}, {"", 0}, {" four ", 6}};
    const senvec_text blank = {" ", 1};
    sv_mix sizes, lengths;
    sv_workload workload;
    senvec_error err;
    assert_int_equal(sv_mix_parse("1,4", 10, "size", &sizes, &err), SENVEC_OK);
    assert_int_equal(sv_mix_parse("2,7", 10, "words", &lengths, &err), SENVEC_OK);
    assert_int_equal(sv_workload_make(&workload, &blank, 1, &sizes, &lengths, 1, &err), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(sv_workload_make(&workload, texts, 3, &sizes, &lengths, 1, &err), SENVEC_OK);
    assert_int_equal(sv_load_kinds(&workload), 4);
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < workload.sets[s].count; i++)
            assert_int_equal(count_words(workload.sets[s].texts[i]), lengths.values[s]);
    sv_random random;
    sv_random_seed(&random, 1);
    for (size_t i = 0; i < 100; i++) {
        sv_load_request request = sv_load_draw(&workload, &random);
        size_t count, words;
        sv_load_kind(&workload, request.kind, &count, &words);
        assert_int_equal(count, request.count);
        assert_int_equal(words, lengths.values[request.length]);
        assert_true(sv_load_text_index(&workload, &request, count - 1) < workload.sets[request.length].count);
    }
    sv_workload_release(&workload);
}

/* A known delay comes out as it is, whatever the arrivals. */
static void test_known_delay(void **state) {
    (void)state;
    for (int loop = SV_LOAD_POISSON; loop <= SV_LOAD_CLOSED_LOOP; loop++) {
        simulation s = {.service_ns = 5 * MS};
        sv_load_plan plan = {
            .loop = (sv_load_loop)loop, .rate = 1000, .clients = 5, .warmup_s = 1, .duration_s = 10, .timeout_s = 1};
        sv_load_log log;
        sv_load_figures f;
        run_plan(&plan, &s, &log, &f);
        assert_true(f.valid);
        assert_near(f.all.latency_ms.min, 5, 1e-9);
        assert_near(f.all.latency_ms.max, 5, 1e-9);
        assert_near((double)f.requests, 10000, 0.05);
        assert_near(f.answered_per_s, 1000, 0.05);
        assert_int_equal(f.requests, f.outcomes[SV_LOAD_ANSWERED]);
        assert_true(f.lag_max_ms == 0);
        sv_load_log_release(&log);
    }
}

/* Coordinated omission: during a stall of a second an open loop has a second's worth of late requests, spread evenly over that
 * second; a closed loop of one client has one. */
static void test_stall(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_CONSTANT, .rate = 1000, .clients = 1, .duration_s = 10, .timeout_s = 10};
    for (int closed = 0; closed < 2; closed++) {
        simulation s = {.service_ns = 1 * MS, .stall_begin_ns = 4000 * MS, .stall_end_ns = 5000 * MS};
        sv_load_log log;
        sv_load_figures f;
        plan.loop = closed ? SV_LOAD_CLOSED_LOOP : SV_LOAD_CONSTANT;
        run_plan(&plan, &s, &log, &f);
        size_t late = 0;
        for (size_t i = 0; i < log.count; i++)
            late += log.records[i].done_ns - log.records[i].due_ns > 500 * MS;
        if (closed) {
            assert_int_equal(late, 1);
            assert_near(f.all.latency_ms.p99, 1, 1e-9); /* what coordinated omission hides */
        } else {
            assert_in_range(late, 500, 502);
            /* 1,000 of 10,000 requests are late, evenly from 1 s down to 0: p99 is the 100th of them, p95 the 500th. */
            assert_near(f.all.latency_ms.p99, 901, 0.005);
            assert_near(f.all.latency_ms.p95, 501, 0.005);
            assert_near(f.all.latency_ms.p50, 1, 1e-9);
        }
        sv_load_log_release(&log);
    }
}

/* Requests that are due during the stall wait for a connection and are late from then on, not from when they were sent. */
static void test_stall_with_few_connections(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_CONSTANT, .rate = 1000, .duration_s = 10, .timeout_s = 10};
    simulation s = {.service_ns = 1 * MS, .connections = 4, .stall_begin_ns = 4000 * MS, .stall_end_ns = 5000 * MS};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_true(f.all.latency_ms.p99 > 900);
    assert_false(f.valid);
    assert_true(has_reason(&f, "all connections were in use"));
    sv_load_log_release(&log);
}

/* One server at 90 % of its capacity: the mean wait of M/D/1 is service * load / (2 (1 - load)) (Pollaczek and Khinchine). */
static void test_queue(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 900, .warmup_s = 5, .duration_s = 400, .timeout_s = 10, .seed = 3};
    simulation s = {.service_ns = 1 * MS, .one_server = true};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_true(f.valid);
    assert_near(f.all.latency_ms.mean, 1 + 1 * 0.9 / (2 * 0.1), 0.05);
    sv_load_log_release(&log);
}

static void test_overload(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 1200, .duration_s = 10, .timeout_s = 10};
    simulation s = {.service_ns = 1 * MS, .one_server = true};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_false(f.valid);
    assert_true(has_reason(&f, "no steady state"));
    assert_near(f.answered_per_s, 1000, 0.01);
    sv_load_log_release(&log);
    /* With a bound the run ends as soon as 1 % can't meet it. */
    plan.bound_ms = 20;
    s = (simulation){.service_ns = 1 * MS, .one_server = true};
    run_plan(&plan, &s, &log, &f);
    assert_true(log.gave_up);
    assert_true(f.seconds < 2);
    assert_true(s.pending_count == 0 && s.cancelled > 0);
    assert_false(sv_load_sustained(&f, 20));
    sv_load_log_release(&log);
}

static void test_faults(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 500, .clients = 2, .duration_s = 10, .timeout_s = 1};
    for (size_t i = SV_LOAD_REFUSED; i <= SV_LOAD_WRONG; i++) {
        simulation s = {.service_ns = 1 * MS, .fail_every = 50, .failure = (sv_load_outcome)i};
        sv_load_log log;
        sv_load_figures f;
        run_plan(&plan, &s, &log, &f);
        assert_near((double)f.outcomes[i], 100, 0.1);
        assert_int_equal(f.outcomes[i] + f.outcomes[SV_LOAD_ANSWERED], f.requests);
        assert_int_equal(f.all.latency_ms.count, f.outcomes[SV_LOAD_ANSWERED]);
        /* A refusal is a right answer of a server that has too much to do, but no sustained rate. */
        assert_int_equal(f.valid, i == SV_LOAD_REFUSED);
        assert_int_equal(has_reason(&f, "errors"), i != SV_LOAD_REFUSED);
        assert_false(sv_load_sustained(&f, 1000));
        sv_load_log_release(&log);
    }
}

/* A closed loop's client that fails waits before it tries again. */
static void test_dead_server(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_CLOSED_LOOP, .clients = 4, .duration_s = 10, .timeout_s = 1};
    simulation s = {.fail_every = 1, .failure = SV_LOAD_UNCONNECTED};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_int_equal(f.requests, 4 * 100);
    assert_int_equal(f.outcomes[SV_LOAD_UNCONNECTED], f.requests);
    assert_true(isnan(f.all.latency_ms.p50));
    sv_load_log_release(&log);
}

static void test_timeout(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 100, .duration_s = 5, .timeout_s = 0.5};
    simulation s = {.silent = true, .connections = 10};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_int_equal(f.outcomes[SV_LOAD_TIMEOUT], f.requests);
    assert_int_equal(s.pending_count, 0);
    for (size_t i = 0; i < log.count; i++)
        assert_in_range(log.records[i].done_ns - log.records[i].due_ns, 500 * MS, 501 * MS);
    sv_load_log_release(&log);
}

static void test_slow_generator(void **state) {
    (void)state;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 300, .duration_s = 10, .timeout_s = 10};
    simulation s = {.service_ns = 1 * MS, .send_ns = 3 * MS};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_false(f.valid);
    assert_true(has_reason(&f, "the generator fell behind"));
    sv_load_log_release(&log);
}

static void test_cut_short(void **state) {
    (void)state;
    static const volatile sig_atomic_t cancelled = 1;
    simulation s = {.service_ns = 1 * MS};
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 100, .duration_s = 10, .timeout_s = 1, .most_requests = 50};
    sv_load_log log;
    sv_load_figures f;
    run_plan(&plan, &s, &log, &f);
    assert_int_equal(log.count, 50);
    assert_true(has_reason(&f, "cut short") && has_reason(&f, "too few samples"));
    sv_load_log_release(&log);
    plan.cancelled = &cancelled;
    run_plan(&plan, &s, &log, &f);
    assert_true(log.interrupted);
    sv_load_log_release(&log);
}

static void test_search(void **state) {
    (void)state;
    static const double limits[] = {0.3, 7, 99, 100, 1234, 54321};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        sv_search search;
        size_t steps = 0;
        sv_search_begin(&search, 100, 0.1, 1e6, 0.02);
        while (sv_search_next(&search, search.rate <= limits[i]))
            assert_true(++steps < 40);
        assert_true(search.passed <= limits[i] && search.passed * 1.02 >= limits[i]);
    }
    sv_search search;
    sv_search_begin(&search, 100, 0.1, 1000, 0.02);
    while (sv_search_next(&search, true))
        ;
    assert_true(search.passed == 1000);
    sv_search_begin(&search, 100, 0.1, 1000, 0.02);
    while (sv_search_next(&search, false))
        ;
    assert_true(search.passed == 0);
}

static void count_step(void *context, double rate, const sv_load_log *log, const sv_load_figures *figures) {
    (void)rate, (void)log, (void)figures;
    ++*(size_t *)context;
}

/* The tail of M/D/1's wait decays by the root of load * (e^x - 1) = x per service time: with p99 at most 20 services, about
 * 0.89 of the capacity is possible. */
static void test_find_rate(void **state) {
    (void)state;
    simulation s = {.service_ns = 1 * MS, .one_server = true};
    sv_load_target target = simulation_target(&s);
    sv_workload workload;
    senvec_error err;
    size_t steps = 0;
    double rate = 0;
    sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 100, .warmup_s = 1, .duration_s = 60, .timeout_s = 10};
    sv_load_goal goal = {
        .bound_ms = 20, .most_rate = 1e6, .tolerance = 0.02, .samples = 1000, .step = count_step, .step_context = &steps};
    make_workload(&workload);
    assert_int_equal(sv_load_find_rate(&plan, &goal, &workload, &target, &rate, &err), SENVEC_OK);
    assert_near(rate, 890, 0.04);
    assert_in_range(steps, 6, 14);
    /* No run begins that would end after the time; what had passed is the answer. */
    s = (simulation){.service_ns = 1 * MS, .one_server = true};
    steps = 0;
    goal.most_seconds = 150; /* two runs of 61 s */
    assert_int_equal(sv_load_find_rate(&plan, &goal, &workload, &target, &rate, &err), SENVEC_OK);
    assert_int_equal(steps, 2);
    assert_true(rate == 200);
    goal.most_seconds = 30;
    assert_int_equal(sv_load_find_rate(&plan, &goal, &workload, &target, &rate, &err), SENVEC_OK);
    assert_true(steps == 2 && rate == 0);
    goal.most_seconds = 0;
    s = (simulation){.fail_every = 1, .failure = SV_LOAD_STATUS};
    assert_int_equal(sv_load_find_rate(&plan, &goal, &workload, &target, &rate, &err), SENVEC_OK);
    assert_true(rate == 0);
    sv_workload_release(&workload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrivals),    cmocka_unit_test(test_mix),      cmocka_unit_test(test_pool),
        cmocka_unit_test(test_known_delay), cmocka_unit_test(test_stall),    cmocka_unit_test(test_stall_with_few_connections),
        cmocka_unit_test(test_queue),       cmocka_unit_test(test_overload), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_dead_server), cmocka_unit_test(test_timeout),  cmocka_unit_test(test_slow_generator),
        cmocka_unit_test(test_cut_short),   cmocka_unit_test(test_search),   cmocka_unit_test(test_find_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
