/* The batcher's threads: one for each session, all on one queue under one lock. A worker takes a batch, computes it without the
 * lock, brings it back, and tells the callers whose requests are complete. The lock is held for microseconds only.
 *
 * Why a session for each thread by default, rather than one session of all threads: workers that don't wait for each other lose
 * nothing when one of them is interrupted (the server's own threads run on the same CPUs), short texts pass while another
 * worker is busy with a long one, and small batches are computed without barriers. The price is that a text alone is computed
 * by one thread. docs/OPERATIONS.md has figures of both. */
#include "batcher/batcher.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "batcher/request_texts.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/cpu/machine.h"

#define WARM_UP_CALLS 3
#define WORKERS_NICE 5
#define NO_SLOT UINT32_MAX

typedef struct worker {
    sv_batcher *batcher;
    senvec_session *session;
    pthread_t thread;
    bool started;
    sv_batch batch;
    senvec_text texts[SV_MAX_BATCH_TEXTS];
    const senvec_embed_options *options[SV_MAX_BATCH_TEXTS];
    uint32_t items[SV_MAX_BATCH_TEXTS]; /* of the `count` texts that are embedded now: their numbers in the batch ... */
    uint32_t slots[SV_MAX_BATCH_TEXTS]; /* ... and in the cache, or NO_SLOT */
    uint32_t waiting[SV_MAX_BATCH_TEXTS];
    size_t count, waits;
    senvec_status statuses[SV_MAX_BATCH_TEXTS]; /* of the batch's texts */
    bool cached[SV_MAX_BATCH_TEXTS];            /* they weren't computed for it */
    float *out;                                 /* (SV_MAX_BATCH_TEXTS, dimensions) */
} worker;

struct sv_batcher {
    const senvec_model *model;
    senvec_task task;
    size_t dimensions;
    size_t sessions, threads;
    worker *workers;        /* (sessions) */
    sv_result_cache *cache; /* NULL: none */
    void (*some_done)(void *context);
    void *context;

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t work;  /* there may be something to take, or it is time to stop */
    pthread_cond_t ended; /* a request has ended */
    sv_queue queue;
    size_t pending; /* admitted requests whose `done` hasn't returned */
    bool draining, stopping;
    uint64_t refused_closing, compute_ns;
    uint64_t texts;
    senvec_embed_stats admitted;
};

static sv_request *request_of(sv_job *job) {
    return (sv_request *)((char *)job - offsetof(sv_request, job));
}

static bool may_start(void *context, sv_job *job) {
    (void)context;
    sv_request *request = request_of(job);
    return !request->start || request->start(request);
}

/* ---------------------------------------------------------------- workers */

/* Tells the callers. Called without the lock. */
static void end_requests(sv_batcher *batcher, sv_job *list) {
    size_t count = 0;
    uint64_t now = sv_clock_ns();
    for (sv_job *job = list, *next; job; job = next, count++) {
        next = job->next;
        sv_request *request = request_of(job);
        if (job->cancelled)
            request->status = SENVEC_CANCELLED;
        request->expired = job->expired;
        request->finished_ns = now;
        uint64_t start = job->start ? job->start : now;
        request->queue_ns = start - job->arrival;
        request->compute_ns = now - start;
        request->done(request);
    }
    if (count == 0)
        return;
    if (batcher->some_done)
        batcher->some_done(batcher->context);
    pthread_mutex_lock(&batcher->lock);
    batcher->pending -= count;
    pthread_cond_broadcast(&batcher->ended);
    pthread_mutex_unlock(&batcher->lock);
}

/* Where the vector of item i goes. */
static float *place_of(const sv_batch_item *item) {
    const sv_request *request = request_of(item->job);
    return request->out + item->text * request->stride;
}

