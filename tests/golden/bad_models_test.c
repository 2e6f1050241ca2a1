/* Models with one wrong file: a table of changes, each refused by senvec_model_open with one line that says where and what. The
 * folders are whole models of tests/golden/families, so what is tested is what a user sees, under the sanitizers too. Parts of
 * a tokenizer.json one by one: unit/tokenizer_parts_test.c; tensors one by one: unit/weights_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "senvec.h"
#include "support/test_models.h"

#define TABLE "mpnet.encoder.relative_attention_bias.weight\":{\"dtype\":\"BF16\",\"shape\":"
#define SHARD "model-00001-of-00001.safetensors"
#define INDEX "model.safetensors.index.json"

typedef struct bad {
    const char *family;    /* of tests/golden/families */
    const char *tokenizer; /* of tests/golden/tokenizers, in place of the family's; NULL: its own */
    const char *file;      /* that is changed: the one place where `old` stands; with `old` NULL, the file is `with` */
    const char *old, *with;
    senvec_status status;
    const char *words; /* of the message */
} bad;

static const bad cases[] = {
    /* Parts of a tokenizer.json that don't exist. */
    {"bert", NULL, "tokenizer.json", "\"BertNormalizer\"", "\"Romanize\"", SENVEC_UNSUPPORTED, "normalizer \"Romanize\""},
    {"bert", NULL, "tokenizer.json", "\"BertPreTokenizer\"", "\"ByDictionary\"", SENVEC_UNSUPPORTED,
     "pre_tokenizer \"ByDictionary\""},
    {"bert", NULL, "tokenizer.json", "\"TemplateProcessing\"", "\"Rubber\"", SENVEC_UNSUPPORTED, "post_processor \"Rubber\""},
    {"bert", NULL, "tokenizer.json", "\"type\": \"WordPiece\",\n    \"unk", "\"type\": \"Characters\",\n    \"unk",
     SENVEC_UNSUPPORTED, "model \"Characters\""},
    {"bert", NULL, "tokenizer.json", NULL, "", SENVEC_FORMAT, "the file is empty"},
    {"bert", NULL, "tokenizer.json", NULL, "[]", SENVEC_FORMAT, "tokenizer.json"},
    {"bert", NULL, "tokenizer.json", "\"version\"", "version", SENVEC_FORMAT, "not valid JSON"},
    /* Vocabularies of another size than the embedding table. */
    {"bert", "roberta", NULL, NULL, NULL, SENVEC_FORMAT, "the embedding table only 93 rows"},
    {"mpnet", "xlm-roberta", NULL, NULL, NULL, SENVEC_FORMAT, "the embedding table only 93 rows"},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": 92", SENVEC_FORMAT, "the embedding table only 92"},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": 94", SENVEC_FORMAT,
     "\"bert.embeddings.word_embeddings.weight\" has the shape [93, 32], but config.json asks for [94, 32]"},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": 0", SENVEC_FORMAT, "\"vocab_size\""},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": -93", SENVEC_FORMAT, "\"vocab_size\""},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": 1e30", SENVEC_TOO_LARGE, "\"vocab_size\""},
    {"bert", NULL, "config.json", "\"vocab_size\": 93", "\"vocab_size\": \"93\"", SENVEC_FORMAT, "\"vocab_size\""},
    {"bert", NULL, "tokenizer.json", "\"[MASK]\": 4,", "\"[MASK]\": 93,", SENVEC_FORMAT, "[MASK]"},
    /* Merges of tokens that don't exist, and whose result doesn't. */
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "[\"h\",\"\xc3\xa9\xc3\xa9\"]", SENVEC_FORMAT,
     "merge 3: token \"\xc3\xa9\xc3\xa9\""},
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "[\"h\",\"h\"]", SENVEC_FORMAT, "merge 3: its result \"hh\""},
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "[\"h\"]", SENVEC_FORMAT, "merge 3 is not two tokens"},
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "[\"\",\"he\"]", SENVEC_FORMAT, "merge 3"},
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "\"he\"", SENVEC_FORMAT, "merge 3 is not two tokens"},
    {"roberta", "roberta", "tokenizer.json", "[\"h\",\"e\"]", "\"h  e\"", SENVEC_FORMAT, "merge 3"},
    {"roberta", "roberta", "tokenizer.json", "\"merges\":", "\"mergers\":", SENVEC_FORMAT, "\"merges\""},
    /* Pieces of a Unigram model. */
    {"xlm-roberta", "xlm-roberta", "tokenizer.json", "\"unk_id\":3", "\"unk_id\":99999", SENVEC_FORMAT, "unk_id"},
    {"xlm-roberta", "xlm-roberta", "tokenizer.json", "[\"</s>\",0.0]", "[\"</s>\"]", SENVEC_FORMAT, "piece 2"},
    {"xlm-roberta", "xlm-roberta", "tokenizer.json", "[\"</s>\",0.0]", "[\"</s>\",1e999]", SENVEC_FORMAT, "piece 2"},
    /* The charsmap; cut after each of its first bytes: cut_charsmap. */
    {"xlm-roberta", "xlm-roberta", "tokenizer.json", "\"precompiled_charsmap\":\"AAQAAA", "\"precompiled_charsmap\":\"/////w",
     SENVEC_FORMAT, "precompiled_charsmap"},
    {"xlm-roberta", "xlm-roberta", "tokenizer.json", "\"precompiled_charsmap\":\"AAQAAA", "\"precompiled_charsmap\":\"*",
     SENVEC_FORMAT, "not base64"},
    /* The table of relative positions. */
    {"mpnet", NULL, "model.safetensors", TABLE "[32,2]", TABLE "[2,32]", SENVEC_FORMAT, "has the shape [2, 32], but"},
    {"mpnet", NULL, "model.safetensors", TABLE "[32,2]", TABLE "[16,4]", SENVEC_FORMAT, "has the shape [16, 4], but"},
    {"mpnet", NULL, "model.safetensors", TABLE "[32,2]", TABLE "[64]  ", SENVEC_FORMAT, "has the shape [64], but"},
    {"mpnet", NULL, "model.safetensors", TABLE "[32,2]", TABLE "[32,3]", SENVEC_FORMAT, "relative_attention_bias"},
    {"mpnet", NULL, "model.safetensors", "relative_attention_bias.weight", "relative_attention_tilt.weight", SENVEC_FORMAT,
     "relative_attention_bias.weight\" is missing"},
    {"mpnet", NULL, "config.json", "_buckets\": 32", "_buckets\": 64", SENVEC_FORMAT, "config.json asks for [64, 2]"},
    {"mpnet", NULL, "config.json", "_buckets\": 32", "_buckets\": 1", SENVEC_FORMAT, "relative_attention_num_buckets"},
    {"mpnet", NULL, "config.json", "_buckets\": 32", "_buckets\": 1e9", SENVEC_TOO_LARGE, "relative_attention_num_buckets"},
    {"mpnet", NULL, "config.json", "_heads\": 2", "_heads\": 4", SENVEC_FORMAT, "config.json asks for [32, 4]"},
    /* Position tables. */
    {"mpnet", NULL, "config.json", "_embeddings\": 66", "_embeddings\": 3", SENVEC_FORMAT, "\"max_position_embeddings\" is 3"},
    {"xlm-roberta", NULL, "config.json", "\"pad_token_id\": 1", "\"pad_token_id\": 64", SENVEC_FORMAT, "positions begin at 65"},
    {"xlm-roberta", NULL, "config.json", "\"pad_token_id\": 1", "\"pad_token_id\": -1", SENVEC_FORMAT, "\"pad_token_id\""},
    /* Indexes of weights, in place of model.safetensors. */
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"model-00002-of-00002.safetensors\"}}", SENVEC_NOT_FOUND,
     "\"model-00002-of-00002.safetensors\", which it names, isn't in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"" SHARD "\",\"y\":\"gone.safetensors\"}}", SENVEC_NOT_FOUND,
     "\"gone.safetensors\", which it names, isn't in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"../" SHARD "\"}}", SENVEC_FORMAT,
     "the name of a file in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"/etc/hostname\"}}", SENVEC_FORMAT,
     "the name of a file in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"1_Pooling/config.json\"}}", SENVEC_FORMAT,
     "the name of a file in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"1_Pooling\"}}", SENVEC_NOT_FOUND, "isn't in this folder"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":{\"x\":\"config.json\"}}", SENVEC_TOO_LARGE, "is this a safetensors file?"},
    {"bert", NULL, INDEX, NULL, "{\"weight_map\":[\"" SHARD "\"]}", SENVEC_FORMAT, "\"weight_map\""},
    {"bert", NULL, INDEX, NULL, "", SENVEC_FORMAT, "the file is empty"},
};
enum { CASES = sizeof cases / sizeof *cases };

