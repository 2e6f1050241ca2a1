/* One loop: take what is due, send what can be sent, expire what is too old, wait for what is next.
 *
 * Records are in the order in which requests were due, and they are sent in that order; with one timeout for all they expire in
 * that order too. So three indices into the records are all the bookkeeping there is:
 *
 *     settled ...  oldest .....  unsent .....  count
 *     all over     some over     waiting for a connection
 *
 * and `overdue`, which follows the clock at a distance of bound_ms. */
#include "loadgen/run.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/limits.h"
#include "loadgen/arrivals.h"

enum { BATCH = 256 };                  /* requests that one wait can report */
#define BACK_OFF_NS (SV_NS_PER_S / 10) /* of a closed loop's client after a failure */
#define PROGRESS_INTERVAL_NS (SV_NS_PER_S / 10)

typedef struct run {
    const sv_load_plan *plan;
    const sv_workload *workload;
    const sv_load_target *target;
    sv_load_log *log;
    sv_load_request *requests; /* of the records not sent yet: a ring of `waiting_capacity` */
    size_t waiting_capacity;
    sv_random random;
    sv_arrivals arrivals;
    uint64_t start_ns, end_ns, timeout_ns, bound_ns;
    size_t oldest, unsent, overdue;
    uint64_t done, slow, slow_allowed;
    bool held; /* the record at `unsent` has been counted as held */
    /* Closed loop: clients that can send now, and a ring of the times at which others may again. */
    size_t ready, resting, first_resting;
    uint64_t *rest_until; /* [clients] */
} run;

static uint64_t now_of(const run *r) {
    return r->target->now(r->target->context) - r->start_ns;
}

static size_t most_requests(const sv_load_plan *plan) {
    return plan->most_requests ? plan->most_requests : SV_MAX_LOAD_REQUESTS;
}

static senvec_status reserve(run *r, size_t count, senvec_error *err) {
    sv_load_log *log = r->log;
    if (count <= log->capacity)
        return SENVEC_OK;
    size_t capacity = log->capacity * 2 > count ? log->capacity * 2 : count;
    sv_load_record *grown = realloc(log->records, capacity * sizeof *grown);
    if (!grown)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the records of %zu requests", capacity);
    log->records = grown;
    log->capacity = capacity;
    return SENVEC_OK;
}

/* The requests that wait to be sent, [unsent, count): a ring, which grows when it is full. */
static senvec_status remember(run *r, const sv_load_request *request, senvec_error *err) {
    if (r->log->count - r->unsent == r->waiting_capacity) {
        size_t capacity = r->waiting_capacity ? r->waiting_capacity * 2 : 1024;
        sv_load_request *grown = malloc(capacity * sizeof *grown);
        if (!grown)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu waiting requests", capacity);
        for (size_t i = r->unsent; i < r->log->count; i++)
            grown[i % capacity] = r->requests[i % r->waiting_capacity];
        free(r->requests);
        r->requests = grown;
        r->waiting_capacity = capacity;
    }
    r->requests[r->log->count % r->waiting_capacity] = *request;
    return SENVEC_OK;
}

static senvec_status add_request(run *r, uint64_t due_ns, senvec_error *err) {
    sv_load_request request = sv_load_draw(r->workload, &r->random);
    SENVEC_TRY(reserve(r, r->log->count + 1, err));
    SENVEC_TRY(remember(r, &request, err));
    r->log->records[r->log->count++] = (sv_load_record){
        .due_ns = due_ns, .sent_ns = UINT64_MAX, .texts = (uint32_t)request.count, .kind = (uint8_t)request.kind};
    return SENVEC_OK;
}

/* Adds the requests that are due. */
static senvec_status take_due(run *r, uint64_t now, senvec_error *err) {
    if (r->plan->loop != SV_LOAD_CLOSED_LOOP) {
        uint64_t due;
        while ((due = sv_arrivals_peek(&r->arrivals)) <= now && due < r->end_ns) {
            SENVEC_TRY(add_request(r, due, err));
            sv_arrivals_take(&r->arrivals);
        }
        return SENVEC_OK;
    }
    for (; r->resting > 0 && r->rest_until[r->first_resting] <= now; r->resting--, r->ready++)
        r->first_resting = (r->first_resting + 1) % r->plan->clients;
    for (; r->ready > 0 && now < r->end_ns; r->ready--)
        SENVEC_TRY(add_request(r, now, err));
    return SENVEC_OK;
}

