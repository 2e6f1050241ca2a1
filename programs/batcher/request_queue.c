/* The queue's decisions.
 *
 * Order. Each text has a due time: its job's base time plus SV_STRETCH times the time that the job's work takes up to and
 * including this text. So a small request overtakes the later parts of a large one, and a large one still gets a quarter of the
 * machine however many small ones come. The base time is the arrival, or earlier where the queue is late, plus the time that
 * the client's own waiting work takes, so that of several clients who sends more waits longer. A heap holds the jobs by the due
 * time of their next text. For the policies greedy and fixed the arrival is the due time.
 *
 * Batch size (slo). A batch blocks its worker, so what arrives meanwhile waits for it: a quantum of a quarter of the target at
 * most. It needn't be larger than what makes the fixed cost of a call small either. Below the quantum, the waiting work is
 * shared by the workers that are free. A text too long to go with the ones before it is passed over and comes first next time.
 * A batch that begins with a small request holds no texts of large ones: they would double the time that it takes.
 *
 * Admission (slo). The work that is due before the new job and what is being computed give the time at which it would be
 * complete; to that the queue adds how late the latest percent of jobs has been (late_ns) and what the caller needs before and
 * after, and refuses if the sum is over what it promises: 85 % of the target, or SV_STRETCH times the job's own time
 * where that is more. */
#include "batcher/request_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const sv_policy_names[] = {
    [SV_POLICY_SLO] = "slo", [SV_POLICY_GREEDY] = "greedy", [SV_POLICY_FIXED] = "fixed", NULL};

#define QUANTUM_OF_TARGET 0.25
#define QUANTUM_FIXED_COSTS 16.0 /* times the fixed cost: the call's overhead is then 6 % */
#define QUANTUM_LEAST_NS 1e6
#define LATE_STEP 0.0002 /* of the target */
#define LATE_MOST 0.8    /* of the target */
#define SMALLEST_TEXT 3  /* tokens: [CLS], one, [SEP] */
#define HEADROOM 0.85    /* of the target is promised */
#define MAX_PASSED_OVER 16
#define NOWHERE SIZE_MAX

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

static void put(sv_queue *queue, size_t place, sv_job *job) {
    queue->heap[place] = job;
    job->place = place;
}

static void sift_up(sv_queue *queue, size_t place) {
    sv_job *job = queue->heap[place];
    for (; place > 0 && before(job, queue->heap[(place - 1) / 2]); place = (place - 1) / 2)
        put(queue, place, queue->heap[(place - 1) / 2]);
    put(queue, place, job);
}

static void sift_down(sv_queue *queue, size_t place) {
    sv_job *job = queue->heap[place];
    for (size_t child; (child = 2 * place + 1) < queue->heap_size; place = child) {
        if (child + 1 < queue->heap_size && before(queue->heap[child + 1], queue->heap[child]))
            child++;
        if (before(job, queue->heap[child]))
            break;
        put(queue, place, queue->heap[child]);
    }
    put(queue, place, job);
}

static void heap_add(sv_queue *queue, sv_job *job) {
    put(queue, queue->heap_size++, job);
    sift_up(queue, job->place);
}

static void heap_remove(sv_queue *queue, sv_job *job) {
    size_t place = job->place;
    sv_job *last = queue->heap[--queue->heap_size];
    job->place = NOWHERE;
    if (last == job)
        return;
    put(queue, place, last);
    sift_up(queue, place);
    sift_down(queue, last->place);
}

/* -------------------------------------------------------------- estimates */

static double work_of(const sv_queue *queue, const sv_job *job, size_t text) {
    return sv_work_of_text(queue->options.square_cost, job->lengths[text]);
}

/* When the job's next text is due. */
static uint64_t due_of(const sv_queue *queue, const sv_job *job) {
    return later(job->base, job->pace * (job->taken_work + work_of(queue, job, job->taken)));
}

/* How long a batch may take. */
static double quantum_ns(const sv_queue *queue) {
    double most = QUANTUM_OF_TARGET * (double)queue->options.target_ns;
    double useful = QUANTUM_FIXED_COSTS * queue->counts.cost.fixed_ns;
    if (useful < QUANTUM_LEAST_NS)
        useful = QUANTUM_LEAST_NS;
    return useful < most ? useful : most;
}

