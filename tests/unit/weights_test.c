/* Binding of weights: views where they can be, copies where they must be, and each bad tensor refused by name. */
#include "model/weights.h"

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
#include "support/test_models.h"

/* The smallest encoder that has everything. */
static const sv_config config = {
    .hidden = 4, .inner = 6, .layers = 2, .heads = 2, .vocabulary = 5, .positions = 3, .token_types = 2};

/* A tensor as a test writes it. */
typedef struct entry {
    char name[80];
    size_t rows, columns; /* rows 0: a vector */
} entry;

enum { ENTRIES = 5 + 2 * 16 };

static size_t list_entries(entry out[ENTRIES]) {
    size_t h = config.hidden, inner = config.inner, n = 0;
    out[n++] = (entry){"embeddings.word_embeddings.weight", config.vocabulary, h};
    out[n++] = (entry){"embeddings.position_embeddings.weight", config.positions, h};
    out[n++] = (entry){"embeddings.token_type_embeddings.weight", config.token_types, h};
    out[n++] = (entry){"embeddings.LayerNorm.weight", 0, h};
    out[n++] = (entry){"embeddings.LayerNorm.bias", 0, h};
    const entry layer[16] = {
        {"attention.self.query.weight", h, h},       {"attention.self.query.bias", 0, h},
        {"attention.self.key.weight", h, h},         {"attention.self.key.bias", 0, h},
        {"attention.self.value.weight", h, h},       {"attention.self.value.bias", 0, h},
        {"attention.output.dense.weight", h, h},     {"attention.output.dense.bias", 0, h},
        {"attention.output.LayerNorm.weight", 0, h}, {"attention.output.LayerNorm.bias", 0, h},
        {"intermediate.dense.weight", inner, h},     {"intermediate.dense.bias", 0, inner},
        {"output.dense.weight", h, inner},           {"output.dense.bias", 0, h},
        {"output.LayerNorm.weight", 0, h},           {"output.LayerNorm.bias", 0, h},
    };
    for (size_t l = 0; l < config.layers; l++)
        for (size_t i = 0; i < 16; i++) {
            out[n] = layer[i];
            snprintf(out[n++].name, sizeof out->name, "encoder.layer.%zu.%.40s", l, layer[i].name);
        }
    return n;
}

static size_t entry_count(const entry *e) {
    return (e->rows ? e->rows : 1) * e->columns;
}

/* How a test's file differs from the plain one. */
typedef struct variant {
    const char *prefix;                         /* before each name; NULL: none */
    const char *dtype;                          /* NULL: F32 */
    bool aliases;                               /* gamma and beta */
    size_t padding;                             /* bytes of a first tensor, to misalign all others */
    const char *leave_out, *transpose, *poison; /* names of entries */
    float poison_value;
} variant;

/* The binary16 of a value that has one, or of an infinity or NaN. */
static uint32_t f16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000, fraction = bits >> 13 & 0x3ff;
    if (value == 0)
        return sign;
    return sign | (isfinite(value) ? ((bits >> 23 & 0xff) - 112) << 10 : 0x7c00) | fraction;
}

/* Element j of entry i: different everywhere, and exact in every float type. */
static float value_of(size_t i, size_t j) {
    return (float)(int)(i + 1) * (j % 2 ? -1.0f : 1.0f) + (float)(j % 4) / 4;
}

static const char *write_weights(const char *folder, const variant *v) {
    entry entries[ENTRIES];
    size_t count = list_entries(entries), used = 0, size = 0;
    static char header[16384];
    static uint8_t bytes[16384];
    memset(bytes, 0, sizeof bytes);
    used += (size_t)snprintf(header, sizeof header, "{\"padding\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}",
                             v->padding, v->padding);
    size = v->padding;
    for (size_t i = 0; i < count; i++) {
        entry *e = &entries[i];
        if (v->leave_out && strcmp(v->leave_out, e->name) == 0)
            continue;
        char name[100], shape[40];
        snprintf(name, sizeof name, "%.79s", e->name);
        char *norm = strstr(name, "LayerNorm.");
        if (v->aliases && norm)
            strcpy(norm + strlen("LayerNorm."), strstr(norm, "weight") ? "gamma" : "beta");
        bool transpose = v->transpose && strcmp(v->transpose, e->name) == 0;
        if (e->rows)
            snprintf(shape, sizeof shape, "%zu,%zu", transpose ? e->columns : e->rows, transpose ? e->rows : e->columns);
        else
            snprintf(shape, sizeof shape, "%zu%s", e->columns, transpose ? ",1" : "");
        size_t width = v->dtype && strcmp(v->dtype, "F32") != 0 ? 2 : 4, begin = size;
        for (size_t j = 0; j < entry_count(e); j++) {
            float value = value_of(i, j);
            if (v->poison && strcmp(v->poison, e->name) == 0 && j == entry_count(e) - 1)
                value = v->poison_value;
            uint32_t bits;
            memcpy(&bits, &value, 4);
            if (v->dtype && strcmp(v->dtype, "BF16") == 0)
                bits >>= 16;
            else if (v->dtype && strcmp(v->dtype, "F16") == 0)
                bits = f16_of(value);
            memcpy(bytes + size, &bits, width); /* little-endian, as the file */
            size += width;
        }
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                 v->prefix ? v->prefix : "", name, v->dtype ? v->dtype : "F32", shape, begin, size);
    }
    assert_true(used + 9 < sizeof header && size <= sizeof bytes);
    strcpy(header + used, "}");
    while ((8 + strlen(header)) % 8) /* as writers of this format do, so that data is aligned */
        strcat(header, " ");
    const char *directory = test_path(folder);
    char path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(directory, "model.safetensors", path, NULL), SENVEC_OK);
    test_write_safetensors(path, header, bytes, size);
    return directory;
}

