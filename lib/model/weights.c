/* Binding the tensors of a checkpoint to their roles. Names are those of transformers' classes, one table for each family; a
 * checkpoint of a model with a head has the family's prefix before each, and checkpoints converted from TensorFlow say gamma
 * and beta. docs/MODEL.md lists them.
 *
 * Each tensor is read once here, to refuse NaN and infinity: one such weight makes vectors of NaN, later and without a word.
 * The same pass takes the fingerprint by which a cached calibration is known to belong to these weights. The largest table is
 * half of the file and hardly any of it is needed at once, so its pages are given back as the scan goes on. */
#include "model/weights.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"

#define MAX_NAME 128 /* the longest that is put together here has under 80 bytes */

/* What a family calls its tensors. */
typedef struct layer_names {
    const char *prefix; /* in a checkpoint with a head */
    const char *layer;  /* before the number of a layer; behind it and a dot come the rest: */
    const char *query, *key, *value, *attention_out, *attention_norm, *up, *down, *output_norm;
} layer_names;

#define BERT_LAYER                                                                                                             \
    "encoder.layer.", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",          \
        "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"

static const layer_names names_of[SV_FAMILIES] = {
    [SV_FAMILY_BERT] = {"bert.", BERT_LAYER},
    [SV_FAMILY_ROBERTA] = {"roberta.", BERT_LAYER},
    [SV_FAMILY_ELECTRA] = {"electra.", BERT_LAYER},
    [SV_FAMILY_MPNET] = {"mpnet.", "encoder.layer.", "attention.attn.q", "attention.attn.k", "attention.attn.v",
                         "attention.attn.o", "attention.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"},
    [SV_FAMILY_DISTILBERT] = {"distilbert.", "transformer.layer.", "attention.q_lin", "attention.k_lin", "attention.v_lin",
                              "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"},
};

/* What it calls those of a head. */
typedef struct head_names {
    const char *dense, *norm, *out, *bias; /* of a masked model `bias` has a name of its own, and `out` may be the word table */
    bool prefixed;                         /* `dense` belongs to the encoder: the family's prefix is before it */
} head_names;

static const head_names classifiers[SV_FAMILIES] = {
    [SV_FAMILY_BERT] = {"pooler.dense", NULL, "classifier", NULL, true},
    [SV_FAMILY_ROBERTA] = {"classifier.dense", NULL, "classifier.out_proj", NULL, false},
    [SV_FAMILY_MPNET] = {"classifier.dense", NULL, "classifier.out_proj", NULL, false},
    [SV_FAMILY_ELECTRA] = {"classifier.dense", NULL, "classifier.out_proj", NULL, false},
    [SV_FAMILY_DISTILBERT] = {"pre_classifier", NULL, "classifier", NULL, false},
};

static const head_names masked_models[SV_FAMILIES] = {
    [SV_FAMILY_BERT] = {"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder",
                        "cls.predictions.bias", false},
    [SV_FAMILY_ROBERTA] = {"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias", false},
    [SV_FAMILY_MPNET] = {"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias", false},
    [SV_FAMILY_DISTILBERT] = {"vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias", false},
};

/* What open needs at every step. */
typedef struct binder {
    const char *path;   /* of the file at hand, for messages */
    const char *prefix; /* "" or the family's */
    const layer_names *names;
    bool no_linears;   /* the file has the linear layers in another form */
    sv_sha256 *digest; /* gets all values; NULL: not wanted */
    sv_weights *weights;
    sv_arena *arena;
    senvec_error *err;
} binder;

/* ------------------------------------------------------------------------------------------------------------ finite values */

