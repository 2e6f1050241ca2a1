/* What a sentence-transformers directory says about its model. Anything that this engine can't do is named in an error. */
#ifndef SV_MODEL_CONFIG_H
#define SV_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

typedef enum sv_pooling { SV_POOLING_MEAN, SV_POOLING_CLS, SV_POOLING_MAX } sv_pooling;

typedef struct sv_config {
    /* The transformer's own config.json (transformer_config.c). */
    size_t hidden;      /* H */
    size_t inner;       /* I, the feed-forward width */
    size_t layers;      /* L */
    size_t heads;       /* A; the head size D is H / A */
    size_t vocabulary;  /* V */
    size_t positions;   /* rows of the position table */
    size_t token_types; /* rows of the token type table */
    float layernorm_eps;

    /* What sentence-transformers adds (modules_config.c). */
    size_t max_seq_length; /* tokens kept of a text, [CLS] and [SEP] included: 2 .. positions */
    sv_pooling pooling;
    bool normalize;
    char transformer_directory[64]; /* folder of the Transformer module (weights, tokenizer) inside the model directory: "" or
                                       "0_Transformer" */
} sv_config;

/* Reads modules.json, config_sentence_transformers.json, and of the modules config.json, sentence_bert_config.json and
 * tokenizer_config.json, and resolves them as sentence-transformers does:
 * - A directory without modules.json is a plain transformers model: mean pooling, no normalisation.
 * - max_seq_length is that of sentence_bert_config.json; where it has none, the smaller one of tokenizer_config.json's
 *   model_max_length and the position table. One over the position table (sentence-transformers takes it and fails at the first
 *   text that long) is cut to it.
 * - Whatever would change a vector and can't be done here (another architecture, activation, module, pooling, a default prompt,
 *   ...) is refused by name.
 * `out` is touched only on success. Errors: NOT_FOUND, IO, FORMAT (err->offset: the byte, for JSON that can't be parsed),
 * UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err);

/* "mean", "cls" or "max". */
const char *sv_pooling_name(sv_pooling pooling);

#endif
