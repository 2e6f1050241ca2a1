/* The batcher with its threads, on the tiny model: the same bits as senvec_embed, one `done` for each admitted request, and an
 * orderly end whatever is going on. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "batcher/batcher.h"
#include "common/clock.h"
#include "support/test_models.h"

enum { DIMENSIONS = 32, CALLERS = 4, ROUNDS = 60, MOST_TEXTS = 40 };

static senvec_model *model;

static int open_model(void **state) {
    (void)state;
    return senvec_model_open(TEST_TINY_MODEL, NULL, &model, NULL);
}

static int close_model(void **state) {
    (void)state;
    senvec_model_free(model);
    return 0;
}

static sv_batcher *open_batcher(sv_batcher_options options) {
    sv_batcher *batcher;
    senvec_error err;
    if (sv_batcher_open(model, &options, &batcher, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return batcher;
}

/* A request that can be waited for. */
typedef struct waited {
    sv_request request;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done, starts;
    bool held;            /* on_done doesn't return yet, so that the batcher's thread doesn't get on */
    struct waited *frees; /* on_done lets this one's return */
    senvec_text texts[MOST_TEXTS];
    uint32_t lengths[MOST_TEXTS];
    float out[MOST_TEXTS * DIMENSIONS];
    float copied[MOST_TEXTS * DIMENSIONS]; /* of `out`, when they were computed */
    uint8_t computed[MOST_TEXTS];          /* times; each by the thread that computed the text */
} waited;

static void let_go(waited *w) {
    pthread_mutex_lock(&w->lock);
    w->held = false;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void on_computed(sv_request *request, size_t first, size_t count) {
    waited *w = request->context;
    for (size_t i = first; i < first + count; i++)
        w->computed[i]++;
    memcpy(w->copied + first * DIMENSIONS, w->out + first * DIMENSIONS, count * DIMENSIONS * sizeof(float));
}

static void on_done(sv_request *request) {
    waited *w = request->context;
    pthread_mutex_lock(&w->lock);
    w->done++;
    pthread_cond_broadcast(&w->changed);
    while (w->held)
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->frees)
        let_go(w->frees);
    pthread_mutex_unlock(&w->lock);
}

static waited *new_request(size_t count) {
    static const char *const samples[] = {"the", "a dog ran over the hill", "quick brown foxes",
                                          "it was the best of times, it was the worst of times, it was the age of wisdom"};
    waited *w = calloc(1, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    for (size_t i = 0; i < count; i++)
        w->texts[i] = (senvec_text){samples[(i * 7 + count) % 4], strlen(samples[(i * 7 + count) % 4])};
    w->request = (sv_request){.texts = w->texts,
                              .count = count,
                              .lengths = w->lengths,
                              .out = w->out,
                              .stride = DIMENSIONS,
                              .computed = on_computed,
                              .done = on_done,
                              .context = w};
    return w;
}

static void wait_until_done(waited *w) {
    pthread_mutex_lock(&w->lock);
    while (w->done == 0)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void free_request(waited *w) {
    pthread_mutex_lock(&w->lock); /* on_done has let go of it */
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void check_vectors(const waited *w, senvec_session *session) {
    float expected[MOST_TEXTS * DIMENSIONS];
    senvec_embed_stats stats = {0};
    assert_int_equal(senvec_embed(session, w->texts, w->request.count, expected, DIMENSIONS, &stats, NULL), SENVEC_OK);
    assert_memory_equal(w->out, expected, w->request.count * DIMENSIONS * sizeof(float));
    assert_memory_equal(w->copied, expected, w->request.count * DIMENSIONS * sizeof(float));
    assert_int_equal(w->request.stats.tokens, stats.tokens);
    for (size_t i = 0; i < w->request.count; i++)
        assert_int_equal(w->computed[i], 1);
}

typedef struct caller {
    sv_batcher *batcher;
    size_t index;
    bool cancels;
    atomic_size_t answered, cancelled, refused;
} caller;

static void *call(void *context) {
    caller *c = context;
    const senvec_session_options options = {1};
    senvec_session *session;
    assert_int_equal(senvec_session_open(model, &options, &session, NULL), SENVEC_OK);
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t retry;
        waited *w = new_request(1 + (round * 13 + c->index) % MOST_TEXTS);
        w->request.client = c->index;
        if (sv_batcher_submit(c->batcher, &w->request, &retry) != SV_ADMITTED) {
            c->refused++;
            free_request(w);
            continue;
        }
        if (c->cancels && round % 2)
            sv_batcher_cancel(c->batcher, &w->request);
        wait_until_done(w);
        if (c->cancels)
            sv_batcher_cancel(c->batcher, &w->request); /* too late: nothing happens */
        if (w->request.status == SENVEC_OK)
            check_vectors(w, session);
        else
            assert_int_equal(w->request.status, SENVEC_CANCELLED);
        for (size_t i = 0; i < w->request.count; i++)
            assert_in_range(w->computed[i], 0, 1);
        assert_int_equal(w->done, 1);
        c->answered += w->request.status == SENVEC_OK;
        c->cancelled += w->request.status != SENVEC_OK;
        free_request(w);
    }
    senvec_session_free(session);
    return NULL;
}

/* Many callers at once; the counts must add up. */
static void run_callers(sv_batcher_options options, bool cancels) {
    sv_batcher *batcher = open_batcher(options);
    pthread_t threads[CALLERS];
    caller callers[CALLERS] = {0};
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.batcher = batcher, .index = i, .cancels = cancels};
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    size_t answered = 0, cancelled = 0, refused = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        answered += callers[i].answered;
        cancelled += callers[i].cancelled;
        refused += callers[i].refused;
    }
    assert_true(sv_batcher_drain(batcher, UINT64_MAX));
    sv_batcher_stats stats;
    sv_batcher_read_stats(batcher, &stats);
    assert_int_equal(stats.queue.answered, answered);
    assert_int_equal(stats.queue.cancelled, cancelled);
    assert_int_equal(stats.queue.admitted, answered + cancelled);
    assert_int_equal(answered + cancelled + refused, CALLERS * ROUNDS);
    assert_int_equal(stats.queue.jobs, 0);
    assert_true(stats.tokens > stats.texts);
    sv_batcher_close(batcher);
}