/* The index of the first NaN or infinity in values[count], or count. */
static size_t find_not_finite(const float *values, size_t count) {
    /* Both have all exponent bits set, so |bits| + 2^23 reaches the sign bit. Blocks of a fixed size, so that compilers turn
     * the inner loop into vector instructions; the loop after them finds the place. */
    enum { BLOCK = 256 };
    size_t i = 0;
    for (; count - i >= BLOCK; i += BLOCK) {
        uint32_t bits[BLOCK], reached = 0;
        memcpy(bits, values + i, sizeof bits);
        for (size_t j = 0; j < BLOCK; j++)
            reached |= (bits[j] & 0x7fffffff) + 0x00800000;
        if (reached >> 31)
            break;
    }
    for (; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if ((bits & 0x7f800000) == 0x7f800000)
            return i;
    }
    return count;
}

/* Checks `count` values and adds them to the fingerprint, while they are in a near cache; `forget`: gives the pages back behind
 * the scan. */
static senvec_status scan(const binder *b, const sv_tensor *tensor, const float *values, size_t count, bool forget) {
    enum { PART = 1 << 14, FORGET = 1 << 20 }; /* 64 KB and 4 MB */
    for (size_t i = 0; i < count; i += PART) {
        size_t part = count - i < PART ? count - i : PART;
        size_t bad = find_not_finite(values + i, part);
        if (bad < part) {
            uint64_t element = i + bad;
            return sv_fail(b->err, SENVEC_FORMAT, tensor->offset + element * (tensor->bytes / tensor->count),
                           "%s: tensor \"%s\" holds %s at element %llu; these weights can't be used", b->path, tensor->name,
                           values[element] != values[element] ? "a NaN" : "an infinity", (unsigned long long)element);
        }
        b->weights->fingerprint = sv_hash(b->weights->fingerprint, values + i, part * sizeof(float));
        if (b->digest)
            sv_sha256_add(b->digest, values + i, part * sizeof(float));
        if (forget && ((i + part) % FORGET == 0 || i + part == count)) {
            size_t begin = (i + part - 1) / FORGET * FORGET;
            sv_weight_files_forget(&b->weights->files, values + begin, (i + part - begin) * sizeof(float));
        }
    }
    return SENVEC_OK;
}

/* ------------------------------------------------------------------------------------------------------------------ binding */

static const sv_tensor *find(binder *b, const char *name) {
    char full[MAX_NAME + MAX_NAME];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    return sv_weight_files_find(&b->weights->files, full, &b->path);
}

static void format_shape(const uint64_t *shape, size_t rank, char *out, size_t size) {
    size_t length = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < rank && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%llu", i ? ", " : "", (unsigned long long)shape[i]);
    if (length < size)
        snprintf(out + length, size - length, "]");
}

/* The shape has to be (rows, columns), or (columns) if rows is 0. */
static senvec_status check_shape(const binder *b, const sv_tensor *tensor, size_t rows, size_t columns) {
    uint64_t wanted[2] = {rows, columns};
    const uint64_t *shape = rows ? wanted : wanted + 1;
    size_t rank = rows ? 2 : 1;
    if (tensor->rank == rank && memcmp(tensor->shape, shape, rank * sizeof *shape) == 0)
        return SENVEC_OK;
    char has[200], needs[64];
    format_shape(tensor->shape, tensor->rank, has, sizeof has);
    format_shape(shape, rank, needs, sizeof needs);
    return sv_fail(b->err, SENVEC_FORMAT, tensor->offset, "%s: tensor \"%s\" has the shape %s, but config.json asks for %s",
                   b->path, tensor->name, has, needs);
}