static const char *path_of(const char *directory, const char *file) {
    static char path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(directory, file, path, NULL), SENVEC_OK);
    return path;
}

static const char *copy_model(const char *family, const char *tokenizer) {
    static char directory[SV_MAX_PATH];
    snprintf(directory, sizeof directory, "%s", test_copy_family(family, "model"));
    if (tokenizer) {
        char from[SV_MAX_PATH];
        size_t size;
        snprintf(from, sizeof from, TEST_TOKENIZERS "/%s/tokenizer.json", tokenizer);
        char *text = test_read(from, &size);
        test_write(path_of(directory, "tokenizer.json"), text, size);
        free(text);
    }
    return directory;
}

/* Opens the model in every precision, which must fail. */
static void refuse(const char *directory, const char *name, senvec_status wanted, const char *words) {
    static const senvec_precision precisions[] = {SENVEC_PRECISION_FP32, SENVEC_PRECISION_BF16, SENVEC_PRECISION_INT8};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        const senvec_model_options options = {.precision = precisions[i], .calibration = SENVEC_CALIBRATION_MEMORY};
        senvec_model *model = NULL;
        senvec_error err = {0};
        const senvec_status status = senvec_model_open(directory, &options, &model, &err);
        const bool right = status == wanted && !model && err.code == status && strstr(err.message, words) &&
                           strstr(err.message, directory) && !strchr(err.message, '\n');
        if (!right)
            fail_msg("%s: wanted %s and '%s', got %s: %s", name, senvec_status_name(wanted), words, senvec_status_name(status),
                     err.message);
    }
}

