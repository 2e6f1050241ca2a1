/* Writing and reading native files. Every size of the configuration is compared with the limits and, through the tensors'
 * shapes, with what the file holds, as any file may claim to be one of these. */
#include "int8/native.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model_files.h"
#include "int8/native_modules.h"
#include "int8/quantized_file.h"
#include "model/transformer_config.h"

#define KIND "native int8 model 5" /* with the version of this format */
#define MAX_NAME 96

/* ------------------------------------------------------------------------------------------------------------ configuration */

/* A size of the configuration: its name in the file, its place, and its bounds. */
typedef struct size_field {
    const char *name;
    size_t *value;
    size_t least, most;
} size_field;

enum { SIZES = 12 };

static void sizes_of(sv_config *config, size_field out[SIZES]) {
    const size_field fields[SIZES] = {
        {"hidden", &config->hidden, 1, SV_MAX_HIDDEN},
        {"inner", &config->inner, 1, SV_MAX_INNER},
        {"layers", &config->layers, 1, SV_MAX_LAYERS},
        {"heads", &config->heads, 1, SV_MAX_HEADS},
        {"vocabulary", &config->vocabulary, 1, SV_MAX_VOCABULARY},
        {"positions", &config->positions, 2, SV_MAX_POSITIONS},
        {"first_position", &config->first_position, 0, SV_MAX_VOCABULARY},
        {"padding", &config->padding, 0, SV_MAX_VOCABULARY},
        {"token_types", &config->token_types, 0, SV_MAX_VOCABULARY},
        {"embedding", &config->embedding, 0, SV_MAX_HIDDEN},
        {"buckets", &config->buckets, 0, SV_MAX_BUCKETS},
        {"max_seq_length", &config->max_seq_length, 2, SV_MAX_POSITIONS},
    };
    memcpy(out, fields, sizeof fields);
}

/* For free(); NULL for want of memory. */
static char *config_text(const sv_config *from, const sv_prompts *prompts) {
    sv_config config = *from;
    size_field fields[SIZES];
    sizes_of(&config, fields);
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    fprintf(stream, "{\"model_type\":\"%s\",\"activation\":\"%s\",\"layernorm_eps\":", config.model_type,
            sv_activation_name(config.activation));
    sv_json_write_number(stream, config.layernorm_eps);
    for (size_t i = 0; i < SIZES; i++)
        fprintf(stream, ",\"%s\":%zu", fields[i].name, *fields[i].value);
    fputc(',', stream);
    sv_native_modules_write(&config, stream);
    fputc(',', stream);
    sv_prompts_write(prompts, stream);
    fputc('}', stream);
    const bool whole = !ferror(stream);
    if (fclose(stream) == 0 && whole)
        return text;
    free(text);
    return NULL;
}