/* *out <- the tensor as floats. `alias` is its other name, or NULL. */
static senvec_status bind(binder *b, sv_arena *arena, const char *name, const char *alias, size_t rows, size_t columns,
                          bool forget, const float **out) {
    const sv_tensor *tensor = find(b, name);
    if (!tensor && alias)
        tensor = find(b, alias);
    if (!tensor)
        return sv_fail(b->err, SENVEC_FORMAT, 0, "%s: tensor \"%s%s\" is missing", b->path, b->prefix, name);
    if (tensor->dtype == SV_DTYPE_OTHER)
        return sv_fail(b->err, SENVEC_UNSUPPORTED, tensor->offset,
                       "%s: tensor \"%s\" is %s; only F32, F16, BF16 and F64 are read", b->path, tensor->name,
                       tensor->dtype_name);
    SENVEC_TRY(check_shape(b, tensor, rows, columns));
    const float *values;
    if (tensor->dtype == SV_DTYPE_F32 && (uintptr_t)tensor->data % alignof(float) == 0) {
        values = (const float *)(const void *)tensor->data;
        b->weights->mapped_bytes = sv_weight_files_bytes(&b->weights->files);
    } else {
        void *copy;
        SENVEC_TRY(sv_arena_alloc(arena, tensor->count, sizeof(float), tensor->name, &copy, b->err));
        sv_tensor_to_f32(tensor, copy);
        sv_weight_files_forget(&b->weights->files, tensor->data, tensor->bytes);
        values = copy;
    }
    SENVEC_TRY(scan(b, tensor, values, tensor->count, forget));
    b->weights->parameters += tensor->count;
    *out = values;
    return SENVEC_OK;
}

static senvec_status bind_table(binder *b, const char *name, size_t rows, size_t columns, const float **out) {
    return bind(b, b->arena, name, NULL, rows, columns, true, out);
}

/* A linear layer: (n, k) and (n). */
static senvec_status bind_linear(binder *b, const char *module, size_t n, size_t k, const float **matrix, const float **bias) {
    char name[MAX_NAME];
    if (b->no_linears)
        return SENVEC_OK;
    snprintf(name, sizeof name, "%s.weight", module);
    SENVEC_TRY(bind(b, &b->weights->matrices, name, NULL, n, k, false, matrix));
    snprintf(name, sizeof name, "%s.bias", module);
    return bind(b, b->arena, name, NULL, 0, n, false, bias);
}

/* One that stays as it is, in every precision. */
static senvec_status bind_projection(binder *b, const char *module, size_t n, size_t k, const float **matrix,
                                     const float **bias) {
    char name[MAX_NAME];
    snprintf(name, sizeof name, "%s.weight", module);
    SENVEC_TRY(bind_table(b, name, n, k, matrix));
    snprintf(name, sizeof name, "%s.bias", module);
    return bind(b, b->arena, name, NULL, 0, n, false, bias);
}

static senvec_status bind_layernorm(binder *b, const char *module, size_t h, const float **gamma, const float **beta) {
    char name[MAX_NAME], alias[MAX_NAME];
    snprintf(name, sizeof name, "%s.weight", module);
    snprintf(alias, sizeof alias, "%s.gamma", module);
    SENVEC_TRY(bind(b, b->arena, name, alias, 0, h, false, gamma));
    snprintf(name, sizeof name, "%s.bias", module);
    snprintf(alias, sizeof alias, "%s.beta", module);
    return bind(b, b->arena, name, alias, 0, h, false, beta);
}

static senvec_status bind_layer(binder *b, size_t index, size_t h, size_t inner, sv_layer_weights *layer) {
    const layer_names *family = b->names;
    char name[MAX_NAME];
#define MODULE(role) (snprintf(name, sizeof name, "%s%zu.%s", family->layer, index, family->role), name)
    SENVEC_TRY(bind_linear(b, MODULE(query), h, h, &layer->query, &layer->query_bias));
    SENVEC_TRY(bind_linear(b, MODULE(key), h, h, &layer->key, &layer->key_bias));
    SENVEC_TRY(bind_linear(b, MODULE(value), h, h, &layer->value, &layer->value_bias));
    SENVEC_TRY(bind_linear(b, MODULE(attention_out), h, h, &layer->attention_out, &layer->attention_out_bias));
    SENVEC_TRY(bind_layernorm(b, MODULE(attention_norm), h, &layer->attention_gamma, &layer->attention_beta));
    SENVEC_TRY(bind_linear(b, MODULE(up), inner, h, &layer->up, &layer->up_bias));
    SENVEC_TRY(bind_linear(b, MODULE(down), h, inner, &layer->down, &layer->down_bias));
    return bind_layernorm(b, MODULE(output_norm), h, &layer->output_gamma, &layer->output_beta);
#undef MODULE
}

