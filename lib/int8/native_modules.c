#include "int8/native_modules.h"

#include "common/limits.h"

static const char *const kinds[SV_MODULE_KINDS] = {"Dense", "LayerNorm", "Normalize"};

/* ------------------------------------------------------------------------------------------------------------------ writing */

static const char *truth(bool value) {
    return value ? "true" : "false";
}

/* The names are our own and need no escapes. */
void sv_native_modules_write(const sv_config *config, FILE *stream) {
    fputs("\"poolings\":[", stream);
    for (size_t i = 0; i < config->pooling_count; i++)
        fprintf(stream, "%s\"%s\"", i ? "," : "", sv_pooling_name(config->poolings[i]));
    fputs("],\"modules\":[", stream);
    for (size_t i = 0; i < config->module_count; i++) {
        const sv_module *module = &config->modules[i];
        fprintf(stream, "%s{\"kind\":\"%s\",\"in\":%zu,\"out\":%zu,\"activation\":\"%s\",\"bias\":%s,\"residual\":%s}",
                i ? "," : "", kinds[module->kind], module->in, module->out, sv_dense_activation_name(module->activation),
                truth(module->bias), truth(module->residual));
    }
    fprintf(stream, "],\"include_prompt\":%s,\"normalize\":%s,\"truncate_dim\":%zu", truth(config->include_prompt),
            truth(config->normalize), config->truncate_dim);
}

/* ------------------------------------------------------------------------------------------------------------------ reading */

/* The index of a string in names[count], or count. */
static size_t index_of(sv_json value, const char *(*name)(int), size_t count) {
    size_t i = 0;
    while (i < count && !sv_json_is(value, name((int)i)))
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

static bool read_size(sv_json object, const char *key, size_t most, size_t *out) {
    int64_t value;
    if (!sv_json_integer(sv_json_member(object, key), &value) || value < 0 || (uint64_t)value > most)
        return false;
    *out = (size_t)value;
    return true;
}

static bool read_bool(sv_json object, const char *key, bool *out) {
    const sv_json value = sv_json_member(object, key);
    *out = value.kind == SV_JSON_TRUE;
    return *out || value.kind == SV_JSON_FALSE;
}

static bool read_poolings(sv_json list, sv_config *out) {
    out->pooling_count = sv_json_count(list);
    if (out->pooling_count < 1 || out->pooling_count > SV_POOLINGS)
        return false;
    for (size_t i = 0; i < out->pooling_count; i++) {
        out->poolings[i] = (sv_pooling)index_of(sv_json_at(list, i), pooling_name, SV_POOLINGS);
        if (out->poolings[i] == SV_POOLINGS)
            return false;
    }
    return true;
}

static bool read_module(sv_json object, sv_module *out) {
    out->kind = (sv_module_kind)index_of(sv_json_member(object, "kind"), kind_name, SV_MODULE_KINDS);
    out->activation =
        (sv_dense_activation)index_of(sv_json_member(object, "activation"), activation_name, SV_DENSE_ACTIVATIONS);
    return out->kind < SV_MODULE_KINDS && out->activation < SV_DENSE_ACTIVATIONS &&
           read_size(object, "in", SV_MAX_VECTOR, &out->in) && read_size(object, "out", SV_MAX_VECTOR, &out->out) &&
           out->in > 0 && out->out > 0 && (out->kind != SV_MODULE_LAYERNORM || out->in == out->out) &&
           read_bool(object, "bias", &out->bias) && read_bool(object, "residual", &out->residual);
}

bool sv_native_modules_read(sv_json object, sv_config *out) {
    const sv_json modules = sv_json_member(object, "modules");
    out->module_count = sv_json_count(modules);
    if (modules.kind != SV_JSON_ARRAY || out->module_count > SV_MAX_MODULES ||
        !read_poolings(sv_json_member(object, "poolings"), out) || !read_bool(object, "include_prompt", &out->include_prompt) ||
        !read_bool(object, "normalize", &out->normalize) ||
        !read_size(object, "truncate_dim", SIZE_MAX >> 12, &out->truncate_dim))
        return false;
    for (size_t i = 0; i < out->module_count; i++)
        if (!read_module(sv_json_at(modules, i), &out->modules[i]))
            return false;
    return sv_config_chain(out);
}
