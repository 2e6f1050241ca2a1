/* The files with which sentence-transformers surrounds a transformer, read as sentence-transformers 6.2 reads them
 * (base/model.py, base/modules/transformer.py, sentence_transformer/modules/pooling.py). Older and newer spellings of the same
 * thing are both in use: modules were renamed, Pooling's six switches became one name.
 *
 *     modules.json                       which modules, in which order, in which folders
 *     config_sentence_transformers.json  a default prompt (optional)
 *     <transformer>/config.json          the encoder: transformer_config.c
 *     <transformer>/sentence_bert_config.json, tokenizer_config.json    max_seq_length (optional)
 *     <pooling>/config.json              how token vectors become one
 *     <normalize>/config.json            only present in newer models */
#include "model/config.h"

#include <stdint.h>
#include <string.h>

#include "common/limits.h"
#include "model/document.h"
#include "model/transformer_config.h"

/* The folders of the modules, relative to the model's. */
typedef struct module_paths {
    char transformer[64], pooling[64], normalize[64];
    bool has_modules; /* modules.json was there */
    bool has_normalize;
} module_paths;

/* ----------------------------------------------------------------------------------------------------------------- modules */

/* The class at the end of a module's type, if sentence-transformers is its home: "sentence_transformers.models.Pooling" and
 * "sentence_transformers.sentence_transformer.modules.pooling.Pooling" are both "Pooling". "" for a module of somebody else's.
 */
static const char *module_class(const char *type) {
    const char *dot = strrchr(type, '.');
    return dot && strncmp(type, "sentence_transformers.", strlen("sentence_transformers.")) == 0 ? dot + 1 : "";
}

/* Copies a module's folder; it has to lie inside the model's. */
static senvec_status read_folder(const sv_document *modules, const json_t *module, char out[64], senvec_error *err) {
    const json_t *path = json_object_get(module, "path");
    const char *text = json_string_value(path);
    if (!text || *text == '/' || strchr(text, '\\') || strstr(text, ".."))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: a module's \"path\" is missing or not a folder inside this one",
                       modules->path);
    if (strlen(text) >= 64)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: a module's \"path\" has %zu bytes; the maximum is 63", modules->path,
                       strlen(text));
    memcpy(out, text, strlen(text) + 1);
    return SENVEC_OK;
}

static senvec_status read_module_list(const sv_document *modules, module_paths *out, senvec_error *err) {
    static const char *const classes[] = {"Transformer", "Pooling", "Normalize"};
    char(*const folders[])[64] = {&out->transformer, &out->pooling, &out->normalize};
    size_t count = json_array_size(modules->root);
    for (size_t i = 0; i < count; i++) {
        const json_t *module = json_array_get(modules->root, i);
        const char *type = json_string_value(json_object_get(module, "type"));
        if (!type)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: module %zu has no \"type\"", modules->path, i);
        if (i >= 3 || strcmp(module_class(type), classes[i]) != 0)
            return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                           "%s: module %zu is \"%s\"; supported are Transformer, Pooling and, where wanted, Normalize, in this "
                           "order",
                           modules->path, i, type);
        SENVEC_TRY(read_folder(modules, module, *folders[i], err));
    }
    if (count < 2)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %zu modules; a Transformer and a Pooling are needed", modules->path,
                       count);
    out->has_modules = true;
    out->has_normalize = count == 3;
    return SENVEC_OK;
}

static senvec_status read_modules(const char *directory, module_paths *out, senvec_error *err) {
    *out = (module_paths){0};
    sv_document modules;
    SENVEC_TRY(sv_document_open(directory, "", "modules.json", true, &modules, err));
    if (!modules.root)
        return SENVEC_OK;
    senvec_status status = read_module_list(&modules, out, err);
    sv_document_close(&modules);
    return status;
}