size_t sv_weights_embedding(const sv_config *config) {
    return config->embedding ? config->embedding : config->hidden;
}

static senvec_status bind_embeddings(binder *b, const sv_config *config) {
    const size_t e = sv_weights_embedding(config), rows = config->first_position + config->positions;
    sv_weights *weights = b->weights;
    SENVEC_TRY(bind_table(b, "embeddings.word_embeddings.weight", config->vocabulary, e, &weights->word));
    SENVEC_TRY(bind_table(b, "embeddings.position_embeddings.weight", rows, e, &weights->position));
    if (config->token_types)
        SENVEC_TRY(bind_table(b, "embeddings.token_type_embeddings.weight", config->token_types, e, &weights->token_type));
    SENVEC_TRY(bind_layernorm(b, "embeddings.LayerNorm", e, &weights->embedding_gamma, &weights->embedding_beta));
    if (config->embedding)
        SENVEC_TRY(
            bind_projection(b, "embeddings_project", config->hidden, e, &weights->projection, &weights->projection_bias));
    if (config->buckets)
        SENVEC_TRY(bind_table(b, "encoder.relative_attention_bias.weight", config->buckets, config->heads, &weights->relative));
    return SENVEC_OK;
}

static senvec_status bind_classifier(binder *b, const sv_config *config) {
    const head_names *names = &classifiers[config->family];
    sv_head_weights *head = &b->weights->head;
    const char *prefix = b->prefix;
    b->prefix = names->prefixed ? prefix : "";
    SENVEC_TRY(bind_projection(b, names->dense, config->hidden, config->hidden, &head->dense, &head->dense_bias));
    b->prefix = "";
    SENVEC_TRY(bind_projection(b, names->out, config->labels, config->hidden, &head->out, &head->out_bias));
    b->prefix = prefix;
    return SENVEC_OK;
}

static senvec_status bind_masked_model(binder *b, const sv_config *config) {
    const head_names *names = &masked_models[config->family];
    sv_head_weights *head = &b->weights->head;
    if (!names->dense || config->embedding)
        return sv_fail(b->err, SENVEC_UNSUPPORTED, 0, "%s: the masked language model of a \"%s\" is not supported", b->path,
                       config->model_type);
    const char *prefix = b->prefix;
    char name[MAX_NAME], alias[MAX_NAME];
    b->prefix = "";
    SENVEC_TRY(bind_projection(b, names->dense, config->hidden, config->hidden, &head->dense, &head->dense_bias));
    SENVEC_TRY(bind_layernorm(b, names->norm, config->hidden, &head->gamma, &head->beta));
    snprintf(name, sizeof name, "%s.weight", names->out);
    head->out = b->weights->word; /* tied, as it nearly always is */
    if (find(b, name))
        SENVEC_TRY(bind_table(b, name, config->vocabulary, config->hidden, &head->out));
    snprintf(alias, sizeof alias, "%s.bias", names->out);
    SENVEC_TRY(bind(b, b->arena, names->bias, alias, 0, config->vocabulary, false, &head->out_bias));
    b->prefix = prefix;
    return SENVEC_OK;
}

static senvec_status bind_head(binder *b, const sv_config *config) {
    switch (config->task) {
    case SENVEC_TASK_RERANKER:
    case SENVEC_TASK_CLASSIFIER:
        return bind_classifier(b, config);
    case SENVEC_TASK_SPARSE:
        return bind_masked_model(b, config);
    case SENVEC_TASK_EMBEDDING:
        break;
    }
    return SENVEC_OK;
}

