/* A native file of a model: read it, calibrate, write. */
#include "engine/model.h"
#include "engine/space.h"
#include "int8/native.h"
#include "int8/quantized_cache.h"

static senvec_status quantize(senvec_model *model, const char *directory, const char *path,
                              const senvec_quantize_options *options, senvec_error *err) {
    sv_isa_flags flags;
    SENVEC_TRY(sv_isa_choose(options->cpu, &flags, err));
    const sv_kernels kernels = sv_kernels_choose(flags);
    SENVEC_TRY(sv_model_layout_open(directory, &model->files, &model->config, err));
    if (model->files.form == SV_MODEL_NATIVE)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: is a file, and a native file is quantized already; give a folder",
                       directory);
    SENVEC_TRY(sv_model_read(model, err));
    if (model->config.task != SENVEC_TASK_EMBEDDING)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: a native file of a %s is not supported; its folder opens in int8",
                       directory, senvec_task_name(model->config.task));
    sv_quantized quantized;
    if (options->count)
        SENVEC_TRY(sv_quantized_calibrate(&model->config, &model->weights, model->tokenizer, &kernels, options->texts,
                                          options->count, &model->arena, &quantized, err));
    else
        SENVEC_TRY(sv_quantized_obtain(model->files.transformer, &model->config, &model->weights, model->tokenizer, &kernels,
                                       &model->rules, &model->log, &model->arena, &quantized, err));
    sv_tokenizer_maps tokenizer;
    SENVEC_TRY(sv_tokenizer_maps_open(&tokenizer, model->files.transformer, err));
    char space[SV_SHA256_TEXT];
    senvec_status status = sv_space_base(model, space, err);
    const sv_native_parts parts = {
        .config = &model->config,
        .prompts = &model->prompts,
        .modules = &model->modules,
        .weights = &model->weights,
        .quantized = &quantized,
        .tokenizer = &tokenizer.files,
        .space = space,
    };
    if (status == SENVEC_OK)
        status = sv_native_write(path, &parts, &model->allocator, err);
    sv_tokenizer_maps_close(&tokenizer);
    return status;
}

senvec_status senvec_quantize(const char *directory, const char *path, const senvec_quantize_options *options,
                              senvec_error *err) {
    static const senvec_quantize_options defaults = {0};
    if (!options)
        options = &defaults;
    if (!directory || !path || (options->count && !options->texts))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_quantize: a pointer is NULL");
    for (size_t i = 0; i < options->count; i++)
        if (!options->texts[i].data && options->texts[i].length)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "senvec_quantize: text %zu has %zu bytes at NULL", i,
                           options->texts[i].length);
    const senvec_allocator *allocator = options->allocator ? options->allocator : &sv_default_allocator;
    void *memory;
    SENVEC_TRY(sv_alloc(allocator, 1, sizeof(senvec_model), "a model", &memory, err));
    senvec_model *model = memory;
    *model = (senvec_model){.allocator = *allocator, .log = {options->log, options->log_context}};
    sv_arena_init(&model->arena, allocator);
    pthread_mutex_init(&model->space_lock, NULL);
    senvec_status status = quantize(model, directory, path, options, err);
    senvec_model_free(model);
    return status;
}