/* Compares each matrix and vector with what was written. */
static void expect_values(const sv_weights *w) {
    const float *bound[ENTRIES];
    size_t n = 0;
    bound[n++] = w->word;
    bound[n++] = w->position;
    bound[n++] = w->token_type;
    bound[n++] = w->embedding_gamma;
    bound[n++] = w->embedding_beta;
    for (size_t l = 0; l < config.layers; l++) {
        const sv_layer_weights *layer = &w->layers[l];
        const float *all[16] = {
            layer->query,
            layer->query_bias,
            layer->key,
            layer->key_bias,
            layer->value,
            layer->value_bias,
            layer->attention_out,
            layer->attention_out_bias,
            layer->attention_gamma,
            layer->attention_beta,
            layer->up,
            layer->up_bias,
            layer->down,
            layer->down_bias,
            layer->output_gamma,
            layer->output_beta,
        };
        memcpy(bound + n, all, sizeof all);
        n += 16;
    }
    entry entries[ENTRIES];
    assert_int_equal(list_entries(entries), n);
    uint64_t parameters = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true((uintptr_t)bound[i] % sizeof(float) == 0);
        for (size_t j = 0; j < entry_count(&entries[i]); j++)
            if (bound[i][j] != value_of(i, j))
                fail_msg("%s: element %zu is %g, not %g", entries[i].name, j, (double)bound[i][j], (double)value_of(i, j));
        parameters += entry_count(&entries[i]);
    }
    assert_int_equal(w->parameters, parameters);
}

