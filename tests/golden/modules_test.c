/* What comes after the transformer, against sentence-transformers (modules/golden.json, made by tools/make_modules_golden.py):
 * every Pooling, Dense with each activation, LayerNorm, Normalize, truncate_dim, prompts; from the folder and from a native
 * file; and options of each text's own. */
#include <ftw.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/model_files.h"
#include "senvec.h"
#include "support/test_models.h"
#include "support/test_sessions.h"

enum { MAX_TEXTS = 8, MAX_FLOATS = 256 };

#define TOLERANCE 3e-6

static json_t *golden;
static size_t count; /* texts */
static senvec_text texts[MAX_TEXTS];

/* ----------------------------------------------------------------------------------------------------------------- support */

static const char *variant_from, *variant_to;

static int copy_entry(const char *path, const struct stat *facts, int type, struct FTW *walk) {
    (void)facts, (void)walk;
    if (type != FTW_F)
        return 0;
    char to[SV_MAX_PATH];
    snprintf(to, sizeof to, "%.1000s%.1000s", variant_to, path + strlen(variant_from));
    size_t size;
    char *data = test_read(path, &size);
    test_write(to, data, size);
    free(data);
    return 0;
}

/* The tiny model with a variant's files. */
static const char *make_variant(const char *name) {
    static char from[SV_MAX_PATH], to[SV_MAX_PATH];
    snprintf(from, sizeof from, "%s/%s", TEST_MODULES, name);
    snprintf(to, sizeof to, "%.1000s", test_copy_tiny(name));
    variant_from = from;
    variant_to = to;
    assert_int_equal(nftw(from, copy_entry, 16, FTW_PHYS), 0);
    return to;
}

static senvec_model *open_model(const char *path, senvec_precision precision) {
    senvec_model *model;
    senvec_error err;
    if (senvec_model_open(path, &(senvec_model_options){.precision = precision}, &model, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return model;
}

/* The arguments of encode as options of senvec_embed_with. */
static senvec_embed_options options_of(const json_t *call) {
    return (senvec_embed_options){
        .prompt = json_string_value(json_object_get(call, "prompt")),
        .prompt_name = json_string_value(json_object_get(call, "prompt_name")),
        .dimensions = (size_t)json_integer_value(json_object_get(call, "truncate_dim")),
        .normalize = json_is_true(json_object_get(call, "normalize_embeddings")) ? SENVEC_NORMALIZE_ON : SENVEC_NORMALIZE_AUTO,
    };
}

static double compare(const json_t *rows, const float *vectors, const char *name) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        for (size_t j = 0; j < json_array_size(row); j++) {
            double wanted = json_real_value(json_array_get(row, j));
            double difference = fabs(vectors[i * MAX_FLOATS + j] - wanted);
            if (!(difference <= TOLERANCE * fmax(1, fabs(wanted))))
                fail_msg("%s: text %zu, element %zu: %.9g, wanted %.9g", name, i, j, (double)vectors[i * MAX_FLOATS + j],
                         wanted);
            largest = fmax(largest, difference);
        }
    }
    return largest;
}

/* ------------------------------------------------------------------------------------------------------------------- tests */

static void test_against_sentence_transformers(void **state) {
    (void)state;
    const char *name;
    json_t *calls, *call;
    size_t index;
    json_object_foreach(json_object_get(golden, "variants"), name, calls) {
        senvec_model *model = open_model(make_variant(name), SENVEC_PRECISION_FP32);
        senvec_session *session = test_open_session(model, 2);
        double largest = 0;
        json_array_foreach(calls, index, call) {
            senvec_embed_options options = options_of(json_object_get(call, "call"));
            float vectors[MAX_TEXTS * MAX_FLOATS];
            senvec_error err;
            if (senvec_embed_with(session, texts, count, &options, vectors, MAX_FLOATS, NULL, &err) != SENVEC_OK)
                fail_msg("%s: %s", name, err.message);
            largest = fmax(largest, compare(json_object_get(call, "vectors"), vectors, name));
        }
        print_message("%s: largest difference %.2g\n", name, largest);
        senvec_session_free(session);
        senvec_model_free(model);
    }
}