static void add_text(worker *w, size_t i, uint32_t slot) {
    const sv_batch_item *item = &w->batch.items[i];
    const sv_request *request = request_of(item->job);
    w->texts[w->count] = request->texts[item->text];
    w->options[w->count] = sv_request_options(request, item->text);
    w->slots[w->count] = slot;
    w->items[w->count++] = (uint32_t)i;
}

/* Gathers the batch's texts that are to be embedded here; what the cache has goes to its place at once, and what is being
 * computed, by another worker or for an earlier text of this batch, becomes `waits`. */
static void gather(worker *w) {
    sv_result_cache *cache = w->batcher->cache;
    w->count = w->waits = 0;
    for (size_t i = 0; i < w->batch.count; i++) {
        const sv_batch_item *item = &w->batch.items[i];
        const sv_request *request = request_of(item->job);
        uint32_t slot = NO_SLOT;
        if (!request->out || request->run)
            continue;
        sv_claim claim = SV_CLAIM_NO_ROOM;
        if (cache && request->keys)
            claim = sv_result_cache_claim(cache, request->keys[item->text], place_of(item), &slot);
        if (claim == SV_CLAIM_HIT) {
            w->statuses[i] = SENVEC_OK;
            w->cached[i] = true;
        } else if (claim == SV_CLAIM_BUSY) {
            w->waiting[w->waits++] = (uint32_t)i;
        } else {
            add_text(w, i, claim == SV_CLAIM_OWN ? slot : NO_SLOT);
        }
    }
}

/* Embeds the texts that were gathered. If the call fails, each is tried alone, so that one client's text doesn't spoil
 * another's answer. */
static void embed_gathered(worker *w) {
    size_t dimensions = w->batcher->dimensions;
    senvec_status all = SENVEC_OK;
    if (w->count > 0)
        all = senvec_embed_each(w->session, w->texts, w->count, w->options, w->out, dimensions, NULL, NULL);
    for (size_t i = 0; i < w->count; i++) {
        float *vector = w->out + i * dimensions;
        senvec_status status = all;
        if (all != SENVEC_OK)
            status = senvec_embed_with(w->session, &w->texts[i], 1, w->options[i], vector, dimensions, NULL, NULL);
        w->statuses[w->items[i]] = status;
        if (status == SENVEC_OK)
            memcpy(place_of(&w->batch.items[w->items[i]]), vector, dimensions * sizeof(float));
        if (w->slots[i] != NO_SLOT && status == SENVEC_OK)
            sv_result_cache_publish(w->batcher->cache, w->slots[i], vector);
        else if (w->slots[i] != NO_SLOT)
            sv_result_cache_abandon(w->batcher->cache, w->slots[i]);
    }
}

/* Computes the batch's embeddings. Whoever waits for another worker's text has published all of its own before, so none waits
 * for one that waits. */
static void embed(worker *w) {
    gather(w);
    embed_gathered(w);
    w->count = 0;
    for (size_t i = 0; i < w->waits; i++) {
        const sv_batch_item *item = &w->batch.items[w->waiting[i]];
        const sv_request *request = request_of(item->job);
        bool there = sv_result_cache_wait(w->batcher->cache, request->keys[item->text], place_of(item));
        w->cached[w->waiting[i]] = there;
        if (there)
            w->statuses[w->waiting[i]] = SENVEC_OK;
        else
            add_text(w, w->waiting[i], NO_SLOT);
    }
    embed_gathered(w);
}

/* The texts of those requests that have a way of their own, request by request; a batch has a request's texts in a row. */
static void run_others(worker *w) {
    const sv_batch *batch = &w->batch;
    uint32_t which[SV_MAX_BATCH_TEXTS];
    for (size_t i = 0, count; i < batch->count; i += count) {
        sv_job *job = batch->items[i].job;
        for (count = 0; i + count < batch->count && batch->items[i + count].job == job; count++)
            which[count] = (uint32_t)batch->items[i + count].text;
        sv_request *request = request_of(job);
        if (!request->out || !request->run)
            continue;
        senvec_status status = request->run(request, w->session, which, count);
        for (size_t k = 0; k < count; k++)
            w->statuses[i + k] = status;
    }
}

