/* The modules after the transformer go along as they are; the transformer itself comes to lie in the folder, whatever the
 * layout of the model. The number of tokens that are kept is written as this engine reads it from several files, which other
 * programs read in another order. An embedder without modules gets those that stand for it: mean pooling. A model for another
 * task goes along with the files that it has, as its classes in sentence-transformers read them.
 *
 * JSON goes from the mapped source straight into the new file, value by value: numbers keep their digits, and there is no tree
 * whose parts could be missing because memory ran out while it was built. */
#include "onnx/onnx_folder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/model_files.h"

static const char *const copied[] = {
    SV_MODEL_CONFIG,     SV_MODEL_TOKENIZER, SV_MODEL_VOCABULARY, SV_MODEL_TOKENIZER_CONFIG, "special_tokens_map.json",
    "added_tokens.json", "vocab.json",       "merges.txt",        "sentencepiece.bpe.model", "spiece.model",
};

/* A file of the model and the JSON value in it, which lives as long as the mapping. */
typedef struct json_file {
    sv_file_map map;
    sv_json root;
} json_file;

/* `kind` is what the value has to be, a list or an object. */
static senvec_status open_json(const char *path, sv_json_kind kind, json_file *out, senvec_error *err) {
    senvec_error problem;
    SENVEC_TRY(sv_file_map_open(path, &out->map, err));
    const char *text = out->map.data ? (const char *)out->map.data : "";
    senvec_status status = sv_json_read(text, out->map.size, NULL, &out->root, &problem);
    if (status != SENVEC_OK)
        status = sv_fail(err, status, problem.offset, "%s: %s", path, problem.message);
    else if (out->root.kind != kind)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: no JSON %s", path, kind == SV_JSON_ARRAY ? "array" : "object");
    if (status != SENVEC_OK)
        sv_file_map_close(&out->map);
    return status;
}

/* Opens a file of the folder that is written; errors of its stream are noticed by sv_atomic_file_commit. */
static senvec_status create(const char *folder, const char *name, sv_atomic_file *file, senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(folder, name, path, err));
    return sv_atomic_file_open(file, path, err);
}

/* Writes a file of text, printf-like. */
__attribute__((format(printf, 4, 5))) static senvec_status write_text(const char *folder, const char *name, senvec_error *err,
                                                                      const char *format, ...) {
    sv_atomic_file file = {0};
    SENVEC_TRY(create(folder, name, &file, err));
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file.stream, format, arguments);
    va_end(arguments);
    return sv_atomic_file_commit(&file, err);
}

/* A member that an object in the new folder has. */
typedef struct member {
    const char *name, *json; /* `name` needs no escapes */
    bool replaces;           /* else a member of that name stays as it is */
} member;

static void write_raw(FILE *stream, sv_json value) {
    fwrite(value.text, 1, value.length, stream);
}

/* Writes `object` (NONE: an empty one) with `members`, in the order in which it has them; new ones come last. */
static void write_members(FILE *stream, sv_json object, const member *members, size_t count, const char *indent) {
    const char *separator = "";
    sv_json_items items = sv_json_walk(object);
    sv_json name, value;
    fputc('{', stream);
    for (; sv_json_step(&items, &name, &value); separator = ",") {
        const char *json = NULL;
        for (size_t i = 0; i < count; i++)
            if (members[i].replaces && sv_json_is(name, members[i].name))
                json = members[i].json;
        fprintf(stream, "%s\n%s  ", separator, indent);
        write_raw(stream, name);
        fputs(": ", stream);
        if (json)
            fputs(json, stream);
        else
            write_raw(stream, value);
    }
    for (size_t i = 0; i < count; i++) {
        if (sv_json_member(object, members[i].name).kind != SV_JSON_NONE)
            continue;
        fprintf(stream, "%s\n%s  \"%s\": %s", separator, indent, members[i].name, members[i].json);
        separator = ",";
    }
    fprintf(stream, "\n%s}", indent);
}