static senvec_status bind_all(binder *b, const sv_config *config) {
    sv_weights *weights = b->weights;
    SENVEC_TRY(bind_embeddings(b, config));
    void *layers;
    SENVEC_TRY(sv_arena_alloc(b->arena, config->layers, sizeof(sv_layer_weights), "layers", &layers, b->err));
    weights->layers = layers;
    for (size_t i = 0; i < config->layers; i++)
        SENVEC_TRY(bind_layer(b, i, config->hidden, config->inner, &weights->layers[i]));
    SENVEC_TRY(bind_head(b, config));
    char beyond[MAX_NAME];
    snprintf(beyond, sizeof beyond, "%s%zu.%s.weight", b->names->layer, config->layers, b->names->query);
    if (find(b, beyond))
        return sv_fail(b->err, SENVEC_FORMAT, 0, "%s: has more layers than the %zu that config.json asks for", b->path,
                       config->layers);
    return SENVEC_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- the files */

/* Binds the tensors of open files, which become the result's or are closed. */
static senvec_status take_files(binder *b, const sv_weight_files *files, const sv_config *config, sv_weights *out) {
    sv_weights weights = {.files = *files};
    sv_arena_init(&weights.matrices, &b->arena->allocator);
    b->weights = &weights;
    weights.stamp = sv_weight_files_stamp(files);
    weights.file_bytes = sv_weight_files_bytes(files);
    b->path = files->files[0].path;
    char with_prefix[MAX_NAME];
    snprintf(with_prefix, sizeof with_prefix, "%sembeddings.word_embeddings.weight", b->names->prefix);
    b->prefix = find(b, with_prefix) ? b->names->prefix : "";
    senvec_status status = bind_all(b, config);
    if (status != SENVEC_OK) {
        sv_weights_close(&weights);
        return status;
    }
    if (!weights.mapped_bytes)
        sv_weight_files_close(&weights.files);
    *out = weights;
    return SENVEC_OK;
}

senvec_status sv_weights_open(const char *directory, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err) {
    sv_weight_files files;
    SENVEC_TRY(sv_weight_files_open(directory, &arena->allocator, &files, err));
    binder b = {.prefix = "", .names = &names_of[config->family], .arena = arena, .err = err};
    return take_files(&b, &files, config, out);
}

senvec_status sv_weights_digest(const char *directory, const sv_config *config, const sv_weights *weights, sv_sha256 *digest,
                                const senvec_allocator *allocator, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, allocator);
    sv_weight_files files;
    sv_weights again = {0};
    binder b = {.prefix = "", .names = &names_of[config->family], .digest = digest, .arena = &arena, .err = err};
    senvec_status status = sv_weight_files_open(directory, allocator, &files, err);
    if (status == SENVEC_OK)
        status = take_files(&b, &files, config, &again);
    if (status == SENVEC_OK && again.fingerprint != weights->fingerprint)
        status =
            sv_fail(err, SENVEC_IO, 0, "%s: its weights have changed since the model was opened; open it again", directory);
    sv_weights_close(&again);
    sv_arena_release(&arena);
    return status;
}

senvec_status sv_weights_take(sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err) {
    sv_weight_files files;
    SENVEC_TRY(sv_weight_files_take(file, path, &arena->allocator, &files, err));
    binder b = {.prefix = "", .names = &names_of[SV_FAMILY_BERT], .no_linears = true, .arena = arena, .err = err};
    return take_files(&b, &files, config, out);
}

void sv_weights_drop_matrices(sv_weights *weights, const sv_config *config) {
    size_t h = config->hidden, inner = config->inner;
    for (size_t i = 0; i < config->layers; i++) {
        sv_layer_weights *layer = &weights->layers[i];
        const struct {
            const float **matrix;
            size_t count;
        } all[] = {
            {&layer->query, h * h},         {&layer->key, h * h},    {&layer->value, h * h},
            {&layer->attention_out, h * h}, {&layer->up, inner * h}, {&layer->down, h * inner},
        };
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
            if (*all[j].matrix)
                sv_weight_files_forget(&weights->files, *all[j].matrix, all[j].count * sizeof(float));
            *all[j].matrix = NULL;
        }
    }
    sv_arena_release(&weights->matrices);
}

void sv_weights_close(sv_weights *weights) {
    sv_weight_files_close(&weights->files);
    sv_arena_release(&weights->matrices);
    *weights = (sv_weights){0};
}