/* A client of the closed loop has its answer. */
static void free_client(run *r, bool failed, uint64_t now) {
    if (r->plan->loop != SV_LOAD_CLOSED_LOOP)
        return;
    if (failed)
        r->rest_until[(r->first_resting + r->resting++) % r->plan->clients] = now + BACK_OFF_NS;
    else
        r->ready++;
}

static void settle(run *r, size_t index, sv_load_outcome outcome, unsigned status, uint64_t now) {
    sv_load_record *record = &r->log->records[index];
    record->outcome = (uint8_t)outcome;
    record->status = (uint16_t)status;
    record->done_ns = now;
    r->done++;
    free_client(r, outcome != SV_LOAD_ANSWERED, now);
    while (r->oldest < r->log->count && r->log->records[r->oldest].outcome != SV_LOAD_PENDING)
        r->oldest++;
}

static void send_waiting(run *r) {
    for (; r->unsent < r->log->count; r->unsent++, r->held = false) {
        sv_load_record *record = &r->log->records[r->unsent];
        if (record->outcome != SV_LOAD_PENDING)
            continue; /* expired while it waited */
        uint64_t now = now_of(r);
        sv_load_sent sent = r->target->send(r->target->context, r->unsent, &r->requests[r->unsent % r->waiting_capacity]);
        if (sent == SV_LOAD_BUSY) {
            r->log->held += !r->held;
            r->held = true;
            return;
        }
        record->sent_ns = now;
        if (sent == SV_LOAD_FAILED)
            settle(r, r->unsent, SV_LOAD_UNCONNECTED, 0, now);
    }
}

static void expire(run *r, uint64_t now) {
    while (r->oldest < r->log->count && r->log->records[r->oldest].due_ns + r->timeout_ns <= now) {
        if (r->oldest < r->unsent)
            r->target->cancel(r->target->context, r->oldest);
        settle(r, r->oldest, SV_LOAD_TIMEOUT, 0, now);
    }
}

/* True once the bound can't be met any more. */
static bool is_lost(run *r, uint64_t now) {
    if (r->bound_ns == 0)
        return false;
    for (; r->overdue < r->log->count && r->log->records[r->overdue].due_ns + r->bound_ns < now; r->overdue++) {
        const sv_load_record *record = &r->log->records[r->overdue];
        bool late = record->outcome != SV_LOAD_ANSWERED || record->done_ns > record->due_ns + r->bound_ns;
        r->slow += late && record->due_ns >= r->log->window_begin_ns;
    }
    return r->slow > r->slow_allowed;
}

/* When something happens by itself: an arrival, a client's return, a timeout. */
static uint64_t next_event(const run *r, uint64_t now) {
    uint64_t next = UINT64_MAX;
    if (r->plan->loop != SV_LOAD_CLOSED_LOOP && sv_arrivals_peek(&r->arrivals) < r->end_ns)
        next = sv_arrivals_peek(&r->arrivals);
    if (r->resting > 0 && now < r->end_ns)
        next = r->rest_until[r->first_resting];
    if (r->oldest < r->log->count && r->log->records[r->oldest].due_ns + r->timeout_ns < next)
        next = r->log->records[r->oldest].due_ns + r->timeout_ns;
    return next < now + PROGRESS_INTERVAL_NS ? next : now + PROGRESS_INTERVAL_NS;
}

static bool is_over(const run *r, uint64_t now) {
    bool no_more = r->plan->loop == SV_LOAD_CLOSED_LOOP ? now >= r->end_ns : sv_arrivals_peek(&r->arrivals) >= r->end_ns;
    return no_more && r->oldest == r->log->count;
}

