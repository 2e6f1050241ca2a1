/* Every architecture on its tiny random model (tests/golden/families, made by tools/make_tiny_families.py), through senvec.h:
 * against transformers' vectors, scores and weights of words on each tier and in each precision, and the same bits alone, in a
 * batch, and with or without the shortcut for a text's first token. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/limits.h"
#include "engine/model.h"
#include "senvec.h"
#include "support/test_models.h"
#include "support/test_sessions.h"

enum { H = 32, MAX_TEXTS = 16, BATCH = 61, LABELS = 3, MAX_WORDS = 256 };

static const char *const families[] = {"bert",       "roberta", "xlm-roberta", "camembert", "mpnet",
                                       "distilbert", "electra", "bert-tanh",   "bert-relu", "distilbert-masked"};
enum { FAMILIES = sizeof families / sizeof *families };

static const char *const tiers[] = {"ref", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "all"};
enum { TIERS = sizeof tiers / sizeof *tiers };

/* The kernels that this CPU gets without a mask; "all" is left out where they are one of the tiers. */
static char best[16];

/* The tiers on which the same bits are asked for: plain C, and the best that this CPU has. */
static bool checks_bits(size_t tier) {
    return tier == 0 || strcmp(tiers[tier], best) == 0 || tier == TIERS - 1;
}

static const struct {
    senvec_precision precision;
    double cosine; /* of the mean's vectors, at least */
} precisions[] = {{SENVEC_PRECISION_FP32, 1 - 1e-6}, {SENVEC_PRECISION_BF16, 0.9998}, {SENVEC_PRECISION_INT8, 0.998}};

static bool is_named(const char *tier) {
    for (size_t t = 0; t < TIERS - 1; t++)
        if (strcmp(tiers[t], tier) == 0)
            return true;
    return false;
}

static int find_best(void **state) {
    (void)state;
    senvec_model *model;
    senvec_model_info info;
    if (senvec_model_open(TEST_FAMILIES "/bert", &(senvec_model_options){.precision = SENVEC_PRECISION_FP32}, &model, NULL) !=
        SENVEC_OK)
        return -1;
    senvec_model_describe(model, &info);
    snprintf(best, sizeof best, "%s", info.tier);
    senvec_model_free(model);
    return 0;
}

/* A family's golden.json. */
typedef struct golden {
    json_t *root;
    senvec_text texts[MAX_TEXTS];
    size_t count;
} golden;

static golden golden_open(const char *family) {
    golden g = {0};
    char path[SV_MAX_PATH];
    snprintf(path, sizeof path, TEST_FAMILIES "/%s/golden.json", family);
    g.root = json_load_file(path, JSON_ALLOW_NUL, NULL);
    const json_t *texts = json_object_get(g.root, "texts");
    g.count = json_array_size(texts);
    assert_true(g.count > 0 && g.count <= MAX_TEXTS);
    for (size_t i = 0; i < g.count; i++)
        g.texts[i] = (senvec_text){json_string_value(json_array_get(texts, i)), json_string_length(json_array_get(texts, i))};
    return g;
}

