/* What the policies are for, under a simulated clock: latency at mixed lengths, overload, fairness, large requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue_simulation.h"

/* A machine of two workers, each 16 tokens a millisecond: 1,100 short texts a second in all. */
#define FIXED_NS 0.5e6
#define PER_WORK_NS 60e3
#define SQUARE_COST 0.000434
#define WORKERS 2
#define TARGET (50 * MS)

static void open_machine(simulated_machine *machine, sv_policy policy) {
    const sv_queue_options options = {
        .policy = policy,
        .target_ns = TARGET,
        .workers = WORKERS,
        .max_jobs = 4096,
        .max_texts = 65536,
        .square_cost = SQUARE_COST,
        .fixed_ns = 2 * FIXED_NS, /* a wrong first guess: it has to learn */
        .per_work_ns = 0.5 * PER_WORK_NS,
    };
    memset(machine, 0, sizeof *machine);
    assert_int_equal(sv_queue_init(&machine->queue, &options, NULL), SENVEC_OK);
    machine->fixed_ns = FIXED_NS;
    machine->per_work_ns = PER_WORK_NS;
    machine->noise = 0.1;
    machine->seed = 11;
}

/* All came back, once, and the counts say so. */
static void check_end(const simulated_machine *machine, const simulated_request *requests, size_t count) {
    const sv_queue_counts *counts = &machine->queue.counts;
    assert_int_equal(counts->jobs, 0);
    assert_int_equal(counts->texts, 0);
    assert_int_equal(counts->running, 0);
    assert_int_equal(counts->clients, 0);
    assert_true(counts->waiting_work < 1e-3 && counts->waiting_work > -1e-3);
    size_t admitted = 0, refused = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(requests[i].ended, requests[i].admission == SV_ADMITTED);
        admitted += requests[i].admission == SV_ADMITTED;
        refused += requests[i].admission != SV_ADMITTED;
    }
    assert_int_equal(counts->admitted, admitted);
    assert_int_equal(counts->answered + counts->cancelled + counts->expired, admitted);
    assert_int_equal(counts->refused_busy + counts->refused_deadline + counts->refused_size, refused);
}

static bool is_short(const simulated_request *request) {
    return request->count == 1 && request->length <= 20;
}

/* Poisson arrivals of one text each; lengths from `shortest` to 20 with probability `shorts`, else up to `longest`. */
static simulated_request *mixed(size_t count, double rate, double shorts, uint32_t longest) {
    simulated_request *requests = calloc(count, sizeof *requests);
    uint64_t seed = 3, now = SECOND;
    for (size_t i = 0; i < count; i++) {
        now += simulated_gap(&seed, rate);
        bool small = simulated_random(&seed) < shorts;
        double low = small ? 5 : 21, high = small ? 20 : longest;
        requests[i] = (simulated_request){.arrival = now, .count = 1, .client = 1};
        requests[i].length = (uint32_t)(low + simulated_random(&seed) * (high - low + 1));
    }
    return requests;
}

static double short_p99(sv_policy policy, double rate) {
    enum { COUNT = 20000 };
    static simulated_machine machine;
    simulated_request *requests = mixed(COUNT, rate, 0.7, 256);
    open_machine(&machine, policy);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    double p99 = simulated_percentile(requests, COUNT, 99, is_short, NULL);
    print_message("%-6s at %.0f/s: short requests p50 %.2f ms, p99 %.2f ms, all p99 %.2f ms, refused %llu\n",
                  sv_policy_names[policy], rate, simulated_percentile(requests, COUNT, 50, is_short, NULL), p99,
                  simulated_percentile(requests, COUNT, 99, NULL, NULL), (unsigned long long)machine.queue.counts.refused_busy);
    sv_queue_release(&machine.queue);
    free(requests);
    return p99;
}

/* Mean work is 61 units: 100 % of the machine is 480 a second. */
static void slo_halves_the_tail_of_short_requests(void **state) {
    (void)state;
    const double rates[] = {150, 250, 350};
    for (int i = 0; i < 3; i++) {
        double slo = short_p99(SV_POLICY_SLO, rates[i]);
        double fixed = short_p99(SV_POLICY_FIXED, rates[i]);
        double greedy = short_p99(SV_POLICY_GREEDY, rates[i]);
        assert_true(slo <= fixed / 2);
        assert_true(slo <= greedy);
    }
}

