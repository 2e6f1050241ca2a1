#include "queue_simulation.h"

#include <math.h>
#include <stdlib.h>

double simulated_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*seed >> 33) + 0.5) / (double)(UINT64_C(1) << 31);
}

uint64_t simulated_gap(uint64_t *seed, double rate) {
    return (uint64_t)(-log(simulated_random(seed)) / rate * 1e9);
}

static void start_batches(simulated_machine *machine, uint64_t now, uint64_t *look_again) {
    *look_again = UINT64_MAX;
    for (size_t w = 0; w < machine->queue.options.workers; w++) {
        if (machine->workers[w].busy)
            continue;
        sv_batch *batch = &machine->workers[w].batch;
        if (!sv_queue_take(&machine->queue, now, batch, look_again))
            return;
        double takes = machine->fixed_ns + machine->per_work_ns * batch->work;
        takes *= 1 + machine->noise * (2 * simulated_random(&machine->seed) - 1);
        machine->workers[w].busy = true;
        machine->workers[w].end = now + (uint64_t)takes;
    }
}

/* The request will come at `arrival`; of those that come at the same time, after the ones that are known already. Most come
 * later than all that are known. */
static void expect(simulated_machine *machine, simulated_request *request, uint64_t arrival) {
    simulated_request **link = &machine->due;
    request->arrival = arrival;
    if (machine->due && machine->last_due->arrival <= arrival)
        link = &machine->last_due->next_due;
    while (*link && (*link)->arrival <= arrival)
        link = &(*link)->next_due;
    request->next_due = *link;
    *link = request;
    if (!request->next_due)
        machine->last_due = request;
}

/* The client of a request that is over sends its next one. */
static void go_on(simulated_machine *machine, simulated_request *request, uint64_t now) {
    if (request->then && (!machine->until || now < machine->until))
        expect(machine, request->then, now + SIMULATED_THINKING);
}

static void end_jobs(simulated_machine *machine, sv_job *list, uint64_t now) {
    for (sv_job *next; list; list = next) {
        simulated_request *request = (simulated_request *)list; /* its first member */
        next = list->next;
        request->ended = true;
        request->finished = now;
        go_on(machine, request, now);
    }
}

static void arrive(simulated_machine *machine, simulated_request *request, uint64_t now) {
    request->job = (sv_job){
        .lengths = request->lengths, .count = request->count, .client = request->client, .deadline = request->job.deadline};
    request->admission = sv_queue_admit(&machine->queue, &request->job, now, &request->retry_ns);
    if (request->admission == SV_ADMITTED)
        return;
    request->refused++;
    if (request->tries > 0 && request->retry_ns > 0) {
        request->tries--;
        expect(machine, request, now + request->retry_ns);
    } else {
        go_on(machine, request, now);
    }
}

/* The lengths of texts that are all alike, in one piece; the caller frees it. */
static uint32_t *fill_in_lengths(simulated_request *requests, size_t count) {
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += requests[i].lengths ? 0 : requests[i].count;
    uint32_t *all = malloc((room + 1) * sizeof *all), *next = all;
    for (size_t i = 0; i < count; i++) {
        if (requests[i].lengths)
            continue;
        requests[i].lengths = next;
        for (size_t k = 0; k < requests[i].count; k++)
            *next++ = requests[i].length;
    }
    return all;
}

/* `leavers` are those of the requests that will go away, in order of arrival. */
static void leave(simulated_machine *machine, simulated_request **leavers, size_t count, uint64_t now) {
    for (size_t i = 0; i < count && leavers[i]->arrival <= now; i++) {
        if (leavers[i]->leaves > now || !leavers[i]->job.inside)
            continue;
        if (sv_queue_cancel(&machine->queue, &leavers[i]->job)) {
            leavers[i]->ended = true;
            leavers[i]->finished = now;
        }
    }
}

void simulate(simulated_machine *machine, simulated_request *requests, size_t count) {
    size_t leaving = 0;
    simulated_request **leavers = calloc(count, sizeof *leavers);
    uint32_t *lengths = fill_in_lengths(requests, count);
    machine->due = NULL;
    for (size_t i = 0; i < count; i++) {
        if (requests[i].leaves)
            leavers[leaving++] = &requests[i];
        if (!requests[i].follows)
            expect(machine, &requests[i], requests[i].arrival);
    }
    uint64_t look_again = UINT64_MAX;
    for (;;) {
        uint64_t now = machine->due ? machine->due->arrival : UINT64_MAX;
        now = look_again < now ? look_again : now;
        for (size_t w = 0; w < machine->queue.options.workers; w++)
            if (machine->workers[w].busy && machine->workers[w].end < now)
                now = machine->workers[w].end;
        if (now == UINT64_MAX)
            break;
        for (size_t w = 0; w < machine->queue.options.workers; w++) {
            if (!machine->workers[w].busy || machine->workers[w].end > now)
                continue;
            machine->workers[w].busy = false;
            end_jobs(machine, sv_queue_return(&machine->queue, &machine->workers[w].batch, now), now);
        }
        while (machine->due && machine->due->arrival <= now) {
            simulated_request *request = machine->due;
            machine->due = request->next_due;
            arrive(machine, request, now);
        }
        leave(machine, leavers, leaving, now);
        end_jobs(machine, sv_queue_expire(&machine->queue, now), now);
        start_batches(machine, now, &look_again);
    }
    free(lengths);
    free(leavers);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double simulated_percentile(const simulated_request *requests, size_t count, double percent,
                            bool (*which)(const simulated_request *), size_t *selected) {
    double *samples = malloc(count * sizeof *samples);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (requests[i].admission == SV_ADMITTED && requests[i].ended && (!which || which(&requests[i])))
            samples[n++] = (double)(requests[i].finished - requests[i].arrival) / 1e6;
    qsort(samples, n, sizeof *samples, ascending);
    size_t rank = (size_t)ceil(percent / 100 * (double)n);
    double value = n ? samples[rank ? rank - 1 : 0] : NAN;
    free(samples);
    if (selected)
        *selected = n;
    return value;
}