/* Writes the object in a file of the model, an empty one where there is no such file, with `members`. */
static senvec_status write_object(const sv_model_layout *model, const char *name, const member *members, size_t count,
                                  const char *out, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_file source = {0};
    sv_atomic_file file = {0};
    if (sv_model_layout_find(model, name, path))
        SENVEC_TRY(open_json(path, SV_JSON_OBJECT, &source, err));
    senvec_status status = create(out, name, &file, err);
    if (status == SENVEC_OK) {
        write_members(file.stream, source.root, members, count, "");
        fputc('\n', file.stream);
        status = sv_atomic_file_commit(&file, err);
    }
    sv_file_map_close(&source.map);
    return status;
}

/* For an embedder that is a transformer alone. */
static senvec_status make_modules(const sv_config *config, const char *out, senvec_error *err) {
    char folder[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(out, "1_Pooling", folder, err));
    SENVEC_TRY(sv_make_directories(folder, err));
    SENVEC_TRY(write_text(folder, SV_MODEL_CONFIG, err,
                          "{\n"
                          "  \"word_embedding_dimension\": %zu,\n"
                          "  \"pooling_mode_cls_token\": false,\n"
                          "  \"pooling_mode_mean_tokens\": true,\n"
                          "  \"pooling_mode_max_tokens\": false,\n"
                          "  \"pooling_mode_mean_sqrt_len_tokens\": false\n"
                          "}\n",
                          config->hidden));
    return write_text(out, SV_MODEL_MODULES, err,
                      "[\n"
                      "  {\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": \"%s.Transformer\"},\n"
                      "  {\"idx\": 1, \"name\": \"1\", \"path\": \"1_Pooling\", \"type\": \"%s.Pooling\"}\n"
                      "]\n",
                      "sentence_transformers.models", "sentence_transformers.models");
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

/* The files of all modules but the transformer, which is the first. */
static senvec_status copy_modules(sv_json modules, const char *path, const char *directory, const char *out,
                                  senvec_error *err) {
    sv_json_items items = sv_json_walk(modules);
    sv_json module;
    for (size_t i = 0; sv_json_step(&items, NULL, &module); i++) {
        char name[SV_MAX_PATH];
        const sv_json folder = sv_json_member(module, "path");
        if (i == 0)
            continue;
        if (folder.kind != SV_JSON_STRING || folder.length > sizeof name)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: module %zu has no \"path\"", path, i);
        name[sv_json_decode(folder, name)] = '\0';
        SENVEC_TRY(copy_module(directory, name, out, err));
    }
    return SENVEC_OK;
}

static void write_module_list(FILE *stream, sv_json modules) {
    static const member here[] = {{.name = "path", .json = "\"\"", .replaces = true}};
    const char *separator = "[";
    sv_json_items items = sv_json_walk(modules);
    sv_json module;
    for (size_t i = 0; sv_json_step(&items, NULL, &module); i++) {
        fprintf(stream, "%s\n  ", separator);
        write_members(stream, module, here, i == 0 ? 1 : 0, "  ");
        separator = ",";
    }
    fputs("\n]\n", stream);
}

static senvec_status write_modules(const sv_config *config, const char *directory, const char *out, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_file source = {0};
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_path_join(directory, SV_MODEL_MODULES, path, err));
    if (!sv_path_is_file(path))
        return config->task == SENVEC_TASK_EMBEDDING ? make_modules(config, out, err) : SENVEC_OK;
    SENVEC_TRY(open_json(path, SV_JSON_ARRAY, &source, err));
    senvec_status status = copy_modules(source.root, path, directory, out, err);
    if (status == SENVEC_OK)
        status = create(out, SV_MODEL_MODULES, &file, err);
    if (status == SENVEC_OK) {
        write_module_list(file.stream, source.root);
        status = sv_atomic_file_commit(&file, err);
    }
    sv_file_map_close(&source.map);
    return status;
}

static senvec_status write_options(const sv_config *config, const sv_model_layout *model, const char *out, senvec_error *err) {
    char length[24];
    snprintf(length, sizeof length, "%zu", config->max_seq_length);
    const member of_transformer[] = {{.name = "max_seq_length", .json = length, .replaces = true},
                                     {.name = "do_lower_case", .json = "false"}};
    static const member of_prompts[] = {{.name = "prompts", .json = "{}"}, {.name = "default_prompt_name", .json = "null"}};
    SENVEC_TRY(write_object(model, "sentence_bert_config.json", of_transformer, 2, out, err));
    return write_object(model, "config_sentence_transformers.json", of_prompts, 2, out, err);
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
