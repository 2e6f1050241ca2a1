#include "onnx/onnx_export.h"

#include <stdio.h>

#include "common/file.h"
#include "onnx/onnx_encoder.h"
#include "onnx/onnx_folder.h"
#include "system/temporary.h"

const char *sv_onnx_precision_name(sv_onnx_precision precision) {
    static const char *const names[] = {"fp32", "int8", "int8 per channel", "int8 per tensor"};
    return names[precision];
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
    if (!options.pooling)
        return SENVEC_OK;
    if (config->task != SENVEC_TASK_EMBEDDING)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: is no embedder, so there is nothing to pool: its ONNX file gives logits; leave out --with-pooling",
                       directory);
    if (config->pooling_count == 1 && !config->module_count &&
        (pooling == SV_POOLING_MEAN || pooling == SV_POOLING_CLS || pooling == SV_POOLING_MAX))
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                   "%s: of the modules after the transformer an ONNX file can have one Pooling by mean, cls or max and "
                   "Normalize; leave out --with-pooling",
                   directory);
}

senvec_status sv_onnx_export(const char *directory, const char *out, sv_onnx_options options, uint64_t *bytes,
                             senvec_error *err) {
    sv_config config;
    sv_model_layout files;
    SENVEC_TRY(sv_model_layout_open(directory, &files, &config, err));
    if (files.form == SV_MODEL_NATIVE)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: is a file with weights in int8 alone; give the folder that it was made from", directory);
    SENVEC_TRY(check_pooling(directory, &config, options, err));
    const bool existed = sv_path_is_directory(out);
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_weights weights = {0};
    senvec_status status = sv_weights_open(files.transformer, &config, &arena, &weights, err);
    if (status == SENVEC_OK)
        status = write_model(&config, &weights, options, out, &arena, bytes, err);
    sv_weights_close(&weights);
    sv_arena_release(&arena);
    if (status == SENVEC_OK)
        status = sv_onnx_folder_write(&config, &files, out, err);
    if (status != SENVEC_OK && !existed && sv_path_is_directory(out))
        sv_remove_tree(out, NULL); /* a part of a model is no model; what it failed for is in `err` already */
    return status;
}