/* The bits of the folder in int8, and what is known of it. */
static void test_native_files(void **state) {
    (void)state;
    const char *name;
    json_t *calls;
    json_object_foreach(json_object_get(golden, "variants"), name, calls) {
        float vectors[2][MAX_TEXTS * MAX_FLOATS];
        senvec_model_info infos[2];
        senvec_error err;
        char folder[SV_MAX_PATH], native[SV_MAX_PATH];
        snprintf(folder, sizeof folder, "%.1000s", make_variant(name));
        snprintf(native, sizeof native, "%.1000s", test_path("native"));
        if (senvec_quantize(folder, native, NULL, &err) != SENVEC_OK)
            fail_msg("%s", err.message);
        senvec_model *models[2] = {open_model(folder, SENVEC_PRECISION_INT8), open_model(native, SENVEC_PRECISION_INT8)};
        memset(vectors, 0, sizeof vectors);
        for (int i = 0; i < 2; i++) {
            senvec_model_describe(models[i], &infos[i]);
            senvec_session *session = test_open_session(models[i], 1);
            assert_int_equal(senvec_embed(session, texts, count, vectors[i], MAX_FLOATS, NULL, &err), SENVEC_OK);
            senvec_session_free(session);
        }
        assert_memory_equal(vectors[0], vectors[1], sizeof vectors[0]);
        assert_string_equal(infos[0].pooling, infos[1].pooling);
        assert_int_equal(infos[0].dimensions, infos[1].dimensions);
        assert_int_equal(infos[0].most_dimensions, infos[1].most_dimensions);
        assert_int_equal(infos[0].parameters, infos[1].parameters);
        assert_int_equal(infos[0].prompt_count, infos[1].prompt_count);
        for (size_t i = 0; i < infos[0].prompt_count; i++) {
            assert_string_equal(infos[0].prompts[i].name, infos[1].prompts[i].name);
            assert_string_equal(infos[0].prompts[i].text, infos[1].prompts[i].text);
        }
        assert_true(!infos[0].default_prompt_name == !infos[1].default_prompt_name);
        senvec_model_free(models[0]);
        senvec_model_free(models[1]);
    }
}

static void test_options_of_each_text(void **state) {
    (void)state;
    senvec_model *model = open_model(make_variant("prompts"), SENVEC_PRECISION_FP32);
    senvec_session *session = test_open_session(model, 3);
    const senvec_embed_options choices[] = {
        {0},
        {.prompt_name = "document"},
        {.prompt = "light "},
        {.prompt = "", .normalize = SENVEC_NORMALIZE_OFF},
        {.prompt_name = "query", .dimensions = 5},
    };
    enum { CHOICES = sizeof choices / sizeof *choices, N = 40, H = 32 };
    const senvec_embed_options *each[N];
    senvec_text many[N];
    float together[N * H], alone[H];
    senvec_error err;
    for (size_t i = 0; i < N; i++) {
        many[i] = texts[i % count];
        each[i] = i % 6 == 5 ? NULL : &choices[i % CHOICES];
    }
    assert_int_equal(senvec_embed_each(session, many, N, each, together, H, NULL, &err), SENVEC_OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(senvec_embed_with(session, &many[i], 1, each[i], alone, H, NULL, &err), SENVEC_OK);
        size_t floats = each[i] && each[i]->dimensions ? each[i]->dimensions : H;
        assert_memory_equal(alone, together + i * H, floats * sizeof(float));
    }
    senvec_session_free(session);
    senvec_model_free(model);
}

static void expect_failure(senvec_session *session, senvec_embed_options options, size_t stride, const char *reason) {
    float out[MAX_TEXTS * MAX_FLOATS];
    senvec_error err;
    assert_int_equal(senvec_embed_with(session, texts, count, &options, out, stride, NULL, &err), SENVEC_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, reason));
}

static void test_mistakes(void **state) {
    (void)state;
    senvec_model *model = open_model(make_variant("chain"), SENVEC_PRECISION_FP32);
    senvec_session *session = test_open_session(model, 1);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    assert_int_equal(info.dimensions, 20);
    assert_int_equal(info.most_dimensions, 36);
    assert_string_equal(info.pooling, "mean+lasttoken");
    expect_failure(session, (senvec_embed_options){.dimensions = 37}, MAX_FLOATS, "36");
    expect_failure(session, (senvec_embed_options){.dimensions = 36}, 35, "stride 35");
    expect_failure(session, (senvec_embed_options){.prompt_name = "passage"}, MAX_FLOATS, "\"query\"");
    expect_failure(session, (senvec_embed_options){.normalize = (senvec_normalize)7}, MAX_FLOATS, "normalize 7");
    senvec_session_free(session);
    senvec_model_free(model);
}