static void expect_bound(const variant *v, bool mapped) {
    const char *directory = write_weights("weights", v);
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_weights w;
    senvec_error err;
    if (sv_weights_open(directory, &config, &arena, &w, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    expect_values(&w);
    assert_int_equal(w.mapped_bytes != 0, mapped);
    assert_int_equal(w.files.files != NULL, mapped);
    assert_int_equal(w.matrices.bytes != 0, !mapped);
    sv_weights_drop_matrices(&w, &config);
    assert_null(w.layers[1].down);
    assert_int_equal(w.matrices.bytes, 0);
    for (size_t j = 0; j < config.vocabulary * config.hidden; j++)
        assert_true(w.word[j] == value_of(0, j));
    sv_weights_close(&w);
    sv_weights_close(&w);
    sv_arena_release(&arena);
}

static void expect_failure(const char *directory, const char *file, senvec_status code, const char *reason) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_weights w;
    memset(&w, 0x5a, sizeof w);
    sv_weights before = w;
    senvec_error err = {0};
    senvec_status status = sv_weights_open(directory, &config, &arena, &w, &err);
    if (status != code || !strstr(err.message, file) || !strstr(err.message, reason))
        fail_msg("wanted %s, %s: %s; got %s: %s", senvec_status_name(code), file, reason, senvec_status_name(status),
                 err.message);
    assert_memory_equal(&w, &before, sizeof w);
    assert_int_equal(sv_weights_open(directory, &config, &arena, &w, NULL), code);
    sv_arena_release(&arena);
}

static void expect_bad(const variant *v, senvec_status code, const char *reason) {
    expect_failure(write_weights("weights", v), "model.safetensors", code, reason);
}

static void test_good(void **state) {
    (void)state;
    expect_bound(&(variant){0}, true);
    expect_bound(&(variant){.prefix = "bert."}, true);
    expect_bound(&(variant){.aliases = true}, true);
    expect_bound(&(variant){.padding = 4}, true);
}

static void test_copies(void **state) {
    (void)state;
    expect_bound(&(variant){.padding = 1}, false);
    expect_bound(&(variant){.dtype = "F16"}, false);
    expect_bound(&(variant){.dtype = "BF16", .prefix = "bert.", .aliases = true}, false);
    expect_bound(&(variant){.dtype = "BF16", .padding = 1}, false);
}

/* Each tensor in turn missing, misshapen, or with a value that is no number. */
static void test_each_tensor(void **state) {
    (void)state;
    entry entries[ENTRIES];
    size_t count = list_entries(entries);
    for (size_t i = 0; i < count; i++) {
        const char *name = entries[i].name;
        char reason[160];
        snprintf(reason, sizeof reason, "tensor \"%.79s\" is missing", name);
        expect_bad(&(variant){.leave_out = name}, SENVEC_FORMAT, reason);
        snprintf(reason, sizeof reason, "tensor \"%.79s\" holds a NaN at element %zu", name, entry_count(&entries[i]) - 1);
        expect_bad(&(variant){.poison = name, .poison_value = NAN}, SENVEC_FORMAT, reason);
        expect_bad(&(variant){.poison = name, .poison_value = NAN, .dtype = "F16"}, SENVEC_FORMAT, reason);
        snprintf(reason, sizeof reason, "tensor \"%.79s\" holds an infinity at element %zu", name,
                 entry_count(&entries[i]) - 1);
        expect_bad(&(variant){.poison = name, .poison_value = -INFINITY}, SENVEC_FORMAT, reason);
        expect_bad(&(variant){.poison = name, .poison_value = INFINITY, .dtype = "BF16"}, SENVEC_FORMAT, reason);
        if (entries[i].rows == entries[i].columns)
            continue;
        snprintf(reason, sizeof reason, "tensor \"%.79s\" has the shape [%zu, %zu], but config.json asks for [", name,
                 entries[i].columns, entries[i].rows ? entries[i].rows : 1);
        expect_bad(&(variant){.transpose = name}, SENVEC_FORMAT, reason);
    }
}

static void test_mismatch(void **state) {
    (void)state;
    const char *directory = write_weights("weights", &(variant){0});
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_weights w;
    senvec_error err;
    sv_config other = config;
    other.layers = 1;
    assert_int_equal(sv_weights_open(directory, &other, &arena, &w, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "more layers than the 1 that config.json asks for"));
    other.layers = 3;
    assert_int_equal(sv_weights_open(directory, &other, &arena, &w, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "\"encoder.layer.2.attention.self.query.weight\" is missing"));
    sv_arena_release(&arena);
}

/* A NaN at every place around the edges of the scan's blocks. */
static void test_nan_anywhere(void **state) {
    (void)state;
    static float table[3][512]; /* word table of 3 rows */
    sv_config wide = config;
    wide.vocabulary = 3;
    wide.hidden = 512;
    const char *path = test_path("wide/model.safetensors"), *directory = test_path("wide");
    static const char header[] =
        "{\"embeddings.word_embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[3,512],\"data_offsets\":[0,6144]}}";
    for (size_t i = 0; i != 3 * 512; i++) {
        if (i % 64 > 2 && i % 64 < 61)
            continue;
        table[i / 512][i % 512] = NAN;
        test_write_safetensors(path, header, table, sizeof table);
        table[i / 512][i % 512] = 0;
        sv_arena arena;
        sv_arena_init(&arena, NULL);
        sv_weights w;
        senvec_error err;
        assert_int_equal(sv_weights_open(directory, &wide, &arena, &w, &err), SENVEC_FORMAT);
        char reason[40];
        snprintf(reason, sizeof reason, "a NaN at element %zu;", i);
        assert_non_null(strstr(err.message, reason));
        assert_int_equal(err.offset, 8 + strlen(header) + 4 * i);
        sv_arena_release(&arena);
    }
}

static void test_other_files(void **state) {
    (void)state;
    test_write_text(test_path("bin/pytorch_model.bin"), "x");
    expect_failure(test_path("bin"), "pytorch_model.bin", SENVEC_UNSUPPORTED, "pickled weights are not read");
    static const struct {
        const char *index;
        senvec_status status;
        const char *message;
    } indexes[] = {
        {"{}", SENVEC_FORMAT, "\"weight_map\" is missing"},
        {"{\"weight_map\": {}}", SENVEC_FORMAT, "\"weight_map\" is missing"},
        {"{\"weight_map\": {\"x\": 1}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"../a.safetensors\"}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"/etc/passwd\"}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"a/b.safetensors\"}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"a\\u0000b\"}}", SENVEC_FORMAT, "JSON"},
        {"{\"weight_map\": {\"x\": \"\"}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"..\"}}", SENVEC_FORMAT, "has to be the name of a file"},
        {"{\"weight_map\": {\"x\": \"model-00002-of-00002.safetensors\"}}", SENVEC_NOT_FOUND, "isn't in this folder"},
    };
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        test_write_text(test_path("shards/model.safetensors.index.json"), indexes[i].index);
        expect_failure(test_path("shards"), "model.safetensors.index.json", indexes[i].status, indexes[i].message);
    }
    expect_failure(test_path("nowhere"), "model.safetensors", SENVEC_NOT_FOUND, "No such file");
    test_write_safetensors(test_path("ints/model.safetensors"),
                           "{\"embeddings.word_embeddings.weight\":{\"dtype\":\"I8\",\"shape\":[5,4],\"data_offsets\":[0,20]}}",
                           "01234567890123456789", 20);
    expect_failure(test_path("ints"), "model.safetensors", SENVEC_UNSUPPORTED, "is I8; only F32, F16, BF16 and F64 are read");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_copies),       cmocka_unit_test(test_each_tensor),
        cmocka_unit_test(test_mismatch), cmocka_unit_test(test_nan_anywhere), cmocka_unit_test(test_other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
