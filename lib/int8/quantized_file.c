/* Reading and writing a quantised model. The arrays of a layer go by one table here, in both directions. */
#include "int8/quantized_file.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "int8/quantize.h"
#include "kernels/kernels.h"

#define MAX_NAME 64
#define COSINE "cosine"

static const char *const linear_names[SV_QUANTIZED_LINEARS] = {
    [SV_QUANTIZED_QKV] = "qkv",
    [SV_QUANTIZED_ATTENTION_OUT] = "attention_out",
    [SV_QUANTIZED_UP] = "up",
    [SV_QUANTIZED_DOWN] = "down",
};

/* One array of a linear layer. */
typedef struct array {
    const char *suffix, *dtype;
    size_t rows, columns; /* rows 0: a vector */
    const void *data;     /* NULL: the layer has none */
} array;

enum { WEIGHT, SCALE, BIAS, MULTIPLIER, EXPONENT, WIDE, ARRAYS };

static void arrays_of(const sv_quantized_linear *linear, array out[ARRAYS]) {
    out[WEIGHT] = (array){"weight", "I8", linear->n, linear->k, linear->w};
    out[SCALE] = (array){"scale", "F32", 0, linear->n, linear->scale};
    out[BIAS] = (array){"bias", "F32", 0, linear->n, linear->bias};
    out[MULTIPLIER] = (array){"multiplier", "F32", 0, linear->k, linear->multiplier};
    out[EXPONENT] = (array){"exponent", "F32", 0, 1, linear->exponent};
    out[WIDE] = (array){"wide", "F32", linear->n, linear->k, linear->wide};
}

static sv_quantized_linear *linear_of(const sv_quantized *quantized, size_t layer, size_t which) {
    sv_quantized_layer *from = &quantized->layers[layer];
    sv_quantized_linear *linears[SV_QUANTIZED_LINEARS] = {&from->qkv, &from->attention_out, &from->up, &from->down};
    return linears[which];
}

static size_t bytes_of(const char *dtype, size_t rows, size_t columns) {
    return (rows ? rows : 1) * columns * (strcmp(dtype, "F32") == 0 ? sizeof(float) : 1);
}

static void name_of(size_t layer, size_t which, const char *suffix, char out[MAX_NAME]) {
    snprintf(out, MAX_NAME, "layers.%zu.%s.%s", layer, linear_names[which], suffix);
}

void sv_quantized_hash_text(uint64_t hash, char out[SV_QUANTIZED_HASH]) {
    snprintf(out, SV_QUANTIZED_HASH, "%016" PRIx64, hash);
}

/* ------------------------------------------------------------------------------------------------------------------ writing */

senvec_status sv_tensor_list_init(sv_tensor_list *list, const sv_config *config, size_t others, sv_arena *arena,
                                  senvec_error *err) {
    void *memory;
    size_t capacity = config->layers * SV_QUANTIZED_LINEARS * ARRAYS + 1 + others;
    SENVEC_TRY(sv_arena_alloc(arena, capacity, sizeof(sv_tensor), "a list of tensors", &memory, err));
    *list = (sv_tensor_list){.tensors = memory, .capacity = capacity};
    return SENVEC_OK;
}

senvec_status sv_tensor_list_add(sv_tensor_list *list, const char *name, const char *dtype, size_t rows, size_t columns,
                                 const void *data, sv_arena *arena, senvec_error *err) {
    assert(list->count < list->capacity);
    sv_tensor *tensor = &list->tensors[list->count];
    *tensor = (sv_tensor){.dtype_name = dtype, .data = data, .bytes = bytes_of(dtype, rows, columns)};
    if (rows)
        tensor->shape[tensor->rank++] = rows;
    tensor->shape[tensor->rank++] = columns;
    SENVEC_TRY(sv_arena_string(arena, name, strlen(name), &tensor->name, err));
    list->count++;
    return SENVEC_OK;
}