/* The vectors of the tokens of texts[i], behind a prompt, of the model with nothing after the transformer. */
static size_t tokens_of(senvec_session *session, size_t i, const char *prompt, float *out, size_t capacity) {
    char joined[1000];
    size_t n;
    snprintf(joined, sizeof joined, "%s%.*s", prompt, (int)texts[i].length, texts[i].data);
    const senvec_text text = {joined, strlen(joined)};
    assert_int_equal(senvec_embed_tokens(session, &text, 1, out, capacity, &n, NULL, NULL), SENVEC_OK);
    return n;
}

/* The vectors of tokens are those before pooling, `hidden` floats each, whatever comes after it: a Dense, several poolings, a
 * cut; and those of the prompt are among them. `out` ends where a sanitizer looks. */
static void test_tokens(void **state) {
    (void)state;
    enum { LONGEST = 64, H = 32 };
    static const struct {
        const char *variant;
        senvec_embed_options options;
        const char *prompt; /* that the tokens are to be those of */
    } cases[] = {
        {"dense", {0}, ""},
        {"chain", {0}, ""},
        {"joined", {0}, ""},
        {"prompts", {0}, "the river: "},
        {"prompts", {.prompt = ""}, ""},
        {"prompts", {.prompt_name = "document"}, "a stone of the garden, "},
        {"dense", {.prompt = "light ", .normalize = SENVEC_NORMALIZE_ON}, "light "},
    };
    senvec_model *plain = open_model(TEST_TINY_MODEL, SENVEC_PRECISION_FP32);
    senvec_session *plain_session = test_open_session(plain, 1);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        senvec_model *model = open_model(make_variant(cases[c].variant), SENVEC_PRECISION_FP32);
        senvec_session *session = test_open_session(model, 2);
        senvec_model_info info;
        senvec_model_describe(model, &info);
        assert_int_equal(info.hidden, H);
        size_t counts[MAX_TEXTS], total = 0, at = 0;
        float wanted[LONGEST * H];
        for (size_t i = 0; i < count; i++)
            total += tokens_of(plain_session, i, cases[c].prompt, wanted, LONGEST);
        float *out = malloc(total * H * sizeof *out);
        assert_non_null(out);
        senvec_error err;
        if (senvec_embed_tokens_with(session, texts, count, &cases[c].options, out, total, counts, NULL, &err) != SENVEC_OK)
            fail_msg("%s: %s", cases[c].variant, err.message);
        for (size_t i = 0; i < count; at += counts[i++]) {
            assert_int_equal(counts[i], tokens_of(plain_session, i, cases[c].prompt, wanted, LONGEST));
            for (size_t t = 0; t < counts[i]; t++) {
                double squares = 1;
                if (cases[c].options.normalize == SENVEC_NORMALIZE_ON) {
                    squares = 0;
                    for (size_t j = 0; j < H; j++)
                        squares += (double)wanted[t * H + j] * (double)wanted[t * H + j];
                }
                for (size_t j = 0; j < H; j++)
                    assert_true(fabs(out[(at + t) * H + j] - wanted[t * H + j] / sqrt(squares)) <= 1e-6);
            }
        }
        assert_int_equal(senvec_embed_tokens_with(session, texts, count, &(senvec_embed_options){.dimensions = 5}, out, total,
                                                  counts, NULL, &err),
                         SENVEC_INVALID_ARGUMENT);
        assert_int_equal(senvec_embed_tokens_with(session, texts, count, &(senvec_embed_options){.prompt_name = "x"}, out,
                                                  total, counts, NULL, &err),
                         SENVEC_INVALID_ARGUMENT);
        free(out);
        senvec_session_free(session);
        senvec_model_free(model);
    }
    senvec_session_free(plain_session);
    senvec_model_free(plain);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"all-MiniLM-L6-v2", "all-MiniLM-L6-v2"},
        {"/a/b/all-MiniLM-L6-v2//", "all-MiniLM-L6-v2"},
        {"/c/models/org--name-v2", "org/name-v2"},
        {"/c/hub/models--org--name/snapshots/0123/", "org/name"},
        {"/c/hub/models--gpt/snapshots/0123", "gpt"},
        {"x/snapshots/0123", "0123"},
        {"mine.safetensors", "mine"},
        {"--a", "--a"},
        {"a--", "a--"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[SV_MAX_PATH];
        sv_model_name(cases[i].path, name);
        assert_string_equal(name, cases[i].name);
    }
    assert_int_equal(chdir(test_copy_tiny("here")), 0);
    senvec_model *model = open_model(".", SENVEC_PRECISION_FP32);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    assert_string_equal(info.name, "here");
    senvec_model_free(model);
}

