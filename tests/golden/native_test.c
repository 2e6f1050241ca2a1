/* Native files: the same bits as the folder in int8, and damaged ones refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "senvec.h"
#include "support/test_models.h"

enum { TEXTS = 3, H = 32 };

static const senvec_text texts[TEXTS] = {{"one", 3}, {NULL, 0}, {"a longer text, with punctuation", 31}};

/* The vectors of the model at `path` in int8, or the status that opening it gives. */
static senvec_status embed(const char *path, float out[TEXTS * H], senvec_error *err) {
    senvec_model *model;
    senvec_session *session;
    senvec_model_options options = {.precision = SENVEC_PRECISION_INT8};
    senvec_status status = senvec_model_open(path, &options, &model, err);
    if (status != SENVEC_OK)
        return status;
    assert_int_equal(senvec_session_open(model, NULL, &session, err), SENVEC_OK);
    assert_int_equal(senvec_embed(session, texts, TEXTS, out, H, NULL, err), SENVEC_OK);
    senvec_session_free(session);
    senvec_model_free(model);
    return SENVEC_OK;
}

static void same_bits_as_the_folder(void **state) {
    (void)state;
    float folder[TEXTS * H], file[TEXTS * H];
    senvec_error err;
    char model[512], path[512];
    snprintf(model, sizeof model, "%s", test_copy_tiny("model"));
    snprintf(path, sizeof path, "%s", test_path("native"));
    assert_int_equal(senvec_quantize(model, path, NULL, &err), SENVEC_OK);
    assert_int_equal(embed(model, folder, &err), SENVEC_OK);
    assert_int_equal(embed(path, file, &err), SENVEC_OK);
    assert_memory_equal(folder, file, sizeof file);

    senvec_model *opened;
    senvec_model_options fp32 = {.precision = SENVEC_PRECISION_FP32};
    assert_int_equal(senvec_model_open(path, &fp32, &opened, &err), SENVEC_UNSUPPORTED);
    senvec_model *other;
    senvec_model_info a, b;
    assert_int_equal(senvec_model_open(path, NULL, &opened, &err), SENVEC_OK);
    assert_int_equal(senvec_model_open(model, NULL, &other, &err), SENVEC_OK);
    senvec_model_describe(opened, &a);
    senvec_model_describe(other, &b);
    /* One space, whether somebody asked the folder before or not. */
    char of_file[SENVEC_SPACE_ID_SIZE], of_folder[SENVEC_SPACE_ID_SIZE];
    assert_non_null(a.space_id);
    assert_int_equal(senvec_model_space_id(opened, of_file, &err), SENVEC_OK);
    assert_int_equal(senvec_model_space_id(other, of_folder, &err), SENVEC_OK);
    assert_string_equal(of_file, of_folder);
    assert_string_equal(a.space_id, of_file);
    senvec_model_describe(other, &b);
    assert_string_equal(b.space_id, of_file);
    assert_true(b.weights_bytes > 100000 && a.weights_bytes > 10000);
    assert_true(a.precision == SENVEC_PRECISION_INT8 && a.parameters == b.parameters && a.vocabulary == b.vocabulary);
    senvec_model_free(opened);
    senvec_model_free(other);
}

static void texts_of_ones_own(void **state) {
    (void)state;
    float vectors[TEXTS * H];
    senvec_error err;
    const senvec_quantize_options options = {.texts = texts, .count = TEXTS};
    assert_int_equal(senvec_quantize(TEST_TINY_MODEL, test_path("own"), &options, &err), SENVEC_OK);
    assert_int_equal(embed(test_path("own"), vectors, &err), SENVEC_OK);
    assert_int_equal(senvec_quantize(TEST_TINY_MODEL, test_path("no/folder"), &options, &err), SENVEC_IO);
    assert_int_equal(senvec_quantize(test_path("nothing"), test_path("own"), NULL, &err), SENVEC_NOT_FOUND);
}

/* Whatever happens to a file, it is refused with its name, or still gives vectors: tables have no hash, as in any folder. */
static void damaged_files(void **state) {
    (void)state;
    float vectors[TEXTS * H];
    senvec_error err;
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "%s", test_path("damaged"));
    assert_int_equal(senvec_quantize(TEST_TINY_MODEL, path, NULL, &err), SENVEC_OK);
    char *bytes = test_read(path, &size);
    for (size_t i = 0; i < 40; i++) {
        test_write(path, bytes, size * i / 40);
        assert_true(embed(path, vectors, &err) != SENVEC_OK);
        assert_non_null(strstr(err.message, path));
    }
    uint64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    for (size_t i = 0; i < 400; i++) {
        size_t at = i < 300 ? 8 + header * i / 300 : size * (i - 300) / 100;
        bytes[at] ^= (char)(1 << i % 8);
        test_write(path, bytes, size);
        if (embed(path, vectors, &err) != SENVEC_OK)
            assert_non_null(strstr(err.message, path));
        bytes[at] ^= (char)(1 << i % 8);
    }
    test_write(path, bytes, size);
    test_replace(path, "\\\"layers\\\":2", "\\\"layers\\\":3");
    assert_int_equal(embed(path, vectors, &err), SENVEC_FORMAT);
    test_write(path, bytes, size);
    test_replace(path, "native int8 model 5", "native int8 model 4");
    assert_int_equal(embed(path, vectors, &err), SENVEC_UNSUPPORTED);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_as_the_folder),
        cmocka_unit_test(texts_of_ones_own),
        cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