/* Opens an embedder; NULL if the tier or the precision isn't to be had here. */
static senvec_model *open_model(const char *directory, const char *tier, senvec_precision precision) {
#ifdef __SANITIZE_THREAD__
    /* Threads do the same on each tier, and plain C takes two minutes there; the other builds have its numbers. */
    if (strcmp(tier, "ref") == 0 && strcmp(best, "ref") != 0)
        return NULL;
#endif
    senvec_model *model;
    senvec_error err;
    if (senvec_model_open(directory, &(senvec_model_options){.precision = precision, .cpu = tier}, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    if ((strcmp(info.tier, tier) == 0 || (strcmp(tier, "all") == 0 && !is_named(info.tier))) && info.precision == precision)
        return model;
    senvec_model_free(model);
    return NULL;
}

static void embed_in(senvec_session *session, const senvec_text *texts, size_t count, float *out) {
    senvec_error err;
    if (senvec_embed(session, texts, count, out, H, NULL, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
}

static void embed(const senvec_model *model, size_t threads, const senvec_text *texts, size_t count, float *out) {
    senvec_session *session = test_open_session(model, threads);
    embed_in(session, texts, count, out);
    senvec_session_free(session);
}

/* The largest difference from golden.json's vectors; *cosine gets the least of them. */
static double compare(const golden *g, const char *key, const float *vectors, double *cosine) {
    const json_t *rows = json_object_get(g->root, key);
    double largest = 0;
    *cosine = 1;
    for (size_t i = 0; i < g->count; i++) {
        double product = 0, squares = 0, wanted_squares = 0;
        for (size_t j = 0; j < H; j++) {
            const double wanted = json_real_value(json_array_get(json_array_get(rows, i), j)), got = vectors[i * H + j];
            assert_true(isfinite(got));
            largest = fmax(largest, fabs(got - wanted));
            product += got * wanted;
            squares += got * got;
            wanted_squares += wanted * wanted;
        }
        *cosine = fmin(*cosine, product / sqrt(squares * wanted_squares));
    }
    return largest;
}

/* Alone, and among others in another order, with one thread and with three. */
static void check_same_bits(const senvec_model *model, const golden *g, const float *wanted) {
    static float vectors[BATCH * H];
    senvec_text batch[BATCH];
    for (size_t threads = 1; threads <= 3; threads += 2) {
        senvec_session *session = test_open_session(model, threads);
        for (size_t i = 0; i < g->count; i++) {
            embed_in(session, &g->texts[i], 1, vectors);
            assert_memory_equal(vectors, wanted + i * H, H * sizeof(float));
        }
        for (size_t i = 0; i < BATCH; i++)
            batch[i] = g->texts[(BATCH - i) % g->count];
        embed_in(session, batch, BATCH, vectors);
        for (size_t i = 0; i < BATCH; i++)
            assert_memory_equal(vectors + i * H, wanted + (BATCH - i) % g->count * H, H * sizeof(float));
        senvec_session_free(session);
    }
}

static void test_ids(void **state) {
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, TEST_FAMILIES "/%s", families[f]);
        senvec_model *model = open_model(directory, best, SENVEC_PRECISION_FP32);
        for (size_t i = 0; i < g.count; i++) {
            const json_t *wanted = json_array_get(json_object_get(g.root, "ids"), i);
            uint32_t ids[64];
            size_t n;
            assert_int_equal(senvec_tokenize(model, g.texts[i], ids, 64, &n, NULL, NULL), SENVEC_OK);
            assert_int_equal(n, json_array_size(wanted));
            for (size_t j = 0; j < n; j++)
                assert_int_equal(ids[j], json_integer_value(json_array_get(wanted, j)));
        }
        senvec_model_free(model);
        json_decref(g.root);
    }
}

static void test_mean(void **state) {
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, TEST_FAMILIES "/%s", families[f]);
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++)
            for (size_t t = 0; t < TIERS; t++) {
                senvec_model *model = open_model(directory, tiers[t], precisions[p].precision);
                if (!model)
                    continue;
                float vectors[MAX_TEXTS * H];
                double cosine;
                embed(model, 2, g.texts, g.count, vectors);
                const double largest = compare(&g, "mean", vectors, &cosine);
                print_message("%s %s on %s: largest difference %.2g, least cosine %.6f\n", families[f],
                              senvec_precision_name(precisions[p].precision), tiers[t], largest, cosine);
                assert_true(cosine >= precisions[p].cosine);
                if (precisions[p].precision == SENVEC_PRECISION_FP32)
                    assert_true(largest <= 2e-6);
                if (checks_bits(t))
                    check_same_bits(model, &g, vectors);
                senvec_model_free(model);
            }
        json_decref(g.root);
    }
}

