/* The files that describe a sentence-transformers model, read as sentence-transformers 6.2 reads them (base/model.py,
 * base/modules/transformer.py, sentence_transformer/modules/pooling.py) and transformers' BertConfig. Older and newer spellings
 * of the same thing are both in use: modules were renamed, Pooling's six switches became one name.
 *
 *     modules.json                       which modules, in which order, in which folders
 *     config_sentence_transformers.json  a default prompt (optional)
 *     <transformer>/config.json          the encoder
 *     <transformer>/sentence_bert_config.json, tokenizer_config.json    max_seq_length (optional)
 *     <pooling>/config.json              how token vectors become one
 *     <normalize>/config.json            only present in newer models */
#include "model/config.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/limits.h"

/* A parsed file and its path for messages. */
typedef struct document {
    json_t *root; /* an object or array; NULL: the file is missing */
    char path[SV_MAX_PATH];
} document;

/* The folders of the modules, relative to the model's. */
typedef struct module_paths {
    char transformer[64], pooling[64], normalize[64];
    bool has_modules; /* modules.json was there */
    bool has_normalize;
} module_paths;

/* ------------------------------------------------------------------------------------------------------------------- files */

/* Reads directory/folder/name. A file that isn't there gives root == NULL. The root has to be an object (or what `array` asks).
 */
static senvec_status document_open(const char *directory, const char *folder, const char *name, bool array, document *out,
                                   senvec_error *err) {
    out->root = NULL;
    char parent[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, folder, parent, err));
    SENVEC_TRY(sv_path_join(*folder ? parent : directory, name, out->path, err));
    sv_file_map map;
    senvec_error ignored;
    senvec_status status = sv_file_map_open(out->path, &map, err ? err : &ignored);
    if (status != SENVEC_OK)
        return status == SENVEC_NOT_FOUND ? SENVEC_OK : status;
    json_error_t error;
    if (map.size > SV_MAX_JSON_BYTES)
        status = sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes; the maximum is %u", out->path, map.size, SV_MAX_JSON_BYTES);
    else if (map.size == 0)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", out->path);
    /* Integers as reals: model_max_length is often 1e30 written out, which no integer holds. */
    else if (!(out->root =
                   json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error)))
        status = json_error_code(&error) == json_error_out_of_memory
                     ? sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to parse it", out->path)
                     : sv_fail(err, SENVEC_FORMAT, (uint64_t)error.position, "%s: line %d, byte %d: not valid JSON: %s",
                               out->path, error.line, error.position, error.text);
    else if (array ? !json_is_array(out->root) : !json_is_object(out->root))
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: has to be a JSON %s", out->path, array ? "array" : "object");
    sv_file_map_close(&map);
    if (status != SENVEC_OK) {
        json_decref(out->root);
        out->root = NULL;
    }
    return status;
}

static void document_close(document *file) {
    json_decref(file->root);
    file->root = NULL;
}

/* The member `key`, or NULL if it is missing or null. */
static const json_t *get(const document *file, const char *key) {
    const json_t *value = json_object_get(file->root, key);
    return json_is_null(value) ? NULL : value;
}

/* ------------------------------------------------------------------------------------------------------------------ values */

/* A whole number of minimum .. maximum; missing: `fallback`, or an error if that is 0. */
static senvec_status get_size(const document *file, const char *key, size_t fallback, size_t minimum, size_t maximum,
                              size_t *out, senvec_error *err) {
    const json_t *value = get(file, key);
    if (!value && fallback) {
        *out = fallback;
        return SENVEC_OK;
    }
    double number = json_is_number(value) ? json_number_value(value) : -1;
    if (!(number >= (double)minimum) || number != floor(number))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" %s; it has to be a whole number of at least %zu", file->path, key,
                       value ? "is not right" : "is missing", minimum);
    if (number > (double)maximum)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: \"%s\" is %.0f; the maximum is %zu", file->path, key, number, maximum);
    *out = (size_t)number;
    return SENVEC_OK;
}

/* Fails unless `key` is missing or the string `only`. */
static senvec_status expect_string(const document *file, const char *key, const char *only, senvec_error *err) {
    const json_t *value = get(file, key);
    if (!value)
        return SENVEC_OK;
    if (!json_is_string(value))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" has to be a string", file->path, key);
    if (strcmp(json_string_value(value), only) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is \"%s\"; only \"%s\" is supported", file->path, key,
                       json_string_value(value), only);
    return SENVEC_OK;
}

/* Fails unless `key` is missing, false, or empty. */
static senvec_status expect_unset(const document *file, const char *key, senvec_error *err) {
    const json_t *value = get(file, key);
    if (!value || json_is_false(value) || (json_is_object(value) && json_object_size(value) == 0))
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is set, which is not supported", file->path, key);
}

/* ----------------------------------------------------------------------------------------------------------------- modules */

/* The class at the end of a module's type, if sentence-transformers is its home: "sentence_transformers.models.Pooling" and
 * "sentence_transformers.sentence_transformer.modules.pooling.Pooling" are both "Pooling". "" for a module of somebody else's.
 */