/* Nanoseconds of one worker for a unit of work under load, its part of the fixed cost included. */
static double loaded_ns(const sv_queue *queue) {
    const sv_cost_model *cost = &queue->counts.cost;
    double quantum = quantum_ns(queue);
    double work = (quantum - cost->fixed_ns) / cost->per_work_ns;
    return work > SMALLEST_TEXT ? quantum / work : sv_cost_predict(cost, SMALLEST_TEXT) / SMALLEST_TEXT;
}

/* What a request takes on an idle machine. */
static double own_ns(const sv_queue *queue, double work, double longest) {
    double alone = sv_cost_predict(&queue->counts.cost, longest);
    double shared = queue->counts.cost.fixed_ns + work * loaded_ns(queue) / (double)queue->options.workers;
    return alone > shared ? alone : shared;
}

/* Work of `job` that is due before `key`. */
static double work_before(const sv_job *job, uint64_t key) {
    double left = job->work - job->taken_work;
    if (job->key > key)
        return 0;
    if (job->pace <= 0)
        return left;
    double due = (double)time_until(job->base, key) / job->pace - job->taken_work;
    return due < left ? due : left;
}

/* Until work that is due at `key` is begun: the workers, free at different times, take all that is due before it and then it.
 * That is the level to which `ahead` fills them up. */