/* The vector of the first token, which isn't of length 1. */
static void test_first(void **state) {
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, "%.500s", test_copy_family(families[f], "first"));
        char path[SV_MAX_PATH + 32];
        snprintf(path, sizeof path, "%s/1_Pooling/config.json", directory);
        test_write_text(path, "{\"embedding_dimension\": 32, \"pooling_mode\": \"cls\"}");
        snprintf(path, sizeof path, "%s/modules.json", directory);
        test_write_text(path, "[{\"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"}, "
                              "{\"path\": \"1_Pooling\", \"type\": \"sentence_transformers.models.Pooling\"}]");
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++)
            for (size_t t = 0; t < TIERS; t++) {
                senvec_model *model = open_model(directory, tiers[t], precisions[p].precision);
                if (!model)
                    continue;
                float vectors[MAX_TEXTS * H];
                double cosine;
                embed(model, 2, g.texts, g.count, vectors);
                const double largest = compare(&g, "first", vectors, &cosine);
                print_message("%s %s on %s, first token: largest difference %.2g, least cosine %.6f\n", families[f],
                              senvec_precision_name(precisions[p].precision), tiers[t], largest, cosine);
                assert_true(cosine >= 1 - 2 * (1 - precisions[p].cosine));
                if (precisions[p].precision == SENVEC_PRECISION_FP32)
                    assert_true(largest <= 5e-6);
                if (checks_bits(t)) {
                    check_same_bits(model, &g, vectors);
                    model->encoder.all_tokens = true; /* without the shortcut */
                    check_same_bits(model, &g, vectors);
                }
                senvec_model_free(model);
            }
        json_decref(g.root);
    }
}

/* ------------------------------------------------------------------------------------------------------- scores and words */

/* A family's model without the modules of an embedder. */
static const char *bare_checkpoint(const char *family, char directory[SV_MAX_PATH]) {
    char path[SV_MAX_PATH + 32];
    snprintf(directory, SV_MAX_PATH, "%.500s", test_copy_family(family, "bare"));
    snprintf(path, sizeof path, "%s/modules.json", directory);
    assert_int_equal(unlink(path), 0);
    return directory;
}

