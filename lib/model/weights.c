/* Binding the tensors of a BERT checkpoint to their roles. Names are those of transformers' BertModel; a checkpoint of a model
 * with a head has "bert." before each, and checkpoints converted from TensorFlow say gamma and beta. docs/MODEL.md lists them.
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

#define SAFETENSORS "model.safetensors"
#define MAX_NAME 128 /* the longest that is put together here has under 80 bytes */

/* What open needs at every step. */
typedef struct binder {
    const char *path;
    const char *prefix; /* "" or "bert." */
    bool no_linears;    /* the file has the linear layers in another form */
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
        if (forget && ((i + part) % FORGET == 0 || i + part == count)) {
            size_t begin = (i + part - 1) / FORGET * FORGET;
            sv_safetensors_forget(b->weights->file, values + begin, (i + part - begin) * sizeof(float));
        }
    }
    return SENVEC_OK;
}

/* ------------------------------------------------------------------------------------------------------------------ binding */

static const sv_tensor *find(const binder *b, const char *name) {
    char full[sizeof "bert." + MAX_NAME];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    return sv_safetensors_find(b->weights->file, full);
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
        return sv_fail(b->err, SENVEC_UNSUPPORTED, tensor->offset, "%s: tensor \"%s\" is %s; only F32, F16 and BF16 are read",
                       b->path, tensor->name, tensor->dtype_name);
    SENVEC_TRY(check_shape(b, tensor, rows, columns));
    const float *values;
    if (tensor->dtype == SV_DTYPE_F32 && (uintptr_t)tensor->data % alignof(float) == 0) {
        values = (const float *)(const void *)tensor->data;
        b->weights->mapped_bytes = sv_safetensors_bytes(b->weights->file);
    } else {
        void *copy;
        SENVEC_TRY(sv_arena_alloc(arena, tensor->count, sizeof(float), tensor->name, &copy, b->err));
        sv_tensor_to_f32(tensor, copy);
        sv_safetensors_forget(b->weights->file, tensor->data, tensor->bytes);
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
    char name[MAX_NAME];
#define MODULE(suffix) (snprintf(name, sizeof name, "encoder.layer.%zu." suffix, index), name)
    SENVEC_TRY(bind_linear(b, MODULE("attention.self.query"), h, h, &layer->query, &layer->query_bias));
    SENVEC_TRY(bind_linear(b, MODULE("attention.self.key"), h, h, &layer->key, &layer->key_bias));
    SENVEC_TRY(bind_linear(b, MODULE("attention.self.value"), h, h, &layer->value, &layer->value_bias));
    SENVEC_TRY(bind_linear(b, MODULE("attention.output.dense"), h, h, &layer->attention_out, &layer->attention_out_bias));
    SENVEC_TRY(bind_layernorm(b, MODULE("attention.output.LayerNorm"), h, &layer->attention_gamma, &layer->attention_beta));
    SENVEC_TRY(bind_linear(b, MODULE("intermediate.dense"), inner, h, &layer->up, &layer->up_bias));
    SENVEC_TRY(bind_linear(b, MODULE("output.dense"), h, inner, &layer->down, &layer->down_bias));
    return bind_layernorm(b, MODULE("output.LayerNorm"), h, &layer->output_gamma, &layer->output_beta);
#undef MODULE
}

static senvec_status bind_all(binder *b, const sv_config *config) {
    size_t h = config->hidden;
    sv_weights *weights = b->weights;
    SENVEC_TRY(bind_table(b, "embeddings.word_embeddings.weight", config->vocabulary, h, &weights->word));
    SENVEC_TRY(bind_table(b, "embeddings.position_embeddings.weight", config->positions, h, &weights->position));
    SENVEC_TRY(bind_table(b, "embeddings.token_type_embeddings.weight", config->token_types, h, &weights->token_type));
    SENVEC_TRY(bind_layernorm(b, "embeddings.LayerNorm", h, &weights->embedding_gamma, &weights->embedding_beta));
    void *layers;
    SENVEC_TRY(sv_arena_alloc(b->arena, config->layers, sizeof(sv_layer_weights), "layers", &layers, b->err));
    weights->layers = layers;
    for (size_t i = 0; i < config->layers; i++)
        SENVEC_TRY(bind_layer(b, i, h, config->inner, &weights->layers[i]));
    char beyond[MAX_NAME];
    snprintf(beyond, sizeof beyond, "encoder.layer.%zu.attention.self.query.weight", config->layers);
    if (find(b, beyond))
        return sv_fail(b->err, SENVEC_FORMAT, 0, "%s: has more layers than the %zu that config.json asks for", b->path,
                       config->layers);
    return SENVEC_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- the file */

/* The path of model.safetensors; where it is missing, says what there is instead. */
static senvec_status find_file(const char *directory, char path[SV_MAX_PATH], senvec_error *err) {
    SENVEC_TRY(sv_path_join(directory, SAFETENSORS, path, err));
    if (sv_path_is_file(path))
        return SENVEC_OK;
    static const struct {
        const char *name, *advice;
    } others[] = {
        {"model.safetensors.index.json",
         "weights in several files are not read; load the model in Python and save_pretrained() "
         "it with a max_shard_size over its size"},
        {"pytorch_model.bin", "pickled weights are not read; load the model in Python and save_pretrained() it as safetensors"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char other[SV_MAX_PATH];
        SENVEC_TRY(sv_path_join(directory, others[i].name, other, err));
        if (sv_path_is_file(other))
            return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %s", other, others[i].advice);
    }
    return SENVEC_OK; /* opening it says why not */
}

/* Binds the tensors of an open file, which becomes the result's or is closed. */
static senvec_status take_file(binder *b, sv_safetensors *file, const sv_config *config, sv_weights *out) {
    sv_weights weights = {.file = file};
    sv_arena_init(&weights.matrices, &b->arena->allocator);
    b->weights = &weights;
    senvec_status status = bind_all(b, config);
    if (status != SENVEC_OK) {
        sv_weights_close(&weights);
        return status;
    }
    if (!weights.mapped_bytes) {
        sv_safetensors_close(weights.file);
        weights.file = NULL;
    }
    *out = weights;
    return SENVEC_OK;
}

senvec_status sv_weights_open(const char *directory, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_safetensors *file;
    SENVEC_TRY(find_file(directory, path, err));
    SENVEC_TRY(sv_safetensors_open(path, &file, err));
    binder b = {.path = path, .prefix = "", .arena = arena, .err = err};
    if (sv_safetensors_find(file, "bert.embeddings.word_embeddings.weight"))
        b.prefix = "bert.";
    return take_file(&b, file, config, out);
}

senvec_status sv_weights_take(sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err) {
    binder b = {.path = path, .prefix = "", .no_linears = true, .arena = arena, .err = err};
    return take_file(&b, file, config, out);
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
            if (weights->file)
                sv_safetensors_forget(weights->file, *all[j].matrix, all[j].count * sizeof(float));
            *all[j].matrix = NULL;
        }
    }
    sv_arena_release(&weights->matrices);
}

void sv_weights_close(sv_weights *weights) {
    sv_safetensors_close(weights->file);
    sv_arena_release(&weights->matrices);
    *weights = (sv_weights){0};
}