static void compute(worker *w) {
    for (size_t i = 0; i < w->batch.count; i++) {
        w->statuses[i] = SENVEC_OUT_OF_MEMORY; /* until it is computed, which it isn't without a place for the vector */
        w->cached[i] = false;
    }
    embed(w);
    run_others(w);
}

/* An error of one text is the request's, whichever of its batches comes last. What wasn't computed is no work that the batch's
 * time tells anything about. With the lock held. */
static void note_results(worker *w) {
    w->batch.work = 0;
    for (size_t i = 0; i < w->batch.count; i++) {
        const sv_batch_item *item = &w->batch.items[i];
        sv_request *request = request_of(item->job);
        request->cached += w->cached[i];
        if (w->statuses[i] != SENVEC_OK)
            request->status = w->statuses[i];
        if (!w->cached[i])
            w->batch.work += sv_work_of_text(w->batcher->queue.options.square_cost, request->lengths[item->text]);
    }
}

static void wait_for_work(sv_batcher *batcher, uint64_t until) {
    sv_condition_wait(&batcher->work, &batcher->lock, until);
}

/* Workers leave the CPUs to the callers' threads. A server that has to queue for its share of the CPUs behind its own workers
 * learns too late that it has to refuse, and its answers lie about (docs/SPEED.md). Not with sessions of several threads, whose
 * helpers would keep their priority and wait for the first. */
static void yield_to_callers(const sv_batcher *batcher) {
    if (batcher->threads == batcher->sessions)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + WORKERS_NICE); /* on Linux: of this thread */
}

