/* Models that int8 alone can't hold, through senvec.h: which layers become wide, how accurate the vectors are then, the same
 * bits alone, in a batch, from a native file and from shared weights, and native files whose wide layers don't fit refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/limits.h"
#include "senvec.h"
#include "support/test_models.h"
#include "support/test_sessions.h"

enum { TEXTS = 5, BATCH = 43, H = 32, INNER = 64 };

static const senvec_text texts[TEXTS] = {
    {"one", 3},
    {NULL, 0},
    {"a longer text, with punctuation", 31},
    {"the quick brown fox jumps over the lazy dog and is seen by nobody", 65},
    {"for (i = 0; i < 10; i++) sum += i * i;", 38},
};

/* ----------------------------------------------------------------------------------------------------------- model files */

/* Where a tensor's floats are in the bytes of a safetensors file. */
static float *floats_of(char *bytes, const char *name) {
    char quoted[100];
    uint64_t header;
    unsigned long begin;
    memcpy(&header, bytes, sizeof header);
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(bytes + sizeof header, quoted);
    assert_non_null(at);
    at = strstr(at, "\"data_offsets\"");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"data_offsets\":[%lu,", &begin), 1);
    return (float *)(void *)(bytes + sizeof header + header + begin);
}

static void scale(float *floats, size_t count, size_t step, float factor) {
    for (size_t i = 0; i < count; i++)
        floats[i * step] *= factor;
}

/* A GELU channel of the first layer is 200 times as wide as it was, and nothing reads it: smoothing leaves it alone, so rows
 * of 8 bits keep little of the other channels, and `down` loses. */
static void make_outlier(char *bytes) {
    scale(floats_of(bytes, "encoder.layer.0.intermediate.dense.weight") + 3 * (size_t)H, H, 1, 200);
    scale(floats_of(bytes, "encoder.layer.0.output.dense.weight") + 3, H, INNER, 0);
}

/* Scores are 50 times as large: a little error in them makes another token the one that is attended to. */
static void make_sharp(char *bytes) {
    scale(floats_of(bytes, "encoder.layer.0.attention.self.query.weight"), (size_t)H * H, 1, 50);
    scale(floats_of(bytes, "encoder.layer.1.attention.self.query.weight"), (size_t)H * H, 1, 50);
}

/* Makes a changed copy of the tiny model; `directory` gets its path. */
static void make_model(void (*change)(char *bytes), const char *name, char directory[SV_MAX_PATH]) {
    char path[SV_MAX_PATH + 32];
    size_t size;
    snprintf(directory, SV_MAX_PATH, "%s", test_copy_tiny(name));
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    char *bytes = test_read(path, &size);
    change(bytes);
    test_write(path, bytes, size);
    free(bytes);
}

/* ------------------------------------------------------------------------------------------------------------- the vectors */

