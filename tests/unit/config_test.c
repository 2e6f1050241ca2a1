/* The model's configuration: what the tiny model says, the older and newer spellings, and each thing that has to be refused, by
 * name. Every case is the tiny model with one change. */
#include "model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/limits.h"
#include "support/test_models.h"

#define LENGTH_FILE "sentence_bert_config.json"
#define POOLING_FILE "1_Pooling/config.json"
#define PROMPT_FILE "config_sentence_transformers.json"

static const char *join(const char *directory, const char *name) {
    static char paths[4][SV_MAX_PATH];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_int_equal(sv_path_join(directory, name, path, NULL), SENVEC_OK);
    return path;
}

static sv_config load(const char *directory) {
    sv_config config;
    senvec_error err;
    if (sv_config_load(directory, &config, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return config;
}

static void expect_failure(const char *directory, const char *file, senvec_status code, const char *reason) {
    sv_config config;
    memset(&config, 0x5a, sizeof config);
    sv_config before = config;
    senvec_error err = {0};
    senvec_status status = sv_config_load(directory, &config, &err);
    if (status == SENVEC_OK)
        fail_msg("loaded, but %s should fail with: %s", file, reason);
    if (status != code || !strstr(err.message, join(directory, file)) || !strstr(err.message, reason))
        fail_msg("wanted %s, %s: %s; got %s: %s", senvec_status_name(code), file, reason, senvec_status_name(status),
                 err.message);
    assert_int_equal(err.code, code);
    assert_memory_equal(&config, &before, sizeof config);
    assert_int_equal(sv_config_load(directory, &config, NULL), code);
}

/* The tiny model with `text` in the place of a file's content. */
static const char *with_file(const char *file, const char *text) {
    const char *directory = test_copy_tiny("model");
    test_write_text(join(directory, file), text);
    return directory;
}

/* The tiny model with a change in one file. */
static const char *with_change(const char *file, const char *old, const char *new) {
    const char *directory = test_copy_tiny("model");
    test_replace(join(directory, file), old, new);
    return directory;
}

static const char *without(const char *file) {
    const char *directory = test_copy_tiny("model");
    assert_int_equal(unlink(join(directory, file)), 0);
    return directory;
}

static void test_tiny(void **state) {
    (void)state;
    sv_config config = load(test_copy_tiny("model"));
    assert_int_equal(config.hidden, 32);
    assert_int_equal(config.inner, 64);
    assert_int_equal(config.layers, 2);
    assert_int_equal(config.heads, 2);
    assert_int_equal(config.positions, 64);
    assert_int_equal(config.token_types, 2);
    assert_true(config.vocabulary > 100);
    assert_true(config.layernorm_eps == 1e-12f);
    assert_int_equal(config.max_seq_length, 48);
    assert_int_equal(config.poolings[0], SV_POOLING_MEAN);
    assert_true(config.normalize);
    assert_string_equal(config.transformer_directory, "");
    assert_string_equal(sv_pooling_name(SV_POOLING_MEAN), "mean");
    assert_string_equal(sv_pooling_name(SV_POOLING_CLS), "cls");
    assert_string_equal(sv_pooling_name(SV_POOLING_MAX), "max");
}

#define MODULE(path, type) "{\"idx\":0,\"name\":\"x\",\"path\":\"" path "\",\"type\":\"" type "\"}"
#define TRANSFORMER MODULE("", "sentence_transformers.models.Transformer")
#define POOLING MODULE("1_Pooling", "sentence_transformers.models.Pooling")
#define NORMALIZE MODULE("2_Normalize", "sentence_transformers.models.Normalize")

static void test_modules(void **state) {
    (void)state;
    /* The names that sentence-transformers 6.2 writes. */
    const char *directory =
        with_file("modules.json",
                  "[" MODULE("", "sentence_transformers.base.modules.transformer.Transformer") "," MODULE(
                      "1_Pooling",
                      "sentence_transformers.sentence_transformer.modules.pooling.Pooling") "," MODULE("2_Normalize",
                                                                                                       "sentence_transformers."
                                                                                                       "base.modules.normalize."
                                                                                                       "Normalize") "]");
    test_write_text(join(directory, "2_Normalize/config.json"),
                    "{\"module_input_name\":\"sentence_embedding\",\"module_output_name\":\"sentence_embedding\"}");
    test_write_text(join(directory, POOLING_FILE),
                    "{\"embedding_dimension\":32,\"pooling_mode\":\"cls\",\"include_prompt\":true}");
    sv_config config = load(directory);
    assert_true(config.normalize);
    assert_int_equal(config.poolings[0], SV_POOLING_CLS);
    test_replace(join(directory, "2_Normalize/config.json"), "\"module_input_name\":\"sentence",
                 "\"module_input_name\":\"token");
    expect_failure(directory, "2_Normalize/config.json", SENVEC_UNSUPPORTED, "\"token_embedding\"");

    assert_false(load(with_file("modules.json", "[" TRANSFORMER "," POOLING "]")).normalize);

    /* A Transformer with a folder of its own. */
    directory =
        with_file("modules.json", "[" MODULE("0_Transformer", "sentence_transformers.models.Transformer") "," POOLING "]");
    expect_failure(directory, "0_Transformer/config.json", SENVEC_NOT_FOUND, "is missing");
    assert_int_equal(mkdir(join(directory, "0_Transformer"), 0777), 0);
    assert_int_equal(rename(join(directory, "config.json"), join(directory, "0_Transformer/config.json")), 0);
    test_write_text(join(directory, "0_Transformer/" LENGTH_FILE), "{\"max_seq_length\": 40}");
    config = load(directory);
    assert_string_equal(config.transformer_directory, "0_Transformer");
    assert_int_equal(config.max_seq_length, 40);

    /* A plain transformers model: mean pooling, not normalized, sentence_bert_config.json not looked at. */
    config = load(without("modules.json"));
    assert_int_equal(config.poolings[0], SV_POOLING_MEAN);
    assert_false(config.normalize);
    assert_int_equal(config.max_seq_length, 64);

    static const struct {
        const char *text;
        senvec_status code;
        const char *reason;
    } cases[] = {
        {"", SENVEC_FORMAT, "the file is empty"},
        {"{}", SENVEC_FORMAT, "has to be a JSON array"},
        {"[", SENVEC_FORMAT, "not valid JSON"},
        {"[]", SENVEC_UNSUPPORTED, "0 modules"},
        {"[" TRANSFORMER "]", SENVEC_UNSUPPORTED, "1 modules"},
        {"[{\"path\":\"\"}]", SENVEC_FORMAT, "module 0 has no \"type\""},
        {"[3]", SENVEC_FORMAT, "module 0 has no \"type\""},
        {"[" TRANSFORMER "," POOLING "," MODULE("2_CNN", "sentence_transformers.models.CNN") "]", SENVEC_UNSUPPORTED,
         "module 2 is \"sentence_transformers.models.CNN\""},
        {"[" TRANSFORMER "," POOLING "," POOLING "]", SENVEC_UNSUPPORTED, "module 2 is"},
        {"[" TRANSFORMER "," NORMALIZE "," POOLING "]", SENVEC_UNSUPPORTED, "module 1 is"},
        {"[" MODULE("", "custom_st.Transformer") "," POOLING "]", SENVEC_UNSUPPORTED, "module 0 is \"custom_st.Transformer\""},
        {"[" MODULE("", "Transformer") "," POOLING "]", SENVEC_UNSUPPORTED, "module 0 is \"Transformer\""},
        {"[" TRANSFORMER "," MODULE("../1_Pooling", "sentence_transformers.models.Pooling") "]", SENVEC_FORMAT,
         "not a folder inside this one"},
        {"[" TRANSFORMER "," MODULE("/etc", "sentence_transformers.models.Pooling") "]", SENVEC_FORMAT,
         "not a folder inside this one"},
        {"[" TRANSFORMER "," POOLING "," MODULE("../2_Dropout", "sentence_transformers.models.Dropout") "]", SENVEC_FORMAT,
         "not a folder inside this one"},
        {"[" TRANSFORMER "," MODULE("0123456789012345678901234567890123456789012345678901234567890123",
                                    "sentence_transformers.models.Pooling") "]",
         SENVEC_TOO_LARGE, "64 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(with_file("modules.json", cases[i].text), "modules.json", cases[i].code, cases[i].reason);
}

static void test_encoder(void **state) {
    (void)state;
    static const struct {
        const char *old, *new;
        senvec_status code;
        const char *reason;
    } cases[] = {
        {"\"model_type\": \"bert\"", "\"model_type\": \"deberta-v2\"", SENVEC_UNSUPPORTED, "\"model_type\" is \"deberta-v2\""},
        {"\"model_type\": \"bert\"", "\"model_type\": \"roberta\"", SENVEC_UNSUPPORTED, "the architecture is \"BertModel\""},
        {"\"model_type\": \"bert\"", "\"model_type\": 4", SENVEC_FORMAT, "\"model_type\" has to be a string"},
        {"\"BertModel\"", "\"JinaBertModel\"", SENVEC_UNSUPPORTED, "\"JinaBertModel\""},
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\"", SENVEC_UNSUPPORTED, "\"hidden_act\" is \"silu\""},
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": 3", SENVEC_FORMAT, "\"hidden_act\" has to be a string"},
        {"\"pad_token_id\": 0", "\"position_embedding_type\": \"relative_key\"", SENVEC_UNSUPPORTED, "\"relative_key\""},
        {"\"pad_token_id\": 0", "\"is_decoder\": true", SENVEC_UNSUPPORTED, "\"is_decoder\" is set"},
        {"\"pad_token_id\": 0", "\"quantization_config\": {\"bits\": 4}", SENVEC_UNSUPPORTED, "\"quantization_config\" is set"},
        {"\"hidden_size\": 32", "\"hidden\": 32", SENVEC_FORMAT, "\"hidden_size\" is missing"},
        {"\"hidden_size\": 32", "\"hidden_size\": 0", SENVEC_FORMAT, "\"hidden_size\" is not right"},
        {"\"hidden_size\": 32", "\"hidden_size\": -32", SENVEC_FORMAT, "\"hidden_size\" is not right"},
        {"\"hidden_size\": 32", "\"hidden_size\": 32.5", SENVEC_FORMAT, "\"hidden_size\" is not right"},
        {"\"hidden_size\": 32", "\"hidden_size\": \"32\"", SENVEC_FORMAT, "\"hidden_size\" is not right"},
        {"\"hidden_size\": 32", "\"hidden_size\": 1e300", SENVEC_TOO_LARGE, "the maximum is 8192"},
        {"\"hidden_size\": 32", "\"hidden_size\": 33", SENVEC_FORMAT, "not a multiple of num_attention_heads 2"},
        {"\"intermediate_size\": 64", "\"intermediate_size\": 65537", SENVEC_TOO_LARGE, "the maximum is 65536"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 257", SENVEC_TOO_LARGE, "the maximum is 256"},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 257", SENVEC_TOO_LARGE, "the maximum is 256"},
        {"\"max_position_embeddings\": 64", "\"max_position_embeddings\": 1", SENVEC_FORMAT, "\"max_position_embeddings\""},
        {"\"max_position_embeddings\": 64", "\"max_position_embeddings\": 65537", SENVEC_TOO_LARGE, "the maximum is 65536"},
        {"\"vocab_size\":", "\"vocab_size\": 4194305, \"x\":", SENVEC_TOO_LARGE, "the maximum is 4194304"},
        {"\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0", SENVEC_FORMAT, "\"layer_norm_eps\""},
        {"\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 1e-60", SENVEC_FORMAT, "\"layer_norm_eps\""},
        {"\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": \"no\"", SENVEC_FORMAT, "\"layer_norm_eps\""},
        {"\"pad_token_id\": 0", "\"pad_token_id\": 0, \"pad_token_id\": 0", SENVEC_FORMAT, "two members of the same name"},
        {"\"pad_token_id\": 0", "\"pad_token_id\": 0x", SENVEC_FORMAT, "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(with_change("config.json", cases[i].old, cases[i].new), "config.json", cases[i].code, cases[i].reason);
    expect_failure(without("config.json"), "config.json", SENVEC_NOT_FOUND, "this file is missing");
    expect_failure(with_file("config.json", "{}"), "config.json", SENVEC_FORMAT, "says what this model is");
    expect_failure(with_file("config.json", "[]"), "config.json", SENVEC_FORMAT, "has to be a JSON object");
    expect_failure(with_file("config.json", "\xff\xfe{"), "config.json", SENVEC_FORMAT, "not valid JSON");

    /* What may be missing, and heads that a checkpoint was trained with. */
    load(with_change("config.json", "\"model_type\": \"bert\",", ""));
    load(with_change("config.json", "\"BertModel\"", "\"BertForMaskedLM\""));
    load(with_change("config.json", "\"hidden_act\": \"gelu\",",
                     "\"position_embedding_type\": \"absolute\", \"is_decoder\": false,"));
    assert_int_equal(load(with_change("config.json", "\"type_vocab_size\": 2,", "")).token_types, 2);
    assert_true(load(with_change("config.json", "\"layer_norm_eps\": 1e-12,", "")).layernorm_eps == 1e-12f);
    assert_true(load(with_change("config.json", "1e-12", "1e-5")).layernorm_eps == 1e-5f);
}

/* Cut after every byte, config.json is refused as broken; no cut is taken for a whole file. */
/* What each model type says of positions, token types and the like. */
static void test_families(void **state) {
    (void)state;
    static const struct {
        const char *family;
        sv_config wanted;
    } cases[] = {
        {"bert", {.family = SV_FAMILY_BERT, .positions = 64, .token_types = 2, .head = SV_HEAD_CLASSIFIER, .labels = 3}},
        {"roberta",
         {.family = SV_FAMILY_ROBERTA,
          .positions = 64,
          .first_position = 2,
          .padding = 1,
          .token_types = 1,
          .head = SV_HEAD_CLASSIFIER,
          .labels = 1}},
        {"camembert",
         {.family = SV_FAMILY_ROBERTA,
          .positions = 64,
          .first_position = 2,
          .padding = 1,
          .token_types = 1,
          .head = SV_HEAD_CLASSIFIER,
          .labels = 2}},
        {"mpnet",
         {.family = SV_FAMILY_MPNET,
          .positions = 64,
          .first_position = 2,
          .padding = 1,
          .buckets = 32,
          .head = SV_HEAD_CLASSIFIER,
          .labels = 1}},
        {"distilbert", {.family = SV_FAMILY_DISTILBERT, .positions = 64, .head = SV_HEAD_CLASSIFIER, .labels = 1}},
        {"electra",
         {.family = SV_FAMILY_ELECTRA,
          .positions = 64,
          .token_types = 2,
          .embedding = 20,
          .head = SV_HEAD_CLASSIFIER,
          .labels = 1}},
        {"bert-relu",
         {.family = SV_FAMILY_BERT,
          .positions = 64,
          .token_types = 2,
          .activation = SV_ACTIVATION_RELU,
          .head = SV_HEAD_MASKED}},
        {"bert-tanh",
         {.family = SV_FAMILY_BERT,
          .positions = 64,
          .token_types = 2,
          .activation = SV_ACTIVATION_GELU_TANH,
          .head = SV_HEAD_MASKED}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sv_config got = load(test_copy_family(cases[i].family, "family")), wanted = cases[i].wanted;
        assert_int_equal(got.family, wanted.family);
        assert_int_equal(got.positions, wanted.positions);
        assert_int_equal(got.first_position, wanted.first_position);
        assert_int_equal(got.padding, wanted.padding);
        assert_int_equal(got.token_types, wanted.token_types);
        assert_int_equal(got.embedding, wanted.embedding);
        assert_int_equal(got.buckets, wanted.buckets);
        assert_int_equal(got.activation, wanted.activation);
        assert_int_equal(got.head, wanted.head);
        assert_int_equal(got.labels, wanted.labels);
        assert_int_equal(got.hidden, 32);
        assert_int_equal(got.inner, 64);
    }
}

static void test_truncated(void **state) {
    (void)state;
    const char *directory = test_copy_tiny("model"), *path = join(directory, "config.json");
    char copy[SV_MAX_PATH];
    snprintf(copy, sizeof copy, "%s", path);
    size_t size;
    char *text = test_read(copy, &size);
    for (size_t length = 0; length + 2 < size; length++) {
        test_write(copy, text, length);
        expect_failure(directory, "config.json", SENVEC_FORMAT, length ? "not valid JSON" : "the file is empty");
    }
    free(text);
}

static void test_length(void **state) {
    (void)state;
    /* Missing or null: the tokenizer's limit (64 in the tiny model), within the position table. */
    assert_int_equal(load(without(LENGTH_FILE)).max_seq_length, 64);
    assert_int_equal(load(with_file(LENGTH_FILE, "{}")).max_seq_length, 64);
    const char *directory = with_file(LENGTH_FILE, "{\"max_seq_length\": null}");
    assert_int_equal(load(directory).max_seq_length, 64);
    const char *tokenizer = join(directory, "tokenizer_config.json");
    test_write_text(tokenizer, "{\"model_max_length\": 20}");
    assert_int_equal(load(directory).max_seq_length, 20);
    test_write_text(tokenizer, "{\"model_max_length\": 1000000000000000019884624838656}");
    assert_int_equal(load(directory).max_seq_length, 64);
    test_write_text(tokenizer, "{\"model_max_length\": 1}");
    expect_failure(directory, "tokenizer_config.json", SENVEC_FORMAT, "has to be at least 2");
    test_write_text(tokenizer, "{");
    expect_failure(directory, "tokenizer_config.json", SENVEC_FORMAT, "not valid JSON");
    assert_int_equal(unlink(tokenizer), 0);
    assert_int_equal(load(directory).max_seq_length, 64);

    /* The tokenizer's limit is not looked at where the model has one of its own; the position table always is. */
    assert_int_equal(load(with_file(LENGTH_FILE, "{\"max_seq_length\": 2}")).max_seq_length, 2);
    assert_int_equal(load(with_file(LENGTH_FILE, "{\"max_seq_length\": 64}")).max_seq_length, 64);
    assert_int_equal(load(with_file(LENGTH_FILE, "{\"max_seq_length\": 8192}")).max_seq_length, 64);
    expect_failure(with_file(LENGTH_FILE, "{\"max_seq_length\": 1}"), LENGTH_FILE, SENVEC_FORMAT, "at least 2");
    expect_failure(with_file(LENGTH_FILE, "{\"max_seq_length\": \"x\"}"), LENGTH_FILE, SENVEC_FORMAT, "at least 2");
    expect_failure(with_file(LENGTH_FILE, ""), LENGTH_FILE, SENVEC_FORMAT, "the file is empty");

    /* An older name of the file. */
    directory = without(LENGTH_FILE);
    test_write_text(join(directory, "sentence_roberta_config.json"), "{\"max_seq_length\": 30}");
    assert_int_equal(load(directory).max_seq_length, 30);
}

static void test_options(void **state) {
    (void)state;
    /* What sentence-transformers 6.2 writes. */
    load(with_file(LENGTH_FILE,
                   "{\"transformer_task\":\"feature-extraction\",\"modality_config\":{\"text\":{\"method\":\"forward\","
                   "\"method_output_name\":\"last_hidden_state\"}},\"module_output_name\":\"token_embeddings\"}"));
    load(with_file(LENGTH_FILE, "{\"model_args\":{},\"query_expansion\":null}"));
    expect_failure(with_file(LENGTH_FILE, "{\"transformer_task\":\"fill-mask\"}"), LENGTH_FILE, SENVEC_UNSUPPORTED,
                   "\"transformer_task\" is \"fill-mask\"");
    expect_failure(with_file(LENGTH_FILE, "{\"tokenizer_args\":{\"model_max_length\":9}}"), LENGTH_FILE, SENVEC_UNSUPPORTED,
                   "\"tokenizer_args\" is set");
    expect_failure(with_file(LENGTH_FILE, "{\"query_expansion\":{\"length\":32}}"), LENGTH_FILE, SENVEC_UNSUPPORTED,
                   "\"query_expansion\" is set");

    const char *directory = with_file(LENGTH_FILE, "{\"do_lower_case\": true}"); /* as this tokenizer.json does anyway */
    load(directory);
    test_replace(join(directory, "tokenizer.json"), "\"lowercase\": true", "\"lowercase\": false");
    expect_failure(directory, LENGTH_FILE, SENVEC_UNSUPPORTED, "\"do_lower_case\"");
}

static void test_prompts(void **state) {
    (void)state;
    load(with_file(PROMPT_FILE, "{\"__version__\":{},\"prompts\":{\"query\":\"Q: \"},\"default_prompt_name\":null}"));
    assert_int_equal(load(with_file(PROMPT_FILE, "{\"truncate_dim\":null}")).truncate_dim, 0);
    assert_int_equal(load(with_file(PROMPT_FILE, "{\"truncate_dim\":31}")).truncate_dim, 31);
    assert_int_equal(load(with_file(PROMPT_FILE, "{\"truncate_dim\":32}")).truncate_dim, 0);
    assert_int_equal(load(with_file(PROMPT_FILE, "{\"truncate_dim\":999}")).truncate_dim, 0);
    expect_failure(with_file(PROMPT_FILE, "{\"truncate_dim\":0}"), PROMPT_FILE, SENVEC_FORMAT, "\"truncate_dim\"");
    expect_failure(with_file(PROMPT_FILE, "{\"truncate_dim\":\"a\"}"), PROMPT_FILE, SENVEC_FORMAT, "\"truncate_dim\"");
    expect_failure(with_file(PROMPT_FILE, "{\"model_type\":\"SparseEncoder\"}"), PROMPT_FILE, SENVEC_UNSUPPORTED,
                   "\"model_type\" is \"SparseEncoder\"");
}

static void test_pooling(void **state) {
    (void)state;
    static const struct {
        const char *mode;
        sv_pooling pooling;
    } good[] = {
        {"\"pooling_mode_cls_token\":true", SV_POOLING_CLS},
        {"\"pooling_mode_max_tokens\":true,\"pooling_mode_mean_tokens\":false", SV_POOLING_MAX},
        {"\"include_prompt\":true", SV_POOLING_MEAN},
        {"\"pooling_mode\":\"max\"", SV_POOLING_MAX},
        {"\"pooling_mode\":[\"cls\"]", SV_POOLING_CLS},
        {"\"pooling_mode\":\"cls\",\"pooling_mode_max_tokens\":true", SV_POOLING_CLS},
        {"\"pooling_mode_mean_sqrt_len_tokens\":true", SV_POOLING_MEAN_SQRT},
        {"\"pooling_mode\":\"lasttoken\"", SV_POOLING_LAST},
        {"\"pooling_mode_weightedmean_tokens\":true", SV_POOLING_WEIGHTED},
    };
    static const struct {
        const char *mode;
        senvec_status code;
        const char *reason;
    } bad[] = {
        {"\"pooling_mode\":\"median\"", SENVEC_UNSUPPORTED, "\"median\""},
        {"\"pooling_mode\":7", SENVEC_FORMAT, "\"pooling_mode\" has to be a string"},
        {"\"pooling_mode\":[\"cls\",[]]", SENVEC_FORMAT, "\"pooling_mode\" has to be a string"},
        {"\"pooling_mode\":[\"cls\",\"cls\",\"cls\",\"cls\",\"cls\",\"cls\",\"cls\"]", SENVEC_TOO_LARGE, "over 6"},
        {"\"include_prompt\":\"no\"", SENVEC_FORMAT, "\"include_prompt\""},
    };
    char text[200];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "{\"word_embedding_dimension\":32,%s}", good[i].mode);
        sv_config config = load(with_file(POOLING_FILE, text));
        assert_int_equal(config.pooling_count, 1);
        assert_int_equal(config.poolings[0], good[i].pooling);
    }
    /* Several: the switches in sentence-transformers' order, a list in its own. */
    static const sv_pooling switches[] = {SV_POOLING_CLS, SV_POOLING_MEAN}, list[] = {SV_POOLING_MEAN, SV_POOLING_CLS};
    sv_config both = load(with_file(POOLING_FILE, "{\"word_embedding_dimension\":32,\"pooling_mode_mean_tokens\":true,"
                                                  "\"pooling_mode_cls_token\":true}"));
    assert_int_equal(both.pooling_count, 2);
    assert_memory_equal(both.poolings, switches, sizeof switches);
    assert_int_equal(both.dimensions, 64);
    both = load(with_file(POOLING_FILE, "{\"embedding_dimension\":32,\"pooling_mode\":[\"mean\",\"cls\"]}"));
    assert_memory_equal(both.poolings, list, sizeof list);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"embedding_dimension\":32,%s}", bad[i].mode);
        expect_failure(with_file(POOLING_FILE, text), POOLING_FILE, bad[i].code, bad[i].reason);
    }
    expect_failure(with_file(POOLING_FILE, "{\"embedding_dimension\":33}"), POOLING_FILE, SENVEC_FORMAT, "hidden_size of 32");
    expect_failure(with_file(POOLING_FILE, "{}"), POOLING_FILE, SENVEC_FORMAT, "is missing");
    expect_failure(with_file(POOLING_FILE, "{"), POOLING_FILE, SENVEC_FORMAT, "not valid JSON");
    expect_failure(without(POOLING_FILE), POOLING_FILE, SENVEC_NOT_FOUND, "is missing");
}

static void test_dense(void **state) {
    (void)state;
    static const char all[] =
        "[" TRANSFORMER "," POOLING "," MODULE("2_Dense", "sentence_transformers.models.Dense") "," MODULE(
            "3_Dropout", "sentence_transformers.models.Dropout") "," NORMALIZE "," NORMALIZE "]";
    const char *directory = with_file("modules.json", all);
    expect_failure(directory, "2_Dense/config.json", SENVEC_NOT_FOUND, "is missing");
    static const struct {
        const char *text;
        senvec_status code;
        const char *reason;
    } bad[] = {
        {"{}", SENVEC_FORMAT, "\"in_features\" is missing"},
        {"{\"in_features\":32}", SENVEC_FORMAT, "\"out_features\" is missing"},
        {"{\"in_features\":32,\"out_features\":1e9}", SENVEC_TOO_LARGE, "\"out_features\""},
        {"{\"in_features\":32,\"out_features\":8,\"activation_function\":\"torch.nn.modules.activation.Mish\"}",
         SENVEC_UNSUPPORTED, "Mish"},
        {"{\"in_features\":32,\"out_features\":8,\"activation_function\":\"custom.Tanh\"}", SENVEC_UNSUPPORTED, "custom"},
        {"{\"in_features\":32,\"out_features\":8,\"module_input_name\":\"token_embeddings\"}", SENVEC_UNSUPPORTED,
         "token_embeddings"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        directory = with_file("modules.json", all);
        test_write_text(join(directory, "2_Dense/config.json"), bad[i].text);
        expect_failure(directory, "2_Dense/config.json", bad[i].code, bad[i].reason);
    }
    directory = with_file("modules.json", all);
    test_write_text(join(directory, "2_Dense/config.json"), "{\"in_features\":32,\"out_features\":8,\"bias\":false}");
    sv_config config = load(directory);
    assert_int_equal(config.module_count, 2); /* Dense and the first Normalize */
    assert_int_equal(config.modules[0].activation, SV_DENSE_TANH);
    assert_false(config.modules[0].bias);
    assert_true(config.normalize);
    assert_int_equal(config.dimensions, 8);
    assert_int_equal(sv_config_widest(&config), 32);
    test_write_text(join(directory, "2_Dense/config.json"), "{\"in_features\":31,\"out_features\":8}");
    sv_config ignored;
    senvec_error err;
    assert_int_equal(sv_config_load(directory, &ignored, &err), SENVEC_FORMAT);
    assert_non_null(strstr(err.message, "doesn't take the vectors"));
}

static void test_files(void **state) {
    (void)state;
    expect_failure(test_path("nowhere"), "config.json", SENVEC_NOT_FOUND, "is it a model's folder");
    /* A sparse file over the limit; a folder where a file should be. */
    const char *directory = test_copy_tiny("model");
    assert_int_equal(truncate(join(directory, "config.json"), (off_t)SV_MAX_JSON_BYTES + 1), 0);
    expect_failure(directory, "config.json", SENVEC_TOO_LARGE, "67108865 bytes; the maximum is 67108864");
    directory = without("config.json");
    assert_int_equal(mkdir(join(directory, "config.json"), 0777), 0);
    expect_failure(directory, "config.json", SENVEC_IO, "not a regular file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),     cmocka_unit_test(test_modules),   cmocka_unit_test(test_encoder),
        cmocka_unit_test(test_families), cmocka_unit_test(test_truncated), cmocka_unit_test(test_length),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_prompts),   cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_dense),    cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
