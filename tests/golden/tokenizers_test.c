/* Tokenizers of every kind, made by tools/make_tiny_tokenizers.py, against the ids that Hugging Face `tokenizers` gave: whole,
 * cut, and in pairs; alone and at the end of memory, from a chunk of a long text, and with every allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "text/tokenizer.h"

enum { ROOM = 4096 };

static const char *const kinds[] = {"added-tokens", "albert",        "bytes-unknown", "cl100k", "llama",
                                    "modernbert",   "nmt-nfkc",      "roberta",       "splits", "roberta-prefix-space",
                                    "words",        "unigram-whole", "xlm-roberta"};
#define KINDS (sizeof kinds / sizeof kinds[0])

typedef struct golden {
    const char *kind;
    sv_tokenizer *tokenizer;
    json_t *json, *texts, *pairs;
} golden;

static void open_golden(golden *g, const char *kind) {
    char directory[SV_MAX_PATH], path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(TEST_TOKENIZERS, kind, directory, NULL), SENVEC_OK);
    assert_int_equal(sv_path_join(directory, "golden.json", path, NULL), SENVEC_OK);
    senvec_error err = {0};
    if (sv_tokenizer_load(directory, NULL, &g->tokenizer, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    g->kind = kind;
    g->json = json_load_file(path, 0, NULL);
    g->texts = json_object_get(g->json, "texts");
    g->pairs = json_object_get(g->json, "pairs");
    assert_true(json_array_size(g->texts) > 20 && json_array_size(g->pairs) > 5);
}

static void close_golden(golden *g) {
    sv_tokenizer_free(g->tokenizer);
    json_decref(g->json);
}

static void compare(const golden *g, const char *text, const json_t *wanted, const uint32_t *ids, size_t count) {
    bool same = json_array_size(wanted) == count;
    for (size_t i = 0; same && i < count; i++)
        same = json_integer_value(json_array_get(wanted, i)) == (json_int_t)ids[i];
    if (!same)
        fail_msg("%s: \"%s\": %zu ids for %zu, or others", g->kind, text, count, json_array_size(wanted));
}

static void whole_texts(void **state) {
    (void)state;
    static uint32_t ids[ROOM], cut[ROOM];
    for (size_t k = 0; k < KINDS; k++) {
        golden g;
        open_golden(&g, kinds[k]);
        size_t i;
        json_t *value;
        json_array_foreach(g.texts, i, value) {
            const char *text = json_string_value(json_array_get(value, 0));
            size_t length = strlen(text);
            char *exact = malloc(length ? length : 1); /* a sanitizer sees what is read behind it */
            assert_non_null(exact);
            memcpy(exact, text, length);
            for (int again = 0; again < 2; again++) { /* what was learnt about a word must not change its ids */
                sv_tokens tokens = sv_tokenizer_encode(g.tokenizer, exact, length, SENVEC_TRUNCATION_AUTO, ids, ROOM);
                compare(&g, text, json_array_get(value, 1), ids, tokens.count);
                assert_false(tokens.truncated || tokens.no_memory || tokens.invalid_utf8);
            }
            size_t count = sv_tokenizer_count(g.tokenizer, exact, length).count;
            assert_int_equal(count, json_array_size(json_array_get(value, 1)));
            for (size_t max = 2; max < count; max++) {
                sv_tokens tokens = sv_tokenizer_encode(g.tokenizer, exact, length, SENVEC_TRUNCATION_AUTO, cut, max);
                assert_true(tokens.truncated && tokens.count == max);
                assert_memory_equal(cut, ids, (max - 1) * sizeof *ids);
                assert_int_equal(cut[max - 1], ids[count - 1]);
            }
            free(exact);
        }
        close_golden(&g);
    }
}

static void pairs_of_texts(void **state) {
    (void)state;
    static uint32_t ids[ROOM], types[ROOM];
    for (size_t k = 0; k < KINDS; k++) {
        golden g;
        open_golden(&g, kinds[k]);
        size_t i;
        json_t *value;
        json_array_foreach(g.pairs, i, value) {
            const char *a = json_string_value(json_array_get(value, 0)), *b = json_string_value(json_array_get(value, 1));
            size_t max = (size_t)json_integer_value(json_array_get(value, 2));
            sv_tokens tokens = sv_tokenizer_encode_pair(g.tokenizer, (senvec_text){a, strlen(a)}, (senvec_text){b, strlen(b)},
                                                        SENVEC_TRUNCATION_AUTO, ids, types, max);
            compare(&g, a, json_array_get(value, 3), ids, tokens.count);
            compare(&g, a, json_array_get(value, 4), types, tokens.count);
        }
        close_golden(&g);
    }
}