static const char *module_class(const char *type) {
    const char *dot = strrchr(type, '.');
    return dot && strncmp(type, "sentence_transformers.", strlen("sentence_transformers.")) == 0 ? dot + 1 : "";
}

/* Copies a module's folder; it has to lie inside the model's. */
static senvec_status read_folder(const document *modules, const json_t *module, char out[64], senvec_error *err) {
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

static senvec_status read_module_list(const document *modules, module_paths *out, senvec_error *err) {
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
    document modules;
    SENVEC_TRY(document_open(directory, "", "modules.json", true, &modules, err));
    if (!modules.root)
        return SENVEC_OK;
    senvec_status status = read_module_list(&modules, out, err);
    document_close(&modules);
    return status;
}

/* A default prompt would go before each text; and the file may belong to another kind of model. */
static senvec_status check_prompt(const char *directory, senvec_error *err) {
    document file;
    SENVEC_TRY(document_open(directory, "", "config_sentence_transformers.json", false, &file, err));
    senvec_status status = expect_string(&file, "model_type", "SentenceTransformer", err);
    const char *name = json_string_value(get(&file, "default_prompt_name"));
    const char *prompt = name ? json_string_value(json_object_get(get(&file, "prompts"), name)) : NULL;
    if (status == SENVEC_OK && prompt && *prompt)
        status =
            sv_fail(err, SENVEC_UNSUPPORTED, 0,
                    "%s: default_prompt_name is \"%s\", so each text would begin with \"%.100s\"; prompts are not supported: "
                    "set it to null and add the prompt to the texts",
                    file.path, name, prompt);
    document_close(&file);
    return status;
}

/* ----------------------------------------------------------------------------------------------------------------- encoder */

/* BERT, whatever head the checkpoint was saved with: the model type decides, and the class unless it is somebody else's
 * ("JinaBertModel" also says that its type is bert). */
static senvec_status check_architecture(const document *file, senvec_error *err) {
    const json_t *type = get(file, "model_type");
    const char *class = json_string_value(json_array_get(get(file, "architectures"), 0));
    if (!type && !class)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: neither \"model_type\" nor \"architectures\" says what this model is",
                       file->path);
    SENVEC_TRY(expect_string(file, "model_type", "bert", err));
    if (class && strncmp(class, "Bert", strlen("Bert")) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: the architecture is \"%s\"; only BertModel is supported", file->path,
                       class);
    return SENVEC_OK;
}

static senvec_status read_epsilon(const document *file, float *out, senvec_error *err) {
    const json_t *value = get(file, "layer_norm_eps");
    double eps = !value ? 1e-12 : json_is_number(value) ? json_number_value(value) : -1;
    if (!(eps > 0 && eps < 1) || (float)eps == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"layer_norm_eps\" has to be a number over 0 and below 1", file->path);
    *out = (float)eps;
    return SENVEC_OK;
}

static senvec_status read_encoder_config(const document *file, sv_config *out, senvec_error *err) {
    static const char *const unset[] = {"is_decoder", "add_cross_attention", "quantization_config"};
    SENVEC_TRY(check_architecture(file, err));
    SENVEC_TRY(expect_string(file, "hidden_act", "gelu", err));
    SENVEC_TRY(expect_string(file, "position_embedding_type", "absolute", err));
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(expect_unset(file, unset[i], err));
    SENVEC_TRY(get_size(file, "hidden_size", 0, 1, SV_MAX_HIDDEN, &out->hidden, err));
    SENVEC_TRY(get_size(file, "intermediate_size", 0, 1, SV_MAX_INNER, &out->inner, err));
    SENVEC_TRY(get_size(file, "num_hidden_layers", 0, 1, SV_MAX_LAYERS, &out->layers, err));
    SENVEC_TRY(get_size(file, "num_attention_heads", 0, 1, SV_MAX_HEADS, &out->heads, err));
    SENVEC_TRY(get_size(file, "vocab_size", 0, 1, SV_MAX_VOCABULARY, &out->vocabulary, err));
    SENVEC_TRY(get_size(file, "max_position_embeddings", 0, 2, SV_MAX_POSITIONS, &out->positions, err));
    SENVEC_TRY(get_size(file, "type_vocab_size", 2, 1, SV_MAX_VOCABULARY, &out->token_types, err));
    SENVEC_TRY(read_epsilon(file, &out->layernorm_eps, err));
    if (out->hidden % out->heads != 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: hidden_size %zu is not a multiple of num_attention_heads %zu", file->path,
                       out->hidden, out->heads);
    return SENVEC_OK;
}

static senvec_status read_encoder(const char *directory, const char *folder, sv_config *out, senvec_error *err) {
    document file;
    SENVEC_TRY(document_open(directory, folder, "config.json", false, &file, err));
    if (!file.root)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: this file is missing; is it a model's folder, and complete?", file.path);
    senvec_status status = read_encoder_config(&file, out, err);
    document_close(&file);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- length of texts */

/* What the tokenizer and the position table allow. */
static senvec_status default_length(const char *directory, const char *folder, size_t positions, size_t *out,
                                    senvec_error *err) {
    document file;
    SENVEC_TRY(document_open(directory, folder, "tokenizer_config.json", false, &file, err));
    const json_t *value = get(&file, "model_max_length");
    double length = json_is_number(value) ? json_number_value(value) : (double)positions;
    senvec_status status = SENVEC_OK;
    if (!(length >= 2))
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: \"model_max_length\" has to be at least 2", file.path);
    else
        *out = length < (double)positions ? (size_t)length : positions;
    document_close(&file);
    return status;
}