static void score_in(senvec_session *session, const senvec_pair *pairs, size_t count, senvec_activation activation,
                     float *out) {
    senvec_error err;
    senvec_score_options options = {.activation = activation};
    if (senvec_score_pairs(session, pairs, count, &options, out, LABELS, NULL, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
}

static void score(const senvec_model *model, size_t threads, const senvec_pair *pairs, size_t count,
                  senvec_activation activation, float *out) {
    senvec_session *session = test_open_session(model, threads);
    score_in(session, pairs, count, activation, out);
    senvec_session_free(session);
}

/* Alone and among others; `wanted` (count, LABELS). */
static void check_same_scores(const senvec_model *model, const senvec_pair *pairs, size_t count, size_t labels,
                              const float *wanted) {
    senvec_pair batch[BATCH];
    float scores[BATCH * LABELS];
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = pairs[(BATCH - i) % count];
    for (size_t threads = 1; threads <= 3; threads += 2) {
        senvec_session *session = test_open_session(model, threads);
        for (size_t i = 0; i < count; i++) {
            score_in(session, &pairs[i], 1, SENVEC_ACTIVATION_NONE, scores);
            assert_memory_equal(scores, wanted + i * LABELS, labels * sizeof(float));
        }
        score_in(session, batch, BATCH, SENVEC_ACTIVATION_NONE, scores);
        for (size_t i = 0; i < BATCH; i++)
            assert_memory_equal(scores + i * LABELS, wanted + (BATCH - i) % count * LABELS, labels * sizeof(float));
        senvec_session_free(session);
    }
}

static size_t read_pairs(const golden *g, senvec_pair pairs[MAX_TEXTS]) {
    const json_t *list = json_object_get(g->root, "pairs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(json_array_get(list, i), 0), *b = json_array_get(json_array_get(list, i), 1);
        pairs[i] = (senvec_pair){{json_string_value(a), json_string_length(a)}, {json_string_value(b), json_string_length(b)}};
    }
    return json_array_size(list);
}

static void test_scores(void **state) {
    (void)state;
    static const double bounds[] = {1e-5, 0.15, 0.5}; /* of a logit, by precision */
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        senvec_pair pairs[MAX_TEXTS];
        const size_t count = read_pairs(&g, pairs);
        const json_t *logits = json_object_get(g.root, "logits");
        const size_t labels = json_array_size(json_array_get(logits, 0));
        char directory[SV_MAX_PATH];
        bare_checkpoint(families[f], directory);
        for (size_t p = 0; count && p < sizeof precisions / sizeof *precisions; p++)
            for (size_t t = 0; t < TIERS; t++) {
                senvec_model *model = open_model(directory, tiers[t], precisions[p].precision);
                if (!model)
                    continue;
                senvec_model_info info;
                senvec_model_describe(model, &info);
                assert_int_equal(info.task, labels == 1 ? SENVEC_TASK_RERANKER : SENVEC_TASK_CLASSIFIER);
                assert_int_equal(info.labels, labels);
                assert_int_equal(info.activation, labels == 1 ? SENVEC_ACTIVATION_SIGMOID : SENVEC_ACTIVATION_NONE);
                assert_string_equal(senvec_label_name(model, 0), "LABEL_0");
                assert_null(senvec_label_name(model, labels));
                float scores[MAX_TEXTS * LABELS], activated[MAX_TEXTS * LABELS];
                score(model, 2, pairs, count, SENVEC_ACTIVATION_NONE, scores);
                double largest = 0;
                for (size_t i = 0; i < count; i++)
                    for (size_t j = 0; j < labels; j++)
                        largest = fmax(largest, fabs(scores[i * LABELS + j] -
                                                     json_real_value(json_array_get(json_array_get(logits, i), j))));
                print_message("%s %s on %s: largest difference of a logit %.2g\n", families[f],
                              senvec_precision_name(precisions[p].precision), tiers[t], largest);
                assert_true(largest <= bounds[p]);
                score(model, 1, pairs, count, SENVEC_ACTIVATION_SIGMOID, activated);
                for (size_t i = 0; i < count; i++)
                    assert_true(fabs(activated[i * LABELS] - 1 / (1 + exp(-scores[i * LABELS]))) < 1e-6);
                score(model, 1, pairs, count, SENVEC_ACTIVATION_SOFTMAX, activated);
                for (size_t i = 0; i < count; i++) {
                    double sum = 0;
                    for (size_t j = 0; j < labels; j++)
                        sum += activated[i * LABELS + j];
                    assert_true(fabs(sum - 1) < 1e-6);
                }
                if (checks_bits(t)) {
                    check_same_scores(model, pairs, count, labels, scores);
                    model->encoder.all_tokens = true;
                    check_same_scores(model, pairs, count, labels, scores);
                }
                senvec_model_free(model);
            }
        json_decref(g.root);
    }
}

/* The ids and token types of pairs, through the tokenizer. */
static void test_pair_ids(void **state) {
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        senvec_pair pairs[MAX_TEXTS];
        const size_t count = read_pairs(&g, pairs);
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, TEST_FAMILIES "/%s", families[f]);
        senvec_model *model = open_model(directory, best, SENVEC_PRECISION_FP32);
        for (size_t i = 0; i < count; i++) {
            const json_t *wanted = json_array_get(json_object_get(g.root, "pair_ids"), i);
            const json_int_t second = json_integer_value(json_array_get(json_object_get(g.root, "second"), i));
            uint32_t ids[64], types[64];
            const sv_tokens tokens = sv_tokenizer_encode_pair(model->tokenizer, pairs[i].first, pairs[i].second,
                                                              SENVEC_TRUNCATION_AUTO, ids, types, 48);
            assert_int_equal(tokens.count, json_array_size(wanted));
            for (size_t j = 0; j < tokens.count; j++) {
                assert_int_equal(ids[j], json_integer_value(json_array_get(wanted, j)));
                assert_int_equal(types[j], (json_int_t)j >= second);
            }
        }
        senvec_model_free(model);
        json_decref(g.root);
    }
}