/* A session that is used in a child of its process says so, and one of the child's own works. */
static void test_fork(void **state) {
    (void)state;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(TEST_EMULATED)
    /* Neither ThreadSanitizer nor QEMU lets the child of a process with threads start new ones; AddressSanitizer's allocator
     * may be locked at the moment of the fork, and stays so in the child. */
    skip();
#endif
    senvec_model *model = open_model(TEST_TINY_MODEL, SENVEC_PRECISION_FP32);
    senvec_session *session = test_open_session(model, 2);
    float out[MAX_TEXTS * MAX_FLOATS];
    senvec_error err;
    pid_t child = fork();
    if (child == 0) {
        int wrong = senvec_embed(session, texts, count, out, MAX_FLOATS, NULL, &err) != SENVEC_UNSUPPORTED;
        senvec_session_free(session);
        session = NULL;
        wrong |= senvec_session_open(model, &(senvec_session_options){.threads = 2}, &session, &err) != SENVEC_OK ||
                 senvec_embed(session, texts, count, out, MAX_FLOATS, NULL, &err) != SENVEC_OK;
        _exit(wrong);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    senvec_session_free(session);
    senvec_model_free(model);
}

/* Weights that are finite but overflow: an error, not a vector of NaN. */
static void test_not_finite(void **state) {
    (void)state;
    const char *directory = test_copy_tiny("overflow");
    char path[SV_MAX_PATH];
    snprintf(path, sizeof path, "%.500s/model.safetensors", directory);
    size_t size;
    char *data = test_read(path, &size);
    uint64_t header;
    memcpy(&header, data, sizeof header);
    static const char name[] = "\"encoder.layer.1.output.LayerNorm.weight\"";
    const char *entry = memmem(data, size, name, sizeof name - 1), *offsets = entry ? strstr(entry, "data_offsets\":[") : NULL;
    assert_non_null(offsets);
    size_t at = 8 + header + strtoul(offsets + strlen("data_offsets\":["), NULL, 10);
    for (size_t i = 0; i < 32; i++)
        memcpy(data + at + 4 * i, &(float){3e38f}, 4);
    test_write(path, data, size);
    free(data);
    senvec_model *model = open_model(directory, SENVEC_PRECISION_FP32);
    for (size_t threads = 1; threads <= 3; threads++) {
        senvec_session *session = test_open_session(model, threads);
        float out[MAX_TEXTS * MAX_FLOATS];
        senvec_error err;
        assert_int_equal(senvec_embed(session, texts, count, out, MAX_FLOATS, NULL, &err), SENVEC_FORMAT);
        assert_non_null(strstr(err.message, "text 0 isn't finite"));
        senvec_session_free(session);
    }
    senvec_model_free(model);
}

/* A call of several windows whose `out` held no numbers before: a window is done when its vectors are looked at. */
static void test_many_windows(void **state) {
    (void)state;
    enum { MANY = 1600, ROUNDS = 60 };
    senvec_model *model = open_model(TEST_TINY_MODEL, SENVEC_PRECISION_FP32);
    senvec_session *session = test_open_session(model, 4);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    senvec_text *many = malloc(MANY * sizeof *many);
    float *out = malloc(MANY * info.dimensions * sizeof *out);
    assert_non_null(many);
    assert_non_null(out);
    for (size_t i = 0; i < MANY; i++)
        many[i] = (senvec_text){"light on the water", i % 19};
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY * info.dimensions; i++)
            out[i] = NAN;
        senvec_error err = {0};
        if (senvec_embed(session, many, MANY, out, info.dimensions, NULL, &err) != SENVEC_OK)
            fail_msg("round %zu: %s", round, err.message);
    }
    free(many);
    free(out);
    senvec_session_free(session);
    senvec_model_free(model);
}

static int load_golden(void **state) {
    (void)state;
    golden = json_load_file(TEST_MODULES "/golden.json", JSON_ALLOW_NUL, NULL);
    const json_t *list = json_object_get(golden, "texts");
    count = json_array_size(list);
    for (size_t i = 0; i < count; i++)
        texts[i] = (senvec_text){json_string_value(json_array_get(list, i)), json_string_length(json_array_get(list, i))};
    return count == 0;
}

static int free_golden(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_sentence_transformers),
        cmocka_unit_test(test_native_files),
        cmocka_unit_test(test_options_of_each_text),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_many_windows),
    };
    return cmocka_run_group_tests(tests, load_golden, free_golden);
}
