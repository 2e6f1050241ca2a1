/* Export of the tiny model: a complete folder, one graph for each precision, and failures that leave nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <onnx.pb-c.h>

#include "common/file.h"
#include "onnx/onnx_export.h"
#include "support/test_models.h"

enum { LAYERS = 2 };

static size_t count_ops(const Onnx__GraphProto *body, const char *op) {
    size_t count = 0;
    for (size_t i = 0; i < body->n_node; i++)
        count += strcmp(body->node[i]->op_type, op) == 0;
    return count;
}

/* Runtimes print a warning for each constant that no node reads. */
static void expect_all_used(const Onnx__GraphProto *body) {
    for (size_t t = 0; t < body->n_initializer; t++) {
        size_t readers = 0;
        for (size_t i = 0; i < body->n_node; i++)
            for (size_t j = 0; j < body->node[i]->n_input; j++)
                readers += strcmp(body->node[i]->input[j], body->initializer[t]->name) == 0;
        if (!readers)
            fail_msg("no node reads %s", body->initializer[t]->name);
    }
}

static Onnx__ModelProto *export_tiny(const char *model, sv_onnx_options options) {
    char out[SV_MAX_PATH], path[SV_MAX_PATH];
    strcpy(out, test_path("out/onnx"));
    uint64_t bytes;
    senvec_error err;
    if (sv_onnx_export(model, out, options, &bytes, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    assert_int_equal(sv_path_join(out, SV_ONNX_FILE, path, &err), SENVEC_OK);
    size_t size;
    char *file = test_read(path, &size);
    assert_int_equal(size, bytes);
    Onnx__ModelProto *parsed = onnx__model_proto__unpack(NULL, size, (const uint8_t *)file);
    free(file);
    assert_non_null(parsed);
    expect_all_used(parsed->graph);
    return parsed;
}

static void test_fp32_keeps_the_parameters(void **state) {
    (void)state;
    Onnx__ModelProto *model = export_tiny(TEST_TINY_MODEL, (sv_onnx_options){.precision = SV_ONNX_FP32});
    assert_int_equal(count_ops(model->graph, "MatMul"), 8 * LAYERS);
    assert_int_equal(count_ops(model->graph, "LayerNormalization"), 2 * LAYERS + 1);
    assert_int_equal(count_ops(model->graph, "Erf"), LAYERS);
    assert_int_equal(model->graph->n_output, 1);
    assert_string_equal(model->graph->output[0]->name, "last_hidden_state");
    const char *const names[] = {"embeddings.word_embeddings.weight", "encoder.layer.1.attention.self.query.weight.T",
                                 "encoder.layer.0.output.LayerNorm.bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t found = 0;
        for (size_t t = 0; t < model->graph->n_initializer; t++)
            found += strcmp(model->graph->initializer[t]->name, names[i]) == 0;
        assert_int_equal(found, 1);
    }
    onnx__model_proto__free_unpacked(model, NULL);
}

static void test_int8_quantizes_every_matrix(void **state) {
    (void)state;
    const sv_onnx_precision all[] = {SV_ONNX_INT8, SV_ONNX_INT8_PER_CHANNEL, SV_ONNX_INT8_PER_TENSOR};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Onnx__ModelProto *model = export_tiny(TEST_TINY_MODEL, (sv_onnx_options){.precision = all[i]});
        assert_int_equal(count_ops(model->graph, "MatMulInteger"), 6 * LAYERS);
        assert_int_equal(count_ops(model->graph, "MatMul"), 2 * LAYERS);
        assert_int_equal(count_ops(model->graph, "DynamicQuantizeLinear"), 4 * LAYERS);
        for (size_t t = 0; t < model->graph->n_initializer; t++) {
            const Onnx__TensorProto *tensor = model->graph->initializer[t];
            if (tensor->n_dims == 2 && tensor->dims[0] > 2) /* not the two token types */
                assert_int_not_equal(tensor->data_type, 1);
        }
        assert_string_equal(model->metadata_props[0]->value, sv_onnx_precision_name(all[i]));
        onnx__model_proto__free_unpacked(model, NULL);
    }
}

static void test_pooling_follows_the_model(void **state) {
    (void)state;
    char directory[SV_MAX_PATH];
    strcpy(directory, test_copy_tiny("pooled"));
    const char *const ops[] = {"ReduceSum", "ReduceMax", "Squeeze"};
    const char *const modes[] = {"mean", "max", "cls"};
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"word_embedding_dimension\": 32, \"pooling_mode\": \"%s\"}", modes[i]);
        test_write_text(test_path("pooled/1_Pooling/config.json"), text);
        Onnx__ModelProto *model = export_tiny(directory, (sv_onnx_options){.pooling = true});
        assert_int_equal(model->graph->n_output, 2);
        assert_string_equal(model->graph->output[1]->name, "sentence_embedding");
        assert_true(count_ops(model->graph, ops[i]) > 0);
        onnx__model_proto__free_unpacked(model, NULL);
    }
}

