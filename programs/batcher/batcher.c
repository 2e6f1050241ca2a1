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

/* A worker's place at a model. */
typedef struct model_seat {
    senvec_session *session;
    float *out; /* (SV_MAX_BATCH_TEXTS, dimensions) */
} model_seat;

struct sv_batcher_model {
    const senvec_model *model;
    senvec_task task;
    size_t dimensions;
    double square_cost, linear_macs;
    model_seat *seats;      /* (the batcher's sessions) */
    sv_result_cache *cache; /* NULL: none */
    sv_batcher_model *next;
};

typedef struct worker {
    sv_batcher *batcher;
    size_t index;
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
    bool looked_at[SV_MAX_BATCH_TEXTS];
} worker;

struct sv_batcher {
    sv_batcher_model *model; /* of sv_batcher_open; NULL: it was removed */
    double unit_macs;        /* multiply-accumulates of a token of it: the unit of work */
    size_t sessions, threads, cache_bytes;
    worker *workers; /* (sessions) */
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
    sv_batcher_model *models;           /* all of them, by next */
    sv_result_cache_stats former_cache; /* of models that were removed */
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

static sv_batcher_model *model_of(const worker *w, const sv_batch_item *item) {
    const sv_request *request = request_of(item->job);
    return request->model ? request->model : w->batcher->model;
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

/* Gathers the batch's texts of a model that are to be embedded here; what the cache has goes to its place at once, and what is
 * being computed, by another worker or for an earlier text of this batch, becomes `waits`. */
static void gather(worker *w, const sv_batcher_model *model) {
    sv_result_cache *cache = model->cache;
    w->count = w->waits = 0;
    for (size_t i = 0; i < w->batch.count; i++) {
        const sv_batch_item *item = &w->batch.items[i];
        const sv_request *request = request_of(item->job);
        uint32_t slot = NO_SLOT;
        if (model_of(w, item) != model)
            continue;
        w->looked_at[i] = true;
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
static void embed_gathered(worker *w, const sv_batcher_model *model) {
    const model_seat *seat = &model->seats[w->index];
    size_t dimensions = model->dimensions;
    senvec_status all = SENVEC_OK;
    if (w->count > 0)
        all = senvec_embed_each(seat->session, w->texts, w->count, w->options, seat->out, dimensions, NULL, NULL);
    for (size_t i = 0; i < w->count; i++) {
        float *vector = seat->out + i * dimensions;
        senvec_status status = all;
        if (all != SENVEC_OK)
            status = senvec_embed_with(seat->session, &w->texts[i], 1, w->options[i], vector, dimensions, NULL, NULL);
        w->statuses[w->items[i]] = status;
        if (status == SENVEC_OK)
            memcpy(place_of(&w->batch.items[w->items[i]]), vector, dimensions * sizeof(float));
        if (w->slots[i] != NO_SLOT && status == SENVEC_OK)
            sv_result_cache_publish(model->cache, w->slots[i], vector);
        else if (w->slots[i] != NO_SLOT)
            sv_result_cache_abandon(model->cache, w->slots[i]);
    }
}

/* Computes the batch's embeddings by a model. Whoever waits for another worker's text has published all of its own before, so
 * none waits for one that waits. */
static void embed(worker *w, const sv_batcher_model *model) {
    gather(w, model);
    embed_gathered(w, model);
    w->count = 0;
    for (size_t i = 0; i < w->waits; i++) {
        const sv_batch_item *item = &w->batch.items[w->waiting[i]];
        const sv_request *request = request_of(item->job);
        bool there = sv_result_cache_wait(model->cache, request->keys[item->text], place_of(item));
        w->cached[w->waiting[i]] = there;
        if (there)
            w->statuses[w->waiting[i]] = SENVEC_OK;
        else
            add_text(w, w->waiting[i], NO_SLOT);
    }
    embed_gathered(w, model);
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
        senvec_status status = request->run(request, model_of(w, &batch->items[i])->seats[w->index].session, which, count);
        for (size_t k = 0; k < count; k++)
            w->statuses[i + k] = status;
    }
}

/* Tells the callers which of their texts are computed; a batch has a request's texts in a row. */
static void tell_computed(worker *w) {
    const sv_batch *batch = &w->batch;
    for (size_t i = 0, count; i < batch->count; i += count) {
        const sv_batch_item *item = &batch->items[i];
        sv_request *request = request_of(item->job);
        bool fine = true;
        for (count = 0; i + count < batch->count && batch->items[i + count].job == item->job; count++)
            fine &= w->statuses[i + count] == SENVEC_OK;
        if (fine && request->computed)
            request->computed(request, item->text, count);
    }
}

static void compute(worker *w) {
    for (size_t i = 0; i < w->batch.count; i++) {
        w->statuses[i] = SENVEC_OUT_OF_MEMORY; /* until it is computed, which it isn't without a place for the vector */
        w->cached[i] = w->looked_at[i] = false;
    }
    for (size_t i = 0; i < w->batch.count; i++)
        if (!w->looked_at[i])
            embed(w, model_of(w, &w->batch.items[i]));
    run_others(w);
    uint64_t computed = sv_clock_ns();
    tell_computed(w);
    w->batch.beside_ns = sv_clock_ns() - computed;
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
            w->batch.work += sv_queue_work_of(&w->batcher->queue, item->job, item->text);
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
        bool more = batcher->queue.counts.texts > 0;
        pthread_mutex_unlock(&batcher->lock);
        if (more)
            pthread_cond_signal(&batcher->work);
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

/* Workers that are free and find a text to take. With the lock held. */
static size_t count_wanted(const sv_batcher *batcher) {
    size_t free = batcher->sessions - batcher->queue.counts.running;
    return free < batcher->queue.counts.texts ? free : batcher->queue.counts.texts;
}

sv_admission sv_batcher_submit(sv_batcher *batcher, sv_request *request, uint64_t *retry_ns) {
    const sv_batcher_model *model = request->model ? request->model : batcher->model;
    assert(request->count >= 1 && (request->run || request->stride >= model->dimensions));
    uint64_t begin = sv_clock_ns();
    sv_request_texts_count(model->model, model->cache, request);
    request->status = SENVEC_OK;
    request->cached = 0;
    request->job = (sv_job){
        .lengths = request->lengths,
        .count = request->count,
        .client = request->client,
        .deadline = request->deadline_ns,
        .outside_ns = request->outside_ns,
        .scale = model->linear_macs / batcher->unit_macs,
        .square_cost = model->square_cost,
    };
    *retry_ns = 0;
    pthread_mutex_lock(&batcher->lock);
    request->submitted_ns = sv_clock_ns();
    request->tokenize_ns = request->submitted_ns - begin;
    size_t wanted = 0;
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
        wanted = count_wanted(batcher);
    }
    pthread_mutex_unlock(&batcher->lock);
    for (; wanted > 0; wanted--)
        pthread_cond_signal(&batcher->work); /* after the unlock, so that nobody wakes up only to wait for the lock */
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

/* `holds`: what it holds now, too, not only what it has counted. */
static void add_cache_stats(const sv_batcher_model *model, sv_result_cache_stats *sum, bool holds) {
    sv_result_cache_stats stats;
    sv_result_cache_read_stats(model->cache, &stats);
    sum->hits += stats.hits;
    sum->joined += stats.joined;
    sum->misses += stats.misses;
    sum->evicted += stats.evicted;
    sum->entries += holds ? stats.entries : 0;
    sum->bytes += holds ? stats.bytes : 0;
    sum->most_bytes += holds ? stats.most_bytes : 0;
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
                        batcher->sessions * sizeof(worker),
        .cache = batcher->former_cache,
    };
    for (sv_batcher_model *model = batcher->models; model; model = model->next) {
        out->memory_bytes += batcher->sessions * SV_MAX_BATCH_TEXTS * model->dimensions * sizeof(float);
        add_cache_stats(model, &out->cache, true);
    }
    pthread_mutex_unlock(&batcher->lock);
}

/* ------------------------------------------------------------- life cycle */

/* A text as this model computes it. */
static senvec_status compute_one(const sv_batcher_model *model, senvec_text text, senvec_embed_stats *stats,
                                 senvec_error *err) {
    const senvec_pair pair = {{NULL, 0}, text};
    const model_seat *seat = &model->seats[0];
    senvec_weight word;
    size_t words;
    switch (model->task) {
    case SENVEC_TASK_RERANKER:
    case SENVEC_TASK_CLASSIFIER:
        return senvec_score_pairs(seat->session, &pair, 1, NULL, seat->out, SV_MAX_BATCH_TEXTS * model->dimensions, stats, err);
    case SENVEC_TASK_SPARSE:
        return senvec_embed_sparse(seat->session, &text, 1, &word, 1, &words, stats, err);
    default:
        return senvec_embed(seat->session, &text, 1, seat->out, model->dimensions, stats, err);
    }
}

/* *best <- nanoseconds of the quickest of a few calls with one text; *work is what it is. */
static senvec_status time_text(const sv_batcher_model *model, senvec_text text, double *best, double *work, senvec_error *err) {
    senvec_embed_stats stats = {0};
    for (int i = 0; i < WARM_UP_CALLS; i++) {
        stats = (senvec_embed_stats){0};
        uint64_t start = sv_clock_ns();
        SENVEC_TRY(compute_one(model, text, &stats, err));
        double took = (double)(sv_clock_ns() - start);
        *best = i == 0 || took < *best ? took : *best;
    }
    *work = sv_work_of_text(model->square_cost, (uint32_t)stats.tokens);
    return SENVEC_OK;
}

/* A first line through a short and a longer text; this also warms the session up. A model that can't embed them fails here. */
static senvec_status guess_cost(const sv_batcher_model *model, double *fixed_ns, double *per_work_ns, senvec_error *err) {
    char words[192];
    for (size_t i = 0; i < sizeof words; i++)
        words[i] = i % 4 == 3 ? ' ' : 'a';
    double small, large, small_ns, large_ns;
    SENVEC_TRY(time_text(model, (senvec_text){words, 8}, &small_ns, &small, err));
    SENVEC_TRY(time_text(model, (senvec_text){words, sizeof words}, &large_ns, &large, err));
    *per_work_ns = large > small && large_ns > small_ns ? (large_ns - small_ns) / (large - small) : large_ns / large;
    *fixed_ns = small_ns - *per_work_ns * small;
    if (*fixed_ns < 0)
        *fixed_ns = 0;
    return SENVEC_OK;
}

static void free_model(const sv_batcher *batcher, sv_batcher_model *model) {
    for (size_t i = 0; model->seats && i < batcher->sessions; i++) {
        senvec_session_free(model->seats[i].session);
        free(model->seats[i].out);
    }
    free(model->seats);
    sv_result_cache_close(model->cache);
    free(model);
}

static senvec_status take_seats(const sv_batcher *batcher, sv_batcher_model *model, senvec_error *err) {
    for (size_t i = 0; i < batcher->sessions; i++) {
        model_seat *seat = &model->seats[i];
        senvec_session_options options = {batcher->threads / batcher->sessions + (i < batcher->threads % batcher->sessions)};
        SENVEC_TRY(senvec_session_open(model->model, &options, &seat->session, err));
        seat->out = malloc(SV_MAX_BATCH_TEXTS * model->dimensions * sizeof(float));
        if (!seat->out)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a batch of %u vectors", SV_MAX_BATCH_TEXTS);
    }
    if (batcher->cache_bytes && model->task == SENVEC_TASK_EMBEDDING)
        return sv_result_cache_open(batcher->cache_bytes, model->dimensions, &model->cache, err);
    return SENVEC_OK;
}

senvec_status sv_batcher_add_model(sv_batcher *batcher, const senvec_model *opened, sv_batcher_model **out, senvec_error *err) {
    sv_batcher_model *model = calloc(1, sizeof *model);
    model_seat *seats = calloc(batcher->sessions, sizeof *seats);
    if (!model || !seats) {
        free(model);
        free(seats);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a model in a batcher");
    }
    senvec_model_info info;
    senvec_model_describe(opened, &info);
    *model = (sv_batcher_model){
        .model = opened,
        .task = info.task,
        .dimensions = info.dimensions,
        .square_cost = 2.0 * (double)(info.hidden * info.layers) / (double)info.linear_macs,
        .linear_macs = (double)info.linear_macs,
        .seats = seats,
    };
    senvec_status status = take_seats(batcher, model, err);
    if (status != SENVEC_OK) {
        free_model(batcher, model);
        return status;
    }
    pthread_mutex_lock(&batcher->lock);
    model->next = batcher->models;
    batcher->models = model;
    pthread_mutex_unlock(&batcher->lock);
    *out = model;
    return SENVEC_OK;
}

sv_batcher_model *sv_batcher_first_model(sv_batcher *batcher) {
    return batcher->model;
}

void sv_batcher_remove_model(sv_batcher *batcher, sv_batcher_model *model) {
    pthread_mutex_lock(&batcher->lock);
    sv_batcher_model **at = &batcher->models;
    while (*at != model)
        at = &(*at)->next;
    *at = model->next;
    add_cache_stats(model, &batcher->former_cache, false);
    if (batcher->model == model)
        batcher->model = NULL;
    pthread_mutex_unlock(&batcher->lock);
    free_model(batcher, model);
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

static senvec_status open_batcher(sv_batcher *batcher, const senvec_model *model, const sv_batcher_options *options,
                                  senvec_error *err) {
    SENVEC_TRY(sv_batcher_add_model(batcher, model, &batcher->model, err));
    batcher->unit_macs = batcher->model->linear_macs;
    sv_queue_options queue = {
        .policy = options->policy,
        .target_ns = options->target_ns ? options->target_ns : SV_DEFAULT_TARGET_NS,
        .max_wait_ns = options->max_wait_ns ? options->max_wait_ns : SV_DEFAULT_MAX_WAIT_NS,
        .workers = batcher->sessions,
        .max_jobs = options->max_requests ? options->max_requests : SV_DEFAULT_QUEUE_REQUESTS,
        .max_texts = options->max_texts ? options->max_texts : SV_DEFAULT_QUEUE_TEXTS,
        .seed = sv_clock_ns(),
        .may_start = may_start,
        .square_cost = batcher->model->square_cost,
    };
    SENVEC_TRY(guess_cost(batcher->model, &queue.fixed_ns, &queue.per_work_ns, err));
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
    for (size_t i = 0; i < sessions; i++)
        workers[i] = (worker){.batcher = batcher, .index = i};
    batcher->cache_bytes = options->cache_bytes;
    batcher->threads = threads;
    batcher->sessions = sessions;
    batcher->workers = workers;
    batcher->some_done = options->some_done;
    batcher->context = options->context;
    pthread_mutex_init(&batcher->lock, NULL);
    sv_condition_init(&batcher->work);
    sv_condition_init(&batcher->ended);
    senvec_status status = open_batcher(batcher, model, options, err);
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
    }
    for (sv_batcher_model *model = batcher->models, *next; model; model = next) {
        next = model->next;
        free_model(batcher, model);
    }
    sv_queue_release(&batcher->queue);
    pthread_cond_destroy(&batcher->ended);
    pthread_cond_destroy(&batcher->work);
    pthread_mutex_destroy(&batcher->lock);
    free(batcher->workers);
    free(batcher);
}