static void alone_nothing_waits(void **state) {
    (void)state;
    static simulated_machine machine;
    simulated_request request = {.arrival = SECOND, .count = 1, .length = 12};
    open_machine(&machine, SV_POLICY_SLO);
    machine.noise = 0;
    simulate(&machine, &request, 1);
    check_end(&machine, &request, 1);
    assert_int_equal(request.finished - request.arrival, (uint64_t)(FIXED_NS + PER_WORK_NS * (12 + SQUARE_COST * 144)));
    assert_int_equal(request.job.start, request.arrival);
    sv_queue_release(&machine.queue);
}

static void fixed_waits_for_company(void **state) {
    (void)state;
    static simulated_machine machine;
    simulated_request request = {.arrival = SECOND, .count = 1, .length = 12};
    open_machine(&machine, SV_POLICY_FIXED);
    simulate(&machine, &request, 1);
    assert_int_equal(request.job.start - request.arrival, SV_FIXED_WAIT_NS);
    sv_queue_release(&machine.queue);
}

/* Three times what the machine can do for a minute, then a tenth. */
static void overload_is_refused_at_once(void **state) {
    (void)state;
    enum { COUNT = 420000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    uint64_t seed = 5, now = SECOND, over = 0;
    size_t calm = COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        now += simulated_gap(&seed, over ? 200 : 3 * 2200);
        if (!over && now > 61 * SECOND) {
            over = now;
            calm = i;
        }
        requests[i] = (simulated_request){.arrival = now, .count = 1, .length = (uint32_t)(5 + simulated_random(&seed) * 16)};
        if (over && now > over + 5 * SECOND) {
            memset(&requests[i], 0, sizeof requests[i]);
            break;
        }
    }
    size_t count = calm;
    while (count < COUNT && requests[count].count)
        count++;
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, count);
    check_end(&machine, requests, count);
    size_t answered;
    double p99 = simulated_percentile(requests, calm, 99, NULL, &answered);
    double after = simulated_percentile(requests + calm, count - calm, 99, NULL, NULL);
    print_message("overload: %zu of %zu answered in 60 s, p99 %.1f ms, p50 %.1f ms; afterwards p99 %.1f ms\n", answered, calm,
                  p99, simulated_percentile(requests, calm, 50, NULL, NULL), after);
    assert_true(p99 <= 50);
    assert_true(answered >= 60 * 1900); /* 2,500 at best: 2 workers, 12.5 tokens, without the fixed cost */
    assert_true(after <= 10);
    for (size_t i = 0; i < count; i++) {
        if (requests[i].admission == SV_REFUSED_BUSY)
            assert_in_range(requests[i].retry_ns, 1, 100 * MS);
        if (requests[i].arrival > over + SECOND)
            assert_int_equal(requests[i].admission, SV_ADMITTED);
    }
    sv_queue_release(&machine.queue);
    free(requests);
}

static bool is_of_client_2(const simulated_request *request) {
    return request->client == 2;
}

/* Client 1 sends three times what the machine can do, client 2 a quarter of it. */
static void clients_share_the_machine(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    uint64_t seed = 7, now = SECOND;
    for (size_t i = 0; i < COUNT; i++) {
        now += simulated_gap(&seed, 7000);
        uint64_t client = simulated_random(&seed) < 500.0 / 7000 ? 2 : 1;
        requests[i] = (simulated_request){.arrival = now, .count = 1, .length = 12, .client = client};
    }
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    size_t sent = 0, answered = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sent += requests[i].client == 2;
        answered += requests[i].client == 2 && requests[i].admission == SV_ADMITTED;
    }
    double p99 = simulated_percentile(requests, COUNT, 99, is_of_client_2, NULL);
    print_message("fairness: %zu of %zu of the modest client answered, p99 %.1f ms; of the other %llu of %zu\n", answered, sent,
                  p99, (unsigned long long)(machine.queue.counts.answered - answered), COUNT - sent);
    assert_true(answered >= sent * 99 / 100);
    assert_true(p99 <= 50);
    sv_queue_release(&machine.queue);
    free(requests);
}

/* Client 1 sends half more than the machine can do, by requests both small and large, and a target far away lets nearly all of
 * it in. Client 2 sends a text now and then. */