static bool has_input(const Onnx__GraphProto *body, const char *name) {
    for (size_t i = 0; i < body->n_input; i++)
        if (strcmp(body->input[i]->name, name) == 0)
            return true;
    return false;
}

/* What is particular to a family stands in its graph; families_parity.py runs them. */
static void test_families_differ_where_they_do(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool types, offset, by_distance;
        const char *activation;
    } families[] = {
        {"bert", true, false, false, "Erf"},       {"bert-tanh", true, false, false, "Tanh"},
        {"bert-relu", true, false, false, "Relu"}, {"xlm-roberta", false, true, false, "Erf"},
        {"mpnet", false, true, true, "Erf"},       {"distilbert", false, false, false, "Erf"},
        {"electra", true, false, false, "Erf"},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        char directory[SV_MAX_PATH];
        snprintf(directory, sizeof directory, "%s/%s", TEST_FAMILIES, families[i].name);
        Onnx__ModelProto *model = export_tiny(directory, (sv_onnx_options){.precision = SV_ONNX_FP32});
        const Onnx__GraphProto *body = model->graph;
        assert_int_equal(has_input(body, "token_type_ids"), families[i].types);
        assert_int_equal(count_ops(body, "CumSum"), families[i].offset);
        assert_int_equal(count_ops(body, families[i].activation), LAYERS);
        assert_int_equal(count_ops(body, "Slice"), families[i].by_distance || !families[i].offset);
        onnx__model_proto__free_unpacked(model, NULL);
    }
}

static void test_reranker_gives_logits(void **state) {
    (void)state;
    char directory[SV_MAX_PATH], out[SV_MAX_PATH];
    strcpy(directory, test_copy_family("mpnet", "reranker"));
    assert_int_equal(remove(test_path("reranker/modules.json")), 0);
    Onnx__ModelProto *model = export_tiny(directory, (sv_onnx_options){.precision = SV_ONNX_INT8});
    assert_int_equal(model->graph->n_output, 1);
    assert_string_equal(model->graph->output[0]->name, "logits");
    assert_int_equal(count_ops(model->graph, "MatMulInteger"), 6 * LAYERS);
    onnx__model_proto__free_unpacked(model, NULL);
    senvec_error err;
    strcpy(out, test_path("pooled-reranker"));
    assert_int_equal(sv_onnx_export(directory, out, (sv_onnx_options){.pooling = true}, NULL, &err), SENVEC_UNSUPPORTED);
    assert_non_null(strstr(err.message, "--with-pooling"));
    assert_false(sv_path_is_directory(out));
}

static void test_folder_is_complete(void **state) {
    (void)state;
    Onnx__ModelProto *model = export_tiny(TEST_TINY_MODEL, (sv_onnx_options){.precision = SV_ONNX_FP32});
    onnx__model_proto__free_unpacked(model, NULL);
    const char *const names[] = {"config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[SV_MAX_PATH], to[SV_MAX_PATH];
        snprintf(from, sizeof from, "%s/%s", TEST_TINY_MODEL, names[i]);
        snprintf(to, sizeof to, "%s/%s", test_path("out/onnx"), names[i]);
        size_t from_size, to_size;
        char *from_data = test_read(from, &from_size), *to_data = test_read(to, &to_size);
        assert_int_equal(from_size, to_size);
        assert_memory_equal(from_data, to_data, from_size);
        free(from_data);
        free(to_data);
    }
}

/* The member of a JSON file in the exported folder, as text. */
static void expect_member(const char *name, const char *text) {
    char path[SV_MAX_PATH];
    snprintf(path, sizeof path, "%s/%s", test_path("out/onnx"), name);
    size_t size;
    char *data = test_read(path, &size);
    if (!strstr(data, text))
        fail_msg("%s lacks %s:\n%s", name, text, data);
    free(data);
}

