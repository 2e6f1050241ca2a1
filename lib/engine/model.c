/* Opening a model: configuration, tokenizer, weights, packing; and what can be said of it. */
#include "engine/model.h"

#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/limits.h"
#include "engine/space.h"
#include "int8/native.h"
#include "int8/quantize.h"
#include "int8/quantized_cache.h"
#include "model/task_config.h"

/* Where int8 is so much faster than fp32 that AUTO takes it: the CPU sums products of bytes in one instruction. */
#define FAST_INT8 (SV_ISA_AVX512VNNI | SV_ISA_AVXVNNI)

static senvec_status choose_precision(const sv_log *log, senvec_precision wanted, sv_isa_flags flags, sv_math *out,
                                      senvec_error *err) {
    *out = (sv_math){.kernels = sv_kernels_choose(flags), .precision = wanted};
    switch (wanted) {
    case SENVEC_PRECISION_AUTO:
        out->precision = flags & FAST_INT8 ? SENVEC_PRECISION_INT8 : SENVEC_PRECISION_FP32;
        return SENVEC_OK;
    case SENVEC_PRECISION_FP32:
    case SENVEC_PRECISION_INT8:
        return SENVEC_OK;
    case SENVEC_PRECISION_BF16:
        if (!out->kernels.bf16.gemm.run) {
            out->precision = SENVEC_PRECISION_FP32;
            sv_log_line(log, SENVEC_LOG_WARNING, "precision bf16: the %s tier has no bf16 instructions; computing in fp32",
                        out->kernels.tier);
        }
        return SENVEC_OK;
    }
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "precision %d: not one of senvec_precision", (int)wanted);
}

/* The caller's limit on tokens, within what the position table has. */
static senvec_status limit_length(sv_config *config, size_t wanted, senvec_error *err) {
    if (wanted == 0)
        return SENVEC_OK;
    if (wanted < 2 || wanted > config->positions)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "max_seq_length %zu: this model takes 2 to %zu tokens", wanted,
                       config->positions);
    config->max_seq_length = wanted;
    return SENVEC_OK;
}

/* Keeps what senvec_model_info says of a model in int8: its wide layers and what calibration measured. */
static senvec_status keep_facts(senvec_model *model, const sv_quantized *quantized, senvec_error *err) {
    static const char *const names[] = {"qkv", "attention_out", "up", "down"};
    char text[SV_MAX_LAYERS * 48];
    size_t used = 0;
    model->cosine_mean = quantized->cosine_mean;
    model->cosine_least = quantized->cosine_least;
    for (size_t l = 0; l < model->config.layers; l++) {
        const sv_quantized_layer *layer = &quantized->layers[l];
        const sv_quantized_linear *linears[] = {&layer->qkv, &layer->attention_out, &layer->up, &layer->down};
        for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
            if (!linears[i]->wide)
                continue;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu.%s", used ? ", " : "", l, names[i]);
            model->wide_macs += (uint64_t)linears[i]->n * linears[i]->k;
        }
    }
    return sv_arena_string(&model->arena, text, used, &model->wide, err);
}

/* The layers in int8, as calibration made them, packed. */
static senvec_status pack_quantized(senvec_model *model, const sv_math *math, senvec_error *err) {
    const sv_config *config = &model->config;
    sv_arena temporary;
    sv_arena_init(&temporary, &model->allocator);
    sv_quantized quantized;
    senvec_status status = sv_quantized_obtain(model->files.transformer, config, &model->weights, model->tokenizer,
                                               &math->kernels, &model->rules, &model->log, &temporary, &quantized, err);
    if (status == SENVEC_OK)
        status = keep_facts(model, &quantized, err);
    if (status == SENVEC_OK) {
        sv_weights_drop_matrices(&model->weights, config); /* before there is a third form of them */
        status =
            sv_encoder_init(&model->encoder, config, &model->weights, &quantized, math, &model->shared, &model->arena, err);
    }
    sv_arena_release(&temporary);
    return status;
}

/* The layers in fp32 or bf16, packed. */
static senvec_status pack(senvec_model *model, const sv_math *math, senvec_error *err) {
    SENVEC_TRY(sv_encoder_init(&model->encoder, &model->config, &model->weights, NULL, math, NULL, &model->arena, err));
    /* Packed now: without this, the file's copy of them would stay resident. */
    sv_weights_drop_matrices(&model->weights, &model->config);
    return SENVEC_OK;
}

static senvec_status check_vocabulary(const senvec_model *model, senvec_error *err) {
    size_t vocabulary = sv_tokenizer_vocabulary(model->tokenizer);
    if (vocabulary > model->config.vocabulary)
        return sv_fail(err, SENVEC_FORMAT, 0,
                       "%s: the tokenizer has %zu tokens, but the embedding table only %zu rows (vocab_size in config.json); "
                       "the files belong to different models",
                       model->files.path, vocabulary, model->config.vocabulary);
    return SENVEC_OK;
}