static void test_words(void **state) {
    (void)state;
    static const double bounds[] = {1e-5, 0.1, 0.35}; /* of a weight, by precision */
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        const json_t *sparse = json_object_get(g.root, "sparse");
        char directory[SV_MAX_PATH];
        bare_checkpoint(families[f], directory);
        for (size_t p = 0; sparse && p < sizeof precisions / sizeof *precisions; p++)
            for (size_t t = 0; t < TIERS; t++) {
                senvec_model *model = open_model(directory, tiers[t], precisions[p].precision);
                if (!model)
                    continue;
                senvec_model_info info;
                senvec_model_describe(model, &info);
                assert_int_equal(info.task, SENVEC_TASK_SPARSE);
                static senvec_weight words[MAX_TEXTS * MAX_WORDS], some[MAX_WORDS];
                size_t counts[MAX_TEXTS];
                double largest = 0;
                for (size_t threads = 1; threads <= 3; threads += 2) {
                    senvec_session *session;
                    assert_int_equal(senvec_session_open(model, &(senvec_session_options){.threads = threads}, &session, NULL),
                                     SENVEC_OK);
                    if (threads == 1)
                        assert_int_equal(senvec_embed_sparse(session, g.texts, g.count, words, MAX_WORDS, counts, NULL, NULL),
                                         SENVEC_OK);
                    for (size_t i = 0; i < g.count; i++) {
                        size_t one;
                        assert_int_equal(senvec_embed_sparse(session, &g.texts[i], 1, some, MAX_WORDS, &one, NULL, NULL),
                                         SENVEC_OK);
                        assert_int_equal(one, counts[i]);
                        assert_memory_equal(some, words + i * MAX_WORDS, one * sizeof *some);
                        /* The three heaviest are among all, in the order of their ids, and none is left out for a lighter one.
                         */
                        assert_int_equal(senvec_embed_sparse(session, &g.texts[i], 1, some, 3, &one, NULL, NULL), SENVEC_OK);
                        assert_int_equal(one, counts[i] < 3 ? counts[i] : 3);
                        float least = INFINITY;
                        for (size_t j = 0; j < one; j++) {
                            least = fminf(least, some[j].value);
                            assert_true(j == 0 || some[j].id > some[j - 1].id);
                        }
                        size_t heavier = 0;
                        for (size_t j = 0; j < counts[i]; j++)
                            heavier += words[i * MAX_WORDS + j].value > least;
                        assert_true(heavier < 3);
                    }
                    senvec_session_free(session);
                }
                for (size_t i = 0; i < g.count; i++) {
                    double dense[MAX_WORDS] = {0};
                    for (size_t j = 0; j < counts[i]; j++)
                        dense[words[i * MAX_WORDS + j].id] = words[i * MAX_WORDS + j].value;
                    const json_t *wanted = json_array_get(sparse, i);
                    for (size_t j = 0; j < json_array_size(wanted); j++)
                        dense[json_integer_value(json_array_get(json_array_get(wanted, j), 0))] -=
                            json_real_value(json_array_get(json_array_get(wanted, j), 1));
                    for (size_t j = 0; j < MAX_WORDS; j++)
                        largest = fmax(largest, fabs(dense[j]));
                }
                print_message("%s %s on %s: largest difference of a word's weight %.2g\n", families[f],
                              senvec_precision_name(precisions[p].precision), tiers[t], largest);
                assert_true(largest <= bounds[p]);
                senvec_model_free(model);
            }
        json_decref(g.root);
    }
}

