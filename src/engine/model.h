/* A model, as the engine sees it. Immutable once open. */
#ifndef SV_ENGINE_MODEL_H
#define SV_ENGINE_MODEL_H

#include "base/log.h"
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

#endif
