/* The transformer's own config.json, read as transformers' BertConfig reads it. */
#include "model/transformer_config.h"

#include <string.h>

#include "common/limits.h"
#include "model/document.h"

/* BERT, whatever head the checkpoint was saved with: the model type decides, and the class unless it is somebody else's
 * ("JinaBertModel" also says that its type is bert). */
static senvec_status check_architecture(const sv_document *file, senvec_error *err) {
    const json_t *type = sv_document_get(file, "model_type");
    const char *class = json_string_value(json_array_get(sv_document_get(file, "architectures"), 0));
    if (!type && !class)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: neither \"model_type\" nor \"architectures\" says what this model is",
                       file->path);
    SENVEC_TRY(sv_document_expect_string(file, "model_type", "bert", err));
    if (class && strncmp(class, "Bert", strlen("Bert")) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: the architecture is \"%s\"; only BertModel is supported", file->path,
                       class);
    return SENVEC_OK;
}

static senvec_status read_epsilon(const sv_document *file, float *out, senvec_error *err) {
    const json_t *value = sv_document_get(file, "layer_norm_eps");
    double eps = !value ? 1e-12 : json_is_number(value) ? json_number_value(value) : -1;
    if (!(eps > 0 && eps < 1) || (float)eps == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"layer_norm_eps\" has to be a number over 0 and below 1", file->path);
    *out = (float)eps;
    return SENVEC_OK;
}

static senvec_status read_encoder_config(const sv_document *file, sv_config *out, senvec_error *err) {
    static const char *const unset[] = {"is_decoder", "add_cross_attention", "quantization_config"};
    SENVEC_TRY(check_architecture(file, err));
    SENVEC_TRY(sv_document_expect_string(file, "hidden_act", "gelu", err));
    SENVEC_TRY(sv_document_expect_string(file, "position_embedding_type", "absolute", err));
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(sv_document_expect_unset(file, unset[i], err));
    SENVEC_TRY(sv_document_size(file, "hidden_size", 0, 1, SV_MAX_HIDDEN, &out->hidden, err));
    SENVEC_TRY(sv_document_size(file, "intermediate_size", 0, 1, SV_MAX_INNER, &out->inner, err));
    SENVEC_TRY(sv_document_size(file, "num_hidden_layers", 0, 1, SV_MAX_LAYERS, &out->layers, err));
    SENVEC_TRY(sv_document_size(file, "num_attention_heads", 0, 1, SV_MAX_HEADS, &out->heads, err));
    SENVEC_TRY(sv_document_size(file, "vocab_size", 0, 1, SV_MAX_VOCABULARY, &out->vocabulary, err));
    SENVEC_TRY(sv_document_size(file, "max_position_embeddings", 0, 2, SV_MAX_POSITIONS, &out->positions, err));
    SENVEC_TRY(sv_document_size(file, "type_vocab_size", 2, 1, SV_MAX_VOCABULARY, &out->token_types, err));
    SENVEC_TRY(read_epsilon(file, &out->layernorm_eps, err));
    if (out->hidden % out->heads != 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: hidden_size %zu is not a multiple of num_attention_heads %zu", file->path,
                       out->hidden, out->heads);
    return SENVEC_OK;
}

senvec_status sv_transformer_config_read(const char *directory, const char *folder, sv_config *out, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, folder, "config.json", false, &file, err));
    if (!file.root)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: this file is missing; is it a model's folder, and complete?", file.path);
    senvec_status status = read_encoder_config(&file, out, err);
    sv_document_close(&file);
    return status;
}
