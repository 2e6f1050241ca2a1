/* The whole path from texts to vectors, through senvec.h, on the tiny model: against PyTorch's vectors (golden.json, made by
 * tools/make_tiny_model.py) for each Pooling, for every tier that this CPU has; and the promise that a text's vector has the
 * same bits wherever it stands. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "format/safetensors.h"
#include "senvec.h"
#include "support/test_models.h"

enum { H = 32, MAX_TEXTS = 64, BATCH = 258 };

#define TOLERANCE 2e-6

static const char *const tiers[] = {"ref", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16"};
enum { TIERS = sizeof tiers / sizeof *tiers };

static const struct {
    senvec_precision precision;
    const char *name;
    double cosine; /* at least, against PyTorch */
} precisions[] = {
    {SENVEC_PRECISION_FP32, "fp32", 1 - 1e-6},
    {SENVEC_PRECISION_BF16, "bf16", 0.9999},
    {SENVEC_PRECISION_INT8, "int8", 0.999},
};

static json_t *golden;
static size_t count; /* texts */
static senvec_text texts[MAX_TEXTS];

/* ------------------------------------------------------------------------------------------------------------ the variants */

/* Writes the tiny model's safetensors again in a 16-bit float type, which holds its weights exactly. */
static void convert_weights(const char *path, sv_dtype dtype) {
    sv_safetensors *file;
    assert_int_equal(sv_safetensors_open(TEST_TINY_MODEL "/model.safetensors", &file, NULL), SENVEC_OK);
    size_t size = 0;
    uint16_t *data = malloc(sv_safetensors_bytes(file));
    assert_non_null(data);
    json_t *header = json_object();
    for (size_t i = 0; i < sv_safetensors_count(file); i++) {
        const sv_tensor *tensor = sv_safetensors_at(file, i);
        if (tensor->dtype != SV_DTYPE_F32)
            continue;
        json_t *shape = json_array();
        for (size_t j = 0; j < tensor->rank; j++)
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[j]));
        json_object_set_new(header, tensor->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype == SV_DTYPE_F16 ? "F16" : "BF16", "shape", shape,
                                      "data_offsets", (json_int_t)(2 * size), (json_int_t)(2 * (size + tensor->count))));
        for (size_t j = 0; j < tensor->count; j++) {
            uint32_t bits;
            memcpy(&bits, tensor->data + 4 * j, 4);
            uint32_t half = bits >> 16;
            if (dtype == SV_DTYPE_F16)
                half = (half & 0x8000) | (bits << 1 ? ((bits >> 23 & 0xff) - 127 + 15) << 10 | (bits >> 13 & 0x3ff) : 0);
            data[size++] = (uint16_t)half;
        }
    }
    char *text = json_dumps(header, JSON_COMPACT);
    assert_non_null(text);
    test_write_safetensors(path, text, data, 2 * size);
    free(text);
    json_decref(header);
    free(data);
    sv_safetensors_close(file);
}

static void write_pooling(const char *directory, const char *mode, int normalize) {
    char path[SV_MAX_PATH], text[400];
    snprintf(path, sizeof path, "%.500s/1_Pooling/config.json", directory);
    snprintf(text, sizeof text, "{\"embedding_dimension\": %d, \"pooling_mode\": \"%s\"}", H, mode);
    test_write_text(path, text);
    snprintf(path, sizeof path, "%.500s/modules.json", directory);
    snprintf(text, sizeof text,
             "[{\"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"}, "
             "{\"path\": \"1_Pooling\", \"type\": \"sentence_transformers.models.Pooling\"}%s]",
             normalize ? ", {\"path\": \"2_Normalize\", \"type\": \"sentence_transformers.models.Normalize\"}" : "");
    test_write_text(path, text);
}

/* ----------------------------------------------------------------------------------------------------------------- running */