static senvec_status add_arrays(sv_tensor_list *list, const sv_config *config, const sv_quantized *quantized, size_t first,
                                size_t end, sv_arena *arena, senvec_error *err) {
    for (size_t layer = 0; layer < config->layers; layer++)
        for (size_t which = 0; which < SV_QUANTIZED_LINEARS; which++) {
            array arrays[ARRAYS];
            arrays_of(linear_of(quantized, layer, which), arrays);
            for (const array *a = arrays + first; a < arrays + end; a++) {
                char name[MAX_NAME];
                name_of(layer, which, a->suffix, name);
                if (a->data)
                    SENVEC_TRY(sv_tensor_list_add(list, name, a->dtype, a->rows, a->columns, a->data, arena, err));
            }
        }
    return SENVEC_OK;
}

senvec_status sv_tensor_list_floats(sv_tensor_list *list, const sv_config *config, const sv_quantized *quantized,
                                    sv_arena *arena, senvec_error *err) {
    const float cosines[] = {quantized->cosine_mean, quantized->cosine_least};
    void *copy;
    SENVEC_TRY(sv_arena_alloc(arena, 1, sizeof cosines, "a list of tensors", &copy, err));
    memcpy(copy, cosines, sizeof cosines);
    SENVEC_TRY(sv_tensor_list_add(list, COSINE, "F32", 0, 2, copy, arena, err));
    return add_arrays(list, config, quantized, SCALE, ARRAYS, arena, err);
}

senvec_status sv_tensor_list_weights(sv_tensor_list *list, const sv_config *config, const sv_quantized *quantized,
                                     sv_arena *arena, senvec_error *err) {
    return add_arrays(list, config, quantized, WEIGHT, SCALE, arena, err);
}

senvec_status sv_tensor_list_write(const sv_tensor_list *list, const char *path, const char *const (*metadata)[2],
                                   senvec_error *err) {
    sv_atomic_file file;
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    senvec_status status = sv_safetensors_write(file.stream, list->tensors, list->count, metadata, err);
    if (status == SENVEC_OK)
        return sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------------ reading */

uint64_t sv_quantized_hash(const sv_config *config, const sv_quantized *quantized) {
    uint64_t hash = 0;
    for (size_t layer = 0; layer < config->layers; layer++)
        for (size_t which = 0; which < SV_QUANTIZED_LINEARS; which++) {
            array arrays[ARRAYS];
            arrays_of(linear_of(quantized, layer, which), arrays);
            for (const array *a = arrays; a < arrays + ARRAYS; a++)
                if (a->data)
                    hash = sv_hash(hash, a->data, bytes_of(a->dtype, a->rows, a->columns));
        }
    const float cosines[] = {quantized->cosine_mean, quantized->cosine_least};
    return sv_hash(hash, cosines, sizeof cosines);
}

static bool has_shape(const sv_tensor *tensor, const array *wanted) {
    const uint64_t shape[2] = {wanted->rows, wanted->columns};
    return strcmp(tensor->dtype_name, wanted->dtype) == 0 && tensor->rank == (wanted->rows ? 2 : 1) &&
           memcmp(tensor->shape, wanted->rows ? shape : shape + 1, tensor->rank * sizeof *shape) == 0;
}

/* Values that calibration never gives: a weight of -128, a float that isn't finite, an exponent that is none. */
static bool is_sound(const array *a) {
    size_t count = (a->rows ? a->rows : 1) * a->columns;
    unsigned bad = 0;
    if (strcmp(a->suffix, "exponent") == 0) {
        const float exponent = *(const float *)a->data;
        bad = exponent != SV_QUANTIZED_FLOAT &&
              !(exponent >= 0 && exponent <= SV_GELU_EXPONENT_MAX && exponent == floorf(exponent));
    } else if (strcmp(a->dtype, "F32") == 0) {
        const float *values = a->data;
        for (size_t i = 0; i < count; i++)
            bad |= !(values[i] - values[i] == 0);
    } else {
        const int8_t *values = a->data;
        for (size_t i = 0; i < count; i++)
            bad |= values[i] == INT8_MIN;
    }
    return !bad;
}

static senvec_status read_array(const sv_safetensors *file, const char *path, const char *name, const array *a,
                                senvec_error *err) {
    const sv_tensor *tensor = sv_safetensors_find(file, name);
    if (!tensor)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: tensor \"%s\" is missing", path, name);
    if (!has_shape(tensor, a))
        return sv_fail(err, SENVEC_FORMAT, tensor->offset, "%s: tensor \"%s\" has not the shape or dtype that it should have",
                       path, name);
    memcpy((void *)a->data, tensor->data, tensor->bytes); /* the reader owns these arrays */
    sv_safetensors_forget(file, tensor->data, tensor->bytes);
    if (!is_sound(a))
        return sv_fail(err, SENVEC_FORMAT, tensor->offset, "%s: tensor \"%s\" holds a value that no calibration gives", path,
                       name);
    return SENVEC_OK;
}

