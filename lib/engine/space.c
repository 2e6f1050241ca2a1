/* A space id says which vectors can be compared. It is the SHA-256 of everything that decides a vector but precision and
 * instruction set: the weights by role, as floats; the tokenizer's files; the encoder's sizes; the modules after it; prompts;
 * and max_seq_length. So it doesn't matter whether the weights are in one file or several, with which prefix, or in a native
 * file, which carries what it takes from the folder that it was made of.
 *
 * Hashing the weights takes a tenth of a second for each 100 MB, so it is done when somebody asks, and remembered by the size,
 * times and inodes of the files. */
#include "engine/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "model/remembered.h"

/* ------------------------------------------------------------------------------------------------------------- what is hashed
 */

static void add_text(sv_sha256 *hash, const char *text) {
    sv_sha256_add(hash, text, strlen(text) + 1);
}

static void add_number(sv_sha256 *hash, const char *name, uint64_t value) {
    char text[100];
    snprintf(text, sizeof text, "%s %" PRIu64, name, value);
    add_text(hash, text);
}

static void add_sizes(sv_sha256 *hash, const sv_config *config) {
    const struct {
        const char *name;
        size_t value;
    } sizes[] = {
        {"task", config->task},
        {"hidden", config->hidden},
        {"inner", config->inner},
        {"layers", config->layers},
        {"heads", config->heads},
        {"vocabulary", config->vocabulary},
        {"positions", config->positions},
        {"first position", config->first_position},
        {"padding", config->first_position ? config->padding : 0},
        {"token types", config->token_types},
        {"embedding", config->embedding},
        {"buckets", config->buckets},
        {"normalize", config->normalize},
        {"include prompt", config->include_prompt},
        {"dimensions", config->truncate_dim ? config->truncate_dim : config->dimensions},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        add_number(hash, sizes[i].name, sizes[i].value);
    uint32_t eps;
    memcpy(&eps, &config->layernorm_eps, sizeof eps);
    add_number(hash, "eps", eps);
    add_text(hash, sv_activation_name(config->activation));
}

static void add_modules(sv_sha256 *hash, const sv_config *config) {
    add_number(hash, "poolings", config->pooling_count);
    for (size_t i = 0; i < config->pooling_count; i++)
        add_text(hash, sv_pooling_name(config->poolings[i]));
    add_number(hash, "modules", config->module_count);
    for (size_t i = 0; i < config->module_count; i++) {
        const sv_module *module = &config->modules[i];
        add_number(hash, "kind", module->kind);
        add_number(hash, "in", module->in);
        add_number(hash, "out", module->out);
        add_text(hash, sv_dense_activation_name(module->activation));
        add_number(hash, "bias", module->bias);
        add_number(hash, "residual", module->residual);
    }
}

/* The first prompt in order of names after `before` (NULL: of all) that isn't empty; NULL: there is none. Empty prompts change
 * nothing, and sentence-transformers adds some when it saves a model. */
static const senvec_prompt *next_prompt(const sv_prompts *prompts, const senvec_prompt *before) {
    const senvec_prompt *next = NULL;
    for (size_t i = 0; i < prompts->count; i++) {
        const senvec_prompt *prompt = &prompts->list[i];
        if (*prompt->text && (!before || strcmp(prompt->name, before->name) > 0) &&
            (!next || strcmp(prompt->name, next->name) < 0))
            next = prompt;
    }
    return next;
}

static void add_prompts(sv_sha256 *hash, const sv_prompts *prompts) {
    const senvec_prompt *prompt = NULL;
    while ((prompt = next_prompt(prompts, prompt))) {
        add_text(hash, "prompt");
        add_text(hash, prompt->name);
        add_text(hash, prompt->text);
    }
    add_text(hash, "default prompt");
    add_text(hash, prompts->usual ? prompts->usual->text : "");
}

/* All that is known without reading a large file. */
static void add_small(sv_sha256 *hash, const senvec_model *model) {
    add_text(hash, "senvec space 1");
    add_sizes(hash, &model->config);
    add_modules(hash, &model->config);
    add_prompts(hash, &model->prompts);
}

static void add_module_weights(sv_sha256 *hash, const senvec_model *model) {
    const sv_config *config = &model->config;
    for (size_t i = 0; i < config->module_count; i++) {
        sv_module_weights weights = model->modules.weights[i];
        sv_module_tensor tensors[SV_MAX_MODULE_TENSORS];
        size_t count = sv_module_tensors(&config->modules[i], &weights, tensors);
        for (size_t j = 0; j < count; j++)
            sv_sha256_add(hash, *tensors[j].data, (tensors[j].rows ? tensors[j].rows : 1) * tensors[j].columns * sizeof(float));
    }
}

static void add_file(sv_sha256 *hash, const char *name, const sv_file_map *file) {
    add_number(hash, name, file ? file->size : 0);
    if (file)
        sv_sha256_add(hash, file->data, file->size);
}

static senvec_status add_tokenizer(sv_sha256 *hash, const senvec_model *model, senvec_error *err) {
    sv_tokenizer_maps maps;
    SENVEC_TRY(sv_tokenizer_maps_open(&maps, model->files.transformer, err));
    add_file(hash, "tokenizer.json", maps.files.json);
    add_file(hash, "vocabulary", maps.files.vocabulary);
    add_file(hash, "tokenizer_config.json", maps.files.config);
    sv_tokenizer_maps_close(&maps);
    return SENVEC_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- remembering
 */

/* Differs whenever one of the files does, or a small thing. */
static bool find_stamp(const senvec_model *model, uint64_t *stamp) {
    static const char *const files[] = {SV_MODEL_TOKENIZER, SV_MODEL_VOCABULARY, SV_MODEL_TOKENIZER_CONFIG};
    sv_sha256 hash;
    uint8_t digest[SV_SHA256_BYTES];
    char path[SV_MAX_PATH];
    sv_sha256_init(&hash);
    add_small(&hash, model);
    add_module_weights(&hash, model);
    sv_sha256_end(&hash, digest);
    *stamp = sv_hash(model->weights.stamp, digest, sizeof digest);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (sv_path_join(model->files.transformer, files[i], path, NULL) != SENVEC_OK)
            return false;
        *stamp = sv_path_stamp(*stamp, path);
    }
    return true;
}

/* The id from everything else and max_seq_length. */
static void set_id(senvec_model *model) {
    sv_sha256 hash;
    sv_sha256_init(&hash);
    add_text(&hash, model->space_base);
    add_number(&hash, "tokens", model->config.max_seq_length);
    sv_sha256_end_text(&hash, model->space_id);
    atomic_store(&model->space_known, true);
}

void sv_space_take(senvec_model *model, const char *base) {
    if (!base || strlen(base) != SV_SHA256_TEXT - 1)
        return;
    memcpy(model->space_base, base, SV_SHA256_TEXT);
    set_id(model);
}

void sv_space_look(senvec_model *model) {
    char base[SV_SHA256_TEXT];
    if (model->files.form == SV_MODEL_FOLDER && find_stamp(model, &model->space_stamp) &&
        sv_remembered(model->rules.cache_folder, "space", model->space_stamp, model->weights.fingerprint, base))
        sv_space_take(model, base);
}

static senvec_status compute(senvec_model *model, char out[SV_SHA256_TEXT], senvec_error *err) {
    char weights[SV_SHA256_TEXT];
    sv_sha256 hash;
    SENVEC_TRY(sv_weights_digest_text(model->files.transformer, &model->config, &model->weights, model->rules.cache_folder,
                                      &model->allocator, weights, err));
    sv_sha256_init(&hash);
    add_small(&hash, model);
    add_text(&hash, weights);
    add_module_weights(&hash, model);
    SENVEC_TRY(add_tokenizer(&hash, model, err));
    sv_sha256_end_text(&hash, out);
    return SENVEC_OK;
}

senvec_status sv_space_base(senvec_model *model, char out[SV_SHA256_TEXT], senvec_error *err) {
    senvec_status status = SENVEC_OK;
    pthread_mutex_lock(&model->space_lock);
    if (!atomic_load(&model->space_known)) {
        char base[SV_SHA256_TEXT];
        status = model->files.form == SV_MODEL_FOLDER && !model->tokenizer_only
                     ? compute(model, base, err)
                     : sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: its space id can't be computed: %s", model->files.path,
                               model->tokenizer_only ? "it was opened for its tokenizer alone"
                                                     : "the file has none; write it again with 'senvec pack'");
        if (status == SENVEC_OK) {
            if (model->space_stamp)
                sv_remember(model->rules.cache_folder, "space", model->space_stamp, model->weights.fingerprint, base);
            sv_space_take(model, base);
        }
    }
    pthread_mutex_unlock(&model->space_lock);
    if (status == SENVEC_OK)
        memcpy(out, model->space_base, SV_SHA256_TEXT);
    return status;
}

senvec_status senvec_model_space_id(const senvec_model *model, char out[SENVEC_SPACE_ID_SIZE], senvec_error *err) {
    char base[SV_SHA256_TEXT];
    if (!model || !out)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_model_space_id: a pointer is NULL");
    /* The one thing of a model that comes later; a lock makes it safe. */
    SENVEC_TRY(sv_space_base((senvec_model *)model, base, err));
    memcpy(out, model->space_id, SENVEC_SPACE_ID_SIZE);
    return SENVEC_OK;
}