/* Lower-casing on top of the tokenizer's changes nothing where the tokenizer does it already. */
static senvec_status check_lower_case(const char *directory, const char *folder, const document *options, senvec_error *err) {
    if (!json_is_true(get(options, "do_lower_case")))
        return SENVEC_OK;
    document tokenizer;
    SENVEC_TRY(document_open(directory, folder, "tokenizer.json", false, &tokenizer, err));
    bool lowers = json_is_true(json_object_get(get(&tokenizer, "normalizer"), "lowercase"));
    document_close(&tokenizer);
    if (lowers)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"do_lower_case\" with a tokenizer.json that keeps case is not supported",
                   options->path);
}

/* Everything of the Transformer module that isn't in config.json. */
static senvec_status read_options(const char *directory, const char *folder, const document *options, sv_config *out,
                                  senvec_error *err) {
    static const char *const unset[] = {
        "model_args",   "tokenizer_args",  "config_args",       "model_kwargs",    "processor_kwargs",       "config_kwargs",
        "query_length", "document_length", "processing_kwargs", "query_expansion", "tokenizer_name_or_path",
    };
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(expect_unset(options, unset[i], err));
    SENVEC_TRY(expect_string(options, "transformer_task", "feature-extraction", err));
    SENVEC_TRY(expect_string(options, "module_output_name", "token_embeddings", err));
    SENVEC_TRY(check_lower_case(directory, folder, options, err));
    if (!get(options, "max_seq_length"))
        return default_length(directory, folder, out->positions, &out->max_seq_length, err);
    SENVEC_TRY(get_size(options, "max_seq_length", 0, 2, SIZE_MAX >> 12, &out->max_seq_length, err));
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
    document options = {0};
    for (size_t i = 0; paths->has_modules && i < sizeof names / sizeof *names && json_object_size(options.root) == 0; i++) {
        document_close(&options);
        SENVEC_TRY(document_open(directory, folder, names[i], false, &options, err));
    }
    senvec_status status = read_options(directory, folder, &options, out, err);
    document_close(&options);
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
static senvec_status read_pooling_mode(const document *file, const char **out, senvec_error *err) {
    const json_t *mode = get(file, "pooling_mode");
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
            if (json_is_true(get(file, poolings[i].legacy))) {
                *out = poolings[i].name;
                modes++;
            }
    }
    if (modes > 1)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %zu pooling modes at once; one of mean, cls and max is supported",
                       file->path, modes);
    return SENVEC_OK;
}

static senvec_status read_pooling_config(const document *file, sv_config *out, senvec_error *err) {
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
    const char *key = get(file, "embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
    SENVEC_TRY(get_size(file, key, 0, 1, SV_MAX_HIDDEN, &dimension, err));
    if (dimension != out->hidden)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" is %zu, but config.json has a hidden_size of %zu", file->path, key,
                       dimension, out->hidden);
    return SENVEC_OK;
}

static senvec_status read_pooling(const char *directory, const module_paths *paths, sv_config *out, senvec_error *err) {
    out->pooling = SV_POOLING_MEAN;
    if (!paths->has_modules)
        return SENVEC_OK;
    document file;
    SENVEC_TRY(document_open(directory, paths->pooling, "config.json", false, &file, err));
    if (!file.root)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: the Pooling module's file is missing; fetch the model again", file.path);
    senvec_status status = read_pooling_config(&file, out, err);
    document_close(&file);
    return status;
}

static senvec_status read_normalize(const char *directory, const module_paths *paths, sv_config *out, senvec_error *err) {
    out->normalize = paths->has_normalize;
    /* Without a folder of its own it has no file either: the model's config.json is another thing. */
    if (!paths->has_normalize || !*paths->normalize)
        return SENVEC_OK;
    document file;
    SENVEC_TRY(document_open(directory, paths->normalize, "config.json", false, &file, err));
    senvec_status status = expect_string(&file, "module_input_name", "sentence_embedding", err);
    if (status == SENVEC_OK)
        status = expect_string(&file, "module_output_name", "sentence_embedding", err);
    document_close(&file);
    return status;
}

senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err) {
    sv_config config = {0};
    module_paths paths;
    SENVEC_TRY(read_modules(directory, &paths, err));
    if (paths.has_modules)
        SENVEC_TRY(check_prompt(directory, err));
    SENVEC_TRY(read_encoder(directory, paths.transformer, &config, err));
    SENVEC_TRY(read_length(directory, &paths, &config, err));
    SENVEC_TRY(read_pooling(directory, &paths, &config, err));
    SENVEC_TRY(read_normalize(directory, &paths, &config, err));
    memcpy(config.transformer_directory, paths.transformer, sizeof config.transformer_directory);
    *out = config;
    return SENVEC_OK;
}