/* Makes `linear` wide, with memory for its weights, if the file has such weights. */
static senvec_status look_for_wide(const sv_safetensors *file, const char *name, sv_quantized_linear *linear, sv_arena *arena,
                                   senvec_error *err) {
    void *memory;
    if (!sv_safetensors_find(file, name))
        return SENVEC_OK;
    SENVEC_TRY(sv_arena_alloc(arena, linear->n, linear->k * sizeof(float), "wide weights", &memory, err));
    *linear = (sv_quantized_linear){.bias = linear->bias, .n = linear->n, .k = linear->k, .wide = memory};
    return SENVEC_OK;
}

/* Whether the layers' forms fit each other, as quantized.h says. */
static bool is_consistent(const sv_quantized_layer *layer) {
    const float *exponent = layer->up.exponent;
    return !layer->qkv.wide == !layer->attention_out.wide && !(layer->down.wide && exponent && *exponent >= 0);
}

senvec_status sv_quantized_read(const sv_safetensors *file, const char *path, const sv_config *config, const char *content,
                                sv_arena *arena, sv_quantized *out, senvec_error *err) {
    sv_quantized_room *rooms;
    sv_quantized quantized;
    /* Before memory is taken for what the configuration says. */
    uint64_t weights = (uint64_t)config->layers * config->hidden * (4 * config->hidden + 2 * config->inner);
    if (weights > sv_safetensors_bytes(file))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: its %llu bytes can't hold the %llu weights of its configuration", path,
                       (unsigned long long)sv_safetensors_bytes(file), (unsigned long long)weights);
    SENVEC_TRY(sv_quantized_make(config, true, arena, &quantized, &rooms, err));
    for (size_t layer = 0; layer < config->layers; layer++)
        for (size_t which = 0; which < SV_QUANTIZED_LINEARS; which++) {
            array arrays[ARRAYS];
            char name[MAX_NAME];
            name_of(layer, which, "wide", name);
            SENVEC_TRY(look_for_wide(file, name, linear_of(&quantized, layer, which), arena, err));
            arrays_of(linear_of(&quantized, layer, which), arrays);
            for (const array *a = arrays; a < arrays + ARRAYS; a++) {
                name_of(layer, which, a->suffix, name);
                if (a->data)
                    SENVEC_TRY(read_array(file, path, name, a, err));
            }
        }
    for (size_t layer = 0; layer < config->layers; layer++)
        if (!is_consistent(&quantized.layers[layer]))
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: the wide products of layer %zu don't fit the others", path, layer);
    float cosines[2];
    SENVEC_TRY(read_array(file, path, COSINE, &(array){"", "F32", 0, 2, cosines}, err));
    quantized.cosine_mean = cosines[0];
    quantized.cosine_least = cosines[1];
    char hash[SV_QUANTIZED_HASH];
    sv_quantized_hash_text(sv_quantized_hash(config, &quantized), hash);
    if (!content || strcmp(content, hash) != 0)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: its data have the hash %s, but should have %.40s", path, hash,
                       content ? content : "one");
    *out = quantized;
    return SENVEC_OK;
}