static void report_progress(const run *r, uint64_t now) {
    if (r->plan->progress)
        r->plan->progress(r->plan->progress_context, now < r->end_ns ? (double)now / (double)r->end_ns : 1, r->done);
}

static senvec_status loop(run *r, senvec_error *err) {
    sv_load_done done[BATCH];
    for (;;) {
        uint64_t now = now_of(r);
        SENVEC_TRY(take_due(r, now, err));
        send_waiting(r);
        expire(r, now);
        if (is_over(r, now))
            return SENVEC_OK;
        r->log->interrupted = (r->plan->cancelled && *r->plan->cancelled) || r->log->count >= most_requests(r->plan);
        r->log->gave_up = is_lost(r, now);
        if (r->log->interrupted || r->log->gave_up)
            return SENVEC_OK;
        size_t count = 0;
        SENVEC_TRY(r->target->wait(r->target->context, r->start_ns + next_event(r, now), done, BATCH, &count, err));
        for (size_t i = 0; i < count; i++)
            settle(r, done[i].ticket, done[i].outcome, done[i].status, done[i].at_ns - r->start_ns);
        report_progress(r, now);
    }
}

/* What is still under way when a run ends early. */
static void abandon(run *r) {
    uint64_t now = now_of(r);
    for (size_t i = r->oldest; i < r->log->count; i++) {
        if (r->log->records[i].outcome != SV_LOAD_PENDING)
            continue;
        if (i < r->unsent)
            r->target->cancel(r->target->context, i);
        r->log->records[i].outcome = SV_LOAD_ABANDONED;
        r->log->records[i].done_ns = now;
    }
    if (now < r->log->window_end_ns)
        r->log->window_end_ns = now > r->log->window_begin_ns ? now : r->log->window_begin_ns;
}

senvec_status sv_load_run(const sv_load_plan *plan, const sv_workload *workload, const sv_load_target *target, sv_load_log *log,
                          senvec_error *err) {
    bool closed = plan->loop == SV_LOAD_CLOSED_LOOP;
    double expected = closed ? 0 : plan->rate * (plan->warmup_s + plan->duration_s);
    run r = {.plan = plan, .workload = workload, .target = target, .log = log};
    *log = (sv_load_log){.window_begin_ns = (uint64_t)(plan->warmup_s * (double)SV_NS_PER_S)};
    log->window_end_ns = r.end_ns = log->window_begin_ns + (uint64_t)(plan->duration_s * (double)SV_NS_PER_S);
    r.timeout_ns = (uint64_t)(plan->timeout_s * (double)SV_NS_PER_S);
    r.bound_ns = closed ? 0 : (uint64_t)(plan->bound_ms * 1e6);
    r.slow_allowed = (uint64_t)(plan->rate * plan->duration_s / 100);
    r.ready = plan->clients;
    sv_random_seed(&r.random, plan->seed);
    if (!closed)
        sv_arrivals_init(&r.arrivals, plan->loop == SV_LOAD_POISSON, plan->rate, sv_random_next(&r.random));
    /* Room for all of them beforehand: growing later would hold up the schedule. */
    senvec_status status =
        reserve(&r, expected * 1.05 + 1024 < most_requests(plan) ? (size_t)(expected * 1.05) + 1024 : most_requests(plan), err);
    r.rest_until = calloc(plan->clients + 1, sizeof *r.rest_until);
    if (status == SENVEC_OK && !r.rest_until)
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu clients", plan->clients);
    if (status == SENVEC_OK) {
        r.start_ns = target->now(target->context);
        status = loop(&r, err);
        abandon(&r);
    }
    free(r.requests);
    free(r.rest_until);
    return status;
}

void sv_load_log_release(sv_load_log *log) {
    free(log->records);
    *log = (sv_load_log){0};
}

const char *sv_load_outcome_text(sv_load_outcome outcome) {
    static const char *const texts[] = {
#define SV_LOAD_OUTCOME_TEXT(name, text) [name] = text,
        SV_LOAD_OUTCOME_MAP(SV_LOAD_OUTCOME_TEXT)
#undef SV_LOAD_OUTCOME_TEXT
    };
    return texts[outcome];
}
