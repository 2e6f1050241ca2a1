/* A model, as the engine sees it. Immutable once open. */
#ifndef SV_ENGINE_MODEL_H
#define SV_ENGINE_MODEL_H

#include "common/limits.h"
#include "common/log.h"
#include "model/encoder.h"
#include "text/tokenizer.h"

struct senvec_model {
    senvec_allocator allocator;
    sv_log log;
    sv_arena arena; /* everything below that is made at load */
    const char *directory;
    sv_config config;
    sv_weights weights;
    sv_tokenizer *tokenizer;
    sv_encoder encoder;
};

/* Reads configuration, tokenizer and weights of a sentence-transformers folder into a new model; `transformer` gets the folder
 * of its Transformer module. On failure the model is to be freed as it is. Errors: as senvec_model_open. */
senvec_status sv_model_read(senvec_model *model, const char *directory, char transformer[SV_MAX_PATH], senvec_error *err);

#endif