static void same_bits_as_embed(void **state) {
    (void)state;
    run_callers((sv_batcher_options){.threads = 2, .target_ns = 10 * SV_NS_PER_S}, false);
    run_callers((sv_batcher_options){.threads = 2, .sessions = 1, .policy = SV_POLICY_GREEDY}, false);
}

static void cancelling_loses_nothing(void **state) {
    (void)state;
    run_callers((sv_batcher_options){.threads = 2, .target_ns = 10 * SV_NS_PER_S}, true);
}

static void a_deadline_ends_a_request(void **state) {
    (void)state;
    /* fixed waits 50 ms for company, so this one expires before, however late its thread wakes up */
    sv_batcher *batcher = open_batcher((sv_batcher_options){.threads = 1, .policy = SV_POLICY_FIXED});
    waited *w = new_request(1);
    uint64_t retry;
    w->request.deadline_ns = sv_clock_ns() + SV_NS_PER_S / 200;
    assert_int_equal(sv_batcher_submit(batcher, &w->request, &retry), SV_ADMITTED);
    wait_until_done(w);
    assert_int_equal(w->request.status, SENVEC_CANCELLED);
    assert_true(w->request.expired);
    free_request(w);
    sv_batcher_close(batcher);
}

/* A request that keeps the only thread of the batcher, in its `done`. */
static waited *keep_busy(sv_batcher *batcher) {
    waited *w = new_request(1);
    uint64_t retry;
    w->held = true;
    assert_int_equal(sv_batcher_submit(batcher, &w->request, &retry), SV_ADMITTED);
    wait_until_done(w);
    return w;
}

static void draining_refuses_and_finishes(void **state) {
    (void)state;
    sv_batcher *batcher = open_batcher((sv_batcher_options){.threads = 1, .policy = SV_POLICY_GREEDY});
    waited *busy = keep_busy(batcher), *accepted = new_request(3), *late = new_request(1);
    uint64_t retry;
    assert_int_equal(sv_batcher_submit(batcher, &accepted->request, &retry), SV_ADMITTED);
    assert_true(!sv_batcher_drain(batcher, 0));
    assert_int_equal(sv_batcher_submit(batcher, &late->request, &retry), SV_REFUSED_CLOSING);
    let_go(busy);
    assert_true(sv_batcher_drain(batcher, UINT64_MAX));
    assert_int_equal(accepted->done, 1);
    assert_int_equal(accepted->request.status, SENVEC_OK);
    assert_int_equal(late->done, 0);
    free_request(busy), free_request(accepted), free_request(late);
    sv_batcher_close(batcher);
}

