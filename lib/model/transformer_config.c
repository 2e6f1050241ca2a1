/* The transformer's own config.json, read as the configurations of transformers 5 read it: keys have the names and the defaults
 * that the model type gives them. What the families differ in is one table here. */
#include "model/transformer_config.h"

#include <string.h>

#include "common/limits.h"
#include "common/model_files.h"
#include "model/document.h"

/* Keys that not all families call the same. */
typedef struct keys {
    const char *hidden, *inner, *layers, *heads, *activation;
} keys;

static const keys usual_keys = {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act"};
static const keys distilbert_keys = {"dim", "hidden_dim", "n_layers", "n_heads", "activation"};

/* What a model type says. */
typedef struct model_type {
    const char *name;  /* "model_type" */
    const char *class; /* what its classes in "architectures" begin with */
    sv_family family;
    const keys *keys;
    bool token_types;
    bool offset;  /* positions begin behind the padding token's */
    bool buckets; /* attention has a bias by relative position */
} model_type;

static const model_type types[] = {
    {"bert", "Bert", SV_FAMILY_BERT, &usual_keys, true, false, false},
    {"roberta", "Roberta", SV_FAMILY_ROBERTA, &usual_keys, true, true, false},
    {"xlm-roberta", "XLMRoberta", SV_FAMILY_ROBERTA, &usual_keys, true, true, false},
    {"camembert", "Camembert", SV_FAMILY_ROBERTA, &usual_keys, true, true, false},
    {"mpnet", "MPNet", SV_FAMILY_MPNET, &usual_keys, false, true, true},
    {"distilbert", "DistilBert", SV_FAMILY_DISTILBERT, &distilbert_keys, false, false, false},
    {"electra", "Electra", SV_FAMILY_ELECTRA, &usual_keys, true, false, false},
};
enum { TYPES = sizeof types / sizeof *types };
#define SUPPORTED "bert, roberta, xlm-roberta, camembert, mpnet, distilbert and electra"

#define MPNET_PADDING 1 /* whatever the configuration says */

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

const char *sv_model_type(const char *name) {
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(name, types[i].name) == 0)
            return types[i].name;
    return NULL;
}

/* The type, and the class unless it is somebody else's ("JinaBertModel" also says that its type is bert). Of older files
 * without a type the class alone. */
static senvec_status find_type(const sv_document *file, const model_type **out, senvec_error *err) {
    const sv_json type = sv_document_get(file, "model_type");
    const char *class = sv_json_text(sv_json_at(sv_document_get(file, "architectures"), 0));
    if (type.kind == SV_JSON_NONE && !class)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: neither \"model_type\" nor \"architectures\" says what this model is",
                       file->path);
    if (type.kind != SV_JSON_NONE && type.kind != SV_JSON_STRING)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"model_type\" has to be a string", file->path);
    const model_type *found = NULL;
    for (size_t i = 0; i < TYPES && !found; i++)
        if (type.kind != SV_JSON_NONE ? sv_json_is(type, types[i].name) : begins(class, types[i].class))
            found = &types[i];
    if (!found && type.kind != SV_JSON_NONE)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"model_type\" is \"%s\"; supported are " SUPPORTED, file->path,
                       sv_json_text(type));
    if (!found || (class && !begins(class, found->class)))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: the architecture is \"%s\"; supported are the classes of transformers for " SUPPORTED, file->path,
                       class);
    *out = found;
    return SENVEC_OK;
}

static senvec_status read_epsilon(const sv_document *file, float *out, senvec_error *err) {
    const sv_json value = sv_document_get(file, "layer_norm_eps");
    double eps = 1e-12;
    if ((value.kind != SV_JSON_NONE && !sv_json_number(value, &eps)) || !(eps > 0 && eps < 1) || (float)eps == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"layer_norm_eps\" has to be a number over 0 and below 1", file->path);
    *out = (float)eps;
    return SENVEC_OK;
}

const char *sv_activation_name(sv_activation activation) {
    static const char *const names[] = {"gelu", "gelu_tanh", "relu"};
    return names[activation];
}

static senvec_status read_activation(const sv_document *file, const char *key, sv_activation *out, senvec_error *err) {
    static const struct {
        const char *name;
        sv_activation activation;
    } names[] = {
        {"gelu", SV_ACTIVATION_GELU},
        {"gelu_new", SV_ACTIVATION_GELU_TANH},
        {"gelu_pytorch_tanh", SV_ACTIVATION_GELU_TANH},
        {"gelu_fast", SV_ACTIVATION_GELU_TANH},
        {"relu", SV_ACTIVATION_RELU},
    };
    const sv_json value = sv_document_get(file, key);
    *out = SV_ACTIVATION_GELU;
    if (value.kind == SV_JSON_NONE)
        return SENVEC_OK;
    if (value.kind != SV_JSON_STRING)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" has to be a string", file->path, key);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(sv_json_text(value), names[i].name) == 0) {
            *out = names[i].activation;
            return SENVEC_OK;
        }
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: \"%s\" is \"%s\"; supported are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast and relu", file->path, key,
                   sv_json_text(value));
}