/* Opens a model on one tier; NULL if this build or CPU hasn't got it, or the tier not this precision. */
static senvec_model *open_precision(const char *directory, const char *tier, senvec_precision precision) {
    senvec_model *model;
    senvec_error err;
    if (senvec_model_open(directory, &(senvec_model_options){.precision = precision, .cpu = tier}, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    if (strcmp(info.tier, tier) == 0 && info.precision == precision)
        return model;
    senvec_model_free(model);
    return NULL;
}

static senvec_model *open_model(const char *directory, const char *tier) {
    return open_precision(directory, tier, SENVEC_PRECISION_FP32);
}

static void embed(const senvec_model *model, size_t threads, const senvec_text *batch, size_t n, float *out) {
    senvec_session *session;
    senvec_error err;
    if (senvec_session_open(model, &(senvec_session_options){.threads = threads}, &session, &err) != SENVEC_OK ||
        senvec_embed(session, batch, n, out, H, NULL, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    senvec_session_free(session);
}

/* ------------------------------------------------------------------------------------------------------------------- tests */

static void test_ids(void **state) {
    (void)state;
    senvec_model *model = open_model(TEST_TINY_MODEL, "ref");
    assert_non_null(model);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    assert_int_equal(info.dimensions, H);
    assert_int_equal(info.max_seq_length, 48);
    for (size_t i = 0; i < count; i++) {
        const json_t *wanted = json_array_get(json_object_get(golden, "ids"), i);
        uint32_t ids[64];
        size_t n;
        assert_int_equal(senvec_tokenize(model, texts[i], ids, 64, &n, NULL, NULL), SENVEC_OK);
        assert_int_equal(n, json_array_size(wanted));
        for (size_t j = 0; j < n; j++)
            assert_int_equal(ids[j], json_integer_value(json_array_get(wanted, j)));
    }
    senvec_model_free(model);
}

/* A token's text is its line in vocab.txt; ids beyond have none. */
static void test_token_text(void **state) {
    (void)state;
    for (int from_vocabulary = 0; from_vocabulary < 2; from_vocabulary++) {
        const char *directory = test_copy_tiny("tokens");
        char path[SV_MAX_PATH];
        snprintf(path, sizeof path, "%.500s/tokenizer.json", directory);
        if (from_vocabulary)
            assert_int_equal(unlink(path), 0);
        senvec_model *model = open_model(directory, "ref");
        size_t length;
        uint32_t id = 0;
        char *vocabulary = test_read(TEST_TINY_MODEL "/vocab.txt", NULL);
        for (char *line = strtok(vocabulary, "\n"); line; line = strtok(NULL, "\n"), id++) {
            const char *text = senvec_token_text(model, id, &length);
            assert_non_null(text);
            assert_int_equal(length, strlen(line));
            assert_memory_equal(text, line, length);
        }
        assert_true(id > 100);
        assert_null(senvec_token_text(model, id, &length));
        assert_null(senvec_token_text(model, UINT32_MAX, &length));
        free(vocabulary);
        senvec_model_free(model);
    }
}

/* A text that is cut has all its ids as a whole: those of its parts. */
static void test_whole(void **state) {
    (void)state;
    senvec_model *model = open_model(TEST_TINY_MODEL, "ref");
    enum { PARTS = 100, ROOM = 8 * PARTS };
    char text[8 * PARTS + 1] = "";
    uint32_t cut[48], part[8], whole[ROOM];
    size_t cut_count, part_count, total = 0;
    senvec_error err;
    for (int i = 0; i < PARTS; i++)
        strcat(text, "a times ");
    senvec_text long_text = {text, strlen(text)};
    assert_int_equal(senvec_tokenize(model, (senvec_text){text, 8}, part, 8, &part_count, NULL, NULL), SENVEC_OK);
    assert_int_equal(senvec_tokenize(model, long_text, cut, 48, &cut_count, NULL, NULL), SENVEC_OK);
    assert_int_equal(cut_count, 48);
    assert_int_equal(senvec_tokenize_whole(model, long_text, NULL, 0, &total, NULL), SENVEC_OK);
    size_t inner = part_count - 2;
    assert_int_equal(total, PARTS * inner + 2);
    assert_int_equal(senvec_tokenize_whole(model, long_text, whole, total - 1, &cut_count, &err), SENVEC_TOO_LARGE);
    assert_int_equal(cut_count, 48);
    assert_int_equal(senvec_tokenize_whole(model, long_text, whole, ROOM, &total, NULL), SENVEC_OK);
    assert_int_equal(total, PARTS * inner + 2);
    for (size_t i = 1; i + 1 < total; i++)
        assert_int_equal(whole[i], part[1 + (i - 1) % inner]);
    assert_int_equal(whole[0], part[0]);
    assert_int_equal(whole[total - 1], part[part_count - 1]);
    assert_memory_equal(whole, cut, 47 * sizeof *cut);
    assert_int_equal(senvec_tokenize_whole(model, long_text, NULL, 1, &total, &err), SENVEC_INVALID_ARGUMENT);
    senvec_model_free(model);
}

/* The largest difference of vectors (count, H) from golden.json's, which must be within the tolerance. */
static double compare(const char *variant, const float *vectors) {
    const json_t *rows = json_object_get(json_object_get(golden, "vectors"), variant);
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < H; j++) {
            double wanted = json_real_value(json_array_get(json_array_get(rows, i), j));
            double difference = fabs(vectors[i * H + j] - wanted);
            if (!(difference <= TOLERANCE))
                fail_msg("%s: text %zu, element %zu: %.9g, wanted %.9g", variant, i, j, (double)vectors[i * H + j], wanted);
            largest = fmax(largest, difference);
        }
    return largest;
}

static void test_against_pytorch(void **state) {
    (void)state;
    static const struct {
        const char *mode;
        int normalize;
    } variants[] = {{"mean", 1}, {"cls", 1}, {"max", 0}};
    for (size_t v = 0; v < 3; v++) {
        const char *directory = test_copy_tiny(variants[v].mode);
        write_pooling(directory, variants[v].mode, variants[v].normalize);
        for (size_t t = 0; t < TIERS; t++) {
            senvec_model *model = open_model(directory, tiers[t]);
            if (!model) {
                print_message("SKIP: %s on %s: not here\n", variants[v].mode, tiers[t]);
                continue;
            }
            float vectors[MAX_TEXTS * H];
            embed(model, 2, texts, count, vectors);
            print_message("%s on %s: largest element difference %.2g\n", variants[v].mode, tiers[t],
                          compare(variants[v].mode, vectors));
            senvec_model_free(model);
        }
    }
}

/* `normalize` on and off give, bit for bit, what a model gives whose modules say so. */
static void test_normalize(void **state) {
    (void)state;
    float own[2][MAX_TEXTS * H], asked[MAX_TEXTS * H];
    for (int normalize = 0; normalize < 2; normalize++) {
        const char *directory = test_copy_tiny("normalize");
        write_pooling(directory, "mean", normalize);
        senvec_model *model = open_model(directory, "ref");
        embed(model, 1, texts, count, own[normalize]);
        senvec_model_free(model);
    }
    assert_memory_not_equal(own[0], own[1], count * H * sizeof(float));
    for (int normalize = 0; normalize < 2; normalize++) {
        const char *directory = test_copy_tiny("normalize");
        write_pooling(directory, "mean", normalize);
        senvec_model *model = open_model(directory, "ref");
        senvec_session *session;
        senvec_error err;
        assert_int_equal(senvec_session_open(model, NULL, &session, &err), SENVEC_OK);
        const senvec_normalize choices[] = {SENVEC_NORMALIZE_AUTO, SENVEC_NORMALIZE_ON, SENVEC_NORMALIZE_OFF};
        for (int i = 0; i < 3; i++) {
            senvec_embed_options options = {.normalize = choices[i]};
            assert_int_equal(senvec_embed_with(session, texts, count, &options, asked, H, NULL, &err), SENVEC_OK);
            assert_memory_equal(asked, own[i == 0 ? normalize : i == 1], count * H * sizeof(float));
        }
        senvec_embed_options wrong = {.normalize = (senvec_normalize)3};
        assert_int_equal(senvec_embed_with(session, texts, count, &wrong, asked, H, NULL, &err), SENVEC_INVALID_ARGUMENT);
        senvec_session_free(session);
        senvec_model_free(model);
    }
}

/* The same weights in another form, and the vocabulary from vocab.txt alone, give the same bits. */
static void test_other_forms(void **state) {
    (void)state;
    float wanted[MAX_TEXTS * H], vectors[MAX_TEXTS * H];
    senvec_model *model = open_model(TEST_TINY_MODEL, "ref");
    embed(model, 1, texts, count, wanted);
    senvec_model_free(model);
    for (int form = 0; form < 3; form++) {
        const char *directory = test_copy_tiny("form");
        char path[SV_MAX_PATH];
        snprintf(path, sizeof path, "%.500s/%s", directory, form < 2 ? "model.safetensors" : "tokenizer.json");
        if (form < 2)
            convert_weights(path, form ? SV_DTYPE_BF16 : SV_DTYPE_F16);
        else
            assert_int_equal(unlink(path), 0);
        model = open_model(directory, "ref");
        embed(model, 1, texts, count, vectors);
        assert_memory_equal(vectors, wanted, count * H * sizeof(float));
        senvec_model_free(model);
    }
}

/* int8 and bf16 stay near PyTorch's vectors. (How near on a real model, which has no random weights: docs/SPEED.md.) */
static void test_low_precisions(void **state) {
    (void)state;
    const json_t *rows = json_object_get(json_object_get(golden, "vectors"), "mean");
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++)
        for (size_t t = 0; t < TIERS; t++) {
            senvec_model *model = open_precision(TEST_TINY_MODEL, tiers[t], precisions[p].precision);
            if (!model || precisions[p].precision == SENVEC_PRECISION_FP32) {
                senvec_model_free(model);
                continue;
            }
            float vectors[MAX_TEXTS * H];
            embed(model, 2, texts, count, vectors);
            double least = 1;
            for (size_t i = 0; i < count; i++) {
                double cosine = 0;
                for (size_t j = 0; j < H; j++)
                    cosine += (double)vectors[i * H + j] * json_real_value(json_array_get(json_array_get(rows, i), j));
                least = fmin(least, cosine);
            }
            print_message("%s on %s: least cosine %.6f\n", precisions[p].name, tiers[t], least);
            assert_true(least >= precisions[p].cosine);
            senvec_model_free(model);
        }
}

/* Alone, among 257 others, in reverse order, with 1, 2 and 3 threads. */
static void check_same_bits(const senvec_model *model) {
    static float alone[MAX_TEXTS * H], batch_vectors[BATCH * H];
    senvec_text batch[BATCH];
    for (size_t i = 0; i < count; i++)
        embed(model, 1, &texts[i], 1, alone + i * H);
    for (size_t threads = 1; threads <= 3; threads++) {
        for (size_t i = 0; i < count; i++) {
            embed(model, threads, &texts[i], 1, batch_vectors);
            assert_memory_equal(batch_vectors, alone + i * H, H * sizeof(float));
        }
        for (int reversed = 0; reversed < 2; reversed++) {
            for (size_t i = 0; i < BATCH; i++)
                batch[reversed ? BATCH - 1 - i : i] = texts[i % count];
            embed(model, threads, batch, BATCH, batch_vectors);
            for (size_t i = 0; i < BATCH; i++)
                assert_memory_equal(batch_vectors + (reversed ? BATCH - 1 - i : i) * H, alone + i % count * H,
                                    H * sizeof(float));
        }
    }
}

static void test_same_bits(void **state) {
    (void)state;
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++)
        for (size_t t = 0; t < TIERS; t++) {
            senvec_model *model = open_precision(TEST_TINY_MODEL, tiers[t], precisions[p].precision);
            if (model)
                check_same_bits(model);
            else
                print_message("SKIP: %s on %s: not here\n", precisions[p].name, tiers[t]);
            senvec_model_free(model);
        }
}

static int load_golden(void **state) {
    (void)state;
    golden = json_load_file(TEST_TINY_MODEL "/golden.json", JSON_ALLOW_NUL, NULL);
    const json_t *list = json_object_get(golden, "texts");
    count = json_array_size(list);
    if (count == 0 || count > MAX_TEXTS)
        return -1;
    for (size_t i = 0; i < count; i++)
        texts[i] = (senvec_text){json_string_value(json_array_get(list, i)), json_string_length(json_array_get(list, i))};
    return 0;
}

static int free_golden(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_token_text),
        cmocka_unit_test(test_against_pytorch),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_low_precisions),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, load_golden, free_golden);
}
