/* The modules after the transformer go along as they are; the transformer itself comes to lie in the folder, whatever the
 * layout of the model. The number of tokens that are kept is written as this engine reads it from several files, which other
 * programs read in another order. An embedder without modules gets those that stand for it: mean pooling. A model for another
 * task goes along with the files that it has, as its classes in sentence-transformers read them. */
#include "onnx/onnx_folder.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/model_files.h"

static const char *const copied[] = {
    SV_MODEL_CONFIG,     SV_MODEL_TOKENIZER, SV_MODEL_VOCABULARY, SV_MODEL_TOKENIZER_CONFIG, "special_tokens_map.json",
    "added_tokens.json", "vocab.json",       "merges.txt",        "sentencepiece.bpe.model", "spiece.model",
};

/* Writes `value`, which is taken; NULL stands for memory that ran out. */
static senvec_status write_json(const char *folder, const char *name, json_t *value, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file file = {0};
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    senvec_status status = text ? SENVEC_OK : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to write it", name);
    if (status == SENVEC_OK)
        status = sv_path_join(folder, name, path, err);
    if (status == SENVEC_OK)
        status = sv_atomic_file_open(&file, path, err);
    if (status == SENVEC_OK) {
        fprintf(file.stream, "%s\n", text);
        status = sv_atomic_file_commit(&file, err);
    }
    free(text);
    json_decref(value);
    return status;
}

/* The object in a file of the model; an empty one where there is no such file. */
static senvec_status read_object(const sv_model_layout *model, const char *name, json_t **out, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_error_t problem;
    if (!sv_model_layout_find(model, name, path)) {
        *out = json_object();
        return SENVEC_OK;
    }
    *out = json_load_file(path, 0, &problem);
    if (json_is_object(*out))
        return SENVEC_OK;
    json_decref(*out);
    return sv_fail(err, SENVEC_FORMAT, 0, "%s: no JSON object", path);
}

static json_t *module_entry(int index, const char *path, const char *class_name) {
    char name[4], type[64];
    snprintf(name, sizeof name, "%d", index);
    snprintf(type, sizeof type, "sentence_transformers.models.%s", class_name);
    return json_pack("{s:i, s:s, s:s, s:s}", "idx", index, "name", name, "path", path, "type", type);
}

/* For an embedder that is a transformer alone. */
static senvec_status make_modules(const sv_config *config, const char *out, senvec_error *err) {
    char folder[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(out, "1_Pooling", folder, err));
    SENVEC_TRY(sv_make_directories(folder, err));
    SENVEC_TRY(write_json(folder, SV_MODEL_CONFIG,
                          json_pack("{s:I, s:b, s:b, s:b, s:b}", "word_embedding_dimension", (json_int_t)config->hidden,
                                    "pooling_mode_cls_token", 0, "pooling_mode_mean_tokens", 1, "pooling_mode_max_tokens", 0,
                                    "pooling_mode_mean_sqrt_len_tokens", 0),
                          err));
    json_t *modules = json_array();
    json_array_append_new(modules, module_entry(0, "", "Transformer"));
    json_array_append_new(modules, module_entry(1, "1_Pooling", "Pooling"));
    return write_json(out, SV_MODEL_MODULES, modules, err);
}

/* The files of a module; Normalize has none. sv_config_load has seen that `name` is a folder inside the model's. */
static senvec_status copy_module(const char *directory, const char *name, const char *out, senvec_error *err) {
    static const char *const files[] = {SV_MODEL_CONFIG, SV_MODEL_WEIGHTS, "pytorch_model.bin"};
    char source[SV_MAX_PATH], target[SV_MAX_PATH], from[SV_MAX_PATH], to[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, name, source, err));
    SENVEC_TRY(sv_path_join(out, name, target, err));
    for (size_t i = 0; *name && i < sizeof files / sizeof *files; i++) {
        SENVEC_TRY(sv_path_join(source, files[i], from, err));
        SENVEC_TRY(sv_path_join(target, files[i], to, err));
        if (!sv_path_is_file(from))
            continue;
        SENVEC_TRY(sv_make_directories(target, err));
        SENVEC_TRY(sv_copy_file(from, to, err));
    }
    return SENVEC_OK;
}

static senvec_status write_modules(const sv_config *config, const char *directory, const char *out, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_error_t problem;
    SENVEC_TRY(sv_path_join(directory, SV_MODEL_MODULES, path, err));
    if (!sv_path_is_file(path))
        return config->task == SENVEC_TASK_EMBEDDING ? make_modules(config, out, err) : SENVEC_OK;
    json_t *modules = json_load_file(path, 0, &problem);
    senvec_status status = json_is_array(modules) ? SENVEC_OK : sv_fail(err, SENVEC_FORMAT, 0, "%s: no JSON array", path);
    for (size_t i = 1; status == SENVEC_OK && i < json_array_size(modules); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(modules, i), "path"));
        status = name ? copy_module(directory, name, out, err)
                      : sv_fail(err, SENVEC_FORMAT, 0, "%s: module %zu has no \"path\"", path, i);
    }
    if (status != SENVEC_OK) {
        json_decref(modules);
        return status;
    }
    json_object_set_new(json_array_get(modules, 0), "path", json_string(""));
    return write_json(out, SV_MODEL_MODULES, modules, err);
}

static senvec_status write_options(const sv_config *config, const sv_model_layout *model, const char *out, senvec_error *err) {
    json_t *options;
    SENVEC_TRY(read_object(model, "sentence_bert_config.json", &options, err));
    json_object_set_new(options, "max_seq_length", json_integer((json_int_t)config->max_seq_length));
    if (!json_object_get(options, "do_lower_case"))
        json_object_set_new(options, "do_lower_case", json_false());
    SENVEC_TRY(write_json(out, "sentence_bert_config.json", options, err));
    SENVEC_TRY(read_object(model, "config_sentence_transformers.json", &options, err));
    if (!json_object_get(options, "prompts"))
        json_object_set_new(options, "prompts", json_object());
    if (!json_object_get(options, "default_prompt_name"))
        json_object_set_new(options, "default_prompt_name", json_null());
    return write_json(out, "config_sentence_transformers.json", options, err);
}

/* Those of the files in `names` that the model has. */
static senvec_status copy_files(const sv_model_layout *model, const char *const *names, size_t count, const char *out,
                                senvec_error *err) {
    char from[SV_MAX_PATH], to[SV_MAX_PATH];
    for (size_t i = 0; i < count; i++) {
        if (!sv_model_layout_find(model, names[i], from))
            continue;
        SENVEC_TRY(sv_path_join(out, names[i], to, err));
        SENVEC_TRY(sv_copy_file(from, to, err));
    }
    return SENVEC_OK;
}

senvec_status sv_onnx_folder_write(const sv_config *config, const sv_model_layout *model, const char *out, senvec_error *err) {
    static const char *const options[] = {"sentence_bert_config.json", "config_sentence_transformers.json"};
    SENVEC_TRY(copy_files(model, copied, sizeof copied / sizeof *copied, out, err));
    SENVEC_TRY(write_modules(config, model->path, out, err));
    if (config->task != SENVEC_TASK_EMBEDDING)
        return copy_files(model, options, sizeof options / sizeof *options, out, err);
    return write_options(config, model, out, err);
}