/* A default prompt would go before each text; and the file may belong to another kind of model. */
static senvec_status check_prompt(const char *directory, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, "", "config_sentence_transformers.json", false, &file, err));
    senvec_status status = sv_document_expect_string(&file, "model_type", "SentenceTransformer", err);
    const char *name = json_string_value(sv_document_get(&file, "default_prompt_name"));
    const char *prompt = name ? json_string_value(json_object_get(sv_document_get(&file, "prompts"), name)) : NULL;
    if (status == SENVEC_OK && prompt && *prompt)
        status =
            sv_fail(err, SENVEC_UNSUPPORTED, 0,
                    "%s: default_prompt_name is \"%s\", so each text would begin with \"%.100s\"; prompts are not supported: "
                    "set it to null and add the prompt to the texts",
                    file.path, name, prompt);
    sv_document_close(&file);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- length of texts */

/* What the tokenizer and the position table allow. */
static senvec_status default_length(const char *directory, const char *folder, size_t positions, size_t *out,
                                    senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, folder, "tokenizer_config.json", false, &file, err));
    const json_t *value = sv_document_get(&file, "model_max_length");
    double length = json_is_number(value) ? json_number_value(value) : (double)positions;
    senvec_status status = SENVEC_OK;
    if (!(length >= 2))
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: \"model_max_length\" has to be at least 2", file.path);
    else
        *out = length < (double)positions ? (size_t)length : positions;
    sv_document_close(&file);
    return status;
}

/* Lower-casing on top of the tokenizer's changes nothing where the tokenizer does it already. */
static senvec_status check_lower_case(const char *directory, const char *folder, const sv_document *options,
                                      senvec_error *err) {
    if (!json_is_true(sv_document_get(options, "do_lower_case")))
        return SENVEC_OK;
    sv_document tokenizer;
    SENVEC_TRY(sv_document_open(directory, folder, "tokenizer.json", false, &tokenizer, err));
    bool lowers = json_is_true(json_object_get(sv_document_get(&tokenizer, "normalizer"), "lowercase"));
    sv_document_close(&tokenizer);
    if (lowers)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"do_lower_case\" with a tokenizer.json that keeps case is not supported",
                   options->path);
}

/* Everything of the Transformer module that isn't in config.json. */
static senvec_status read_options(const char *directory, const char *folder, const sv_document *options, sv_config *out,
                                  senvec_error *err) {
    static const char *const unset[] = {
        "model_args",   "tokenizer_args",  "config_args",       "model_kwargs",    "processor_kwargs",       "config_kwargs",
        "query_length", "document_length", "processing_kwargs", "query_expansion", "tokenizer_name_or_path",
    };
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(sv_document_expect_unset(options, unset[i], err));
    SENVEC_TRY(sv_document_expect_string(options, "transformer_task", "feature-extraction", err));
    SENVEC_TRY(sv_document_expect_string(options, "module_output_name", "token_embeddings", err));
    SENVEC_TRY(check_lower_case(directory, folder, options, err));
    if (!sv_document_get(options, "max_seq_length"))
        return default_length(directory, folder, out->positions, &out->max_seq_length, err);
    SENVEC_TRY(sv_document_size(options, "max_seq_length", 0, 2, SIZE_MAX >> 12, &out->max_seq_length, err));
    if (out->max_seq_length > out->positions)
        out->max_seq_length = out->positions;
    return SENVEC_OK;
}

static senvec_status read_length(const char *directory, const module_paths *paths, sv_config *out, senvec_error *err) {
    /* sentence-transformers tries these names in this order and stops at the first with content. */
    static const char *const names[] = {
        "sentence_bert_config.json",      "sentence_roberta_config.json", "sentence_distilbert_config.json",
        "sentence_camembert_config.json", "sentence_albert_config.json",  "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
    };
    const char *folder = paths->transformer;
    sv_document options = {0};
    for (size_t i = 0; paths->has_modules && i < sizeof names / sizeof *names && json_object_size(options.root) == 0; i++) {
        sv_document_close(&options);
        SENVEC_TRY(sv_document_open(directory, folder, names[i], false, &options, err));
    }
    senvec_status status = read_options(directory, folder, &options, out, err);
    sv_document_close(&options);
    return status;
}

/* ----------------------------------------------------------------------------------------------------- pooling, normalising */

