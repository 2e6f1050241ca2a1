/* The side of truncation that a call asks for: what is computed for a text that is too long is, bit for bit, what is computed
 * for the part of it that is kept. Every word of these texts is one token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "senvec.h"
#include "support/test_models.h"
#include "support/test_sessions.h"

enum { LONGEST = 10, H = 32, LABELS = 3, MAX_WORDS = 93 };

static const char text[] = "river light stone music garden window train north cloud paper winter summer";
#define BEGINNING "river light stone music garden window train north"
#define END "garden window train north cloud paper winter summer"

static senvec_text of(const char *words) {
    return (senvec_text){words, strlen(words)};
}

/* A model that keeps LONGEST tokens, with modules.json or without. */
static senvec_model *open_model(const char *family, bool embeds) {
    const char *directory = family ? test_copy_family(family, "model") : test_copy_tiny("model");
    char path[600];
    snprintf(path, sizeof path, "%.500s/modules.json", directory);
    if (!embeds)
        assert_int_equal(remove(path), 0);
    const senvec_model_options options = {.precision = SENVEC_PRECISION_FP32, .max_seq_length = LONGEST};
    senvec_model *model;
    senvec_error err;
    if (senvec_model_open(directory, &options, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return model;
}

/* What each side keeps of the text; AUTO is right for the tiny models. */
static const struct {
    senvec_truncation truncation;
    const char *kept;
} sides[] = {{SENVEC_TRUNCATION_AUTO, BEGINNING}, {SENVEC_TRUNCATION_RIGHT, BEGINNING}, {SENVEC_TRUNCATION_LEFT, END}};

static void ids_of_texts(void **state) {
    (void)state;
    senvec_model *model = open_model(NULL, true);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    assert_int_equal(info.truncation, SENVEC_TRUNCATION_RIGHT);
    uint32_t ids[LONGEST], kept[LONGEST], whole[32];
    size_t count, kept_count, all;
    senvec_error err;
    assert_int_equal(senvec_tokenize_whole(model, of(text), whole, 32, &all, NULL), SENVEC_OK);
    assert_int_equal(all, 14);
    for (size_t i = 0; i < 3; i++) {
        senvec_embed_stats stats = {0};
        const senvec_truncation side = sides[i].truncation;
        assert_int_equal(senvec_tokenize_with(model, of(text), side, ids, LONGEST, &count, &stats, NULL), SENVEC_OK);
        assert_int_equal(stats.truncated, 1);
        assert_int_equal(stats.tokens, LONGEST);
        assert_int_equal(senvec_tokenize_with(model, of(sides[i].kept), side, kept, LONGEST, &kept_count, &stats, NULL),
                         SENVEC_OK);
        assert_int_equal(stats.truncated, 1);
        assert_int_equal(count, LONGEST);
        assert_int_equal(kept_count, LONGEST);
        assert_memory_equal(ids, kept, sizeof ids);
    }
    assert_int_equal(senvec_tokenize_with(model, of(text), SENVEC_TRUNCATION_LEFT, ids, LONGEST - 1, &count, NULL, &err),
                     SENVEC_TOO_LARGE);
    assert_int_equal(senvec_tokenize_with(model, of(text), (senvec_truncation)3, ids, LONGEST, &count, NULL, &err),
                     SENVEC_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "truncation 3"));
    senvec_model_free(model);
}

/* The tokenizer's own side is what AUTO means. */
static void model_that_cuts_on_the_left(void **state) {
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%.500s/tokenizer_config.json", test_copy_tiny("left"));
    test_write_text(path, "{\"truncation_side\": \"left\"}");
    *strrchr(path, '/') = '\0';
    const senvec_model_options options = {.precision = SENVEC_PRECISION_FP32, .max_seq_length = LONGEST};
    senvec_model *model;
    senvec_error err;
    assert_int_equal(senvec_model_open(path, &options, &model, &err), SENVEC_OK);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    assert_int_equal(info.truncation, SENVEC_TRUNCATION_LEFT);
    uint32_t ids[3][LONGEST];
    size_t count;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(senvec_tokenize_with(model, of(text), sides[i].truncation, ids[i], LONGEST, &count, NULL, &err),
                         SENVEC_OK);
    assert_memory_equal(ids[0], ids[2], sizeof ids[0]);
    assert_memory_not_equal(ids[1], ids[2], sizeof ids[0]);
    senvec_model_free(model);
}

static void vectors(void **state) {
    (void)state;
    senvec_model *model = open_model(NULL, true);
    senvec_session *session = test_open_session(model, 2);
    float out[3 * H], tokens[LONGEST * H], wanted[LONGEST * H];
    size_t count;
    senvec_error err;
    senvec_embed_options options[3] = {0};
    const senvec_embed_options *each[3];
    const senvec_text texts[] = {of(text), of(text), of(text)};
    for (size_t i = 0; i < 3; i++) {
        options[i].truncation = sides[i].truncation;
        each[i] = &options[i];
    }
    senvec_embed_stats stats = {0};
    assert_int_equal(senvec_embed_each(session, texts, 3, each, out, H, &stats, &err), SENVEC_OK);
    assert_int_equal(stats.truncated, 3);
    for (size_t i = 0; i < 3; i++) {
        const senvec_text kept = of(sides[i].kept);
        assert_int_equal(senvec_embed(session, &kept, 1, wanted, H, NULL, &err), SENVEC_OK);
        assert_memory_equal(out + i * H, wanted, H * sizeof(float));
        assert_int_equal(senvec_embed_tokens(session, &kept, 1, wanted, LONGEST, &count, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_embed_tokens_with(session, texts, 1, &options[i], tokens, LONGEST, &count, NULL, &err),
                         SENVEC_OK);
        assert_int_equal(count, LONGEST);
        assert_memory_equal(tokens, wanted, sizeof wanted);
    }
    /* A prompt is part of what is cut. */
    const senvec_embed_options prompted[] = {{.prompt = "the ", .truncation = SENVEC_TRUNCATION_RIGHT},
                                             {.prompt = "the ", .truncation = SENVEC_TRUNCATION_LEFT}};
    const senvec_text kept[] = {of("the river light stone music garden window train"), of(END)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(senvec_embed_with(session, texts, 1, &prompted[i], out, H, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_embed(session, &kept[i], 1, wanted, H, NULL, &err), SENVEC_OK);
        assert_memory_equal(out, wanted, H * sizeof(float));
    }
    const senvec_embed_options wrong = {.truncation = (senvec_truncation)3};
    assert_int_equal(senvec_embed_with(session, texts, 1, &wrong, out, H, NULL, &err), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(senvec_embed_tokens_with(session, texts, 1, &wrong, tokens, LONGEST, &count, NULL, &err),
                     SENVEC_INVALID_ARGUMENT);
    senvec_session_free(session);
    senvec_model_free(model);
}

static void words(void **state) {
    (void)state;
    senvec_model *model = open_model("distilbert-masked", false);
    senvec_session *session = test_open_session(model, 1);
    senvec_weight out[MAX_WORDS], wanted[MAX_WORDS];
    size_t count, wanted_count;
    senvec_error err;
    for (size_t i = 0; i < 3; i++) {
        const senvec_text whole = of(text), kept = of(sides[i].kept);
        const senvec_embed_options options = {.truncation = sides[i].truncation};
        assert_int_equal(senvec_embed_sparse(session, &kept, 1, wanted, MAX_WORDS, &wanted_count, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_embed_sparse_with(session, &whole, 1, &options, out, MAX_WORDS, &count, NULL, &err), SENVEC_OK);
        assert_int_equal(count, wanted_count);
        assert_memory_equal(out, wanted, count * sizeof *out);
    }
    const senvec_text whole = of(text), prompted = of("the river"), river = of("river");
    const senvec_embed_options options = {.prompt = "the "};
    assert_int_equal(senvec_embed_sparse(session, &prompted, 1, wanted, MAX_WORDS, &wanted_count, NULL, &err), SENVEC_OK);
    assert_int_equal(senvec_embed_sparse_with(session, &river, 1, &options, out, MAX_WORDS, &count, NULL, &err), SENVEC_OK);
    assert_int_equal(count, wanted_count);
    assert_memory_equal(out, wanted, count * sizeof *out);
    const senvec_embed_options wrong[] = {{.truncation = (senvec_truncation)3},
                                          {.dimensions = 5},
                                          {.normalize = SENVEC_NORMALIZE_ON},
                                          {.prompt_name = "unheard of"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(senvec_embed_sparse_with(session, &whole, 1, &wrong[i], out, MAX_WORDS, &count, NULL, &err),
                         SENVEC_INVALID_ARGUMENT);
    senvec_session_free(session);
    senvec_model_free(model);
}

/* 7 words of a pair are kept: all of a shorter text, and a part of the longer one. */
static void pairs(void **state) {
    (void)state;
    senvec_model *model = open_model("bert", false);
    senvec_session *session = test_open_session(model, 1);
    const senvec_pair pair = {of("the quick fox"), of(text)}, turned = {of(text), of("the quick fox")};
    const senvec_pair kept[] = {{of("the quick fox"), of("river light stone music")},
                                {of("the quick fox"), of("river light stone music")},
                                {of("the quick fox"), of("cloud paper winter summer")}};
    uint32_t ids[LONGEST], types[LONGEST], wanted_ids[LONGEST], wanted_types[LONGEST];
    size_t count;
    senvec_error err;
    for (size_t i = 0; i < 3; i++) {
        const senvec_truncation side = sides[i].truncation;
        senvec_embed_stats stats = {0};
        assert_int_equal(senvec_tokenize_pair(model, &pair, side, ids, types, &count, &stats, &err), SENVEC_OK);
        assert_int_equal(count, LONGEST);
        assert_int_equal(stats.truncated, 1);
        assert_int_equal(stats.tokens, LONGEST);
        assert_int_equal(senvec_tokenize_pair(model, &kept[i], side, wanted_ids, wanted_types, &count, &stats, &err),
                         SENVEC_OK);
        assert_int_equal(count, LONGEST);
        assert_int_equal(stats.truncated, 1);
        assert_memory_equal(ids, wanted_ids, sizeof ids);
        assert_memory_equal(types, wanted_types, sizeof types);
        assert_int_equal(senvec_tokenize_pair(model, &pair, side, wanted_ids, NULL, &count, NULL, &err), SENVEC_OK);
        assert_memory_equal(ids, wanted_ids, sizeof ids);

        const senvec_score_options options = {.activation = SENVEC_ACTIVATION_NONE, .truncation = side},
                                   alone = {.activation = SENVEC_ACTIVATION_NONE, .truncation = side, .single = 1};
        float scores[LABELS], wanted[LABELS];
        assert_int_equal(senvec_score_pairs(session, &pair, 1, &options, scores, LABELS, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_score_pairs(session, &kept[i], 1, &options, wanted, LABELS, NULL, &err), SENVEC_OK);
        assert_memory_equal(scores, wanted, sizeof scores);
        const senvec_pair half = {kept[i].second, kept[i].first}, single = {.first = of(sides[i].kept)};
        assert_int_equal(senvec_score_pairs(session, &turned, 1, &options, scores, LABELS, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_score_pairs(session, &half, 1, &options, wanted, LABELS, NULL, &err), SENVEC_OK);
        assert_memory_equal(scores, wanted, sizeof scores);
        assert_int_equal(senvec_score_pairs(session, &turned, 1, &alone, scores, LABELS, NULL, &err), SENVEC_OK);
        assert_int_equal(senvec_score_pairs(session, &single, 1, &alone, wanted, LABELS, NULL, &err), SENVEC_OK);
        assert_memory_equal(scores, wanted, sizeof scores);
    }
    const senvec_score_options wrong = {.truncation = (senvec_truncation)3};
    float score[LABELS];
    assert_int_equal(senvec_score_pairs(session, &pair, 1, &wrong, score, LABELS, NULL, &err), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(senvec_tokenize_pair(model, &pair, (senvec_truncation)3, ids, types, &count, NULL, &err),
                     SENVEC_INVALID_ARGUMENT);
    assert_int_equal(senvec_tokenize_pair(model, NULL, SENVEC_TRUNCATION_AUTO, ids, types, &count, NULL, &err),
                     SENVEC_INVALID_ARGUMENT);
    senvec_session_free(session);
    senvec_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_texts), cmocka_unit_test(model_that_cuts_on_the_left),
        cmocka_unit_test(vectors),      cmocka_unit_test(words),
        cmocka_unit_test(pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