senvec_status sv_model_read(senvec_model *model, senvec_error *err) {
    const char *directory = model->files.path, *transformer = model->files.transformer;
    if (model->config.task == SENVEC_TASK_RERANKER || model->config.task == SENVEC_TASK_CLASSIFIER)
        SENVEC_TRY(sv_task_labels(directory, &model->config, &model->arena, &model->labels, err));
    SENVEC_TRY(sv_tokenizer_load(transformer, &model->allocator, &model->tokenizer, err));
    SENVEC_TRY(check_vocabulary(model, err));
    SENVEC_TRY(sv_prompts_load(directory, &model->arena, &model->prompts, err));
    if (model->tokenizer_only)
        return SENVEC_OK;
    SENVEC_TRY(sv_modules_open(directory, &model->config, &model->arena, &model->modules, err));
    SENVEC_TRY(sv_weights_open(transformer, &model->config, &model->arena, &model->weights, err));
    model->weights_bytes = model->weights.file_bytes + model->modules.bytes;
    return SENVEC_OK;
}

/* A sentence-transformers folder. */
static senvec_status load_folder(senvec_model *model, size_t max_seq_length, const sv_math *math, senvec_error *err) {
    SENVEC_TRY(sv_model_read(model, err));
    SENVEC_TRY(limit_length(&model->config, max_seq_length, err));
    if (model->tokenizer_only)
        return SENVEC_OK;
    return math->precision == SENVEC_PRECISION_INT8 ? pack_quantized(model, math, err) : pack(model, math, err);
}

/* A native file. `quantized` is made in `temporary`. */
static senvec_status load_opened(senvec_model *model, sv_safetensors *file, const sv_math *math, sv_arena *temporary,
                                 senvec_error *err) {
    const char *path = model->files.path;
    const sv_config *config = &model->config;
    sv_quantized quantized;
    senvec_status status = sv_native_tokenizer(file, path, &model->allocator, &model->tokenizer, err);
    if (status == SENVEC_OK)
        status = check_vocabulary(model, err);
    if (status == SENVEC_OK)
        status = sv_native_prompts(file, path, &model->arena, &model->prompts, err);
    if (status == SENVEC_OK && model->tokenizer_only) {
        sv_safetensors_close(file);
        return SENVEC_OK;
    }
    if (status == SENVEC_OK)
        status = sv_modules_take(file, path, config, &model->arena, &model->modules, err);
    if (status == SENVEC_OK)
        status = sv_native_quantized(file, path, config, temporary, &quantized, err);
    if (status != SENVEC_OK) {
        sv_safetensors_close(file);
        return status;
    }
    sv_space_take(model, sv_safetensors_metadata(file, "space"));
    SENVEC_TRY(sv_weights_take(file, path, config, &model->arena, &model->weights, err));
    model->weights.parameters += sv_quantized_parameters(config);
    model->weights_bytes = model->weights.file_bytes;
    SENVEC_TRY(keep_facts(model, &quantized, err));
    return sv_encoder_init(&model->encoder, config, &model->weights, &quantized, math, &model->shared, &model->arena, err);
}

static senvec_status load_native(senvec_model *model, const senvec_model_options *options, sv_math *math, senvec_error *err) {
    const char *path = model->files.path;
    math->precision = SENVEC_PRECISION_INT8;
    sv_safetensors *file;
    SENVEC_TRY(sv_native_open(path, &file, &model->config, err));
    senvec_status status = limit_length(&model->config, options->max_seq_length, err);
    if (options->precision == SENVEC_PRECISION_FP32 || options->precision == SENVEC_PRECISION_BF16)
        status = sv_fail(err, SENVEC_UNSUPPORTED, 0,
                         "%s: holds int8 weights alone; use auto or int8, or the folder that it was made from", path);
    if (status != SENVEC_OK) {
        sv_safetensors_close(file);
        return status;
    }
    sv_arena temporary;
    sv_arena_init(&temporary, &model->allocator);
    status = load_opened(model, file, math, &temporary, err);
    sv_arena_release(&temporary);
    return status;
}

/* "mean", or "cls+mean". */
static senvec_status name_pooling(senvec_model *model, senvec_error *err) {
    char text[200];
    size_t used = 0;
    for (size_t i = 0; i < model->config.pooling_count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "+" : "", sv_pooling_name(model->config.poolings[i]));
    return sv_arena_string(&model->arena, text, used, &model->pooling, err);
}