static void *run_worker(void *context) {
    worker *w = context;
    sv_batcher *batcher = w->batcher;
    yield_to_callers(batcher);
    pthread_mutex_lock(&batcher->lock);
    for (;;) {
        uint64_t look_again, now = sv_clock_ns(); /* one time for both, so that what has expired is never computed */
        sv_job *list = sv_queue_expire(&batcher->queue, now);
        if (list) {
            pthread_mutex_unlock(&batcher->lock);
            end_requests(batcher, list);
            pthread_mutex_lock(&batcher->lock);
            continue;
        }
        if (!sv_queue_take(&batcher->queue, now, &w->batch, &look_again)) {
            if (batcher->stopping)
                break;
            wait_for_work(batcher, look_again);
            continue;
        }
        if (batcher->queue.counts.texts > 0)
            pthread_cond_signal(&batcher->work);
        pthread_mutex_unlock(&batcher->lock);
        compute(w);
        pthread_mutex_lock(&batcher->lock);
        note_results(w);
        now = sv_clock_ns();
        batcher->compute_ns += now - w->batch.start;
        list = sv_queue_return(&batcher->queue, &w->batch, now);
        pthread_mutex_unlock(&batcher->lock);
        end_requests(batcher, list);
        pthread_mutex_lock(&batcher->lock);
    }
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

/* ---------------------------------------------------------------- callers */

sv_admission sv_batcher_submit(sv_batcher *batcher, sv_request *request, uint64_t *retry_ns) {
    assert(request->count >= 1 && (request->run || request->stride >= batcher->dimensions));
    uint64_t begin = sv_clock_ns();
    sv_request_texts_count(batcher->model, batcher->cache, request);
    request->status = SENVEC_OK;
    request->cached = 0;
    request->job = (sv_job){
        .lengths = request->lengths,
        .count = request->count,
        .client = request->client,
        .deadline = request->deadline_ns,
        .outside_ns = request->outside_ns,
    };
    *retry_ns = 0;
    pthread_mutex_lock(&batcher->lock);
    request->submitted_ns = sv_clock_ns();
    request->tokenize_ns = request->submitted_ns - begin;
    sv_admission admission = SV_REFUSED_CLOSING;
    if (batcher->draining)
        batcher->refused_closing++;
    else
        admission = sv_queue_admit(&batcher->queue, &request->job, request->submitted_ns, retry_ns);
    if (admission == SV_ADMITTED) {
        batcher->pending++;
        batcher->texts += request->count;
        batcher->admitted.tokens += request->stats.tokens;
        batcher->admitted.truncated += request->stats.truncated;
        batcher->admitted.invalid_utf8 += request->stats.invalid_utf8;
        pthread_cond_signal(&batcher->work);
    }
    pthread_mutex_unlock(&batcher->lock);
    return admission;
}

sv_admission sv_batcher_is_full(sv_batcher *batcher, uint64_t client, uint64_t *retry_ns) {
    pthread_mutex_lock(&batcher->lock);
    sv_admission admission = sv_queue_is_full(&batcher->queue, client, sv_clock_ns(), retry_ns);
    pthread_mutex_unlock(&batcher->lock);
    return admission;
}

uint64_t sv_batcher_retry_ns(sv_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    uint64_t retry_ns = sv_queue_retry_ns(&batcher->queue, 0, sv_clock_ns());
    pthread_mutex_unlock(&batcher->lock);
    return retry_ns;
}

void sv_batcher_cancel(sv_batcher *batcher, sv_request *request) {
    pthread_mutex_lock(&batcher->lock);
    bool ended = sv_queue_cancel(&batcher->queue, &request->job);
    pthread_mutex_unlock(&batcher->lock);
    if (ended)
        end_requests(batcher, &request->job);
}

bool sv_batcher_drain(sv_batcher *batcher, uint64_t timeout_ns) {
    uint64_t now = sv_clock_ns();
    uint64_t until = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    pthread_mutex_lock(&batcher->lock);
    batcher->draining = true;
    while (batcher->pending > 0 && sv_condition_wait(&batcher->ended, &batcher->lock, until))
        continue;
    bool empty = batcher->pending == 0;
    pthread_mutex_unlock(&batcher->lock);
    return empty;
}

void sv_batcher_read_stats(sv_batcher *batcher, sv_batcher_stats *out) {
    pthread_mutex_lock(&batcher->lock);
    *out = (sv_batcher_stats){
        .queue = batcher->queue.counts,
        .sessions = batcher->sessions,
        .threads = batcher->threads,
        .refused_closing = batcher->refused_closing,
        .texts = batcher->texts,
        .tokens = batcher->admitted.tokens,
        .truncated = batcher->admitted.truncated,
        .invalid_utf8 = batcher->admitted.invalid_utf8,
        .compute_ns = batcher->compute_ns,
        .wait_ns = sv_queue_wait_ns(&batcher->queue, sv_clock_ns()),
        .memory_bytes = sizeof *batcher + SV_CLASSES * batcher->queue.options.max_jobs * sizeof(sv_job *) +
                        batcher->sessions * (sizeof(worker) + SV_MAX_BATCH_TEXTS * batcher->dimensions * sizeof(float)),
    };
    pthread_mutex_unlock(&batcher->lock);
    sv_result_cache_read_stats(batcher->cache, &out->cache);
}

/* ------------------------------------------------------------- life cycle */

/* A text as this model computes it. */
static senvec_status compute_one(const worker *w, senvec_text text, senvec_embed_stats *stats, senvec_error *err) {
    const senvec_pair pair = {{NULL, 0}, text};
    senvec_weight word;
    size_t words;
    switch (w->batcher->task) {
    case SENVEC_TASK_RERANKER:
    case SENVEC_TASK_CLASSIFIER:
        return senvec_score_pairs(w->session, &pair, 1, NULL, w->out, SV_MAX_BATCH_TEXTS * w->batcher->dimensions, stats, err);
    case SENVEC_TASK_SPARSE:
        return senvec_embed_sparse(w->session, &text, 1, &word, 1, &words, stats, err);
    default:
        return senvec_embed(w->session, &text, 1, w->out, w->batcher->dimensions, stats, err);
    }
}

/* *best <- nanoseconds of the quickest of a few calls with one text; *work is what it is. */
static senvec_status time_text(const worker *w, senvec_text text, double square_cost, double *best, double *work,
                               senvec_error *err) {
    senvec_embed_stats stats = {0};
    for (int i = 0; i < WARM_UP_CALLS; i++) {
        stats = (senvec_embed_stats){0};
        uint64_t start = sv_clock_ns();
        SENVEC_TRY(compute_one(w, text, &stats, err));
        double took = (double)(sv_clock_ns() - start);
        *best = i == 0 || took < *best ? took : *best;
    }
    *work = sv_work_of_text(square_cost, (uint32_t)stats.tokens);
    return SENVEC_OK;
}

/* A first line through a short and a longer text; this also warms the session up. A model that can't embed them fails here. */
static senvec_status guess_cost(const worker *w, double square_cost, double *fixed_ns, double *per_work_ns, senvec_error *err) {
    char words[192];
    for (size_t i = 0; i < sizeof words; i++)
        words[i] = i % 4 == 3 ? ' ' : 'a';
    double small, large, small_ns, large_ns;
    SENVEC_TRY(time_text(w, (senvec_text){words, 8}, square_cost, &small_ns, &small, err));
    SENVEC_TRY(time_text(w, (senvec_text){words, sizeof words}, square_cost, &large_ns, &large, err));
    *per_work_ns = large > small && large_ns > small_ns ? (large_ns - small_ns) / (large - small) : large_ns / large;
    *fixed_ns = small_ns - *per_work_ns * small;
    if (*fixed_ns < 0)
        *fixed_ns = 0;
    return SENVEC_OK;
}

static senvec_status open_workers(sv_batcher *batcher, senvec_error *err) {
    for (size_t i = 0; i < batcher->sessions; i++) {
        worker *w = &batcher->workers[i];
        w->batcher = batcher;
        senvec_session_options options = {batcher->threads / batcher->sessions + (i < batcher->threads % batcher->sessions)};
        SENVEC_TRY(senvec_session_open(batcher->model, &options, &w->session, err));
        w->out = malloc(SV_MAX_BATCH_TEXTS * batcher->dimensions * sizeof(float));
        if (!w->out)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a batch of %u vectors", SV_MAX_BATCH_TEXTS);
    }
    return SENVEC_OK;
}

static senvec_status start_workers(sv_batcher *batcher, senvec_error *err) {
    for (size_t i = 0; i < batcher->sessions; i++) {
        worker *w = &batcher->workers[i];
        int error = pthread_create(&w->thread, NULL, run_worker, w);
        if (error)
            return sv_fail(err, SENVEC_SYSTEM, 0, "starting thread %zu of %zu failed: %s", i + 1, batcher->sessions,
                           strerror(error));
        w->started = true;
    }
    return SENVEC_OK;
}

static senvec_status open_batcher(sv_batcher *batcher, const sv_batcher_options *options, senvec_error *err) {
    SENVEC_TRY(open_workers(batcher, err));
    if (options->cache_bytes && batcher->task == SENVEC_TASK_EMBEDDING)
        SENVEC_TRY(sv_result_cache_open(options->cache_bytes, batcher->dimensions, &batcher->cache, err));
    senvec_model_info info;
    senvec_model_describe(batcher->model, &info);
    sv_queue_options queue = {
        .policy = options->policy,
        .target_ns = options->target_ns ? options->target_ns : SV_DEFAULT_TARGET_NS,
        .max_wait_ns = options->max_wait_ns ? options->max_wait_ns : SV_DEFAULT_MAX_WAIT_NS,
        .workers = batcher->sessions,
        .max_jobs = options->max_requests ? options->max_requests : SV_DEFAULT_QUEUE_REQUESTS,
        .max_texts = options->max_texts ? options->max_texts : SV_DEFAULT_QUEUE_TEXTS,
        .seed = sv_clock_ns(),
        .may_start = may_start,
        .square_cost = 2.0 * (double)(info.hidden * info.layers) / (double)info.linear_macs,
    };
    SENVEC_TRY(guess_cost(&batcher->workers[0], queue.square_cost, &queue.fixed_ns, &queue.per_work_ns, err));
    SENVEC_TRY(sv_queue_init(&batcher->queue, &queue, err));
    return start_workers(batcher, err);
}

senvec_status sv_batcher_open(const senvec_model *model, const sv_batcher_options *options, sv_batcher **out,
                              senvec_error *err) {
    static const sv_batcher_options defaults = {0};
    if (!options)
        options = &defaults;
    size_t threads = options->threads ? options->threads : sv_machine_threads();
    size_t sessions = options->sessions ? options->sessions : threads;
    if (threads > SV_MAX_THREADS || sessions > threads)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "%zu sessions with %zu threads: give 1 to %u threads, and no more sessions", sessions, threads,
                       SV_MAX_THREADS);
    sv_batcher *batcher = calloc(1, sizeof *batcher);
    worker *workers = calloc(sessions, sizeof *workers);
    if (!batcher || !workers) {
        free(batcher);
        free(workers);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a batcher of %zu sessions", sessions);
    }
    senvec_model_info info;
    senvec_model_describe(model, &info);
    batcher->model = model;
    batcher->task = info.task;
    batcher->dimensions = info.dimensions;
    batcher->threads = threads;
    batcher->sessions = sessions;
    batcher->workers = workers;
    batcher->some_done = options->some_done;
    batcher->context = options->context;
    pthread_mutex_init(&batcher->lock, NULL);
    sv_condition_init(&batcher->work);
    sv_condition_init(&batcher->ended);
    senvec_status status = open_batcher(batcher, options, err);
    if (status != SENVEC_OK) {
        sv_batcher_close(batcher);
        return status;
    }
    *out = batcher;
    return SENVEC_OK;
}