static void closing_cancels_what_waits(void **state) {
    (void)state;
    sv_batcher *batcher = open_batcher((sv_batcher_options){.threads = 1, .policy = SV_POLICY_GREEDY});
    waited *busy = keep_busy(batcher), *w = new_request(3);
    uint64_t retry;
    w->frees = busy;
    assert_int_equal(sv_batcher_submit(batcher, &w->request, &retry), SV_ADMITTED);
    sv_batcher_close(batcher);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->request.status, SENVEC_CANCELLED);
    assert_true(!w->request.expired);
    free_request(busy), free_request(w);
}

static void limits(void **state) {
    (void)state;
    sv_batcher *batcher =
        open_batcher((sv_batcher_options){.threads = 1, .policy = SV_POLICY_GREEDY, .max_texts = 10, .max_requests = 2});
    waited *busy = keep_busy(batcher);
    waited *large = new_request(11), *a = new_request(6), *b = new_request(5), *c = new_request(1), *d = new_request(1);
    uint64_t retry;
    assert_int_equal(sv_batcher_submit(batcher, &large->request, &retry), SV_REFUSED_SIZE);
    assert_int_equal(retry, 0);
    assert_int_equal(sv_batcher_submit(batcher, &a->request, &retry), SV_ADMITTED);
    assert_int_equal(sv_batcher_submit(batcher, &b->request, &retry), SV_REFUSED_TEXTS); /* 11 */
    assert_true(retry > 0);
    assert_int_equal(sv_batcher_is_full(batcher, 0, &retry), SV_ADMITTED);
    assert_int_equal(sv_batcher_submit(batcher, &c->request, &retry), SV_ADMITTED);
    assert_int_equal(sv_batcher_submit(batcher, &d->request, &retry), SV_REFUSED_REQUESTS); /* 3 */
    assert_int_equal(sv_batcher_is_full(batcher, 0, &retry), SV_REFUSED_REQUESTS);
    assert_true(retry > 0);
    let_go(busy);
    wait_until_done(a);
    wait_until_done(c);
    sv_batcher_close(batcher);
    free_request(busy), free_request(large), free_request(a), free_request(b), free_request(c), free_request(d);

    senvec_error err;
    const sv_batcher_options wrong = {.threads = 1, .sessions = 2};
    assert_int_equal(sv_batcher_open(model, &wrong, &batcher, &err), SENVEC_INVALID_ARGUMENT);
    sv_batcher_close(NULL);
}

/* Starts that are allowed at the third call, and one that finds no memory at all. */
static bool start_late(sv_request *request) {
    waited *w = request->context;
    if (++w->starts >= 3)
        request->out = w->out;
    return request->out != NULL;
}

static bool start_without_memory(sv_request *request) {
    ((waited *)request->context)->starts++;
    return true;
}

static void a_request_starts_when_it_has_memory(void **state) {
    (void)state;
    sv_batcher *batcher = open_batcher((sv_batcher_options){.threads = 2});
    const senvec_session_options one = {1};
    senvec_session *session;
    assert_int_equal(senvec_session_open(model, &one, &session, NULL), SENVEC_OK);
    for (size_t count = 1; count <= MOST_TEXTS; count += MOST_TEXTS - 1) {
        waited *late = new_request(count), *never = new_request(count), *other = new_request(1);
        uint64_t retry;
        late->request.start = start_late;
        late->request.out = NULL;
        never->request.start = start_without_memory;
        never->request.out = NULL;
        assert_int_equal(sv_batcher_submit(batcher, &late->request, &retry), SV_ADMITTED);
        assert_int_equal(sv_batcher_submit(batcher, &never->request, &retry), SV_ADMITTED);
        assert_int_equal(sv_batcher_submit(batcher, &other->request, &retry), SV_ADMITTED);
        wait_until_done(late), wait_until_done(never), wait_until_done(other);
        check_vectors(late, session);
        check_vectors(other, session);
        assert_int_equal(late->starts, 3);
        assert_int_equal(never->starts, 1);
        assert_int_equal(never->request.status, SENVEC_OUT_OF_MEMORY);
        free_request(late), free_request(never), free_request(other);
    }
    senvec_session_free(session);
    sv_batcher_close(batcher);
}

