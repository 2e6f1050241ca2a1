/* Dense and LayerNorm are computed one text at a time, in plain C that the compiler vectorises (see CMakeLists.txt): of the
 * time that a text takes in the transformer, a Dense is one part in hundreds. */
#include "model/modules.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/model_files.h"
#include "model/pooling.h"

#define LAYERNORM_EPS 1e-5 /* torch.nn.LayerNorm's own; the module has no setting for it */

/* ------------------------------------------------------------------------------------------------------------------ weights */

size_t sv_module_tensors(const sv_module *module, sv_module_weights *weights, sv_module_tensor out[SV_MAX_MODULE_TENSORS]) {
    size_t count = 0;
    switch (module->kind) {
    case SV_MODULE_DENSE:
        out[count++] = (sv_module_tensor){&weights->weight, "linear.weight", module->out, module->in};
        if (module->bias)
            out[count++] = (sv_module_tensor){&weights->bias, "linear.bias", 0, module->out};
        if (module->residual && module->in != module->out)
            out[count++] = (sv_module_tensor){&weights->residual, "residual.weight", module->out, module->in};
        break;
    case SV_MODULE_LAYERNORM:
        out[count++] = (sv_module_tensor){&weights->weight, "norm.weight", 0, module->out};
        out[count++] = (sv_module_tensor){&weights->bias, "norm.bias", 0, module->out};
        break;
    case SV_MODULE_NORMALIZE:
    case SV_MODULE_KINDS:
        break;
    }
    return count;
}

void sv_module_tensor_name(size_t index, const sv_module_tensor *tensor, char out[SV_MODULE_TENSOR_NAME]) {
    snprintf(out, SV_MODULE_TENSOR_NAME, "modules.%zu.%s", index, tensor->name);
}

/* *wanted->data <- the tensor as floats, copied. */
static senvec_status take(const sv_safetensors *file, const char *path, const char *name, const sv_module_tensor *wanted,
                          sv_arena *arena, senvec_error *err) {
    const sv_tensor *tensor = sv_safetensors_find(file, name);
    if (!tensor)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: tensor \"%s\" is missing", path, name);
    if (tensor->dtype == SV_DTYPE_OTHER)
        return sv_fail(err, SENVEC_UNSUPPORTED, tensor->offset, "%s: tensor \"%s\" is %s; only F32, F16 and BF16 are read",
                       path, name, tensor->dtype_name);
    const uint64_t shape[2] = {wanted->rows ? wanted->rows : wanted->columns, wanted->columns};
    size_t rank = wanted->rows ? 2 : 1;
    if (tensor->rank != rank || memcmp(tensor->shape, shape, rank * sizeof *shape) != 0)
        return sv_fail(err, SENVEC_FORMAT, tensor->offset, "%s: tensor \"%s\" hasn't the shape that its config.json asks for",
                       path, name);
    void *copy;
    SENVEC_TRY(sv_arena_alloc(arena, tensor->count, sizeof(float), name, &copy, err));
    sv_tensor_to_f32(tensor, copy);
    const float *values = copy;
    for (size_t i = 0; i < tensor->count; i++)
        if (!isfinite(values[i]))
            return sv_fail(err, SENVEC_FORMAT, tensor->offset, "%s: tensor \"%s\" holds a value that isn't finite", path, name);
    *wanted->data = values;
    return SENVEC_OK;
}

/* Each tensor of a module from an open file; `whole`: under its name in a file of all modules. */
static senvec_status take_module(sv_modules *modules, size_t index, const sv_safetensors *file, const char *path, bool whole,
                                 sv_arena *arena, senvec_error *err) {
    sv_module_tensor tensors[SV_MAX_MODULE_TENSORS];
    size_t count = sv_module_tensors(&modules->config->modules[index], &modules->weights[index], tensors);
    for (size_t i = 0; i < count; i++) {
        char name[SV_MODULE_TENSOR_NAME];
        snprintf(name, sizeof name, "%s", tensors[i].name);
        if (whole)
            sv_module_tensor_name(index, &tensors[i], name);
        SENVEC_TRY(take(file, path, name, &tensors[i], arena, err));
        modules->parameters += (tensors[i].rows ? tensors[i].rows : 1) * tensors[i].columns;
    }
    return SENVEC_OK;
}

