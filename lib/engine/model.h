/* An open model, as the engine uses it. Immutable once it is open. */
#ifndef SV_ENGINE_MODEL_H
#define SV_ENGINE_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/sha256.h"
#include "int8/quantized_cache.h"
#include "model/encoder.h"
#include "model/model_layout.h"
#include "model/modules.h"
#include "model/prompts.h"
#include "text/tokenizer.h"

struct senvec_model {
    senvec_allocator allocator;
    sv_calibration_rules rules;
    bool tokenizer_only;
    uint64_t weights_bytes;
    sv_log log;
    sv_model_layout files;
    sv_arena arena;             /* holds everything below that is made while the model is loaded */
    const char *name, *pooling; /* as senvec_model_info has them */
    sv_config config;
    sv_prompts prompts;
    sv_modules modules;
    sv_weights weights;
    sv_tokenizer *tokenizer;
    sv_encoder encoder;
    sv_shared_weights shared;
    const char *wide; /* wide_layers of senvec_model_info */
    uint64_t wide_macs;
    float cosine_mean, cosine_least;
    const char *const *labels; /* (config.labels): their names; NULL: no classifier */

    /* The space id (space.c), which may be computed after the model was opened. */
    pthread_mutex_t space_lock;
    atomic_bool space_known; /* the members below are set and won't change any more */
    uint64_t space_stamp;
    char space_base[SV_SHA256_TEXT], space_id[SV_SHA256_TEXT];
};

/* The floats of a vector, unless a call asks for fewer. */
static inline size_t sv_model_dimensions(const senvec_model *model) {
    return model->config.truncate_dim ? model->config.truncate_dim : model->config.dimensions;
}

/* Fails if `truncation` isn't one of the enum; `call` is for the message. Error: INVALID_ARGUMENT. */
senvec_status sv_model_check_truncation(senvec_truncation truncation, const char *call, senvec_error *err);
/* Fails if the side or the prompt's name among the options is none; `call` is for the message. Errors: INVALID_ARGUMENT. */
senvec_status sv_model_check_reading(const senvec_model *model, const senvec_embed_options *options, const char *call,
                                     senvec_error *err);
/* Fails if the model can't tokenize pairs of texts. Error: UNSUPPORTED. */
senvec_status sv_model_check_pairs(const senvec_model *model, senvec_error *err);

/* Reads tokenizer, prompts and weights of the folder model->files, whose configuration model->config has, into a new model. On
 * failure the model is to be freed as it is. Errors: as senvec_model_open. */
senvec_status sv_model_read(senvec_model *model, senvec_error *err);

#endif
