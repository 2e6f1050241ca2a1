/* Models that aren't embedders. As sentence-transformers 6.2 reads and writes them (cross_encoder/model.py,
 * sparse_encoder/model.py):
 *
 *     modules.json      [Transformer] and model_type "CrossEncoder" in config_sentence_transformers.json, or
 *                       [Transformer (older: MLMTransformer), SpladePooling]
 *     no modules.json   the class in config.json: ...ForSequenceClassification, ...ForMaskedLM
 *
 * A classifier's activation is "activation_fn" of config_sentence_transformers.json; or in config.json "activation_fn" of
 * "sentence_transformers", or "sbert_ce_default_activation_function"; else sigmoid for one label and none for several. */
#include "model/task_config.h"

#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/model_files.h"
#include "model/document.h"
#include "model/modules_config.h"
#include "model/transformer_config.h"

/* What the files around config.json say. */
typedef struct findings {
    bool modules; /* modules.json is there */
    char transformer[64], pooling[64];
    bool classifier, sparse;
} findings;

static bool type_ends(sv_json module, const char *class) {
    const char *type = sv_json_text(sv_json_member(module, "type"));
    return type && strcmp(sv_module_class(type), class) == 0;
}

static senvec_status copy_folder(const sv_document *modules, size_t index, char out[64], senvec_error *err) {
    return sv_module_folder(modules, sv_json_at(modules->root, index), out, err);
}

static senvec_status read_list(const sv_document *modules, bool cross_encoder, findings *out, senvec_error *err) {
    const size_t count = sv_json_count(modules->root);
    const sv_json first = sv_json_at(modules->root, 0), second = sv_json_at(modules->root, 1);
    out->classifier = cross_encoder && count == 1 && type_ends(first, "Transformer");
    out->sparse = count == 2 && (type_ends(first, "Transformer") || type_ends(first, "MLMTransformer")) &&
                  type_ends(second, "SpladePooling");
    if (out->classifier || out->sparse)
        SENVEC_TRY(copy_folder(modules, 0, out->transformer, err));
    if (out->sparse)
        SENVEC_TRY(copy_folder(modules, 1, out->pooling, err));
    return SENVEC_OK;
}

static senvec_status read_findings(const char *directory, findings *out, senvec_error *err) {
    *out = (findings){0};
    sv_document modules, whole;
    SENVEC_TRY(sv_document_open(directory, "", SV_MODEL_MODULES, true, &modules, err));
    if (modules.root.kind == SV_JSON_NONE)
        return SENVEC_OK;
    out->modules = true;
    senvec_status status = sv_document_open(directory, "", "config_sentence_transformers.json", false, &whole, err);
    if (status == SENVEC_OK) {
        const char *type = sv_json_text(sv_document_get(&whole, "model_type"));
        status = read_list(&modules, type && strcmp(type, "CrossEncoder") == 0, out, err);
        sv_document_close(&whole);
    }
    sv_document_close(&modules);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- classifiers */

/* *out <- what a class of PyTorch's is; AUTO for a missing one. */
static senvec_status activation_of(const sv_document *file, sv_json class, senvec_activation *out, senvec_error *err) {
    static const struct {
        const char *class;
        senvec_activation activation;
    } known[] = {
        {"Sigmoid", SENVEC_ACTIVATION_SIGMOID},
        {"Identity", SENVEC_ACTIVATION_NONE},
        {"Softmax", SENVEC_ACTIVATION_SOFTMAX},
    };
    *out = SENVEC_ACTIVATION_AUTO;
    if (class.kind == SV_JSON_NONE || class.kind == SV_JSON_NULL)
        return SENVEC_OK;
    const char *text = sv_json_text(class), *dot = text ? strrchr(text, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strncmp(text, "torch.nn.", strlen("torch.nn.")) == 0 && strcmp(dot + 1, known[i].class) == 0) {
            *out = known[i].activation;
            return SENVEC_OK;
        }
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: the activation of the scores is %s%.100s; supported are Sigmoid, Identity and Softmax of torch.nn",
                   file->path, text ? "" : "not a string", text ? text : "");
}