static senvec_status open_module(sv_modules *modules, size_t index, const char *directory, sv_arena *arena, senvec_error *err) {
    const char *folder = modules->config->modules[index].folder;
    char parent[SV_MAX_PATH], path[SV_MAX_PATH], pickled[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, folder, parent, err));
    SENVEC_TRY(sv_path_join(parent, SV_MODEL_WEIGHTS, path, err));
    SENVEC_TRY(sv_path_join(parent, "pytorch_model.bin", pickled, err));
    if (!sv_path_is_file(path) && sv_path_is_file(pickled))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: pickled weights are not read; load the model with SentenceTransformer and save() it, which writes "
                       "safetensors",
                       pickled);
    sv_safetensors *file;
    SENVEC_TRY(sv_safetensors_open(path, &file, err));
    modules->bytes += sv_safetensors_bytes(file);
    senvec_status status = take_module(modules, index, file, path, false, arena, err);
    sv_safetensors_close(file);
    return status;
}

senvec_status sv_modules_open(const char *directory, const sv_config *config, sv_arena *arena, sv_modules *out,
                              senvec_error *err) {
    sv_modules modules = {.config = config};
    for (size_t i = 0; i < config->module_count; i++)
        if (config->modules[i].kind != SV_MODULE_NORMALIZE)
            SENVEC_TRY(open_module(&modules, i, directory, arena, err));
    *out = modules;
    return SENVEC_OK;
}

senvec_status sv_modules_take(const sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena,
                              sv_modules *out, senvec_error *err) {
    sv_modules modules = {.config = config};
    for (size_t i = 0; i < config->module_count; i++)
        SENVEC_TRY(take_module(&modules, i, file, path, true, arena, err));
    *out = modules;
    return SENVEC_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- computing */

/* The sum of a[i] * b[i], in 16 sums that the compiler can keep in vectors. */
static float dot(const float *a, const float *b, size_t count) {
    enum { LANES = 16 };
    float sums[LANES] = {0};
    size_t i = 0;
    for (; count - i >= LANES; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i + j < count; j++)
        sums[j] += a[i + j] * b[i + j];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++)
            sums[j] += sums[j + half];
    return sums[0];
}

/* In double precision, so that the result is the nearest float on any C library. */
static float activate(sv_dense_activation activation, float value) {
    const double x = value;
    switch (activation) {
    case SV_DENSE_TANH:
        return (float)tanh(x);
    case SV_DENSE_RELU:
        return x > 0 ? value : 0;
    case SV_DENSE_GELU:
        return (float)(0.5 * x * (1 + erf(x * 0.70710678118654752440)));
    case SV_DENSE_SIGMOID:
        return (float)(1 / (1 + exp(-x)));
    case SV_DENSE_SILU:
        return (float)(x / (1 + exp(-x)));
    case SV_DENSE_NONE:
    case SV_DENSE_ACTIVATIONS:
        break;
    }
    return value;
}

/* out (module->out) = activation(W x + b), and x or its projection on top where there is a residual. */
static void dense(const sv_module *module, const sv_module_weights *weights, const float *x, float *out) {
    for (size_t i = 0; i < module->out; i++) {
        float value = dot(weights->weight + i * module->in, x, module->in);
        if (weights->bias)
            value += weights->bias[i];
        out[i] = activate(module->activation, value);
        if (module->residual)
            out[i] += weights->residual ? dot(weights->residual + i * module->in, x, module->in) : x[i];
    }
}

static void layernorm(const sv_module *module, const sv_module_weights *weights, const float *x, float *out) {
    const size_t count = module->out;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    const double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    const double scale = 1 / sqrt(squares / (double)count + LAYERNORM_EPS);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((x[i] - mean) * scale * weights->weight[i] + weights->bias[i]);
}

void sv_modules_run(const sv_modules *modules, const float *x, size_t n, const sv_ending *ending, float *scratch, float *out) {
    const sv_config *config = modules->config;
    float *from = scratch, *to = scratch + sv_config_widest(config);
    sv_pool(config, x, n, ending->skip, config->hidden, from);
    for (size_t i = 0; i < config->module_count; i++) {
        const sv_module *module = &config->modules[i];
        if (module->kind == SV_MODULE_NORMALIZE) {
            sv_divide_by_length(from, module->in);
            continue;
        }
        (module->kind == SV_MODULE_DENSE ? dense : layernorm)(module, &modules->weights[i], from, to);
        float *swap = from;
        from = to;
        to = swap;
    }
    assert(ending->dimensions <= config->dimensions);
    if (ending->normalize == SENVEC_NORMALIZE_AUTO && config->normalize)
        sv_divide_by_length(from, config->dimensions);
    memcpy(out, from, ending->dimensions * sizeof *out);
    if (ending->normalize == SENVEC_NORMALIZE_ON)
        sv_divide_by_length(out, ending->dimensions);
}
