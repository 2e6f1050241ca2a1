/* Every architecture on its tiny random model (tests/golden/families, made by tools/make_tiny_families.py), through senvec.h:
 * against transformers' vectors on each tier and in each precision, and the same bits alone and in a batch. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/limits.h"
#include "senvec.h"
#include "support/model_files.h"

enum { H = 32, MAX_TEXTS = 16, BATCH = 61 };

static const char *const families[] = {"bert",       "roberta", "xlm-roberta", "camembert", "mpnet",
                                       "distilbert", "electra", "bert-tanh",   "bert-relu", "distilbert-masked"};
enum { FAMILIES = sizeof families / sizeof *families };

static const char *const tiers[] = {"ref", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "all"};
enum { TIERS = sizeof tiers / sizeof *tiers };

static const struct {
    senvec_precision precision;
    double cosine; /* of the mean's vectors, at least */
} precisions[] = {{SENVEC_PRECISION_FP32, 1 - 1e-6}, {SENVEC_PRECISION_BF16, 0.9998}, {SENVEC_PRECISION_INT8, 0.998}};

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
    senvec_model *model;
    senvec_error err;
    if (senvec_model_open(directory, &(senvec_model_options){.precision = precision, .cpu = tier}, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    if ((strcmp(info.tier, tier) == 0 || strcmp(tier, "all") == 0) && info.precision == precision)
        return model;
    senvec_model_free(model);
    return NULL;
}

static void embed(const senvec_model *model, size_t threads, const senvec_text *texts, size_t count, float *out) {
    senvec_session *session;
    senvec_error err;
    if (senvec_session_open(model, &(senvec_session_options){.threads = threads}, &session, &err) != SENVEC_OK ||
        senvec_embed(session, texts, count, out, H, NULL, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
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

/* Alone, and among others in both orders, with one to three threads. */
static void check_same_bits(const senvec_model *model, const golden *g, const float *wanted) {
    static float vectors[BATCH * H];
    senvec_text batch[BATCH];
    for (size_t threads = 1; threads <= 3; threads++) {
        for (size_t i = 0; i < g->count; i++) {
            embed(model, threads, &g->texts[i], 1, vectors);
            assert_memory_equal(vectors, wanted + i * H, H * sizeof(float));
        }
        for (size_t i = 0; i < BATCH; i++)
            batch[i] = g->texts[(BATCH - i) % g->count];
        embed(model, threads, batch, BATCH, vectors);
        for (size_t i = 0; i < BATCH; i++)
            assert_memory_equal(vectors + i * H, wanted + (BATCH - i) % g->count * H, H * sizeof(float));
    }
}

static void test_ids(void **state) {
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        golden g = golden_open(families[f]);
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, TEST_FAMILIES "/%s", families[f]);
        senvec_model *model = open_model(directory, "ref", SENVEC_PRECISION_FP32);
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
                check_same_bits(model, &g, vectors);
                senvec_model_free(model);
            }
        json_decref(g.root);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
