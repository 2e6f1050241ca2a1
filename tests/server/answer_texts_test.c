/* The texts' part of an answer, whichever of them are there first and whoever writes them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/answer_texts.h"
#include "server/exchange.h"

enum { DIMENSIONS = 4, TEXTS = 200, THREADS = 4, ROUNDS = 50 };

static sv_served served;
static float vectors[TEXTS * DIMENSIONS];

/* "<0>,<1>,", but some texts are longer than others. */
static void write_text(sv_exchange *exchange, size_t i, sv_bytes *to) {
    sv_bytes_print(to, "<%zu %s", i, exchange->id);
    for (size_t k = 0; k < i % 7; k++)
        sv_bytes_print(to, " %g", (double)exchange->vectors[i * DIMENSIONS]);
    sv_bytes_text(to, ">,");
}

static void open_exchange(sv_exchange *exchange, size_t count) {
    memset(exchange, 0, sizeof *exchange);
    served.info.dimensions = DIMENSIONS;
    for (size_t i = 0; i < TEXTS * DIMENSIONS; i++)
        vectors[i] = (float)i;
    snprintf(exchange->id, sizeof exchange->id, "an-id");
    exchange->served = &served;
    exchange->dimensions = exchange->width = DIMENSIONS;
    exchange->vectors = vectors;
    exchange->count = count;
    exchange->write_text = write_text;
    sv_answer_texts_init(&exchange->answer_texts);
}

static void close_exchange(sv_exchange *exchange) {
    sv_bytes_release(&exchange->answer);
    sv_answer_texts_release(&exchange->answer_texts);
}

/* The answer is what one thread writes from the first text to the last. */
static void check_answer(sv_exchange *exchange) {
    sv_bytes expected = {0};
    for (size_t i = 0; i < exchange->count; i++)
        write_text(exchange, i, &expected);
    assert_true(sv_answer_texts_end(exchange));
    assert_int_equal(exchange->answer.length, expected.length);
    assert_memory_equal(exchange->answer.data, expected.data, expected.length);
    sv_bytes_release(&expected);
}

static void in_any_order(void **state) {
    (void)state;
    const size_t begins[6][4] = {{0, 1, 4, 9}, {9, 4, 1, 0}, {1, 0, 9, 4}, {4, 9, 0, 1}, {0, 9, 4, 1}, {9, 1, 4, 0}};
    for (size_t order = 0; order < 6; order++) {
        sv_exchange exchange;
        open_exchange(&exchange, 20);
        for (size_t k = 0; k < 4; k++) {
            size_t first = begins[order][k], end = first == 0 ? 1 : first == 1 ? 4 : first == 4 ? 9 : 20;
            sv_answer_texts_write(&exchange, first, end - first);
        }
        check_answer(&exchange);
        close_exchange(&exchange);
    }
}

/* Raw answers have the vectors' bytes, cut to the dimensions that are wanted and of length 1 again. */
static void raw_and_cut(void **state) {
    (void)state;
    sv_exchange exchange;
    open_exchange(&exchange, 3);
    exchange.raw = true;
    exchange.dimensions = 2;
    exchange.normalize = SENVEC_NORMALIZE_ON;
    vectors[0] = 3, vectors[1] = 4;
    sv_answer_texts_write(&exchange, 1, 2);
    assert_int_equal(exchange.answer.length, 0);
    sv_answer_texts_write(&exchange, 0, 1);
    assert_true(sv_answer_texts_end(&exchange));
    float out[6];
    assert_int_equal(exchange.answer.length, sizeof out);
    memcpy(out, exchange.answer.data, sizeof out);
    assert_true(out[0] == 0.6f && out[1] == 0.8f);
    for (size_t i = 0; i < 3; i++)
        assert_true(out[2 * i] == vectors[i * DIMENSIONS] && out[2 * i + 1] == vectors[i * DIMENSIONS + 1]);
    close_exchange(&exchange);
}

/* Texts that nobody writes, since their batch had an error, first, in the middle or last: the answer isn't complete. */
static void a_missing_part(void **state) {
    (void)state;
    for (size_t missing = 0; missing < 3; missing++) {
        sv_exchange exchange;
        open_exchange(&exchange, 9);
        for (size_t k = 3; k-- > 0;)
            if (k != missing)
                sv_answer_texts_write(&exchange, 3 * k, 3);
        assert_false(sv_answer_texts_end(&exchange));
        assert_null(exchange.answer_texts.parts);
        close_exchange(&exchange);
    }
}

static size_t failing_text;

static void write_or_fail(sv_exchange *exchange, size_t i, sv_bytes *to) {
    if (i == failing_text)
        to->failed = true; /* as when there is no memory */
    write_text(exchange, i, to);
}

/* Wherever a part fails, in the answer or apart, the whole does. */
static void a_failing_part(void **state) {
    (void)state;
    for (failing_text = 0; failing_text < 9; failing_text++) {
        sv_exchange exchange;
        open_exchange(&exchange, 9);
        exchange.write_text = write_or_fail;
        for (size_t k = 0; k < 3; k++)
            sv_answer_texts_write(&exchange, (k + 1) % 3 * 3, 3);
        assert_true(exchange.answer.failed);
        assert_false(sv_answer_texts_end(&exchange));
        close_exchange(&exchange);
    }
}

/* A thread that writes the first text doesn't get on before the others have written theirs. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun, may_end;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

static void write_at_gate(sv_exchange *exchange, size_t i, sv_bytes *to) {
    write_text(exchange, i, to);
    if (i > 0)
        return;
    pthread_mutex_lock(&gate.lock);
    gate.begun = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.may_end)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void *write_first(void *exchange) {
    sv_answer_texts_write(exchange, 0, 2);
    return NULL;
}

static void nobody_waits_for_the_first(void **state) {
    (void)state;
    sv_exchange exchange;
    pthread_t thread;
    open_exchange(&exchange, 8);
    exchange.write_text = write_at_gate;
    assert_int_equal(pthread_create(&thread, NULL, write_first, &exchange), 0);
    pthread_mutex_lock(&gate.lock);
    while (!gate.begun)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    sv_answer_texts_write(&exchange, 5, 3);
    sv_answer_texts_write(&exchange, 2, 3);
    pthread_mutex_lock(&gate.lock);
    gate.may_end = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    pthread_join(thread, NULL);
    check_answer(&exchange);
    close_exchange(&exchange);
}

/* Threads that take the next few texts, as the batcher's do. */
typedef struct takers {
    sv_exchange exchange;
    pthread_mutex_t lock;
    size_t taken;
} takers;

static void *take(void *context) {
    takers *t = context;
    for (;;) {
        pthread_mutex_lock(&t->lock);
        size_t first = t->taken, left = TEXTS - first, count = 1 + first * 5 % 11;
        count = count < left ? count : left;
        t->taken += count;
        pthread_mutex_unlock(&t->lock);
        if (count == 0)
            return NULL;
        sv_answer_texts_write(&t->exchange, first, count);
    }
}

static void by_several_threads(void **state) {
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        takers t = {.lock = PTHREAD_MUTEX_INITIALIZER};
        pthread_t threads[THREADS];
        open_exchange(&t.exchange, TEXTS);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, take, &t), 0);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        check_answer(&t.exchange);
        close_exchange(&t.exchange);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_order),
        cmocka_unit_test(raw_and_cut),
        cmocka_unit_test(a_missing_part),
        cmocka_unit_test(a_failing_part),
        cmocka_unit_test(nobody_waits_for_the_first),
        cmocka_unit_test(by_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
