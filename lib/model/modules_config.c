/* The files with which sentence-transformers surrounds a transformer, read as sentence-transformers 6.2 reads them
 * (base/model.py, base/modules/transformer.py, sentence_transformer/modules/pooling.py). Older and newer spellings of the same
 * thing are both in use: modules were renamed, Pooling's six switches became one name.
 *
 *     modules.json                       which modules, in which order, in which folders
 *     config_sentence_transformers.json  truncate_dim, prompts (optional; the latter are read by prompts.c)
 *     <transformer>/config.json          the encoder: transformer_config.c
 *     <transformer>/sentence_bert_config.json, tokenizer_config.json    max_seq_length (optional)
 *     <pooling>/config.json              how token vectors become one
 *     <dense>/config.json, <layernorm>/config.json    their sizes; the weights beside them are read by modules.c
 *     <normalize>/config.json            only present in newer models */
#include "model/config.h"

#include <stdint.h>
#include <string.h>

#include "common/limits.h"
#include "common/model_files.h"
#include "model/document.h"
#include "model/modules_config.h"
#include "model/task_config.h"
#include "model/transformer_config.h"

/* The modules of modules.json. */
typedef struct module_list {
    char transformer[64], pooling[64]; /* folders, relative to the model's */
    bool present;                      /* modules.json was there */
} module_list;

/* ----------------------------------------------------------------------------------------------------------------- modules */

const char *sv_module_class(const char *type) {
    const char *dot = strrchr(type, '.');
    return dot && strncmp(type, "sentence_transformers.", strlen("sentence_transformers.")) == 0 ? dot + 1 : "";
}

senvec_status sv_module_folder(const sv_document *modules, sv_json module, char out[64], senvec_error *err) {
    const sv_json path = sv_json_member(module, "path");
    const char *text = sv_json_text(path);
    if (!text || *text == '/' || strchr(text, '\\') || strstr(text, ".."))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: a module's \"path\" is missing or not a folder inside this one",
                       modules->path);
    if (strlen(text) >= 64)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: a module's \"path\" has %zu bytes; the maximum is 63", modules->path,
                       strlen(text));
    memcpy(out, text, strlen(text) + 1);
    return SENVEC_OK;
}

static senvec_status refuse_module(const sv_document *modules, size_t index, const char *type, senvec_error *err) {
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: module %zu is \"%s\"; supported are Transformer, then Pooling, then any of Dense, LayerNorm and "
                   "Normalize",
                   modules->path, index, type);
}

/* A module after Pooling. */
static senvec_status read_later_module(const sv_document *modules, sv_json module, size_t index, const char *type,
                                       sv_config *out, senvec_error *err) {
    static const char *const classes[SV_MODULE_KINDS] = {"Dense", "LayerNorm", "Normalize"};
    const char *class = sv_module_class(type);
    char folder[64];
    if (strcmp(class, "Dropout") == 0) /* drops nothing outside of training, but its folder goes along in an export */
        return sv_module_folder(modules, module, folder, err);
    size_t kind = 0;
    while (kind < SV_MODULE_KINDS && strcmp(class, classes[kind]) != 0)
        kind++;
    if (kind == SV_MODULE_KINDS)
        return refuse_module(modules, index, type, err);
    if (out->module_count == SV_MAX_MODULES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %u modules after Pooling", modules->path, SV_MAX_MODULES);
    sv_module *next = &out->modules[out->module_count++];
    next->kind = (sv_module_kind)kind;
    return sv_module_folder(modules, module, next->folder, err);
}

static senvec_status read_module_list(const sv_document *modules, module_list *list, sv_config *out, senvec_error *err) {
    size_t count = sv_json_count(modules->root);
    for (size_t i = 0; i < count; i++) {
        const sv_json module = sv_json_at(modules->root, i);
        const char *type = sv_json_text(sv_json_member(module, "type"));
        if (!type)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: module %zu has no \"type\"", modules->path, i);
        if (i >= 2) {
            SENVEC_TRY(read_later_module(modules, module, i, type, out, err));
            continue;
        }
        if (strcmp(sv_module_class(type), i == 0 ? "Transformer" : "Pooling") != 0)
            return refuse_module(modules, i, type, err);
        SENVEC_TRY(sv_module_folder(modules, module, i == 0 ? list->transformer : list->pooling, err));
    }
    if (count < 2)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %zu modules; a Transformer and a Pooling are needed", modules->path,
                       count);
    list->present = true;
    return SENVEC_OK;
}