/* Everything that waits, as a list; the rest is in the workers' hands. */
static sv_job *withdraw_all(sv_queue *queue) {
    sv_job *list = NULL;
    for (sv_class class = 0; class < SV_CLASSES; class ++) {
        while (queue->counts.waiting_jobs[class] > 0) {
            sv_job *job = queue->heaps[class][0];
            if (sv_queue_cancel(queue, job)) {
                job->next = list;
                list = job;
            }
        }
    }
    return list;
}

void sv_batcher_stop(sv_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    batcher->draining = true;
    sv_job *list = withdraw_all(&batcher->queue);
    pthread_mutex_unlock(&batcher->lock);
    end_requests(batcher, list);
    pthread_mutex_lock(&batcher->lock);
    while (batcher->pending > 0)
        pthread_cond_wait(&batcher->ended, &batcher->lock);
    pthread_mutex_unlock(&batcher->lock);
}

void sv_batcher_close(sv_batcher *batcher) {
    if (!batcher)
        return;
    sv_batcher_stop(batcher);
    pthread_mutex_lock(&batcher->lock);
    batcher->stopping = true;
    pthread_cond_broadcast(&batcher->work);
    pthread_mutex_unlock(&batcher->lock);
    for (size_t i = 0; i < batcher->sessions; i++) {
        worker *w = &batcher->workers[i];
        if (w->started)
            pthread_join(w->thread, NULL);
        senvec_session_free(w->session);
        free(w->out);
    }
    sv_queue_release(&batcher->queue);
    sv_result_cache_close(batcher->cache);
    pthread_cond_destroy(&batcher->ended);
    pthread_cond_destroy(&batcher->work);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher->workers);
    free(batcher);
}