static senvec_status read_activation(const char *directory, sv_config *out, senvec_error *err) {
    sv_document whole, encoder;
    SENVEC_TRY(sv_document_open(directory, "", "config_sentence_transformers.json", false, &whole, err));
    senvec_status status = activation_of(&whole, sv_document_get(&whole, "activation_fn"), &out->score_activation, err);
    sv_document_close(&whole);
    if (status != SENVEC_OK || out->score_activation != SENVEC_ACTIVATION_AUTO)
        return status;
    SENVEC_TRY(sv_document_open(directory, out->transformer_directory, SV_MODEL_CONFIG, false, &encoder, err));
    const sv_json newer = sv_json_member(sv_document_get(&encoder, "sentence_transformers"), "activation_fn");
    const sv_json older = sv_document_get(&encoder, "sbert_ce_default_activation_function");
    status = activation_of(&encoder, newer.kind == SV_JSON_NONE ? older : newer, &out->score_activation, err);
    sv_document_close(&encoder);
    if (status == SENVEC_OK && out->score_activation == SENVEC_ACTIVATION_AUTO)
        out->score_activation = out->labels == 1 ? SENVEC_ACTIVATION_SIGMOID : SENVEC_ACTIVATION_NONE;
    return status;
}

senvec_status sv_task_labels(const char *directory, const sv_config *config, sv_arena *arena, const char *const **out,
                             senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, config->labels, sizeof(char *), "names of labels", &memory, err));
    const char **names = memory;
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, config->transformer_directory, SV_MODEL_CONFIG, false, &file, err));
    senvec_status status = SENVEC_OK;
    for (size_t i = 0; i < config->labels && status == SENVEC_OK; i++) {
        char key[24], fallback[32];
        snprintf(key, sizeof key, "%zu", i);
        snprintf(fallback, sizeof fallback, "LABEL_%zu", i);
        const char *name = sv_json_text(sv_json_member(sv_document_get(&file, "id2label"), key));
        name = name ? name : fallback;
        status = sv_arena_string(arena, name, strlen(name), &names[i], err);
    }
    sv_document_close(&file);
    *out = names;
    return status;
}

/* ------------------------------------------------------------------------------------------------------------------ sparse */

static senvec_status read_splade(const char *directory, const char *folder, sv_config *out, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, folder, SV_MODEL_CONFIG, false, &file, err));
    const char *activation = sv_json_text(sv_document_get(&file, "activation_function"));
    senvec_status status = sv_document_expect_string(&file, "pooling_strategy", "max", err);
    out->log_twice = activation && strcmp(activation, "log1p_relu") == 0;
    if (status == SENVEC_OK && !out->log_twice)
        status = sv_document_expect_string(&file, "activation_function", "relu", err);
    sv_document_close(&file);
    return status;
}

/* --------------------------------------------------------------------------------------------------------------- the whole */

/* The checkpoint has to have the head that its task needs. */
static senvec_status check_head(const char *directory, const sv_config *config, sv_head head, const char *class,
                                senvec_error *err) {
    if (config->head == head)
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: its modules ask for a checkpoint of class ...%s, which its config.json isn't", directory, class);
}

senvec_status sv_task_config_load(const char *directory, sv_config *out, bool *found, senvec_error *err) {
    findings f;
    sv_config config = {0};
    SENVEC_TRY(read_findings(directory, &f, err));
    *found = false;
    if (f.modules && !f.classifier && !f.sparse)
        return SENVEC_OK;
    SENVEC_TRY(sv_transformer_config_read(directory, f.transformer, &config, err));
    if (f.classifier)
        SENVEC_TRY(check_head(directory, &config, SV_HEAD_CLASSIFIER, "ForSequenceClassification", err));
    if (f.sparse)
        SENVEC_TRY(check_head(directory, &config, SV_HEAD_MASKED, "ForMaskedLM", err));
    if (config.head != SV_HEAD_CLASSIFIER && config.head != SV_HEAD_MASKED)
        return SENVEC_OK;
    memcpy(config.transformer_directory, f.transformer, sizeof config.transformer_directory);
    const bool classifier = config.head == SV_HEAD_CLASSIFIER;
    SENVEC_TRY(sv_length_read(directory, f.transformer, f.modules, classifier ? "sequence-classification" : "fill-mask",
                              classifier ? "scores" : "token_embeddings", &config, err));
    config.poolings[0] = SV_POOLING_CLS;
    config.pooling_count = 1;
    config.include_prompt = true;
    sv_config_chain(&config);
    if (classifier) {
        config.task = config.labels == 1 ? SENVEC_TASK_RERANKER : SENVEC_TASK_CLASSIFIER;
        SENVEC_TRY(read_activation(directory, &config, err));
    } else {
        config.task = SENVEC_TASK_SPARSE;
        if (f.sparse)
            SENVEC_TRY(read_splade(directory, f.pooling, &config, err));
    }
    *out = config;
    *found = true;
    return SENVEC_OK;
}