static senvec_status read_modules(const char *directory, module_list *list, sv_config *out, senvec_error *err) {
    *list = (module_list){0};
    sv_document modules;
    SENVEC_TRY(sv_document_open(directory, "", SV_MODEL_MODULES, true, &modules, err));
    if (modules.root.kind == SV_JSON_NONE)
        return SENVEC_OK;
    senvec_status status = read_module_list(&modules, list, out, err);
    sv_document_close(&modules);
    return status;
}

/* What holds for the whole model; the file may belong to another kind of model. */
static senvec_status read_whole(const char *directory, sv_config *out, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, "", "config_sentence_transformers.json", false, &file, err));
    senvec_status status = sv_document_expect_string(&file, "model_type", "SentenceTransformer", err);
    if (status == SENVEC_OK && sv_document_get(&file, "truncate_dim").kind != SV_JSON_NONE)
        status = sv_document_size(&file, "truncate_dim", 0, 1, SIZE_MAX >> 12, &out->truncate_dim, err);
    sv_document_close(&file);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- length of texts */

/* What the tokenizer and the position table allow. */
static senvec_status default_length(const char *directory, const char *folder, size_t positions, size_t *out,
                                    senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, folder, SV_MODEL_TOKENIZER_CONFIG, false, &file, err));
    const sv_json value = sv_document_get(&file, "model_max_length");
    double length = (double)positions;
    if (!sv_json_number(value, &length))
        length = (double)positions;
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
    if (sv_document_get(options, "do_lower_case").kind != SV_JSON_TRUE)
        return SENVEC_OK;
    sv_document tokenizer;
    SENVEC_TRY(sv_document_open(directory, folder, SV_MODEL_TOKENIZER, false, &tokenizer, err));
    bool lowers = sv_json_member(sv_document_get(&tokenizer, "normalizer"), "lowercase").kind == SV_JSON_TRUE;
    sv_document_close(&tokenizer);
    if (lowers)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"do_lower_case\" with a tokenizer.json that keeps case is not supported",
                   options->path);
}

/* Everything of the Transformer module that isn't in config.json. */
static senvec_status read_options(const char *directory, const char *folder, const sv_document *options, const char *task,
                                  const char *output, sv_config *out, senvec_error *err) {
    static const char *const unset[] = {
        "model_args",   "tokenizer_args",  "config_args",       "model_kwargs",    "processor_kwargs",       "config_kwargs",
        "query_length", "document_length", "processing_kwargs", "query_expansion", "tokenizer_name_or_path",
    };
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(sv_document_expect_unset(options, unset[i], err));
    SENVEC_TRY(sv_document_expect_string(options, "transformer_task", task, err));
    SENVEC_TRY(sv_document_expect_string(options, "module_output_name", output, err));
    SENVEC_TRY(check_lower_case(directory, folder, options, err));
    if (sv_document_get(options, "max_seq_length").kind == SV_JSON_NONE)
        return default_length(directory, folder, out->positions, &out->max_seq_length, err);
    SENVEC_TRY(sv_document_size(options, "max_seq_length", 0, 2, SIZE_MAX >> 12, &out->max_seq_length, err));
    if (out->max_seq_length > out->positions)
        out->max_seq_length = out->positions;
    return SENVEC_OK;
}

senvec_status sv_length_read(const char *directory, const char *folder, bool has_modules, const char *task, const char *output,
                             sv_config *out, senvec_error *err) {
    /* sentence-transformers tries these names in this order and stops at the first with content. */
    static const char *const names[] = {
        "sentence_bert_config.json",      "sentence_roberta_config.json", "sentence_distilbert_config.json",
        "sentence_camembert_config.json", "sentence_albert_config.json",  "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
    };
    sv_document options = {0};
    for (size_t i = 0; has_modules && i < sizeof names / sizeof *names && sv_json_count(options.root) == 0; i++) {
        sv_document_close(&options);
        SENVEC_TRY(sv_document_open(directory, folder, names[i], false, &options, err));
    }
    senvec_status status = read_options(directory, folder, &options, task, output, out, err);
    sv_document_close(&options);
    return status;
}

/* ----------------------------------------------------------------------------------------------------------------- pooling */

