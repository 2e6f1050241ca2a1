/* What a sentence-transformers directory says about its model. Anything that this engine can't do is named in an error. */
#ifndef SV_MODEL_CONFIG_H
#define SV_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef enum sv_pooling { SV_POOLING_MEAN, SV_POOLING_CLS, SV_POOLING_MAX } sv_pooling;

typedef struct sv_config {
    size_t hidden;      /* H */
    size_t inner;       /* I, the feed-forward width */
    size_t layers;      /* L */
    size_t heads;       /* A; the head size D is H / A */
    size_t vocabulary;  /* V */
    size_t positions;   /* rows of the position table */
    size_t token_types; /* rows of the token type table */
    float layernorm_eps;
    size_t max_seq_length; /* tokens kept of a text: sentence_bert_config.json, else the tokenizer's or position table's, as
                              sentence-transformers does */
    sv_pooling pooling;
    bool normalize;
    char transformer_directory[64]; /* folder of the Transformer module inside the model directory: "" or "0_Transformer" */
} sv_config;

/* Reads modules.json, config.json, sentence_bert_config.json, the Pooling module's config.json; a directory without
 * modules.json is a plain transformers model: mean pooling, no normalisation, as sentence-transformers treats it. Errors:
 * NOT_FOUND, FORMAT, UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err);

const char *sv_pooling_name(sv_pooling pooling);

#endif