/* The models that are changed below open. */
static void good_models(void **state) {
    (void)state;
    static const char *const families[] = {"bert", "roberta", "xlm-roberta", "mpnet"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        senvec_model *model = NULL;
        senvec_error err = {0};
        if (senvec_model_open(copy_model(families[i], NULL), NULL, &model, &err) != SENVEC_OK)
            fail_msg("%s", err.message);
        senvec_model_free(model);
    }
}

static void changed_files(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const bad *c = &cases[i];
        const char *directory = copy_model(c->family, c->tokenizer);
        char name[300];
        snprintf(name, sizeof name, "case %zu, %s of %s: %.100s", i, c->file ? c->file : "tokenizer.json", c->family,
                 c->with ? c->with : c->tokenizer);
        if (c->file && strcmp(c->file, INDEX) == 0) {
            char from[SV_MAX_PATH];
            snprintf(from, sizeof from, "%s", path_of(directory, "model.safetensors"));
            assert_int_equal(rename(from, path_of(directory, SHARD)), 0);
        }
        if (c->old)
            test_replace(path_of(directory, c->file), c->old, c->with);
        else if (c->with)
            test_write_text(path_of(directory, c->file), c->with);
        refuse(directory, name, c->status, c->words);
    }
}

/* The table of a Precompiled normalizer, cut after every fourth character and so after every third byte. */
static void cut_charsmap(void **state) {
    (void)state;
    static const char begin[] = "\"precompiled_charsmap\":\"";
    const char *directory = copy_model("xlm-roberta", "xlm-roberta");
    char path[SV_MAX_PATH];
    snprintf(path, sizeof path, "%s", path_of(directory, "tokenizer.json"));
    size_t size;
    char *text = test_read(path, &size), *copy = malloc(size), *map = strstr(text, begin);
    assert_true(map && copy);
    map += strlen(begin);
    const size_t before = (size_t)(map - text), length = strcspn(map, "\"");
    for (size_t kept = 0; kept + 4 < length; kept += 4) {
        memcpy(copy, text, before + kept);
        memcpy(copy + before + kept, map + length, size - before - length);
        test_write(path, copy, size - length + kept);
        senvec_model *model = NULL;
        senvec_error err = {0};
        const senvec_model_options options = {.tokenizer_only = true};
        senvec_status status = senvec_model_open(directory, &options, &model, &err);
        if (status != SENVEC_FORMAT || model || !strstr(err.message, "precompiled_charsmap ") || strchr(err.message, '\n'))
            fail_msg("cut at %zu of %zu: %s: %s", kept, length, senvec_status_name(status), err.message);
    }
    free(copy);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_models),
        cmocka_unit_test(changed_files),
        cmocka_unit_test(cut_charsmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