/* What sentence-transformers needs to give the same vectors, from a model with all of it and from one with nothing. */
static void test_folder_opens_in_sentence_transformers(void **state) {
    (void)state;
    const sv_onnx_options options = {.precision = SV_ONNX_FP32};
    onnx__model_proto__free_unpacked(export_tiny(TEST_TINY_MODEL, options), NULL);
    expect_member("modules.json", "Transformer\"");
    expect_member("modules.json", "\"1_Pooling\"");
    expect_member("modules.json", "Normalize\"");
    expect_member("1_Pooling/config.json", "\"word_embedding_dimension\": 32");
    expect_member("sentence_bert_config.json", "\"max_seq_length\": 48");
    expect_member("config_sentence_transformers.json", "\"prompts\": {}");

    char directory[SV_MAX_PATH];
    strcpy(directory, test_copy_tiny("bare"));
    assert_int_equal(remove(test_path("bare/modules.json")), 0);
    test_write_text(test_path("bare/config_sentence_transformers.json"), "{\"prompts\": {\"query\": \"query: \"}}");
    onnx__model_proto__free_unpacked(export_tiny(directory, options), NULL);
    expect_member("modules.json", "\"sentence_transformers.models.Transformer\"");
    expect_member("modules.json", "\"1_Pooling\"");
    expect_member("1_Pooling/config.json", "\"pooling_mode_mean_tokens\": true");
    expect_member("config_sentence_transformers.json", "\"query: \"");
}

/* A model mustn't name a module in a folder that lies elsewhere: the module's files would be written beside the new folder. */
static void test_nothing_is_written_outside(void **state) {
    (void)state;
    char model[SV_MAX_PATH], out[SV_MAX_PATH];
    senvec_error err;
    strcpy(model, test_copy_tiny("stray"));
    strcpy(out, test_path("elsewhere/onnx"));
    test_write_text(test_path("leak/config.json"), "{}");
    test_replace(test_path("stray/modules.json"), "]",
                 ",{\"idx\":3,\"name\":\"3\",\"path\":\"../leak\",\"type\":\"sentence_transformers.models.Dropout\"}]");
    assert_int_equal(sv_onnx_export(model, out, (sv_onnx_options){.precision = SV_ONNX_FP32}, NULL, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "folder"));
    assert_false(sv_path_is_file(test_path("elsewhere/leak/config.json")));
}

/* Finite weights whose products aren't: no file of NaN. */
static void test_overflow_is_an_error(void **state) {
    (void)state;
    char model[SV_MAX_PATH], out[SV_MAX_PATH];
    senvec_error err;
    size_t size;
    strcpy(model, test_copy_tiny("huge"));
    strcpy(out, test_path("huge-onnx"));
    char *file = test_read(test_path("huge/model.safetensors"), &size);
    const char *tensor = strstr(file + 8, "encoder.layer.0.intermediate.dense.weight"), *offsets = strstr(tensor, "_offsets");
    uint64_t header = 0;
    memcpy(&header, file, sizeof header);
    char *end;
    size_t first = strtoull(strpbrk(offsets, "0123456789"), &end, 10), last = strtoull(end + 1, NULL, 10);
    for (size_t i = first; i < last; i += sizeof(float))
        memcpy(file + 8 + header + i, &(float){3e38f}, sizeof(float));
    test_write(test_path("huge/model.safetensors"), file, size);
    free(file);
    assert_int_equal(sv_onnx_export(model, out, (sv_onnx_options){.precision = SV_ONNX_INT8}, NULL, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "encoder.layer.0.intermediate.dense"));
    assert_int_equal(sv_onnx_export(model, out, (sv_onnx_options){.precision = SV_ONNX_FP32}, NULL, &err), SENVEC_OK);
}

static void test_failures_leave_nothing(void **state) {
    (void)state;
    senvec_error err;
    char out[SV_MAX_PATH];
    strcpy(out, test_path("never"));
    sv_onnx_options options = {.precision = SV_ONNX_INT8};
    assert_int_equal(sv_onnx_export(test_path("no-model"), out, options, NULL, &err), SENVEC_NOT_FOUND);
    assert_false(sv_path_is_directory(out));
    test_write_text(test_path("taken"), "a file");
    assert_int_equal(sv_onnx_export(TEST_TINY_MODEL, test_path("taken"), options, NULL, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "taken"));
    char model[SV_MAX_PATH]; /* a companion that can't be written, after model.onnx: it has to be JSON */
    strcpy(model, test_copy_tiny("damaged"));
    test_write_text(test_path("damaged/config_sentence_transformers.json"), "[]");
    assert_int_not_equal(sv_onnx_export(model, out, options, NULL, &err), SENVEC_OK);
    assert_false(sv_path_is_directory(out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32_keeps_the_parameters),
        cmocka_unit_test(test_int8_quantizes_every_matrix),
        cmocka_unit_test(test_pooling_follows_the_model),
        cmocka_unit_test(test_families_differ_where_they_do),
        cmocka_unit_test(test_reranker_gives_logits),
        cmocka_unit_test(test_folder_is_complete),
        cmocka_unit_test(test_folder_opens_in_sentence_transformers),
        cmocka_unit_test(test_nothing_is_written_outside),
        cmocka_unit_test(test_overflow_is_an_error),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