static bool read_config(sv_json object, sv_config *out) {
    sv_config config = {0};
    size_field fields[SIZES];
    sizes_of(&config, fields);
    for (size_t i = 0; i < SIZES; i++) {
        int64_t value;
        if (!sv_json_integer(sv_json_member(object, fields[i].name), &value) || value < (int64_t)fields[i].least ||
            value > (int64_t)fields[i].most)
            return false;
        *fields[i].value = (size_t)value;
    }
    const sv_json activation = sv_json_member(object, "activation");
    bool activates = false;
    for (int i = SV_ACTIVATION_GELU; i <= SV_ACTIVATION_RELU; i++)
        if (sv_json_is(activation, sv_activation_name((sv_activation)i))) {
            config.activation = (sv_activation)i;
            activates = true;
        }
    const char *type = sv_json_text(sv_json_member(object, "model_type"));
    config.model_type = type ? sv_model_type(type) : NULL;
    double eps = 0;
    sv_json_number(sv_json_member(object, "layernorm_eps"), &eps);
    config.layernorm_eps = (float)eps;
    if (!activates || !config.model_type || (config.buckets && config.buckets < SV_LEAST_BUCKETS) ||
        !(config.layernorm_eps > 0 && config.layernorm_eps < 1) || config.hidden % config.heads != 0 ||
        config.max_seq_length > config.positions || !sv_native_modules_read(object, &config))
        return false;
    *out = config;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------------ writing */

/* What adding a tensor needs at every step. */
typedef struct writer {
    sv_tensor_list list;
    sv_arena arena;
    senvec_error *err;
} writer;

static senvec_status add(writer *w, const char *name, size_t rows, size_t columns, const float *data) {
    return sv_tensor_list_add(&w->list, name, "F32", rows, columns, data, &w->arena, w->err);
}

static senvec_status add_layernorm(writer *w, const char *module, size_t h, const float *gamma, const float *beta) {
    char name[MAX_NAME];
    snprintf(name, sizeof name, "%s.weight", module);
    SENVEC_TRY(add(w, name, 0, h, gamma));
    snprintf(name, sizeof name, "%s.bias", module);
    return add(w, name, 0, h, beta);
}

static senvec_status add_tables(writer *w, const sv_config *config, const sv_weights *weights) {
    size_t h = config->hidden, e = sv_weights_embedding(config), rows = config->first_position + config->positions;
    SENVEC_TRY(add(w, "embeddings.word_embeddings.weight", config->vocabulary, e, weights->word));
    SENVEC_TRY(add(w, "embeddings.position_embeddings.weight", rows, e, weights->position));
    if (weights->token_type)
        SENVEC_TRY(add(w, "embeddings.token_type_embeddings.weight", config->token_types, e, weights->token_type));
    SENVEC_TRY(add_layernorm(w, "embeddings.LayerNorm", e, weights->embedding_gamma, weights->embedding_beta));
    if (weights->projection) {
        SENVEC_TRY(add(w, "embeddings_project.weight", h, e, weights->projection));
        SENVEC_TRY(add(w, "embeddings_project.bias", 0, h, weights->projection_bias));
    }
    if (weights->relative)
        SENVEC_TRY(add(w, "encoder.relative_attention_bias.weight", config->buckets, config->heads, weights->relative));
    for (size_t l = 0; l < config->layers; l++) {
        const sv_layer_weights *layer = &weights->layers[l];
        char module[MAX_NAME];
        snprintf(module, sizeof module, "encoder.layer.%zu.attention.output.LayerNorm", l);
        SENVEC_TRY(add_layernorm(w, module, h, layer->attention_gamma, layer->attention_beta));
        snprintf(module, sizeof module, "encoder.layer.%zu.output.LayerNorm", l);
        SENVEC_TRY(add_layernorm(w, module, h, layer->output_gamma, layer->output_beta));
    }
    return SENVEC_OK;
}

static senvec_status add_file(writer *w, const char *name, const sv_file_map *file) {
    return file ? sv_tensor_list_add(&w->list, name, "U8", 0, file->size, file->data, &w->arena, w->err) : SENVEC_OK;
}

static senvec_status add_modules(writer *w, const sv_modules *modules) {
    sv_module_weights weights;
    for (size_t i = 0; i < modules->config->module_count; i++) {
        weights = modules->weights[i];
        sv_module_tensor tensors[SV_MAX_MODULE_TENSORS];
        size_t count = sv_module_tensors(&modules->config->modules[i], &weights, tensors);
        for (size_t j = 0; j < count; j++) {
            char name[SV_MODULE_TENSOR_NAME];
            sv_module_tensor_name(i, &tensors[j], name);
            SENVEC_TRY(add(w, name, tensors[j].rows, tensors[j].columns, *tensors[j].data));
        }
    }
    return SENVEC_OK;
}

static senvec_status write_all(writer *w, const char *path, const sv_native_parts *parts) {
    const sv_config *config = parts->config;
    const sv_quantized *quantized = parts->quantized;
    const sv_tokenizer_files *tokenizer = parts->tokenizer;
    const size_t others = 8 + 4 * config->layers + 3 + SV_MAX_MODULE_TENSORS * config->module_count;
    SENVEC_TRY(sv_tensor_list_init(&w->list, config, others, &w->arena, w->err));
    SENVEC_TRY(add_tables(w, config, parts->weights));
    SENVEC_TRY(add_modules(w, parts->modules));
    SENVEC_TRY(sv_tensor_list_floats(&w->list, config, quantized, &w->arena, w->err));
    SENVEC_TRY(sv_tensor_list_weights(&w->list, config, quantized, &w->arena, w->err));
    SENVEC_TRY(add_file(w, SV_MODEL_TOKENIZER, tokenizer->json));
    SENVEC_TRY(add_file(w, SV_MODEL_VOCABULARY, tokenizer->vocabulary));
    SENVEC_TRY(add_file(w, SV_MODEL_TOKENIZER_CONFIG, tokenizer->config));
    char content[SV_QUANTIZED_HASH];
    sv_quantized_hash_text(sv_quantized_hash(config, quantized), content);
    char *text = config_text(config, parts->prompts);
    if (!text)
        return sv_fail(w->err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for its configuration", path);
    const char *const metadata[][2] = {
        {"senvec", KIND}, {"config", text}, {"content", content}, {"space", parts->space}, {NULL, NULL}};
    senvec_status status = sv_tensor_list_write(&w->list, path, metadata, w->err);
    free(text);
    return status;
}

senvec_status sv_native_write(const char *path, const sv_native_parts *parts, const senvec_allocator *allocator,
                              senvec_error *err) {
    writer w = {.err = err};
    sv_arena_init(&w.arena, allocator);
    senvec_status status = write_all(&w, path, parts);
    sv_arena_release(&w.arena);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------------ reading */

static senvec_status check_kind(const sv_safetensors *file, const char *path, sv_config *config, senvec_error *err) {
    const char *kind = sv_safetensors_metadata(file, "senvec"), *text = sv_safetensors_metadata(file, "config");
    if (!kind || strcmp(kind, KIND) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: not a model that this version of 'senvec pack' wrote; give the model's folder or name, or write "
                       "the file again",
                       path);
    sv_json_document document = {0};
    const senvec_status status = text ? sv_json_document_read(text, strlen(text), NULL, &document, err) : SENVEC_FORMAT;
    const bool right = status == SENVEC_OK && read_config(document.root, config);
    sv_json_document_close(&document);
    if (status == SENVEC_OUT_OF_MEMORY)
        return status;
    return right ? SENVEC_OK : sv_fail(err, SENVEC_FORMAT, 0, "%s: its configuration is missing or not right", path);
}

senvec_status sv_native_open(const char *path, sv_safetensors **file, sv_config *config, senvec_error *err) {
    SENVEC_TRY(sv_safetensors_open(path, file, err));
    senvec_status status = check_kind(*file, path, config, err);
    if (status != SENVEC_OK)
        sv_safetensors_close(*file);
    return status;
}

/* A file inside of the file: *map, and its address or NULL. */
static const sv_file_map *find_file(const sv_safetensors *file, const char *name, sv_file_map *map) {
    const sv_tensor *tensor = sv_safetensors_find(file, name);
    if (!tensor || strcmp(tensor->dtype_name, "U8") != 0)
        return NULL;
    *map = (sv_file_map){tensor->data, tensor->bytes};
    return map;
}

senvec_status sv_native_tokenizer(const sv_safetensors *file, const char *path, const senvec_allocator *allocator,
                                  sv_tokenizer **out, senvec_error *err) {
    sv_file_map json, vocabulary, config;
    const sv_tokenizer_files files = {
        .json = find_file(file, SV_MODEL_TOKENIZER, &json),
        .vocabulary = find_file(file, SV_MODEL_VOCABULARY, &vocabulary),
        .config = find_file(file, SV_MODEL_TOKENIZER_CONFIG, &config),
    };
    return sv_tokenizer_load_files(path, &files, allocator, out, err);
}

senvec_status sv_native_prompts(const sv_safetensors *file, const char *path, sv_arena *arena, sv_prompts *out,
                                senvec_error *err) {
    const char *text = sv_safetensors_metadata(file, "config"); /* check_kind saw it */
    sv_json_document document;
    SENVEC_TRY(sv_json_document_read(text, strlen(text), NULL, &document, err));
    senvec_status status = sv_prompts_read(document.root, path, arena, out, err);
    sv_json_document_close(&document);
    return status;
}

senvec_status sv_native_quantized(const sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena,
                                  sv_quantized *out, senvec_error *err) {
    return sv_quantized_read(file, path, config, sv_safetensors_metadata(file, "content"), arena, out, err);
}