static void a_backlog_is_its_own_clients(void **state) {
    (void)state;
    enum { COUNT = 6000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    uint64_t seed = 13, now = SECOND;
    for (size_t i = 0; i < COUNT; i++) {
        now += simulated_gap(&seed, 330);
        bool modest = simulated_random(&seed) < 200.0 / 330;
        size_t count = modest ? 1 : 1 + (size_t)(50 * simulated_random(&seed));
        requests[i] = (simulated_request){.arrival = now, .count = count, .length = 12, .client = modest ? 2 : 1};
    }
    open_machine(&machine, SV_POLICY_SLO);
    machine.queue.options.target_ns = 2 * SECOND;
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    double p99 = simulated_percentile(requests, COUNT, 99, is_of_client_2, NULL);
    print_message("beside a backlog: the modest client's p50 %.1f ms, p99 %.1f ms; all p99 %.1f ms\n",
                  simulated_percentile(requests, COUNT, 50, is_of_client_2, NULL), p99,
                  simulated_percentile(requests, COUNT, 99, NULL, NULL));
    assert_true(p99 <= 20);
    sv_queue_release(&machine.queue);
    free(requests);
}

/* A request of 2,000 texts, and short ones all the time. */
static void large_requests_are_split(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    uint64_t seed = 9, now = SECOND;
    for (size_t i = 0; i < COUNT; i++) {
        requests[i] = (simulated_request){.arrival = now, .count = i == 100 ? 2000 : 1, .length = 12};
        now += simulated_gap(&seed, 700);
    }
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    double large = (double)(requests[100].finished - requests[100].arrival) / 1e9;
    double p99 = simulated_percentile(requests, COUNT, 99, is_short, NULL);
    print_message("2,000 texts took %.2f s; short ones meanwhile p99 %.1f ms\n", large, p99);
    assert_int_equal(requests[100].admission, SV_ADMITTED);
    assert_true(p99 <= 20);
    assert_true(large <= 3); /* 0.8 s alone, and the others take a third of the machine */
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(requests[i].admission, SV_ADMITTED);
    sv_queue_release(&machine.queue);
    free(requests);
}

/* A tenth of the clients goes away after 5 ms. */
static void clients_that_leave_cost_little(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static simulated_machine machine;
    simulated_request *requests = mixed(COUNT, 300, 0.7, 256);
    for (size_t i = 0; i < COUNT; i += 10)
        requests[i].leaves = requests[i].arrival + 5 * MS;
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    assert_in_range(machine.queue.counts.cancelled, 200, 2000);
    sv_queue_release(&machine.queue);
    free(requests);
}

/* Requests of one text at one instant: how many are taken if each spends `outside_ns` on its way? */
static size_t taken_at_once(uint64_t outside_ns) {
    enum { COUNT = 1000 };
    static simulated_machine machine;
    sv_job *jobs = calloc(COUNT, sizeof *jobs);
    const uint32_t length = 12;
    uint64_t retry_ns;
    size_t taken = 0;
    open_machine(&machine, SV_POLICY_SLO);
    for (size_t i = 0; i < COUNT; i++) {
        jobs[i] = (sv_job){.lengths = &length, .count = 1, .outside_ns = outside_ns};
        taken += sv_queue_admit(&machine.queue, &jobs[i], SECOND, &retry_ns) == SV_ADMITTED;
    }
    sv_queue_release(&machine.queue);
    free(jobs);
    return taken;
}

static void time_on_the_way_counts(void **state) {
    (void)state;
    size_t none = taken_at_once(0), half = taken_at_once(TARGET / 2), all = taken_at_once(TARGET);
    print_message("taken at once: %zu; with half of the target spent on the way %zu; all of it %zu\n", none, half, all);
    assert_in_range(half, none / 3, none / 2);
    assert_int_equal(all, 1); /* it doesn't wait, so refusing it would win nothing */
}

static void quantiles_are_tracked(void **state) {
    (void)state;
    uint64_t seed = 13;
    double tracked = 0, over = 0;
    for (int i = 0; i < 400000; i++) {
        double value = simulated_random(&seed);
        over += i >= 200000 && value > tracked;
        sv_track_quantile(&tracked, value, 0.0002, 5);
    }
    assert_true(over > 1600 && over < 2400); /* of 200,000: one percent */
    sv_track_quantile(&tracked, 1e9, 1, 5);
    assert_true(tracked == 5);
    sv_track_quantile(&tracked, -1, 10, 5);
    assert_true(tracked == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slo_halves_the_tail_of_short_requests),
        cmocka_unit_test(alone_nothing_waits),
        cmocka_unit_test(fixed_waits_for_company),
        cmocka_unit_test(overload_is_refused_at_once),
        cmocka_unit_test(clients_share_the_machine),
        cmocka_unit_test(a_backlog_is_its_own_clients),
        cmocka_unit_test(large_requests_are_split),
        cmocka_unit_test(clients_that_leave_cost_little),
        cmocka_unit_test(time_on_the_way_counts),
        cmocka_unit_test(quantiles_are_tracked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