static const struct {
    const char *name;   /* newer models: "pooling_mode" */
    const char *legacy; /* older models: a switch each */
    int pooling;        /* an sv_pooling, or -1 */
} poolings[] = {
    {"mean", "pooling_mode_mean_tokens", SV_POOLING_MEAN},    {"cls", "pooling_mode_cls_token", SV_POOLING_CLS},
    {"max", "pooling_mode_max_tokens", SV_POOLING_MAX},       {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", -1},
    {"weightedmean", "pooling_mode_weightedmean_tokens", -1}, {"lasttoken", "pooling_mode_lasttoken", -1},
};
enum { POOLINGS = sizeof poolings / sizeof *poolings };

const char *sv_pooling_name(sv_pooling pooling) {
    return poolings[pooling].name;
}

/* The one pooling mode of a Pooling module; "mean" where nothing is said. */
static senvec_status read_pooling_mode(const sv_document *file, const char **out, senvec_error *err) {
    const json_t *mode = sv_document_get(file, "pooling_mode");
    *out = poolings[SV_POOLING_MEAN].name;
    size_t modes = 0;
    if (json_is_array(mode)) {
        modes = json_array_size(mode);
        mode = json_array_get(mode, 0);
    }
    if (mode) {
        if (!json_is_string(mode))
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"pooling_mode\" has to be a string", file->path);
        *out = json_string_value(mode);
    } else {
        for (size_t i = 0; i < POOLINGS; i++)
            if (json_is_true(sv_document_get(file, poolings[i].legacy))) {
                *out = poolings[i].name;
                modes++;
            }
    }
    if (modes > 1)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %zu pooling modes at once; one of mean, cls and max is supported",
                       file->path, modes);
    return SENVEC_OK;
}

static senvec_status read_pooling_config(const sv_document *file, sv_config *out, senvec_error *err) {
    const char *mode;
    SENVEC_TRY(read_pooling_mode(file, &mode, err));
    size_t i = 0;
    while (i < POOLINGS && (poolings[i].pooling < 0 || strcmp(mode, poolings[i].name) != 0))
        i++;
    if (i == POOLINGS)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: the pooling mode is \"%s\"; supported are mean, cls and max",
                       file->path, mode);
    out->pooling = (sv_pooling)poolings[i].pooling;
    size_t dimension;
    const char *key = sv_document_get(file, "embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
    SENVEC_TRY(sv_document_size(file, key, 0, 1, SV_MAX_HIDDEN, &dimension, err));
    if (dimension != out->hidden)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" is %zu, but config.json has a hidden_size of %zu", file->path, key,
                       dimension, out->hidden);
    return SENVEC_OK;
}

static senvec_status read_pooling(const char *directory, const module_paths *paths, sv_config *out, senvec_error *err) {
    out->pooling = SV_POOLING_MEAN;
    if (!paths->has_modules)
        return SENVEC_OK;
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, paths->pooling, "config.json", false, &file, err));
    if (!file.root)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: the Pooling module's file is missing; fetch the model again", file.path);
    senvec_status status = read_pooling_config(&file, out, err);
    sv_document_close(&file);
    return status;
}

static senvec_status read_normalize(const char *directory, const module_paths *paths, sv_config *out, senvec_error *err) {
    out->normalize = paths->has_normalize;
    /* Without a folder of its own it has no file either: the model's config.json is another thing. */
    if (!paths->has_normalize || !*paths->normalize)
        return SENVEC_OK;
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, paths->normalize, "config.json", false, &file, err));
    senvec_status status = sv_document_expect_string(&file, "module_input_name", "sentence_embedding", err);
    if (status == SENVEC_OK)
        status = sv_document_expect_string(&file, "module_output_name", "sentence_embedding", err);
    sv_document_close(&file);
    return status;
}

senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err) {
    sv_config config = {0};
    module_paths paths;
    SENVEC_TRY(read_modules(directory, &paths, err));
    if (paths.has_modules)
        SENVEC_TRY(check_prompt(directory, err));
    SENVEC_TRY(sv_transformer_config_read(directory, paths.transformer, &config, err));
    SENVEC_TRY(read_length(directory, &paths, &config, err));
    SENVEC_TRY(read_pooling(directory, &paths, &config, err));
    SENVEC_TRY(read_normalize(directory, &paths, &config, err));
    memcpy(config.transformer_directory, paths.transformer, sizeof config.transformer_directory);
    *out = config;
    return SENVEC_OK;
}