static double wait_ns(const sv_queue *queue, uint64_t now, uint64_t key) {
    double ahead = 0, sum = 0, level = 0, free_in[SV_MAX_THREADS];
    size_t workers = queue->options.workers;
    for (size_t i = 0; i < queue->heap_size; i++)
        ahead += work_before(queue->heap[i], key);
    ahead *= loaded_ns(queue);
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

uint64_t sv_queue_wait_ns(const sv_queue *queue, uint64_t now) {
    return (uint64_t)wait_ns(queue, now, now + queue->options.target_ns);
}

/* --------------------------------------------------------------- fairness */

static size_t client_slot(uint64_t client) {
    return (size_t)((client * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % SV_QUEUE_CLIENTS;
}

/* Due times that have been served: now, or earlier if what is due comes late. */
static uint64_t served_until(const sv_queue *queue, uint64_t now) {
    uint64_t due = queue->heap_size > 0 ? due_of(queue, queue->heap[0]) : now;
    return due < now ? due : now;
}

/* When a job that came now is based: after the client's own waiting work, as if it had the machine for itself. Small requests
 * and large ones are counted apart, so that small ones needn't wait for what the same client (or all that come through one
 * proxy) has queued as large ones. By one target at most, since clients that share a slot pay for each other.
 *
 * Several clients that each send as much as the machine can do are promised more than it can do, and all come late. A client
 * that has nothing waiting hasn't caused that, so its time begins where theirs stands. */
static uint64_t base_for(const sv_queue *queue, const sv_job *job, uint64_t now) {
    double waiting = queue->clients[client_slot(job->client)].waiting_work[job->large];
    uint64_t from = served_until(queue, now);
    uint64_t base = later(from, waiting * loaded_ns(queue) / (double)queue->options.workers);
    uint64_t most = from + queue->options.target_ns;
    return base < most ? base : most;
}

static void count_waiting(sv_queue *queue, const sv_job *job, double work) {
    queue->counts.waiting_work += work;
    queue->clients[client_slot(job->client)].waiting_work[job->large] += work;
}

/* -------------------------------------------------------------- admission */

/* Where the job's next text stands in the heap: when it is due, or when it must be begun for the job's deadline. */
static uint64_t key_of(const sv_queue *queue, const sv_job *job) {
    if (queue->options.policy != SV_POLICY_SLO)
        return job->arrival;
    uint64_t key = due_of(queue, job);
    if (job->deadline) {
        uint64_t left = (uint64_t)((job->work - job->taken_work) * queue->counts.cost.per_work_ns);
        uint64_t latest = time_until(left, job->deadline);
        key = latest < key ? latest : key;
    }
    return key;
}

/* Fills in what the queue keeps of a job; false if it would come too late. */
static sv_admission judge(const sv_queue *queue, sv_job *job, uint64_t now, uint64_t *retry_ns) {
    double longest = 0;
    job->work = 0;
    for (size_t i = 0; i < job->count; i++) {
        double work = work_of(queue, job, i);
        longest = work > longest ? work : longest;
        job->work += work;
    }
    if (queue->options.policy != SV_POLICY_SLO) {
        job->base = now;
        job->pace = 0;
        job->predicted = later(now, wait_ns(queue, now, now) + own_ns(queue, job->work, longest));
        return SV_ADMITTED;
    }
    job->large = job->work * queue->counts.cost.per_work_ns > quantum_ns(queue);
    job->base = base_for(queue, job, now);
    job->pace = SV_STRETCH * loaded_ns(queue) / (double)queue->options.workers;
    double own = own_ns(queue, job->work, longest);
    double wait = wait_ns(queue, now, later(job->base, job->pace * job->work));
    double takes = wait + own;
    job->predicted = later(now, takes);
    if (job->deadline && later(now, takes) > job->deadline)
        return SV_REFUSED_DEADLINE;
    double promise = SV_STRETCH * own;
    double least = HEADROOM * (double)queue->options.target_ns;
    promise = promise > least ? promise : least;
    double over = takes + queue->counts.late_ns + (double)job->outside_ns - promise;
    if (over > 0 && wait > 0) {
        *retry_ns = (uint64_t)(over < wait ? over : wait);
        return SV_REFUSED_BUSY;
    }
    return SV_ADMITTED;
}

static sv_admission refuse(sv_queue *queue, sv_admission why) {
    queue->counts.refused_busy += why == SV_REFUSED_BUSY;
    queue->counts.refused_deadline += why == SV_REFUSED_DEADLINE;
    queue->counts.refused_size += why == SV_REFUSED_SIZE;
    return why;
}

sv_admission sv_queue_admit(sv_queue *queue, sv_job *job, uint64_t now, uint64_t *retry_ns) {
    sv_queue_counts *counts = &queue->counts;
    assert(job->count >= 1);
    *retry_ns = 0;
    if (job->count > queue->options.max_texts)
        return refuse(queue, SV_REFUSED_SIZE);
    if (counts->jobs == queue->options.max_jobs || job->count > queue->options.max_texts - counts->texts) {
        *retry_ns = (uint64_t)wait_ns(queue, now, UINT64_MAX);
        return refuse(queue, SV_REFUSED_BUSY);
    }
    job->arrival = now;
    job->start = 0;
    job->taken_work = 0;
    job->taken = job->returned = 0;
    job->cancelled = job->expired = false;
    sv_admission admission = judge(queue, job, now, retry_ns);
    if (admission != SV_ADMITTED)
        return refuse(queue, admission);
    job->sequence = queue->sequence++;
    job->key = key_of(queue, job);
    job->inside = true;
    counts->admitted++;
    counts->jobs++;
    counts->texts += job->count;
    counts->clients += queue->clients[client_slot(job->client)].jobs++ == 0;
    count_waiting(queue, job, job->work);
    heap_add(queue, job);
    return SV_ADMITTED;
}

bool sv_queue_is_full(const sv_queue *queue, uint64_t client, uint64_t outside_ns, uint64_t now, uint64_t *retry_ns) {
    const uint32_t smallest = SMALLEST_TEXT;
    sv_job job = {.lengths = &smallest, .count = 1, .client = client, .outside_ns = outside_ns};
    *retry_ns = 0;
    if (queue->counts.jobs == queue->options.max_jobs || queue->counts.texts == queue->options.max_texts) {
        *retry_ns = (uint64_t)wait_ns(queue, now, UINT64_MAX);
        return true;
    }
    return judge(queue, &job, now, retry_ns) == SV_REFUSED_BUSY;
}

/* ---------------------------------------------------------------- batches */

typedef struct share {
    size_t texts; /* at most */
    double ns;    /* of predicted time at most, but at least one text */
} share;

/* What the next batch may hold; no texts: nothing to do before *look_again. */
static share share_of_worker(const sv_queue *queue, uint64_t now, uint64_t *look_again) {
    share most = {SV_MAX_BATCH_TEXTS, (double)UINT64_MAX};
    switch (queue->options.policy) {
    case SV_POLICY_SLO: {
        double idle = (double)(queue->options.workers - queue->counts.running);
        most.ns = sv_cost_predict(&queue->counts.cost, queue->counts.waiting_work / idle);
        double quantum = quantum_ns(queue);
        most.ns = most.ns < quantum ? most.ns : quantum;
        break;
    }
    case SV_POLICY_GREEDY:
        break;
    case SV_POLICY_FIXED:
        most.texts = SV_FIXED_TEXTS;
        *look_again = later(queue->heap[0]->arrival, (double)SV_FIXED_WAIT_NS);
        if (queue->counts.texts < SV_FIXED_TEXTS && now < *look_again)
            most.texts = 0;
        break;
    }
    return most;
}

static void take_text(sv_queue *queue, sv_job *job, sv_batch *batch) {
    double work = work_of(queue, job, job->taken);
    batch->items[batch->count++] = (sv_batch_item){job, job->taken};
    batch->work += work;
    if (job->taken == 0)
        job->start = batch->start;
    job->taken++;
    job->taken_work += work;
    queue->counts.texts--;
    count_waiting(queue, job, -work);
    if (job->taken == job->count) {
        heap_remove(queue, job);
        return;
    }
    job->key = key_of(queue, job);
    sift_down(queue, job->place);
}

bool sv_queue_take(sv_queue *queue, uint64_t now, sv_batch *batch, uint64_t *look_again) {
    *look_again = UINT64_MAX;
    if (queue->heap_size == 0)
        return false;
    assert(queue->counts.running < queue->options.workers);
    share most = share_of_worker(queue, now, look_again);
    if (most.texts == 0)
        return false;
    const sv_cost_model *cost = &queue->counts.cost;
    *batch = (sv_batch){.start = now};
    sv_job *aside[MAX_PASSED_OVER];
    size_t passed = 0;
    while (queue->heap_size > 0 && batch->count < most.texts && passed < MAX_PASSED_OVER) {
        sv_job *job = queue->heap[0];
        if (batch->count > 0 && job->large && !batch->items[0].job->large)
            break; /* a small request doesn't wait for company that isn't due before it */
        double with = sv_cost_predict(cost, batch->work + work_of(queue, job, job->taken));
        if (batch->count == 0 || with <= most.ns)
            take_text(queue, job, batch);
        else if (sv_cost_predict(cost, batch->work + SMALLEST_TEXT) <= most.ns)
            heap_remove(queue, aside[passed++] = job);
        else
            break;
    }
    while (passed > 0)
        heap_add(queue, aside[--passed]);
    while (queue->running_until[batch->slot] != 0)
        batch->slot++;
    batch->expected_end = later(now, sv_cost_predict(cost, batch->work));
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
    uint64_t took = time_until(batch->start, now);
    queue->running_until[batch->slot] = 0;
    queue->counts.running--;
    queue->counts.batches++;
    queue->counts.batch_texts += batch->count;
    sv_cost_learn(&queue->counts.cost, batch->work, (double)took);
    for (size_t i = 0; i < batch->count; i++) {
        sv_job *job = batch->items[i].job;
        job->returned++;
        if (job->returned < (job->cancelled ? job->taken : job->count))
            continue;
        double target = (double)queue->options.target_ns, late = (double)now - (double)job->predicted;
        if (!job->cancelled)
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

sv_job *sv_queue_expire(sv_queue *queue, uint64_t now) {
    sv_job *list = NULL;
    for (size_t i = 0; i < queue->heap_size;) {
        sv_job *job = queue->heap[i];
        if (!job->deadline || now < job->deadline) {
            i++;
            continue;
        }
        job->expired = true;
        if (withdraw(queue, job))
            hand_back(queue, job, &list);
        i = 0; /* the removal has moved others */
    }
    return list;
}

/* ------------------------------------------------------------- life cycle */

senvec_status sv_queue_init(sv_queue *queue, const sv_queue_options *options, senvec_error *err) {
    assert(options->workers >= 1 && options->workers <= SV_MAX_THREADS && options->max_jobs >= 1);
    *queue = (sv_queue){.options = *options};
    sv_cost_init(&queue->counts.cost, options->fixed_ns, options->per_work_ns);
    queue->heap = calloc(options->max_jobs, sizeof *queue->heap);
    if (queue->heap)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a queue of %zu requests", options->max_jobs);
}

void sv_queue_release(sv_queue *queue) {
    free(queue->heap);
    *queue = (sv_queue){0};
}