/* A long text is encoded in chunks, which must not show: words that are repeated give ids that are repeated. */
static void long_texts(void **state) {
    (void)state;
    enum { TIMES = 2000 };
    static const char words[] = " the lazy dog's back, caf\xc3\xa9 and 12 \xe7\x8b\x90 <mask> ok";
    size_t length = sizeof words - 1;
    char *text = malloc(TIMES * length);
    uint32_t *ids = malloc(TIMES * length * sizeof *ids);
    assert_true(text && ids);
    for (size_t i = 0; i < TIMES; i++)
        memcpy(text + i * length, words, length);
    for (size_t k = 0; k < KINDS; k++) {
        golden g;
        open_golden(&g, kinds[k]);
        size_t two = sv_tokenizer_encode(g.tokenizer, text, 2 * length, SENVEC_TRUNCATION_AUTO, ids, TIMES * length).count;
        size_t three = sv_tokenizer_encode(g.tokenizer, text, 3 * length, SENVEC_TRUNCATION_AUTO, ids, TIMES * length).count,
               each = three - two;
        sv_tokens tokens = sv_tokenizer_encode(g.tokenizer, text, TIMES * length, SENVEC_TRUNCATION_AUTO, ids, TIMES * length);
        assert_int_equal(tokens.count, two + (TIMES - 2) * each);
        for (size_t i = two; i < tokens.count - 1; i++)
            if (ids[i] != ids[i - each])
                fail_msg("%s: id %zu of a long text", g.kind, i);
        close_golden(&g);
    }
    free(text);
    free(ids);
}

/* One word of a megabyte: the time would show a quadratic step, the count a wrong one. */
static void long_words(void **state) {
    (void)state;
    size_t length = 1u << 20;
    char *text = malloc(length);
    uint32_t *ids = malloc((length + 16) * sizeof *ids);
    assert_true(text && ids);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + i * i % 7);
    for (size_t k = 0; k < KINDS; k++) {
        golden g;
        open_golden(&g, kinds[k]);
        sv_tokens tokens = sv_tokenizer_encode(g.tokenizer, text, length, SENVEC_TRUNCATION_AUTO, ids, length + 16);
        assert_false(tokens.no_memory || tokens.truncated);
        assert_true(tokens.count > 2);
        close_golden(&g);
    }
    memset(text, 'e', length);
    for (size_t i = 1; i + 1 < length; i += 2)
        memcpy(text + i, "\xcc\x81", 2); /* marks without end */
    text[length - 1] = 'x';
    for (size_t k = 0; k < KINDS; k++) {
        golden g;
        open_golden(&g, kinds[k]);
        assert_false(sv_tokenizer_encode(g.tokenizer, text, length, SENVEC_TRUNCATION_AUTO, ids, length + 16).no_memory);
        close_golden(&g);
    }
    free(text);
    free(ids);
}

/* Counts what is live, and fails the allocation number `fail_at`. */
typedef struct counter {
    size_t live, calls, fail_at;
} counter;

static void *counting_alloc(void *context, size_t size, size_t alignment) {
    counter *c = context;
    if (++c->calls == c->fail_at)
        return NULL;
    c->live++;
    return sv_default_allocator.alloc(NULL, size, alignment);
}

static void counting_free(void *context, void *block, size_t size) {
    ((counter *)context)->live--;
    sv_default_allocator.free(NULL, block, size);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static char word[20000];
    static uint32_t ids[20002];
    for (size_t i = 0; i < sizeof word; i++)
        word[i] = (char)('a' + i * i % 7);
    for (size_t k = 0; k < KINDS; k++) {
        char directory[SV_MAX_PATH];
        assert_int_equal(sv_path_join(TEST_TOKENIZERS, kinds[k], directory, NULL), SENVEC_OK);
        counter c = {0};
        senvec_allocator allocator = {counting_alloc, counting_free, &c};
        sv_tokenizer *t = NULL;
        senvec_status status = SENVEC_OUT_OF_MEMORY;
        for (c.fail_at = 1; status != SENVEC_OK; c.fail_at++) {
            c.calls = 0;
            status = sv_tokenizer_load(directory, &allocator, &t, NULL);
            assert_true(status == SENVEC_OK || (status == SENVEC_OUT_OF_MEMORY && c.live == 0));
        }
        size_t live = c.live;
        c.fail_at = 0;
        size_t count = sv_tokenizer_encode(t, word, sizeof word, SENVEC_TRUNCATION_AUTO, ids, 20002).count;
        assert_int_equal(c.live, live);
        bool failed = true;
        for (size_t at = 1; failed; at++) {
            c.calls = 0;
            c.fail_at = at;
            sv_tokens tokens = sv_tokenizer_encode(t, word, sizeof word, SENVEC_TRUNCATION_AUTO, ids, 20002);
            failed = c.calls >= at;
            assert_int_equal(tokens.no_memory, failed);
            assert_true(failed || tokens.count == count);
            assert_int_equal(c.live, live);
        }
        c.fail_at = 0;
        c.calls = 0;
        sv_tokenizer_encode(t, "a usual text, of usual words", 28, SENVEC_TRUNCATION_AUTO, ids, 20002);
        assert_int_equal(c.calls, 0); /* and needs no memory */
        sv_tokenizer_free(t);
        assert_int_equal(c.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(pairs_of_texts),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(long_words),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