static const struct {
    const char *name;   /* newer models: "pooling_mode" */
    const char *legacy; /* older models: a switch each */
} poolings[SV_POOLINGS] = {
    [SV_POOLING_CLS] = {"cls", "pooling_mode_cls_token"},
    [SV_POOLING_MAX] = {"max", "pooling_mode_max_tokens"},
    [SV_POOLING_MEAN] = {"mean", "pooling_mode_mean_tokens"},
    [SV_POOLING_MEAN_SQRT] = {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
    [SV_POOLING_WEIGHTED] = {"weightedmean", "pooling_mode_weightedmean_tokens"},
    [SV_POOLING_LAST] = {"lasttoken", "pooling_mode_lasttoken"},
};

const char *sv_pooling_name(sv_pooling pooling) {
    return poolings[pooling].name;
}

static senvec_status add_pooling(const sv_document *file, sv_json mode, sv_config *out, senvec_error *err) {
    const char *name = sv_json_text(mode);
    if (!name)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"pooling_mode\" has to be a string or a list of strings", file->path);
    for (size_t i = 0; i < SV_POOLINGS; i++)
        if (strcmp(name, poolings[i].name) == 0) {
            if (out->pooling_count == SV_POOLINGS)
                return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %u pooling modes", file->path, SV_POOLINGS);
            out->poolings[out->pooling_count++] = (sv_pooling)i;
            return SENVEC_OK;
        }
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: the pooling mode is \"%s\"; supported are cls, max, mean, mean_sqrt_len_tokens, weightedmean and "
                   "lasttoken",
                   file->path, name);
}

/* The modes of a Pooling module; "mean" where nothing is said. */
static senvec_status read_pooling_modes(const sv_document *file, sv_config *out, senvec_error *err) {
    const sv_json mode = sv_document_get(file, "pooling_mode");
    for (size_t i = 0; i < sv_json_count(mode); i++)
        SENVEC_TRY(add_pooling(file, sv_json_at(mode, i), out, err));
    if (mode.kind != SV_JSON_NONE && mode.kind != SV_JSON_ARRAY)
        SENVEC_TRY(add_pooling(file, mode, out, err));
    for (size_t i = 0; mode.kind == SV_JSON_NONE && i < SV_POOLINGS; i++)
        if (sv_document_get(file, poolings[i].legacy).kind == SV_JSON_TRUE)
            out->poolings[out->pooling_count++] = (sv_pooling)i;
    if (!out->pooling_count)
        out->poolings[out->pooling_count++] = SV_POOLING_MEAN;
    return SENVEC_OK;
}

static senvec_status read_pooling_config(const sv_document *file, sv_config *out, senvec_error *err) {
    SENVEC_TRY(read_pooling_modes(file, out, err));
    const sv_json include = sv_document_get(file, "include_prompt");
    if (include.kind != SV_JSON_NONE && include.kind != SV_JSON_TRUE && include.kind != SV_JSON_FALSE)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"include_prompt\" has to be true or false", file->path);
    out->include_prompt = include.kind != SV_JSON_FALSE;
    size_t dimension;
    const bool newer = sv_document_get(file, "embedding_dimension").kind != SV_JSON_NONE;
    const char *key = newer ? "embedding_dimension" : "word_embedding_dimension";
    SENVEC_TRY(sv_document_size(file, key, 0, 1, SV_MAX_HIDDEN, &dimension, err));
    if (dimension != out->hidden)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" is %zu, but config.json has a hidden_size of %zu", file->path, key,
                       dimension, out->hidden);
    return SENVEC_OK;
}

static senvec_status read_pooling(const char *directory, const module_list *list, sv_config *out, senvec_error *err) {
    if (!list->present) {
        out->poolings[out->pooling_count++] = SV_POOLING_MEAN;
        out->include_prompt = true;
        return SENVEC_OK;
    }
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, list->pooling, SV_MODEL_CONFIG, false, &file, err));
    if (file.root.kind == SV_JSON_NONE)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: the Pooling module's file is missing; fetch the model again", file.path);
    senvec_status status = read_pooling_config(&file, out, err);
    sv_document_close(&file);
    return status;
}

/* ----------------------------------------------------------------------------------------------------------- later modules */

static const char *const activations[SV_DENSE_ACTIVATIONS] = {"Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU"};

const char *sv_dense_activation_name(sv_dense_activation activation) {
    return activations[activation];
}

/* A class of torch ("torch.nn.modules.activation.Tanh"); Tanh where nothing is said. */
static senvec_status read_activation(const sv_document *file, sv_dense_activation *out, senvec_error *err) {
    const sv_json value = sv_document_get(file, "activation_function");
    const char *name = value.kind == SV_JSON_NONE ? "torch.nn.Tanh" : sv_json_text(value);
    const char *dot = name && strncmp(name, "torch.", strlen("torch.")) == 0 ? strrchr(name, '.') : NULL;
    for (size_t i = 0; dot && i < SV_DENSE_ACTIVATIONS; i++)
        if (strcmp(dot + 1, activations[i]) == 0) {
            *out = (sv_dense_activation)i;
            return SENVEC_OK;
        }
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: the activation_function is \"%s\"; supported are torch's Identity, Tanh, ReLU, GELU, Sigmoid and SiLU",
                   file->path, name ? name : "no string");
}