static senvec_model *open_model(const char *path, senvec_precision precision, bool share) {
    senvec_model *model;
    senvec_error err;
    const senvec_model_options options = {.precision = precision, .share_weights = share};
    if (senvec_model_open(path, &options, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return model;
}

static void embed(senvec_session *session, const senvec_text *from, size_t count, float *out) {
    senvec_error err;
    if (senvec_embed(session, from, count, out, H, NULL, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
}

/* out (TEXTS, H) <- the vectors of a model, which is freed. */
static void embed_and_free(senvec_model *model, float out[TEXTS * H]) {
    senvec_session *session = test_open_session(model, 1);
    embed(session, texts, TEXTS, out);
    senvec_session_free(session);
    senvec_model_free(model);
}

static void check_same_bits(const senvec_model *model, const float wanted[TEXTS * H]) {
    senvec_text batch[BATCH];
    float vectors[BATCH * H];
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = texts[(BATCH - i) % TEXTS];
    for (size_t threads = 1; threads <= 3; threads++) {
        senvec_session *session = test_open_session(model, threads);
        for (size_t i = 0; i < TEXTS; i++) {
            embed(session, &texts[i], 1, vectors);
            assert_memory_equal(vectors, wanted + i * H, H * sizeof(float));
        }
        embed(session, batch, BATCH, vectors);
        for (size_t i = 0; i < BATCH; i++)
            assert_memory_equal(vectors + i * H, wanted + (BATCH - i) % TEXTS * H, H * sizeof(float));
        senvec_session_free(session);
    }
}

static double cosine(const float *a, const float *b) {
    double product = 0, of_a = 0, of_b = 0;
    for (size_t i = 0; i < H; i++) {
        product += (double)a[i] * b[i];
        of_a += (double)a[i] * a[i];
        of_b += (double)b[i] * b[i];
    }
    return product / sqrt(of_a * of_b);
}

/* The model in `directory`: its wide layers, their multiply-accumulates, its accuracy, and the same bits in every way.
 * vectors (TEXTS, H) gets what it gives. */
static void check_model(const char *directory, const char *wide, size_t macs, float vectors[TEXTS * H]) {
    float fp32[TEXTS * H], shared[TEXTS * H];
    senvec_model_info info;
    embed_and_free(open_model(directory, SENVEC_PRECISION_FP32, false), fp32);
    senvec_model *model = open_model(directory, SENVEC_PRECISION_INT8, false);
    senvec_model_describe(model, &info);
    assert_string_equal(info.wide_layers, wide);
    assert_int_equal(info.wide_macs, macs);
    assert_true(info.wide_precision == SENVEC_PRECISION_BF16 || info.wide_precision == SENVEC_PRECISION_FP32);
    assert_true(info.cosine_mean >= 0.99955 && info.cosine_mean <= 1);
    assert_true(info.cosine_least >= 0.998 && info.cosine_least <= info.cosine_mean);
    senvec_session *session = test_open_session(model, 1);
    embed(session, texts, TEXTS, vectors);
    senvec_session_free(session);
    for (size_t i = 0; i < TEXTS; i++)
        assert_true(cosine(vectors + i * H, fp32 + i * H) >= 0.998);
    check_same_bits(model, vectors);
    senvec_model_free(model);
    for (size_t i = 0; i < 2; i++) { /* the first fills the file */
        embed_and_free(open_model(directory, SENVEC_PRECISION_INT8, true), shared);
        assert_memory_equal(shared, vectors, sizeof shared);
    }
}

/* ---------------------------------------------------------------------------------------------------------------- the tests */

static void only_int8_has_wide_layers(void **state) {
    (void)state;
    const senvec_precision precisions[] = {SENVEC_PRECISION_FP32, SENVEC_PRECISION_INT8};
    for (size_t i = 0; i < 2; i++) {
        const bool int8 = precisions[i] == SENVEC_PRECISION_INT8;
        senvec_model_info info;
        senvec_model *model = open_model(TEST_TINY_MODEL, precisions[i], false);
        senvec_model_describe(model, &info);
        assert_true(int8 ? info.wide_layers && !*info.wide_layers : !info.wide_layers);
        assert_true(int8 == (info.cosine_mean > 0.9999));
        assert_true(int8 == (info.cosine_least > 0.9995));
        assert_int_equal(info.wide_macs, 0);
        assert_true(int8 || info.wide_precision == SENVEC_PRECISION_AUTO);
        senvec_model_free(model);
    }
}

static void sharp_attention(void **state) {
    (void)state;
    char directory[SV_MAX_PATH];
    float vectors[TEXTS * H];
    make_model(make_sharp, "sharp", directory);
    check_model(directory, "0.qkv, 0.attention_out", 4 * H * H, vectors);
}

/* The file at `path` is refused, and the error has its name and `words`. */
static void check_refused(const char *path, senvec_status status, const char *words) {
    senvec_model *model;
    senvec_error err;
    assert_int_equal(senvec_model_open(path, NULL, &model, &err), status);
    assert_non_null(strstr(err.message, path));
    if (!strstr(err.message, words))
        fail_msg("'%s' hasn't '%s'", err.message, words);
}

/* Writes `value` over a float of a native file, has it refused, and puts the old one back. */
static void check_float(const char *path, const char *name, float value, senvec_status status, const char *words) {
    size_t size;
    char *bytes = test_read(path, &size);
    float *at = floats_of(bytes, name);
    const float old = *at;
    *at = value;
    test_write(path, bytes, size);
    check_refused(path, status, words);
    *at = old;
    test_write(path, bytes, size);
    free(bytes);
}

static void outlier_of_a_gelu(void **state) {
    (void)state;
    char directory[SV_MAX_PATH], path[SV_MAX_PATH];
    float vectors[TEXTS * H], of_file[TEXTS * H];
    senvec_error err;
    make_model(make_outlier, "outlier", directory);
    check_model(directory, "0.down", INNER * H, vectors);

    snprintf(path, sizeof path, "%s", test_path("native"));
    assert_int_equal(senvec_quantize(directory, path, NULL, &err), SENVEC_OK);
    senvec_model_info info;
    senvec_model *model = open_model(path, SENVEC_PRECISION_INT8, false);
    senvec_model_describe(model, &info);
    assert_string_equal(info.wide_layers, "0.down");
    assert_true(info.cosine_mean >= 0.99955 && info.cosine_least >= 0.998);
    embed_and_free(model, of_file);
    assert_memory_equal(of_file, vectors, sizeof vectors);

    check_float(path, "layers.0.up.exponent", 0, SENVEC_FORMAT, "layer 0"); /* a wide `down` can't read fixed point */
    check_float(path, "layers.0.down.wide", 1, SENVEC_INTEGRITY, "hash");
    check_float(path, "layers.0.down.wide", INFINITY, SENVEC_FORMAT, "layers.0.down.wide");
    check_float(path, "cosine", NAN, SENVEC_FORMAT, "cosine");
    test_replace(path, "\"layers.0.down.wide\":{\"dtype\":\"F32\",\"shape\":[32,64]",
                 "\"layers.0.down.wide\":{\"dtype\":\"F32\",\"shape\":[64,32]");
    check_refused(path, SENVEC_FORMAT, "layers.0.down.wide");
}

/* A cache of its own: what another tier calibrated is as good, but has other bits. */
static int begin(void **state) {
    (void)state;
    return setenv("SENVEC_CACHE", test_path("cache"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_int8_has_wide_layers),
        cmocka_unit_test(sharp_attention),
        cmocka_unit_test(outlier_of_a_gelu),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