/* The mean of a text's token vectors is its vector; their number is that of its ids; too little room is an error. */
static void test_tokens(void **state) {
    (void)state;
    golden g = golden_open("mpnet");
    senvec_model *model = open_model(TEST_FAMILIES "/mpnet", best, SENVEC_PRECISION_FP32);
    senvec_session *session;
    senvec_error err;
    assert_int_equal(senvec_session_open(model, &(senvec_session_options){.threads = 2}, &session, &err), SENVEC_OK);
    static float tokens[MAX_TEXTS * 48 * H], vectors[MAX_TEXTS * H];
    size_t counts[MAX_TEXTS], total = 0, at = 0;
    assert_int_equal(senvec_embed(session, g.texts, g.count, vectors, H, NULL, &err), SENVEC_OK);
    assert_int_equal(senvec_embed_tokens(session, g.texts, g.count, tokens, MAX_TEXTS * 48, counts, NULL, &err), SENVEC_OK);
    for (size_t i = 0; i < g.count; i++) {
        assert_int_equal(counts[i], json_array_size(json_array_get(json_object_get(g.root, "ids"), i)));
        double mean[H] = {0}, squares = 0;
        for (size_t row = 0; row < counts[i]; row++, at++)
            for (size_t j = 0; j < H; j++)
                mean[j] += tokens[at * H + j];
        for (size_t j = 0; j < H; j++)
            squares += mean[j] * mean[j];
        for (size_t j = 0; j < H; j++)
            assert_true(fabs(mean[j] / sqrt(squares) - vectors[i * H + j]) < 1e-6);
        total += counts[i];
    }
    assert_int_equal(senvec_embed_tokens(session, g.texts, g.count, tokens, total, counts, NULL, &err), SENVEC_OK);
    counts[0] = 77;
    assert_int_equal(senvec_embed_tokens(session, g.texts, g.count, tokens, total - 1, counts, NULL, &err), SENVEC_TOO_LARGE);
    assert_int_equal(counts[0], 77);
    senvec_session_free(session);
    senvec_model_free(model);
    json_decref(g.root);
}

/* A model that is opened as what it is doesn't do another's work. */
static void test_wrong_task(void **state) {
    (void)state;
    static const char *const kinds[] = {"tiny", "roberta", "bert-relu"};
    for (size_t k = 0; k < 3; k++) {
        char directory[SV_MAX_PATH];
        senvec_model *model =
            open_model(k ? bare_checkpoint(kinds[k], directory) : TEST_TINY_MODEL, best, SENVEC_PRECISION_FP32);
        senvec_session *session;
        senvec_error err = {0};
        assert_int_equal(senvec_session_open(model, &(senvec_session_options){.threads = 1}, &session, NULL), SENVEC_OK);
        const senvec_text text = {"the river", 9};
        float out[H];
        senvec_weight word;
        size_t n;
        if (k != 0) {
            assert_int_equal(senvec_embed(session, &text, 1, out, H, NULL, &err), SENVEC_UNSUPPORTED);
            assert_int_equal(senvec_embed_tokens(session, &text, 1, out, 99, &n, NULL, &err), SENVEC_UNSUPPORTED);
        }
        if (k != 1) {
            assert_int_equal(senvec_score_pairs(session, &(senvec_pair){text, text}, 1, NULL, out, 1, NULL, &err),
                             SENVEC_UNSUPPORTED);
            assert_null(senvec_label_name(model, 0));
        }
        if (k != 2)
            assert_int_equal(senvec_embed_sparse(session, &text, 1, &word, 1, &n, NULL, &err), SENVEC_UNSUPPORTED);
        assert_true(strlen(err.message) > 20);
        senvec_session_free(session);
        senvec_model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),      cmocka_unit_test(test_mean),       cmocka_unit_test(test_first),
        cmocka_unit_test(test_pair_ids), cmocka_unit_test(test_scores),     cmocka_unit_test(test_words),
        cmocka_unit_test(test_tokens),   cmocka_unit_test(test_wrong_task),
    };
    return cmocka_run_group_tests(tests, find_best, NULL);
}