/* Reads from and writes to the text's vector, not the tokens' or another one. */
static senvec_status check_names(const sv_document *file, senvec_error *err) {
    SENVEC_TRY(sv_document_expect_string(file, "module_input_name", "sentence_embedding", err));
    return sv_document_expect_string(file, "module_output_name", "sentence_embedding", err);
}

static senvec_status read_module_config(const sv_document *file, sv_module *module, senvec_error *err) {
    SENVEC_TRY(check_names(file, err));
    if (module->kind == SV_MODULE_NORMALIZE)
        return SENVEC_OK;
    if (module->kind == SV_MODULE_LAYERNORM) {
        SENVEC_TRY(sv_document_size(file, "dimension", 0, 1, SV_MAX_VECTOR, &module->in, err));
        module->out = module->in;
        return SENVEC_OK;
    }
    const sv_json bias = sv_document_get(file, "bias");
    module->bias = bias.kind != SV_JSON_FALSE;
    module->residual = sv_document_get(file, "use_residual").kind == SV_JSON_TRUE;
    SENVEC_TRY(read_activation(file, &module->activation, err));
    SENVEC_TRY(sv_document_size(file, "in_features", 0, 1, SV_MAX_VECTOR, &module->in, err));
    return sv_document_size(file, "out_features", 0, 1, SV_MAX_VECTOR, &module->out, err);
}

static senvec_status read_module(const char *directory, sv_module *module, senvec_error *err) {
    /* A Normalize without a folder of its own has no file either: the model's config.json is another thing. */
    if (!*module->folder)
        return module->kind == SV_MODULE_NORMALIZE
                   ? SENVEC_OK
                   : sv_fail(err, SENVEC_FORMAT, 0, "%s: modules.json has a %s without a folder", directory,
                             module->kind == SV_MODULE_DENSE ? "Dense" : "LayerNorm");
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, module->folder, SV_MODEL_CONFIG, false, &file, err));
    senvec_status status = SENVEC_OK;
    if (file.root.kind != SV_JSON_NONE || module->kind == SV_MODULE_NORMALIZE)
        status = read_module_config(&file, module, err);
    else
        status = sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: this module's file is missing; fetch the model again", file.path);
    sv_document_close(&file);
    return status;
}

bool sv_config_chain(sv_config *config) {
    size_t floats = config->hidden * config->pooling_count;
    for (size_t i = 0; i < config->module_count; i++) {
        sv_module *module = &config->modules[i];
        if (module->kind == SV_MODULE_NORMALIZE)
            module->in = module->out = floats;
        if (module->in != floats)
            return false;
        floats = module->out;
    }
    config->dimensions = floats;
    if (config->truncate_dim >= floats)
        config->truncate_dim = 0;
    return true;
}

size_t sv_config_widest(const sv_config *config) {
    size_t widest = config->hidden * config->pooling_count;
    for (size_t i = 0; i < config->module_count; i++)
        if (config->modules[i].out > widest)
            widest = config->modules[i].out;
    return widest;
}

static senvec_status read_later_modules(const char *directory, sv_config *out, senvec_error *err) {
    for (size_t i = 0; i < out->module_count; i++)
        SENVEC_TRY(read_module(directory, &out->modules[i], err));
    out->normalize = out->module_count && out->modules[out->module_count - 1].kind == SV_MODULE_NORMALIZE;
    out->module_count -= out->normalize;
    if (!sv_config_chain(out))
        return sv_fail(err, SENVEC_FORMAT, 0,
                       "%s: a Dense or LayerNorm of modules.json doesn't take the vectors of the module "
                       "before it",
                       directory);
    return SENVEC_OK;
}

senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err) {
    sv_config config = {0};
    module_list list;
    bool found;
    SENVEC_TRY(sv_task_config_load(directory, out, &found, err));
    if (found)
        return SENVEC_OK;
    SENVEC_TRY(read_modules(directory, &list, &config, err));
    if (list.present)
        SENVEC_TRY(read_whole(directory, &config, err));
    SENVEC_TRY(sv_transformer_config_read(directory, list.transformer, &config, err));
    SENVEC_TRY(
        sv_length_read(directory, list.transformer, list.present, "feature-extraction", "token_embeddings", &config, err));
    SENVEC_TRY(read_pooling(directory, &list, &config, err));
    SENVEC_TRY(read_later_modules(directory, &config, err));
    memcpy(config.transformer_directory, list.transformer, sizeof config.transformer_directory);
    *out = config;
    return SENVEC_OK;
}
