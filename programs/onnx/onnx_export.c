#include "onnx/onnx_export.h"

#include <stdio.h>

#include "common/file.h"
#include "onnx/onnx_encoder.h"

static const char *const companions[] = {
    "config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json",
};

const char *sv_onnx_precision_name(sv_onnx_precision precision) {
    static const char *const names[] = {"fp32", "int8", "int8 per channel", "int8 per tensor"};
    return names[precision];
}

static senvec_status copy_file(const char *from, const char *to, senvec_error *err) {
    sv_file_map map;
    SENVEC_TRY(sv_file_map_open(from, &map, err));
    sv_atomic_file file = {0};
    senvec_status status = sv_atomic_file_open(&file, to, err);
    if (status == SENVEC_OK) {
        if (map.size)
            fwrite(map.data, 1, map.size, file.stream);
        status = sv_atomic_file_commit(&file, err);
    }
    sv_file_map_close(&map);
    return status;
}

/* A file of the Transformer module's folder; older directories keep the tokenizer one above. */
static senvec_status copy_companion(const char *directory, const char *module, const char *out, const char *name,
                                    senvec_error *err) {
    char from[SV_MAX_PATH], to[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(module, name, from, err));
    if (!sv_path_is_file(from))
        SENVEC_TRY(sv_path_join(directory, name, from, err));
    if (!sv_path_is_file(from))
        return SENVEC_OK;
    SENVEC_TRY(sv_path_join(out, name, to, err));
    return copy_file(from, to, err);
}

static senvec_status write_model(const sv_config *config, const sv_weights *weights, sv_onnx_options options, const char *out,
                                 sv_arena *arena, uint64_t *bytes, senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(out, SV_ONNX_FILE, path, err));
    SENVEC_TRY(sv_make_directories(out, err));
    sv_onnx_graph graph;
    sv_onnx_graph_init(&graph, "encoder", arena);
    sv_onnx_metadata(&graph, "precision", sv_onnx_precision_name(options.precision));
    sv_onnx_encoder(&graph, config, weights, options);
    return sv_onnx_graph_write(&graph, path, bytes, err);
}

/* What can be written after the transformer. */
static senvec_status check_pooling(const char *directory, const sv_config *config, sv_onnx_options options, senvec_error *err) {
    sv_pooling pooling = config->poolings[0];
    if (!options.pooling || (config->pooling_count == 1 && !config->module_count &&
                             (pooling == SV_POOLING_MEAN || pooling == SV_POOLING_CLS || pooling == SV_POOLING_MAX)))
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: of the modules after the transformer an ONNX file can have one Pooling by mean, cls or max and "
                   "Normalize; leave out --with-pooling",
                   directory);
}

senvec_status sv_onnx_export(const char *directory, const char *out, sv_onnx_options options, uint64_t *bytes,
                             senvec_error *err) {
    sv_config config;
    SENVEC_TRY(sv_config_load(directory, &config, err));
    if (config.family != SV_FAMILY_BERT || config.activation != SV_ACTIVATION_GELU)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: only BERT with gelu is written as ONNX so far", directory);
    SENVEC_TRY(check_pooling(directory, &config, options, err));
    char module[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, config.transformer_directory, module, err));
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_weights weights = {0};
    senvec_status status = sv_weights_open(module, &config, &arena, &weights, err);
    if (status == SENVEC_OK)
        status = write_model(&config, &weights, options, out, &arena, bytes, err);
    sv_weights_close(&weights);
    sv_arena_release(&arena);
    for (size_t i = 0; status == SENVEC_OK && i < sizeof companions / sizeof *companions; i++)
        status = copy_companion(directory, module, out, companions[i], err);
    return status;
}