static const char too_long[] = "the the the the the the the the the the the the the the the the the the the quick";

/* In the safetensors file data[0 .. size): gives row `row` of a table of embeddings a huge first number. */
static void spoil(char *data, size_t size, const char *table, size_t row) {
    static const char place[] = "data_offsets\":[";
    const float huge = 2e38f;
    uint64_t header;
    memcpy(&header, data, sizeof header);
    const char *entry = memmem(data, size, table, strlen(table)), *offsets = entry ? strstr(entry, place) : NULL;
    assert_non_null(offsets);
    size_t at = 8 + header + strtoul(offsets + sizeof place - 1, NULL, 10) + row * DIMENSIONS * sizeof huge;
    assert_true(at + sizeof huge <= size);
    memcpy(data + at, &huge, sizeof huge);
}

/* The tiny model, in which the last word of `too_long` overflows at its place: its vector and the place's are huge. */
static senvec_model *open_broken(void) {
    const char *directory = test_copy_tiny("broken");
    char path[SV_MAX_PATH];
    snprintf(path, sizeof path, "%.500s/model.safetensors", directory);
    size_t size, tokens;
    uint32_t ids[64];
    const senvec_text text = {too_long, sizeof too_long - 1};
    assert_int_equal(senvec_tokenize(model, text, ids, 64, &tokens, NULL, NULL), SENVEC_OK);
    char *data = test_read(path, &size);
    spoil(data, size, "\"embeddings.word_embeddings.weight\"", ids[tokens - 2]);
    spoil(data, size, "\"embeddings.position_embeddings.weight\"", tokens - 2);
    test_write(path, data, size);
    free(data);
    const senvec_model_options options = {.precision = SENVEC_PRECISION_FP32};
    senvec_model *broken;
    assert_int_equal(senvec_model_open(directory, &options, &broken, NULL), SENVEC_OK);
    return broken;
}

/* A text without a finite vector fails its own request, wherever it stands there, and none of those in the same batch. */
static void a_vector_that_is_not_finite_fails_its_own_request(void **state) {
    (void)state;
    senvec_model *whole = model;
    model = open_broken();
    sv_batcher *batcher = open_batcher((sv_batcher_options){.threads = 1, .policy = SV_POLICY_GREEDY});
    const senvec_session_options one = {1};
    senvec_session *session;
    assert_int_equal(senvec_session_open(model, &one, &session, NULL), SENVEC_OK);
    for (size_t bad = 0; bad < 3; bad++) {
        waited *busy = keep_busy(batcher), *requests[3] = {new_request(3), new_request(3), new_request(3)};
        sv_batcher_stats before, after;
        sv_batcher_read_stats(batcher, &before);
        for (size_t i = 0; i < 3; i++) {
            uint64_t retry;
            for (size_t j = 0; j < 3; j++)
                requests[i]->texts[j] = (senvec_text){"a dog ran over the hill", 23 - 5 * j};
            if (i == 1)
                requests[i]->texts[bad] = (senvec_text){too_long, sizeof too_long - 1};
            assert_int_equal(sv_batcher_submit(batcher, &requests[i]->request, &retry), SV_ADMITTED);
        }
        let_go(busy);
        for (size_t i = 0; i < 3; i++)
            wait_until_done(requests[i]);
        sv_batcher_read_stats(batcher, &after);
        assert_int_equal(after.queue.batches - before.queue.batches, 1);
        assert_int_equal(requests[1]->request.status, SENVEC_FORMAT);
        assert_int_equal(requests[1]->computed[bad], 0);
        for (size_t i = 0; i < 3; i += 2) {
            assert_int_equal(requests[i]->request.status, SENVEC_OK);
            check_vectors(requests[i], session);
        }
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(requests[i]->done, 1);
            free_request(requests[i]);
        }
        free_request(busy);
    }
    senvec_session_free(session);
    sv_batcher_close(batcher);
    senvec_model_free(model);
    model = whole;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_as_embed),
        cmocka_unit_test(cancelling_loses_nothing),
        cmocka_unit_test(a_deadline_ends_a_request),
        cmocka_unit_test(draining_refuses_and_finishes),
        cmocka_unit_test(closing_cancels_what_waits),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_request_starts_when_it_has_memory),
        cmocka_unit_test(a_vector_that_is_not_finite_fails_its_own_request),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
