/* What the policies are for, under a simulated clock: latency at mixed lengths, the two classes beside each other, clients that
 * wait for their answers, overload, fairness, large requests. */
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
#define MAX_WAIT (10 * SECOND)

static void open_machine_with(simulated_machine *machine, sv_policy policy, uint64_t max_wait_ns, size_t max_jobs) {
    const sv_queue_options options = {
        .policy = policy,
        .target_ns = TARGET,
        .max_wait_ns = max_wait_ns,
        .workers = WORKERS,
        .max_jobs = max_jobs,
        .max_texts = 1 << 20,
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

static void open_machine(simulated_machine *machine, sv_policy policy) {
    open_machine_with(machine, policy, MAX_WAIT, 4096);
}

static uint64_t refusals(const sv_queue_counts *counts) {
    uint64_t sum = 0;
    for (int why = 0; why < SV_ADMISSIONS; why++)
        sum += counts->refused[why];
    return sum;
}

/* All came back, once, and the counts say so. */
static void check_end(const simulated_machine *machine, const simulated_request *requests, size_t count) {
    const sv_queue_counts *counts = &machine->queue.counts;
    assert_int_equal(counts->jobs, 0);
    assert_int_equal(counts->texts, 0);
    assert_int_equal(counts->running, 0);
    assert_int_equal(counts->clients, 0);
    for (int class = 0; class < SV_CLASSES; class ++) {
        assert_int_equal(counts->waiting_jobs[class], 0);
        assert_true(counts->waiting_work[class] < 1e-3 && counts->waiting_work[class] > -1e-3);
    }
    size_t admitted = 0, refused = 0;
    for (size_t i = 0; i < count; i++) {
        if (!requests[i].arrival)
            continue; /* its client never came to send it */
        assert_int_equal(requests[i].ended, requests[i].admission == SV_ADMITTED);
        admitted += requests[i].admission == SV_ADMITTED;
        refused += requests[i].refused;
    }
    assert_int_equal(counts->admitted, admitted);
    assert_int_equal(counts->answered + counts->cancelled + counts->expired, admitted);
    assert_int_equal(refusals(counts), refused);
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
                  simulated_percentile(requests, COUNT, 99, NULL, NULL), (unsigned long long)refusals(&machine.queue.counts));
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

/* 16 texts come while one of the two workers has 7.6 ms to go. What the other one takes leaves the rest for the first, so that
 * both end within a text of the earliest time at which all can be done. */
static void workers_end_together(void **state) {
    (void)state;
    static simulated_machine machine;
    simulated_request requests[] = {{.arrival = SECOND, .count = 1, .length = 128, .client = 1},
                                    {.arrival = SECOND + MS, .count = 16, .length = 12, .client = 2}};
    open_machine(&machine, SV_POLICY_SLO);
    machine.noise = 0;
    sv_cost_init(&machine.queue.counts.cost, FIXED_NS, PER_WORK_NS);
    simulate(&machine, requests, 2);
    check_end(&machine, requests, 2);
    double text = PER_WORK_NS * (12 + SQUARE_COST * 144);
    double busy = FIXED_NS + PER_WORK_NS * (128 + SQUARE_COST * 128 * 128) - (double)MS;
    double least = (busy + 16 * text + 2 * FIXED_NS) / 2, took = (double)(requests[1].finished - requests[1].arrival);
    print_message("16 texts beside a busy worker: %.2f ms, %.2f at least\n", took / 1e6, least / 1e6);
    assert_int_equal(machine.queue.counts.batches, 3);
    assert_true(took <= least + text);
    sv_queue_release(&machine.queue);
}

/* A batch's time beside its work, writing an answer for example, says nothing about the cost of work. */
static void time_beside_the_work_is_not_learned(void **state) {
    (void)state;
    sv_cost_model learned[2];
    for (size_t i = 0; i < 2; i++) {
        static simulated_machine machine;
        const uint32_t length = 100;
        uint64_t retry_ns, look_again, beside_ns = i * 30 * MS;
        sv_job job = {.lengths = &length, .count = 1};
        sv_batch batch;
        open_machine(&machine, SV_POLICY_SLO);
        assert_int_equal(sv_queue_admit(&machine.queue, &job, SECOND, &retry_ns), SV_ADMITTED);
        assert_true(sv_queue_take(&machine.queue, SECOND, &batch, &look_again));
        assert_int_equal(batch.beside_ns, 0);
        batch.beside_ns = beside_ns;
        assert_ptr_equal(sv_queue_return(&machine.queue, &batch, SECOND + 7 * MS + beside_ns), &job);
        learned[i] = machine.queue.counts.cost;
        sv_queue_release(&machine.queue);
    }
    assert_memory_equal(&learned[0], &learned[1], sizeof learned[0]);
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
static void overload_may_be_refused_at_once(void **state) {
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
    open_machine_with(&machine, SV_POLICY_SLO, TARGET, 4096);
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
        if (requests[i].admission == SV_REFUSED_WAIT)
            assert_in_range(requests[i].retry_ns, TARGET / 10, 60 * SECOND);
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

/* Client 1 sends half more than the machine can do, by requests both small and large, and all of it is let in. Client 2 sends a
 * text now and then. */
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

/* ------------------------------------------------------------ two classes */

/* `clients` that ask again and again for `count` texts of 12 tokens, each `rounds` times. */
static void add_clients(simulated_request *requests, size_t clients, size_t rounds, size_t count, uint64_t first_client) {
    for (size_t c = 0; c < clients; c++) {
        for (size_t r = 0; r < rounds; r++) {
            simulated_request *request = &requests[c * rounds + r];
            *request = (simulated_request){.arrival = SECOND, .count = count, .length = 12, .client = first_client + c};
            request->follows = r > 0;
            request->arrival = r > 0 ? 0 : SECOND;
            request->then = r + 1 < rounds ? request + 1 : NULL;
        }
    }
}

/* Texts a second of the requests that `which` holds for, from `from` to `until`: a request's texts are spread evenly over the
 * time that it was computed. */
static double texts_per_s(const simulated_request *requests, size_t count, uint64_t from, uint64_t until,
                          bool (*which)(const simulated_request *)) {
    double texts = 0;
    for (size_t i = 0; i < count; i++) {
        const simulated_request *r = &requests[i];
        if (!r->ended || r->job.cancelled || (which && !which(r)))
            continue;
        uint64_t begin = r->job.start > from ? r->job.start : from, end = r->finished < until ? r->finished : until;
        if (begin < end)
            texts += (double)r->count * (double)(end - begin) / (double)(r->finished - r->job.start);
    }
    return texts / ((double)(until - from) / 1e9);
}

static bool is_bulk(const simulated_request *request) {
    return request->count > 1;
}

static bool is_single(const simulated_request *request) {
    return request->count == 1;
}

typedef struct beside {
    double bulk_per_s, single_per_s, single_p99;
    uint64_t refused;
} beside;

/* 4 clients with 32 texts a request beside single texts at a rate (0: none), for 20 s. */
static beside run_beside(double rate) {
    enum { CLIENTS = 4, ROUNDS = 400, BULK = CLIENTS * ROUNDS };
    static simulated_machine machine;
    size_t singles = (size_t)(20 * rate), count = BULK + singles;
    simulated_request *requests = calloc(count, sizeof *requests);
    uint64_t seed = 17, now = SECOND;
    add_clients(requests, CLIENTS, ROUNDS, 32, 1);
    for (size_t i = BULK; i < count; i++) {
        now += simulated_gap(&seed, rate);
        requests[i] = (simulated_request){.arrival = now, .count = 1, .length = 12, .client = 100 + i};
    }
    open_machine(&machine, SV_POLICY_SLO);
    machine.until = 22 * SECOND;
    simulate(&machine, requests, count);
    check_end(&machine, requests, count);
    const beside result = {
        .bulk_per_s = texts_per_s(requests, count, 2 * SECOND, 20 * SECOND, is_bulk),
        .single_per_s = texts_per_s(requests, count, 2 * SECOND, 20 * SECOND, is_single),
        .single_p99 = singles ? simulated_percentile(requests, count, 99, is_single, NULL) : 0,
        .refused = refusals(&machine.queue.counts),
    };
    print_message(
        "4 clients of 32 texts beside %4.0f single texts a second: bulk %.0f texts/s, single %.0f texts/s, p99 %.1f ms\n", rate,
        result.bulk_per_s, result.single_per_s, result.single_p99);
    sv_queue_release(&machine.queue);
    free(requests);
    return result;
}

/* What single texts take from bulk is the time of their own batches, which are small; at three times the capacity bulk has its
 * share. */
static void interactive_comes_first_and_bulk_keeps_its_share(void **state) {
    (void)state;
    const beside alone = run_beside(0), few = run_beside(50), many = run_beside(500), flood = run_beside(6600);
    assert_true(few.single_p99 <= 25);
    assert_true(few.bulk_per_s >= 0.85 * alone.bulk_per_s);
    assert_true(many.single_p99 <= 35);
    assert_true(many.bulk_per_s >= 0.3 * alone.bulk_per_s);
    assert_int_equal(few.refused + many.refused, 0);
    assert_true(flood.bulk_per_s >= 0.2 * alone.bulk_per_s);
    assert_true(flood.single_per_s >= 0.6 * alone.bulk_per_s);
}

/* Clients that wait for their answers aren't refused, however many and whatever they ask for; also behind one address. */
static void clients_that_wait_are_not_refused(void **state) {
    (void)state;
    const size_t clients[] = {1, 4, 16, 64, 256, 2000}, texts[] = {1, 10, 32, 128, 1000};
    for (size_t c = 0; c < 6; c++) {
        for (size_t t = 0; t < 5; t++) {
            if (clients[c] * texts[t] > 300000)
                continue; /* more than memory would hold */
            static simulated_machine machine;
            size_t rounds = 2 + 4000 / (clients[c] * texts[t]), count = clients[c] * rounds;
            simulated_request *requests = calloc(count, sizeof *requests);
            add_clients(requests, clients[c], rounds, texts[t], 1);
            for (size_t i = 0; i < count && c % 2; i++)
                requests[i].client = 7;
            open_machine(&machine, SV_POLICY_SLO);
            simulate(&machine, requests, count);
            check_end(&machine, requests, count);
            if (machine.queue.counts.answered != count)
                fail_msg("%zu clients of %zu texts: %llu refused, %llu for the time", clients[c], texts[t],
                         (unsigned long long)refusals(&machine.queue.counts),
                         (unsigned long long)machine.queue.counts.refused[SV_REFUSED_WAIT]);
            if (clients[c] * texts[t] >= 64) {
                uint64_t full_until = UINT64_MAX; /* when the first client has nothing more to ask */
                for (size_t i = rounds - 1; i < count; i += rounds)
                    full_until = requests[i].job.start < full_until ? requests[i].job.start : full_until;
                double rate = texts_per_s(requests, count, SECOND, full_until, NULL);
                if (rate < 0.9 * 2200) /* 2,000 / 0.06 / 12.06 is 2,764 without the fixed cost */
                    fail_msg("%zu clients of %zu texts: %.0f texts/s", clients[c], texts[t], rate);
            }
            sv_queue_release(&machine.queue);
            free(requests);
        }
    }
}

/* A request of 20,000 texts (8 s alone) beside 16 clients with 32 texts each: it gets a part, and doesn't hold them up. */
static void a_giant_is_not_starved(void **state) {
    (void)state;
    enum { CLIENTS = 16, ROUNDS = 1000, COUNT = CLIENTS * ROUNDS + 1 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    add_clients(requests, CLIENTS, ROUNDS, 32, 1);
    requests[COUNT - 1] = (simulated_request){.arrival = 2 * SECOND, .count = 20000, .length = 12, .client = 99};
    for (size_t i = 0; i + 1 < COUNT; i++)
        requests[i].client = 1 + i / ROUNDS;
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    double giant = (double)(requests[COUNT - 1].finished - requests[COUNT - 1].arrival) / 1e9;
    requests[COUNT - 1].count = 1; /* not bulk for the percentile */
    double p99 = simulated_percentile(requests, COUNT, 99, is_bulk, NULL);
    print_message("20,000 texts beside 16 clients of 32 took %.1f s; the others' p99 %.0f ms\n", giant, p99);
    assert_true(giant <= 17 * 10); /* its part of the machine is one of 17 */
    assert_true(p99 <= 1000);      /* 200 ms without it */
    sv_queue_release(&machine.queue);
    free(requests);
}

/* Three times the capacity for a minute. Either bound, the time or the places in the queue, costs no throughput. */
static void overload_is_refused_late(void **state) {
    (void)state;
    enum { COUNT = 390000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    for (size_t places = 4096; places <= 65536; places *= 16) {
        uint64_t seed = 5, now = SECOND, shortest = UINT64_MAX, longest = 0;
        for (size_t i = 0; i < COUNT; i++) {
            now += simulated_gap(&seed, 6600);
            requests[i] = (simulated_request){.arrival = now, .count = 1, .client = i};
            requests[i].length = (uint32_t)(5 + simulated_random(&seed) * 16);
        }
        open_machine_with(&machine, SV_POLICY_SLO, MAX_WAIT, places);
        simulate(&machine, requests, COUNT);
        check_end(&machine, requests, COUNT);
        double rate = texts_per_s(requests, COUNT, 2 * SECOND, 60 * SECOND, NULL);
        double p99 = simulated_percentile(requests, COUNT, 99, NULL, NULL);
        for (size_t i = 0; i < COUNT; i++) {
            if (!requests[i].refused)
                continue;
            shortest = requests[i].retry_ns < shortest ? requests[i].retry_ns : shortest;
            longest = requests[i].retry_ns > longest ? requests[i].retry_ns : longest;
        }
        const uint64_t *refused = machine.queue.counts.refused;
        print_message(
            "overload, %zu places: %.0f answered a second, p99 %.1f s; %llu refused for the time, %llu for the places, "
            "told to come back in %.1f to %.1f s\n",
            places, rate, p99 / 1e3, (unsigned long long)refused[SV_REFUSED_WAIT],
            (unsigned long long)refused[SV_REFUSED_REQUESTS], (double)shortest / 1e9, (double)longest / 1e9);
        assert_true(rate >= 0.95 * 2370); /* batches of 8 ms: 6 % fixed cost of 2,520 */
        assert_true(p99 <= 10000);
        assert_true(refused[places == 4096 ? SV_REFUSED_REQUESTS : SV_REFUSED_WAIT] > 100000);
        assert_true(shortest >= SECOND && longest <= 60 * SECOND);
        sv_queue_release(&machine.queue);
    }
    free(requests);
}

/* 12,000 at once, where 4,096 have a place: told when to come back, all get through with the two tries that clients make. */
static void who_comes_back_as_told_is_served(void **state) {
    (void)state;
    enum { COUNT = 12000 };
    static simulated_machine machine;
    simulated_request *requests = calloc(COUNT, sizeof *requests);
    size_t refused = 0, twice = 0;
    for (size_t i = 0; i < COUNT; i++)
        requests[i] = (simulated_request){.arrival = SECOND, .count = 1, .length = 12, .client = i, .tries = 2};
    open_machine(&machine, SV_POLICY_SLO);
    simulate(&machine, requests, COUNT);
    check_end(&machine, requests, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(requests[i].admission, SV_ADMITTED);
        refused += requests[i].refused > 0;
        twice += requests[i].refused > 1;
    }
    print_message("12,000 at once: %zu told to come back, %zu of them twice\n", refused, twice);
    assert_in_range(refused, COUNT - 4096, COUNT - 3000);
    assert_true(twice <= refused / 10);
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
    open_machine_with(&machine, SV_POLICY_SLO, TARGET, 4096);
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
        cmocka_unit_test(workers_end_together),
        cmocka_unit_test(time_beside_the_work_is_not_learned),
        cmocka_unit_test(fixed_waits_for_company),
        cmocka_unit_test(overload_may_be_refused_at_once),
        cmocka_unit_test(clients_share_the_machine),
        cmocka_unit_test(a_backlog_is_its_own_clients),
        cmocka_unit_test(large_requests_are_split),
        cmocka_unit_test(interactive_comes_first_and_bulk_keeps_its_share),
        cmocka_unit_test(clients_that_wait_are_not_refused),
        cmocka_unit_test(a_giant_is_not_starved),
        cmocka_unit_test(overload_is_refused_late),
        cmocka_unit_test(who_comes_back_as_told_is_served),
        cmocka_unit_test(clients_that_leave_cost_little),
        cmocka_unit_test(time_on_the_way_counts),
        cmocka_unit_test(quantiles_are_tracked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
