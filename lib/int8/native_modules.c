#include "int8/native_modules.h"

#include <string.h>

#include "common/limits.h"

static const char *const kinds[SV_MODULE_KINDS] = {"Dense", "LayerNorm", "Normalize"};

/* ------------------------------------------------------------------------------------------------------------------ writing */

static json_t *poolings_of(const sv_config *config) {
    json_t *list = json_array();
    for (size_t i = 0; i < config->pooling_count; i++)
        json_array_append_new(list, json_string(sv_pooling_name(config->poolings[i])));
    return list;
}

static json_t *modules_of(const sv_config *config) {
    json_t *list = json_array();
    for (size_t i = 0; i < config->module_count; i++) {
        const sv_module *module = &config->modules[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:b, s:b}", "kind", kinds[module->kind], "in",
                                              (json_int_t)module->in, "out", (json_int_t)module->out, "activation",
                                              sv_dense_activation_name(module->activation), "bias", module->bias, "residual",
                                              module->residual));
    }
    return list;
}

bool sv_native_modules_write(const sv_config *config, json_t *object) {
    json_t *poolings = poolings_of(config), *modules = modules_of(config);
    bool whole = json_array_size(poolings) == config->pooling_count && json_array_size(modules) == config->module_count;
    json_t *all =
        json_pack("{s:o, s:o, s:b, s:b, s:I}", "poolings", poolings, "modules", modules, "include_prompt",
                  config->include_prompt, "normalize", config->normalize, "truncate_dim", (json_int_t)config->truncate_dim);
    bool made = all && whole && json_object_update(object, all) == 0;
    json_decref(all);
    return made;
}

/* ------------------------------------------------------------------------------------------------------------------ reading */

/* The index of a string in names[count], or count. */
static size_t index_of(const json_t *value, const char *(*name)(int), size_t count) {
    const char *text = json_string_value(value);
    size_t i = 0;
    while (i < count && !(text && strcmp(text, name((int)i)) == 0))
        i++;
    return i;
}

static const char *pooling_name(int i) {
    return sv_pooling_name((sv_pooling)i);
}

static const char *activation_name(int i) {
    return sv_dense_activation_name((sv_dense_activation)i);
}

static const char *kind_name(int i) {
    return kinds[i];
}

static bool read_size(const json_t *object, const char *key, size_t most, size_t *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > (json_int_t)most)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static bool read_bool(const json_t *object, const char *key, bool *out) {
    const json_t *value = json_object_get(object, key);
    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_poolings(const json_t *list, sv_config *out) {
    out->pooling_count = json_array_size(list);
    if (out->pooling_count < 1 || out->pooling_count > SV_POOLINGS)
        return false;
    for (size_t i = 0; i < out->pooling_count; i++) {
        out->poolings[i] = (sv_pooling)index_of(json_array_get(list, i), pooling_name, SV_POOLINGS);
        if (out->poolings[i] == SV_POOLINGS)
            return false;
    }
    return true;
}

static bool read_module(const json_t *object, sv_module *out) {
    out->kind = (sv_module_kind)index_of(json_object_get(object, "kind"), kind_name, SV_MODULE_KINDS);
    out->activation =
        (sv_dense_activation)index_of(json_object_get(object, "activation"), activation_name, SV_DENSE_ACTIVATIONS);
    return out->kind < SV_MODULE_KINDS && out->activation < SV_DENSE_ACTIVATIONS &&
           read_size(object, "in", SV_MAX_VECTOR, &out->in) && read_size(object, "out", SV_MAX_VECTOR, &out->out) &&
           out->in > 0 && out->out > 0 && (out->kind != SV_MODULE_LAYERNORM || out->in == out->out) &&
           read_bool(object, "bias", &out->bias) && read_bool(object, "residual", &out->residual);
}

bool sv_native_modules_read(const json_t *object, sv_config *out) {
    const json_t *modules = json_object_get(object, "modules");
    out->module_count = json_array_size(modules);
    if (!json_is_array(modules) || out->module_count > SV_MAX_MODULES ||
        !read_poolings(json_object_get(object, "poolings"), out) ||
        !read_bool(object, "include_prompt", &out->include_prompt) || !read_bool(object, "normalize", &out->normalize) ||
        !read_size(object, "truncate_dim", SIZE_MAX >> 12, &out->truncate_dim))
        return false;
    for (size_t i = 0; i < out->module_count; i++)
        if (!read_module(json_array_get(modules, i), &out->modules[i]))
            return false;
    return sv_config_chain(out);
}
