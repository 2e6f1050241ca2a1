/* Memory: a warm senvec_embed allocates nothing; and when the Nth allocation fails, for every N, opening a model and a session
 * ends in OUT_OF_MEMORY with everything given back, until N is beyond the last one and it succeeds. (That nothing is kept of
 * what the C library was asked for, LeakSanitizer sees.)
 *
 * Allocations are counted twice: at the senvec_allocator seam, and at the C library's functions, which the linker wraps (see
 * CMakeLists.txt), for what would go past the seam. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "senvec.h"
#include "support/test_models.h"

enum { H = 32, TEXTS = 300 };

static atomic_size_t library_calls;
static size_t library_fails_at; /* the call that fails, from 1; 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size) {
    return ++library_calls == library_fails_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return ++library_calls == library_fails_at ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
    return ++library_calls == library_fails_at ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return ++library_calls == library_fails_at ? NULL : __real_aligned_alloc(alignment, size);
}

typedef struct counter {
    atomic_size_t calls, blocks, bytes; /* made; alive */
    size_t fail_at;                     /* the call that fails, from 1; 0: none */
} counter;

static void *counted_alloc(void *context, size_t size, size_t alignment) {
    counter *c = context;
    if (++c->calls == c->fail_at)
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) != 0)
        return NULL;
    c->blocks++;
    c->bytes += size;
    return block;
}

static void counted_free(void *context, void *block, size_t size) {
    counter *c = context;
    c->blocks--;
    c->bytes -= size;
    free(block);
}

static const char *const sentences[] = {"one", "", "two words",
                                        "a longer text with quite a few more words than the others have"};

static void fill(senvec_text texts[TEXTS]) {
    for (size_t i = 0; i < TEXTS; i++) {
        const char *sentence = sentences[i % (sizeof sentences / sizeof sentences[0])];
        texts[i] = (senvec_text){sentence, strlen(sentence)};
    }
}

static void a_warm_call_allocates_nothing(void **state) {
    (void)state;
    static senvec_text texts[TEXTS];
    static float vectors[TEXTS * H];
    fill(texts);
    for (size_t threads = 1; threads <= 3; threads++) {
        counter c = {0};
        senvec_allocator allocator = {counted_alloc, counted_free, &c};
        senvec_model_options model_options = {.allocator = &allocator};
        senvec_session_options session_options = {.threads = threads};
        senvec_error err;
        senvec_model *model;
        senvec_session *session;
        assert_int_equal(senvec_model_open(TEST_TINY_MODEL, &model_options, &model, &err), SENVEC_OK);
        assert_int_equal(senvec_session_open(model, &session_options, &session, &err), SENVEC_OK);
        assert_int_equal(senvec_embed(session, texts, TEXTS, vectors, H, NULL, &err), SENVEC_OK);
        size_t seam = c.calls, library = library_calls;
        senvec_embed_stats stats = {0};
        for (size_t count = 0; count <= TEXTS; count += 50)
            assert_int_equal(senvec_embed(session, texts, count, vectors, H, &stats, &err), SENVEC_OK);
        assert_int_equal(senvec_embed(session, texts + 3, 1, vectors, H, &stats, &err), SENVEC_OK);
        assert_int_equal(c.calls, seam);
        assert_int_equal(library_calls, library);
        senvec_session_free(session);
        senvec_model_free(model);
        assert_int_equal(c.blocks, 0);
        assert_int_equal(c.bytes, 0);
    }
}

/* Open, open, embed; the status of the first that fails. */
static senvec_status attempt(const senvec_allocator *allocator, senvec_error *err) {
    static senvec_text texts[TEXTS];
    static float vectors[TEXTS * H];
    fill(texts);
    senvec_model_options model_options = {.allocator = allocator};
    senvec_session_options session_options = {.threads = 2};
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    senvec_status status = senvec_model_open(TEST_TINY_MODEL, &model_options, &model, err);
    if (status == SENVEC_OK)
        status = senvec_session_open(model, &session_options, &session, err);
    if (status == SENVEC_OK)
        status = senvec_embed(session, texts, TEXTS, vectors, H, NULL, err);
    senvec_session_free(session);
    senvec_model_free(model);
    return status;
}

static void the_nth_allocation_fails(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        counter c = {.fail_at = n};
        senvec_allocator allocator = {counted_alloc, counted_free, &c};
        senvec_error err = {0};
        senvec_status status = attempt(&allocator, &err);
        assert_int_equal(c.blocks, 0);
        assert_int_equal(c.bytes, 0);
        if (status == SENVEC_OK) {
            assert_true(c.calls < n);
            assert_true(n > 10); /* it was a test at all */
            break;
        }
        assert_int_equal(status, SENVEC_OUT_OF_MEMORY);
        assert_int_equal(err.code, SENVEC_OUT_OF_MEMORY);
        assert_true(err.message[0] != '\0');
    }
}

/* The same for what the C library is asked for: nothing is left of jansson, which couldn't be failed so. */
static void the_nth_call_of_malloc_fails(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        senvec_error err = {0};
        library_calls = 0;
        library_fails_at = n;
        senvec_status status = attempt(NULL, &err);
        library_fails_at = 0;
        if (status == SENVEC_OK && library_calls < n) {
            assert_true(n > 10);
            break;
        }
        assert_int_equal(status, SENVEC_OUT_OF_MEMORY);
        assert_true(err.message[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_call_allocates_nothing),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(the_nth_call_of_malloc_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
