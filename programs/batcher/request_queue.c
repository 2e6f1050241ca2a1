/* The queue's decisions.
 *
 * Classes (slo). A request of one text, or of a few that go into one small batch, is interactive; a larger one is bulk.
 * Interactive requests are taken first. Bulk gets all the time that they leave, and BULK_SHARE of it where they leave none.
 *
 * Order. A request is due at its base time plus SV_STRETCH times the time that its work takes; a heap for each class holds
 * requests by that. So within a class, too, smaller ones overtake larger ones, but not for ever. The base time is the arrival,
 * or earlier where the queue is late, plus the time that the client's own waiting work of the class takes, so that of several
 * clients who sends more waits longer. A bulk request that was begun is the first until a smaller one is due before it: few are
 * being computed at a time, and their vectors are all the memory that is needed. For the policies greedy and fixed the arrival
 * is the due time, and there is one class.
 *
 * Batch size (slo). A batch blocks its worker, so what arrives meanwhile waits for it: a quarter of the target at most. It
 * needn't be larger than what makes the fixed cost of a call small either. Bulk takes larger batches than that needs, an eighth
 * of the target, since more texts fill the kernels better, too. Below that, a worker takes as much of the waiting work as lets
 * all workers end at the same time, given when the busy ones are expected to, and a fixed cost's worth more, since a smaller
 * rest isn't worth a batch. An interactive text too long to go with the ones before it is passed over and comes first next
 * time.
 *
 * Admission (slo). The work that is due before the new job and what is being computed give the time at which it would be
 * complete; for interactive jobs the queue adds how late the latest percent of them has been (late_ns) and what the caller
 * needs before and after. It refuses if the sum is over what it promises: HEADROOM of max_wait, SV_BULK_PATIENCE times that for
 * bulk, or SV_STRETCH times the job's own time where that is more. */
#include "batcher/request_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const sv_policy_names[] = {
    [SV_POLICY_SLO] = "slo", [SV_POLICY_GREEDY] = "greedy", [SV_POLICY_FIXED] = "fixed", NULL};
const char *const sv_class_names[] = {[SV_CLASS_INTERACTIVE] = "interactive", [SV_CLASS_BULK] = "bulk", NULL};

#define QUANTUM_OF_TARGET 0.25
#define QUANTUM_LEAST_NS 1e6
#define FIXED_COSTS 16.0 /* an interactive batch takes this many times the fixed cost, which is then 6 % of it, ... */
#define BULK_FIXED_COSTS 64.0
#define BULK_OF_TARGET 0.125 /* ... and a bulk batch at least so much of the target */
#define BULK_SHARE 0.25
#define LATE_STEP 0.0002 /* of the target */
#define LATE_MOST 0.8    /* of the target */
#define SMALLEST_TEXT 3  /* tokens: [CLS], one, [SEP] */
#define HEADROOM 0.85    /* of max_wait is promised */
#define MAX_PASSED_OVER 16
#define START_AGAIN_NS 2000000 /* from a start that wasn't allowed to the next try */
#define CLIENT_PLACES 8        /* a client may have this many times as many requests as there are free places in the queue */
#define CLASS_PLACES 16        /* and a class this many */
#define LOOK_AT 256            /* waiting jobs, to sum up what comes before a new one */
#define RETRY_OF_WAIT 0.1      /* of max_wait is the soonest time to come back, ... */
#define RETRY_SOONEST_NS 1e9   /* ... and at most a second: many clients try only twice */
#define RETRY_MOST_NS 45e9     /* before jitter: openai-python doesn't wait for more than a minute */
#define RETRY_JITTER 0.25
#define NOWHERE SIZE_MAX