/* Where positions begin; the table's rows are in out->positions so far. */
static senvec_status read_offset(const sv_document *file, const model_type *type, sv_config *out, senvec_error *err) {
    out->first_position = out->padding = 0;
    if (!type->offset)
        return SENVEC_OK;
    out->padding = MPNET_PADDING;
    if (type->family != SV_FAMILY_MPNET)
        SENVEC_TRY(sv_document_size(file, "pad_token_id", 1, 0, SV_MAX_VOCABULARY, &out->padding, err));
    out->first_position = out->padding + 1;
    if (out->positions < out->first_position + 2)
        return sv_fail(err, SENVEC_FORMAT, 0,
                       "%s: \"max_position_embeddings\" is %zu, but positions begin at %zu, behind that of the padding token",
                       file->path, out->positions, out->first_position);
    out->positions -= out->first_position;
    return SENVEC_OK;
}

static sv_head head_of(const char *class, const model_type *type) {
    if (!class || strcmp(class + strlen(type->class), "Model") == 0)
        return SV_HEAD_NONE;
    if (strcmp(class + strlen(type->class), "ForSequenceClassification") == 0)
        return SV_HEAD_CLASSIFIER;
    if (strcmp(class + strlen(type->class), "ForMaskedLM") == 0)
        return SV_HEAD_MASKED;
    return SV_HEAD_OTHER;
}

/* transformers writes a name for each label; num_labels is read where there are no names, and 2 otherwise. */
static senvec_status read_head(const sv_document *file, const model_type *type, sv_config *out, senvec_error *err) {
    const sv_json names = sv_document_get(file, "id2label");
    out->head = head_of(sv_json_text(sv_json_at(sv_document_get(file, "architectures"), 0)), type);
    out->labels = 0;
    if (out->head != SV_HEAD_CLASSIFIER)
        return SENVEC_OK;
    if (names.kind != SV_JSON_OBJECT)
        return sv_document_size(file, "num_labels", 2, 1, SV_MAX_LABELS, &out->labels, err);
    out->labels = sv_json_count(names);
    if (out->labels < 1 || out->labels > SV_MAX_LABELS)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"id2label\" has %zu labels; supported are 1 to %u", file->path, out->labels,
                       SV_MAX_LABELS);
    return SENVEC_OK;
}

static senvec_status read_sizes(const sv_document *file, const model_type *type, sv_config *out, senvec_error *err) {
    const keys *key = type->keys;
    SENVEC_TRY(sv_document_size(file, key->hidden, 0, 1, SV_MAX_HIDDEN, &out->hidden, err));
    SENVEC_TRY(sv_document_size(file, key->inner, 0, 1, SV_MAX_INNER, &out->inner, err));
    SENVEC_TRY(sv_document_size(file, key->layers, 0, 1, SV_MAX_LAYERS, &out->layers, err));
    SENVEC_TRY(sv_document_size(file, key->heads, 0, 1, SV_MAX_HEADS, &out->heads, err));
    SENVEC_TRY(sv_document_size(file, "vocab_size", 0, 1, SV_MAX_VOCABULARY, &out->vocabulary, err));
    SENVEC_TRY(sv_document_size(file, "max_position_embeddings", 0, 2, SV_MAX_POSITIONS, &out->positions, err));
    out->token_types = out->embedding = out->buckets = 0;
    if (type->token_types)
        SENVEC_TRY(sv_document_size(file, "type_vocab_size", 2, 1, SV_MAX_VOCABULARY, &out->token_types, err));
    if (type->family == SV_FAMILY_ELECTRA)
        SENVEC_TRY(sv_document_size(file, "embedding_size", 128, 1, SV_MAX_HIDDEN, &out->embedding, err));
    if (out->embedding == out->hidden)
        out->embedding = 0;
    if (type->buckets)
        SENVEC_TRY(sv_document_size(file, "relative_attention_num_buckets", SV_LEAST_BUCKETS, SV_LEAST_BUCKETS, SV_MAX_BUCKETS,
                                    &out->buckets, err));
    if (out->hidden % out->heads != 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: %s %zu is not a multiple of %s %zu", file->path, key->hidden, out->hidden,
                       key->heads, out->heads);
    return SENVEC_OK;
}

static senvec_status read_encoder_config(const sv_document *file, sv_config *out, senvec_error *err) {
    static const char *const unset[] = {"is_decoder", "add_cross_attention", "quantization_config"};
    const model_type *type = NULL;
    SENVEC_TRY(find_type(file, &type, err));
    out->family = type->family;
    out->model_type = type->name;
    SENVEC_TRY(read_activation(file, type->keys->activation, &out->activation, err));
    SENVEC_TRY(sv_document_expect_string(file, "position_embedding_type", "absolute", err));
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        SENVEC_TRY(sv_document_expect_unset(file, unset[i], err));
    SENVEC_TRY(read_sizes(file, type, out, err));
    SENVEC_TRY(read_offset(file, type, out, err));
    SENVEC_TRY(read_head(file, type, out, err));
    out->layernorm_eps = 1e-12f;
    return type->family == SV_FAMILY_DISTILBERT ? SENVEC_OK : read_epsilon(file, &out->layernorm_eps, err);
}

senvec_status sv_transformer_config_read(const char *directory, const char *folder, sv_config *out, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, folder, SV_MODEL_CONFIG, false, &file, err));
    if (file.root.kind == SV_JSON_NONE)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: this file is missing; is it a model's folder, and complete?", file.path);
    senvec_status status = read_encoder_config(&file, out, err);
    sv_document_close(&file);
    return status;
}