static senvec_status load(senvec_model *model, const char *path, const senvec_model_options *options, senvec_error *err) {
    SENVEC_TRY(sv_model_layout_open(path, &model->files, &model->config, err));
    sv_isa_flags flags;
    SENVEC_TRY(sv_isa_choose(options->cpu, &flags, err));
    sv_math math;
    SENVEC_TRY(choose_precision(&model->log, options->precision, flags, &math, err));
    model->encoder.math = math; /* said of it even if no weights follow */
    model->rules.mode = options->calibration;
    if (options->cache_folder)
        SENVEC_TRY(sv_arena_string(&model->arena, options->cache_folder, strlen(options->cache_folder),
                                   &model->rules.cache_folder, err));
    model->shared = (sv_shared_weights){.wanted = options->share_weights, .cache_folder = model->rules.cache_folder};
    char name[SV_MAX_PATH];
    sv_model_name(path, name);
    SENVEC_TRY(sv_arena_string(&model->arena, name, strlen(name), &model->name, err));
    SENVEC_TRY(model->files.form == SV_MODEL_NATIVE ? load_native(model, options, &math, err)
                                                    : load_folder(model, options->max_seq_length, &math, err));
    model->encoder.modules = &model->modules;
    if (model->shared.failure.code != SENVEC_OK)
        sv_log_line(&model->log, SENVEC_LOG_WARNING, "the packed weights can't be shared with other processes: %s",
                    model->shared.failure.message);
    if (!model->tokenizer_only)
        sv_space_look(model);
    return name_pooling(model, err);
}

senvec_status senvec_model_open(const char *directory, const senvec_model_options *options, senvec_model **out,
                                senvec_error *err) {
    static const senvec_model_options defaults = {0};
    if (!directory || !out)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_model_open: %s is NULL", directory ? "out" : "directory");
    if (!options)
        options = &defaults;
    if ((unsigned)options->calibration > SENVEC_CALIBRATION_NEVER)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "calibration %u: not one of senvec_calibration",
                       (unsigned)options->calibration);
    const senvec_allocator *allocator = options->allocator ? options->allocator : &sv_default_allocator;
    void *memory;
    SENVEC_TRY(sv_alloc(allocator, 1, sizeof(senvec_model), "a model", &memory, err));
    senvec_model *model = memory;
    *model = (senvec_model){
        .allocator = *allocator,
        .log = {options->log, options->log_context},
        .tokenizer_only = options->tokenizer_only,
    };
    sv_arena_init(&model->arena, allocator);
    pthread_mutex_init(&model->space_lock, NULL);
    senvec_status status = load(model, directory, options, err);
    if (status != SENVEC_OK) {
        senvec_model_free(model);
        return status;
    }
    sv_log_line(&model->log, SENVEC_LOG_INFO, "%s: open, %s kernels", directory, model->encoder.math.kernels.tier);
    *out = model;
    return SENVEC_OK;
}

void senvec_model_free(senvec_model *model) {
    if (!model)
        return;
    pthread_mutex_destroy(&model->space_lock);
    sv_tokenizer_free(model->tokenizer);
    sv_weights_close(&model->weights);
    sv_packed_file_close(&model->shared.file);
    sv_arena_release(&model->arena);
    senvec_allocator allocator = model->allocator;
    sv_free(&allocator, model, 1, sizeof *model);
}

void senvec_model_describe(const senvec_model *model, senvec_model_info *out) {
    const sv_config *config = &model->config;
    *out = (senvec_model_info){
        .directory = model->files.path,
        .tier = model->encoder.math.kernels.tier,
        .precision = model->encoder.math.precision,
        .pooling = model->pooling,
        .normalized = config->normalize,
        .dimensions = sv_model_dimensions(model),
        .max_seq_length = config->max_seq_length,
        .layers = config->layers,
        .heads = config->heads,
        .inner = config->inner,
        .vocabulary = config->vocabulary,
        .parameters = model->weights.parameters + model->modules.parameters,
        .linear_macs = model->encoder.linear_macs,
        .memory_bytes = sizeof *model + model->arena.bytes + sv_tokenizer_memory(model->tokenizer),
        .mapped_bytes = model->weights.mapped_bytes + model->shared.file.bytes,
        .hidden = config->hidden,
        .space_id = atomic_load(&model->space_known) ? model->space_id : NULL,
        .name = model->name,
        .weights_bytes = model->weights_bytes,
        .most_dimensions = config->dimensions,
        .prompts = model->prompts.list,
        .prompt_count = model->prompts.count,
        .default_prompt_name = model->prompts.usual ? model->prompts.usual->name : NULL,
        .task = config->task,
        .architecture = config->model_type,
        .labels = model->labels ? config->labels : 0,
        .activation = model->labels ? config->score_activation : SENVEC_ACTIVATION_AUTO,
        .wide_layers = model->wide,
        .wide_precision = !model->wide                                ? SENVEC_PRECISION_AUTO
                          : model->encoder.math.kernels.bf16.gemm.run ? SENVEC_PRECISION_BF16
                                                                      : SENVEC_PRECISION_FP32,
        .wide_macs = model->wide_macs,
        .cosine_mean = (double)model->cosine_mean,
        .cosine_least = (double)model->cosine_least,
        .truncation = sv_tokenizer_truncation(model->tokenizer),
    };
}