static double smaller(double a, double b) {
    return a < b ? a : b;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static uint64_t later(uint64_t time, double ns) {
    return ns <= 0 ? time : ns >= (double)(UINT64_MAX / 2) ? UINT64_MAX : time + (uint64_t)ns;
}

static uint64_t time_until(uint64_t from, uint64_t to) {
    return to > from ? to - from : 0;
}

/* ------------------------------------------------------------------- heap */

static bool before(const sv_job *a, const sv_job *b) {
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void put(sv_job **heap, size_t place, sv_job *job) {
    heap[place] = job;
    job->place = place;
}

static void sift_up(sv_job **heap, size_t place) {
    sv_job *job = heap[place];
    for (; place > 0 && before(job, heap[(place - 1) / 2]); place = (place - 1) / 2)
        put(heap, place, heap[(place - 1) / 2]);
    put(heap, place, job);
}

static void sift_down(sv_job **heap, size_t size, size_t place) {
    sv_job *job = heap[place];
    for (size_t child; (child = 2 * place + 1) < size; place = child) {
        if (child + 1 < size && before(heap[child + 1], heap[child]))
            child++;
        if (before(job, heap[child]))
            break;
        put(heap, place, heap[child]);
    }
    put(heap, place, job);
}

static void heap_add(sv_queue *queue, sv_job *job) {
    sv_job **heap = queue->heaps[job->class];
    put(heap, queue->counts.waiting_jobs[job->class]++, job);
    sift_up(heap, job->place);
}

static void heap_remove(sv_queue *queue, sv_job *job) {
    sv_job **heap = queue->heaps[job->class];
    size_t place = job->place, size = --queue->counts.waiting_jobs[job->class];
    sv_job *last = heap[size];
    job->place = NOWHERE;
    if (last == job)
        return;
    put(heap, place, last);
    sift_up(heap, place);
    sift_down(heap, size, last->place);
}

/* The job of a class that is due first; NULL: none waits. */
static sv_job *first_of(const sv_queue *queue, sv_class class) {
    return queue->counts.waiting_jobs[class] > 0 ? queue->heaps[class][0] : NULL;
}

/* -------------------------------------------------------------- estimates */

double sv_queue_work_of(const sv_queue *queue, const sv_job *job, size_t text) {
    return job->scale > 0 ? job->scale * sv_work_of_text(job->square_cost, job->lengths[text])
                          : sv_work_of_text(queue->options.square_cost, job->lengths[text]);
}

/* How long a batch may take. */
static double quantum_ns(const sv_queue *queue, sv_class class) {
    double target = (double)queue->options.target_ns, fixed = queue->counts.cost.fixed_ns;
    double least = class == SV_CLASS_BULK ? BULK_OF_TARGET * target : QUANTUM_LEAST_NS;
    double useful = (class == SV_CLASS_BULK ? BULK_FIXED_COSTS : FIXED_COSTS) * fixed;
    return smaller(larger(useful, least), QUANTUM_OF_TARGET * target);
}

/* Nanoseconds of one worker for a unit of work under load, its part of the fixed cost included. */
static double loaded_ns(const sv_queue *queue) {
    const sv_cost_model *cost = &queue->counts.cost;
    double quantum = quantum_ns(queue, SV_CLASS_INTERACTIVE);
    double work = (quantum - cost->fixed_ns) / cost->per_work_ns;
    return work > SMALLEST_TEXT ? quantum / work : sv_cost_predict(cost, SMALLEST_TEXT) / SMALLEST_TEXT;
}

/* What a request takes on an idle machine. */
static double own_ns(const sv_queue *queue, double work, double longest) {
    double alone = sv_cost_predict(&queue->counts.cost, longest);
    double shared = queue->counts.cost.fixed_ns + work * loaded_ns(queue) / (double)queue->options.workers;
    return larger(alone, shared);
}

/* Waiting work that is taken before a job of `class` that is due at `key`. Of many jobs each n-th is looked at. */
static double work_before(const sv_queue *queue, sv_class class, uint64_t key) {
    double before = 0, seen = 0;
    size_t count = queue->counts.waiting_jobs[class], step = count / LOOK_AT + 1;
    for (size_t i = 0; i < count; i += step) {
        const sv_job *job = queue->heaps[class][i];
        double left = job->work - job->taken_work;
        seen += left;
        before += job->key <= key ? left : 0;
    }
    if (step > 1)
        before *= queue->counts.waiting_work[class] / seen;
    return before + (class == SV_CLASS_BULK ? queue->counts.waiting_work[SV_CLASS_INTERACTIVE] : 0);
}

/* Nanoseconds from now until `ahead` nanoseconds of work are done by the workers, who become free at different times: the level
 * to which that work fills them up. */
static double fill_up(const sv_queue *queue, uint64_t now, double ahead) {
    double sum = 0, level = 0, free_in[SV_MAX_THREADS];
    size_t workers = queue->options.workers;
    for (size_t slot = 0; slot < workers; slot++) { /* insertion sort, ascending */
        double value = (double)time_until(now, queue->running_until[slot]);
        size_t place = slot;
        for (; place > 0 && free_in[place - 1] > value; place--)
            free_in[place] = free_in[place - 1];
        free_in[place] = value;
    }
    for (size_t used = 1; used <= workers; used++) {
        sum += free_in[used - 1];
        level = (sum + ahead) / (double)used;
        if (used == workers || level <= free_in[used])
            break;
    }
    return level;
}

/* Until a job is begun that has `before` waiting before it: the workers take all of that and then the job. */
static double wait_ns(const sv_queue *queue, uint64_t now, sv_class class, double before) {
    double ahead = before * loaded_ns(queue);
    if (class == SV_CLASS_INTERACTIVE && queue->counts.waiting_jobs[SV_CLASS_BULK] > 0)
        ahead /= 1 - BULK_SHARE;
    return fill_up(queue, now, ahead);
}

/* --------------------------------------------------------------- fairness */

static size_t client_slot(uint64_t client) {
    return (size_t)((client * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % SV_QUEUE_CLIENTS;
}

/* Due times of a class that have been served: now, or earlier if what is due comes late. */
static uint64_t served_until(const sv_queue *queue, sv_class class, uint64_t now) {
    const sv_job *first = first_of(queue, class);
    return first && first->key < now ? first->key : now;
}

/* When a job that came now is due: after the client's own waiting work, as if it had the machine for itself. Each class is
 * counted apart, so that small requests needn't wait for what the same client (or all that come through one proxy) has queued
 * as bulk. The end of that work was written down when it came (`after`) rather than counted anew, so that a change of the cost
 * model doesn't put a client's requests in another order; only what was cancelled makes it wrong, hence the upper bound.
 *
 * Several clients that each send as much as the machine can do are promised more than it can do, and all come late. A client
 * that has nothing waiting hasn't caused that, so its time begins where theirs stands. */
static void set_due_time(const sv_queue *queue, sv_job *job, uint64_t now) {
    size_t slot = client_slot(job->client);
    double ns = loaded_ns(queue) / (double)queue->options.workers, own = job->work * ns;
    uint64_t base = served_until(queue, job->class, now);
    uint64_t most = later(base, 2 * ns * queue->clients[slot].waiting_work[job->class]);
    if (queue->clients[slot].after[job->class] > base)
        base = queue->clients[slot].after[job->class] < most ? queue->clients[slot].after[job->class] : most;
    job->after = later(base, own);
    job->key = later(base, SV_STRETCH * own);
    if (job->deadline) {
        uint64_t latest = time_until((uint64_t)(job->work * queue->counts.cost.per_work_ns), job->deadline);
        job->key = latest < job->key ? latest : job->key; /* it must be begun then */
    }
}

static void count_waiting(sv_queue *queue, const sv_job *job, double work) {
    queue->counts.waiting_work[job->class] += work;
    queue->clients[client_slot(job->client)].waiting_work[job->class] += work;
}

/* -------------------------------------------------------------- admission */

static double next_random(sv_queue *queue) {
    queue->random = queue->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(queue->random >> 33) / (double)(UINT64_C(1) << 31);
}

/* When a request that is refused may come back: when there is room for it, and for those that were sent away before it. No
 * later than after max_wait, though: it isn't known whether those come back. */
static uint64_t appoint(sv_queue *queue, double room_ns, double work, uint64_t now) {
    double horizon = smaller((double)queue->options.max_wait_ns, RETRY_MOST_NS);
    double soonest = smaller(RETRY_OF_WAIT * horizon, RETRY_SOONEST_NS);
    double in = larger(smaller((double)time_until(now, queue->appointed), horizon), larger(room_ns, soonest));
    in = smaller(in, RETRY_MOST_NS);
    queue->appointed = later(now, in + work * loaded_ns(queue) / (double)queue->options.workers);
    return (uint64_t)(in * (1 + RETRY_JITTER * next_random(queue))) + 1;
}

uint64_t sv_queue_retry_ns(sv_queue *queue, double room_ns, uint64_t now) {
    return appoint(queue, room_ns, SMALLEST_TEXT, now);
}

/* Fills in what the queue keeps of a job, or says why it is refused; *room_ns is then when it wouldn't be. */
static sv_admission judge(const sv_queue *queue, sv_job *job, uint64_t now, double *room_ns) {
    double longest = 0;
    job->work = 0;
    for (size_t i = 0; i < job->count; i++) {
        double work = sv_queue_work_of(queue, job, i);
        longest = larger(longest, work);
        job->work += work;
    }
    double own = own_ns(queue, job->work, longest);
    if (queue->options.policy != SV_POLICY_SLO) {
        job->class = SV_CLASS_INTERACTIVE;
        job->large = false;
        job->key = job->after = now;
        job->predicted = later(now, wait_ns(queue, now, job->class, queue->counts.waiting_work[job->class]) + own);
        return SV_ADMITTED;
    }
    job->large = job->work * queue->counts.cost.per_work_ns > quantum_ns(queue, SV_CLASS_INTERACTIVE);
    bool small = job->count == 1 || (!job->large && job->count <= SV_INTERACTIVE_TEXTS);
    job->class = small ? SV_CLASS_INTERACTIVE : SV_CLASS_BULK;
    set_due_time(queue, job, now);
    double promise = HEADROOM * (double)queue->options.max_wait_ns * (job->class == SV_CLASS_BULK ? SV_BULK_PATIENCE : 1);
    promise = larger(promise, SV_STRETCH * own);
    double margin = job->class == SV_CLASS_BULK ? 0 : queue->counts.late_ns + (double)job->outside_ns;
    double wait = wait_ns(queue, now, job->class, work_before(queue, job->class, job->key));
    job->predicted = later(now, wait + own);
    if (job->deadline && job->predicted > job->deadline)
        return SV_REFUSED_DEADLINE;
    double over = wait + own + margin - promise;
    if (over <= 0 || wait <= 0)
        return SV_ADMITTED;
    *room_ns = smaller(over, wait);
    return SV_REFUSED_WAIT;
}

/* Is there a place for one more request? A client that has many in the queue leaves some places to others, and so does a
 * class. */
static bool has_place(const sv_queue *queue, uint64_t client) {
    size_t free_places = queue->options.max_jobs - queue->counts.jobs;
    return queue->clients[client_slot(client)].jobs < CLIENT_PLACES * free_places;
}

static bool has_place_in_class(const sv_queue *queue, sv_class class) {
    size_t free_places = queue->options.max_jobs - queue->counts.jobs;
    return queue->counts.waiting_jobs[class] < CLASS_PLACES * free_places;
}

/* Until so many texts have room. */
static double room_for_texts_ns(const sv_queue *queue, size_t count, uint64_t now) {
    double all = queue->counts.waiting_work[SV_CLASS_INTERACTIVE] + queue->counts.waiting_work[SV_CLASS_BULK];
    double surplus = (double)(queue->counts.texts + count) - (double)queue->options.max_texts;
    return wait_ns(queue, now, SV_CLASS_BULK, all * surplus / (double)queue->counts.texts);
}

/* Counts a refusal, and fills in what the caller is told. */
static sv_admission refuse(sv_queue *queue, sv_admission why, double room_ns, double work, uint64_t now, uint64_t *retry_ns) {
    queue->counts.refused[why]++;
    bool for_ever = why == SV_REFUSED_DEADLINE || why == SV_REFUSED_SIZE;
    *retry_ns = for_ever ? 0 : appoint(queue, room_ns, work, now);
    return why;
}

sv_admission sv_queue_admit(sv_queue *queue, sv_job *job, uint64_t now, uint64_t *retry_ns) {
    sv_queue_counts *counts = &queue->counts;
    assert(job->count >= 1);
    double room_ns = 0;
    *retry_ns = 0;
    job->arrival = now;
    job->start = 0;
    job->taken_work = 0;
    job->taken = job->returned = 0;
    job->cancelled = job->expired = false;
    sv_admission admission = judge(queue, job, now, &room_ns);
    if (job->count > queue->options.max_texts) {
        admission = SV_REFUSED_SIZE;
    } else if (!has_place(queue, job->client) || !has_place_in_class(queue, job->class)) {
        admission = SV_REFUSED_REQUESTS;
    } else if (counts->texts + job->count > queue->options.max_texts) {
        admission = SV_REFUSED_TEXTS;
        room_ns = room_for_texts_ns(queue, job->count, now);
    }
    if (admission != SV_ADMITTED)
        return refuse(queue, admission, room_ns, job->work, now, retry_ns);
    job->sequence = queue->sequence++;
    job->inside = true;
    counts->admitted++;
    counts->jobs++;
    counts->texts += job->count;
    counts->clients += queue->clients[client_slot(job->client)].jobs++ == 0;
    if (job->deadline && job->deadline < queue->next_expiry)
        queue->next_expiry = job->deadline;
    queue->clients[client_slot(job->client)].after[job->class] = job->after;
    count_waiting(queue, job, job->work);
    heap_add(queue, job);
    return SV_ADMITTED;
}

sv_admission sv_queue_is_full(sv_queue *queue, uint64_t client, uint64_t now, uint64_t *retry_ns) {
    *retry_ns = 0;
    if (!has_place(queue, client))
        return refuse(queue, SV_REFUSED_REQUESTS, 0, SMALLEST_TEXT, now, retry_ns);
    if (queue->counts.texts >= queue->options.max_texts)
        return refuse(queue, SV_REFUSED_TEXTS, room_for_texts_ns(queue, 1, now), SMALLEST_TEXT, now, retry_ns);
    return SV_ADMITTED;
}

uint64_t sv_queue_wait_ns(const sv_queue *queue, uint64_t now) {
    uint64_t key = later(served_until(queue, SV_CLASS_INTERACTIVE, now), SV_STRETCH * SMALLEST_TEXT * loaded_ns(queue));
    return (uint64_t)wait_ns(queue, now, SV_CLASS_INTERACTIVE, work_before(queue, SV_CLASS_INTERACTIVE, key));
}

/* ---------------------------------------------------------------- batches */

typedef struct share {
    size_t texts; /* at most */
    double ns;    /* of predicted time at most, but at least one text */
} share;

/* Whose turn it is; some job waits. */
static sv_class next_class(const sv_queue *queue) {
    if (queue->counts.waiting_jobs[SV_CLASS_BULK] == 0)
        return SV_CLASS_INTERACTIVE;
    bool owed = queue->owed_ns >= quantum_ns(queue, SV_CLASS_BULK);
    return owed || queue->counts.waiting_jobs[SV_CLASS_INTERACTIVE] == 0 ? SV_CLASS_BULK : SV_CLASS_INTERACTIVE;
}

/* A batch of `class` is taken that takes `ns`. */
static void keep_account(sv_queue *queue, sv_class class, double ns) {
    queue->owed_ns += class == SV_CLASS_BULK ? -ns : ns * BULK_SHARE / (1 - BULK_SHARE);
    if (queue->owed_ns < 0 || queue->counts.waiting_jobs[SV_CLASS_BULK] == 0)
        queue->owed_ns = 0;
}

/* What the next batch may hold; no texts: nothing to do before *look_again. */
static share share_of_worker(const sv_queue *queue, sv_class class, uint64_t now, uint64_t *look_again) {
    share most = {SV_MAX_BATCH_TEXTS, (double)UINT64_MAX};
    switch (queue->options.policy) {
    case SV_POLICY_SLO: {
        const sv_cost_model *cost = &queue->counts.cost;
        double level = fill_up(queue, now, cost->per_work_ns * queue->counts.waiting_work[class]);
        most.ns = smaller(level + 2 * cost->fixed_ns, quantum_ns(queue, class)); /* a fixed cost of its own, and one more */
        break;
    }
    case SV_POLICY_GREEDY:
        break;
    case SV_POLICY_FIXED:
        most.texts = SV_FIXED_TEXTS;
        *look_again = later(first_of(queue, class)->arrival, (double)SV_FIXED_WAIT_NS);
        if (queue->counts.texts < SV_FIXED_TEXTS && now < *look_again)
            most.texts = 0;
        break;
    }
    return most;
}

static void take_text(sv_queue *queue, sv_job *job, sv_batch *batch) {
    double work = sv_queue_work_of(queue, job, job->taken);
    batch->items[batch->count++] = (sv_batch_item){job, job->taken};
    batch->work += work;
    if (job->taken == 0)
        job->start = batch->start;
    job->taken++;
    job->taken_work += work;
    queue->counts.texts--;
    count_waiting(queue, job, -work);
    if (job->taken == job->count)
        heap_remove(queue, job);
}

static bool may_start(const sv_queue *queue, sv_job *job) {
    return job->taken > 0 || !queue->options.may_start || queue->options.may_start(queue->options.context, job);
}

/* Of the jobs that were begun, the one that is due first; NULL: there is none. */
static sv_job *first_begun(const sv_queue *queue, sv_class class) {
    sv_job *first = NULL;
    for (size_t i = 0; i < queue->counts.waiting_jobs[class]; i++) {
        sv_job *job = queue->heaps[class][i];
        if (job->taken > 0 && (!first || before(job, first)))
            first = job;
    }
    return first;
}

/* Takes texts of `class` into an empty batch; false: none can be taken. No bulk request is begun only because the next text of
 * the one before it doesn't fit: it would take memory for its vectors long before its time. */
static bool fill(sv_queue *queue, sv_class class, share most, sv_batch *batch) {
    const sv_cost_model *cost = &queue->counts.cost;
    sv_job *aside[MAX_PASSED_OVER], *job;
    size_t passed = 0;
    while ((job = first_of(queue, class)) && batch->count < most.texts && passed < MAX_PASSED_OVER) {
        if (batch->count > 0 && job->large && !batch->items[0].job->large)
            break; /* a small request doesn't wait for company that isn't due before it */
        double with = sv_cost_predict(cost, batch->work + sv_queue_work_of(queue, job, job->taken));
        bool fits = batch->count == 0 || with <= most.ns;
        if (fits && may_start(queue, job))
            take_text(queue, job, batch);
        else if (fits || (class == SV_CLASS_INTERACTIVE && sv_cost_predict(cost, batch->work + SMALLEST_TEXT) <= most.ns))
            heap_remove(queue, aside[passed++] = job);
        else
            break;
    }
    while (passed > 0)
        heap_add(queue, aside[--passed]);
    if (batch->count == 0 && (job = first_begun(queue, class)))
        take_text(queue, job, batch);
    return batch->count > 0;
}

bool sv_queue_take(sv_queue *queue, uint64_t now, sv_batch *batch, uint64_t *look_again) {
    *look_again = UINT64_MAX;
    if (queue->counts.texts == 0)
        return false;
    assert(queue->counts.running < queue->options.workers);
    sv_class class = next_class(queue);
    share most = share_of_worker(queue, class, now, look_again);
    if (most.texts == 0)
        return false;
    *batch = (sv_batch){.start = now};
    if (!fill(queue, class, most, batch)) { /* what waits for a start doesn't keep the other class */
        class = class == SV_CLASS_BULK ? SV_CLASS_INTERACTIVE : SV_CLASS_BULK;
        if (queue->counts.waiting_jobs[class] == 0 ||
            !fill(queue, class, share_of_worker(queue, class, now, look_again), batch)) {
            *look_again = now + START_AGAIN_NS;
            return false;
        }
    }
    while (queue->running_until[batch->slot] != 0)
        batch->slot++;
    double ns = sv_cost_predict(&queue->counts.cost, batch->work);
    keep_account(queue, class, ns);
    batch->expected_end = later(now, ns);
    queue->running_until[batch->slot] = batch->expected_end;
    queue->counts.running++;
    return true;
}

/* The job leaves the queue. */
static void hand_back(sv_queue *queue, sv_job *job, sv_job **list) {
    job->inside = false;
    queue->counts.answered += !job->cancelled;
    queue->counts.cancelled += job->cancelled && !job->expired;
    queue->counts.expired += job->expired;
    queue->counts.jobs--;
    queue->counts.clients -= --queue->clients[client_slot(job->client)].jobs == 0;
    job->next = *list;
    *list = job;
}

void sv_track_quantile(double *tracked, double value, double step, double most) {
    *tracked += value > *tracked ? 99 * step : -step;
    *tracked = *tracked < 0 ? 0 : *tracked > most ? most : *tracked;
}

sv_job *sv_queue_return(sv_queue *queue, const sv_batch *batch, uint64_t now) {
    sv_job *list = NULL;
    uint64_t took = time_until(batch->start + batch->beside_ns, now);
    queue->running_until[batch->slot] = 0;
    queue->counts.running--;
    queue->counts.batches++;
    queue->counts.batch_texts += batch->count;
    if (batch->work > 0)
        sv_cost_learn(&queue->counts.cost, batch->work, (double)took);
    for (size_t i = 0; i < batch->count; i++) {
        sv_job *job = batch->items[i].job;
        job->returned++;
        if (job->returned < (job->cancelled ? job->taken : job->count))
            continue;
        double target = (double)queue->options.target_ns, late = (double)now - (double)job->predicted;
        if (!job->cancelled && job->class == SV_CLASS_INTERACTIVE)
            sv_track_quantile(&queue->counts.late_ns, late, LATE_STEP * target, LATE_MOST * target);
        hand_back(queue, job, &list);
    }
    return list;
}

/* ----------------------------------------------------------- cancellation */

/* Takes what waits of the job out of the queue; true if nothing of it is being computed. */
static bool withdraw(sv_queue *queue, sv_job *job) {
    job->cancelled = true;
    if (job->place != NOWHERE) {
        heap_remove(queue, job);
        queue->counts.texts -= job->count - job->taken;
        count_waiting(queue, job, job->taken_work - job->work);
    }
    return job->returned == job->taken;
}

bool sv_queue_cancel(sv_queue *queue, sv_job *job) {
    sv_job *list = NULL;
    if (!job->inside || job->cancelled)
        return false;
    bool idle = withdraw(queue, job);
    if (idle)
        hand_back(queue, job, &list);
    return idle;
}

static bool has_expired(const sv_job *job, uint64_t now) {
    return job->deadline && now >= job->deadline;
}

static void look_at(sv_queue *queue, const sv_job *job) {
    if (job->deadline && job->deadline < queue->next_expiry)
        queue->next_expiry = job->deadline;
}

/* A removal puts the heap's last job into the gap, or above it, where it wouldn't be seen any more. So the last one is looked
 * at first. */
static void expire(sv_queue *queue, sv_class class, uint64_t now, sv_job **list) {
    const size_t *size = &queue->counts.waiting_jobs[class];
    for (size_t i = 0; i < *size;) {
        sv_job *job = queue->heaps[class][i], *last = queue->heaps[class][*size - 1];
        if (!has_expired(job, now)) {
            look_at(queue, job);
            i++;
            continue;
        }
        if (has_expired(last, now))
            job = last;
        else
            look_at(queue, last);
        job->expired = true;
        if (withdraw(queue, job))
            hand_back(queue, job, list);
    }
}

sv_job *sv_queue_expire(sv_queue *queue, uint64_t now) {
    sv_job *list = NULL;
    if (now < queue->next_expiry)
        return NULL;
    queue->next_expiry = UINT64_MAX;
    for (sv_class class = 0; class < SV_CLASSES; class ++)
        expire(queue, class, now, &list);
    return list;
}

/* ------------------------------------------------------------- life cycle */

senvec_status sv_queue_init(sv_queue *queue, const sv_queue_options *options, senvec_error *err) {
    assert(options->workers >= 1 && options->workers <= SV_MAX_THREADS && options->max_jobs >= 1);
    *queue = (sv_queue){.options = *options};
    sv_cost_init(&queue->counts.cost, options->fixed_ns, options->per_work_ns);
    queue->next_expiry = UINT64_MAX;
    queue->random = options->seed;
    for (sv_class class = 0; class < SV_CLASSES; class ++)
        queue->heaps[class] = calloc(options->max_jobs, sizeof *queue->heaps[class]);
    if (queue->heaps[SV_CLASS_INTERACTIVE] && queue->heaps[SV_CLASS_BULK])
        return SENVEC_OK;
    sv_queue_release(queue);
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a queue of %zu requests", options->max_jobs);
}

void sv_queue_release(sv_queue *queue) {
    for (sv_class class = 0; class < SV_CLASSES; class ++)
        free(queue->heaps[class]);
    *queue = (sv_queue){0};
}
