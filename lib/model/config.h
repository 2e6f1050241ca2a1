/* What a sentence-transformers directory says about its model. Anything that this engine can't do is named in an error. */
#ifndef SV_MODEL_CONFIG_H
#define SV_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

typedef enum sv_pooling { SV_POOLING_MEAN, SV_POOLING_CLS, SV_POOLING_MAX } sv_pooling;

/* Encoders that differ in the names of their weights; what else they differ in is in sv_config. */
typedef enum sv_family {
    SV_FAMILY_BERT,
    SV_FAMILY_ROBERTA, /* XLM-RoBERTa and CamemBERT too */
    SV_FAMILY_MPNET,
    SV_FAMILY_DISTILBERT,
    SV_FAMILY_ELECTRA,
    SV_FAMILIES
} sv_family;

#define SV_LEAST_BUCKETS 32 /* the rows of it that are used */

/* Of the feed-forward. */
typedef enum sv_activation {
    SV_ACTIVATION_GELU,      /* by erf */
    SV_ACTIVATION_GELU_TANH, /* its approximation by tanh */
    SV_ACTIVATION_RELU,
} sv_activation;

/* What the checkpoint was saved with on top of the encoder. */
typedef enum sv_head {
    SV_HEAD_NONE,
    SV_HEAD_CLASSIFIER, /* ...ForSequenceClassification: scores of a text or a pair of texts */
    SV_HEAD_MASKED,     /* ...ForMaskedLM: a score for each word of the vocabulary */
    SV_HEAD_OTHER,      /* for another task */
} sv_head;

typedef struct sv_config {
    /* The transformer's own config.json (transformer_config.c). */
    sv_family family;
    size_t hidden;         /* H */
    size_t inner;          /* I, the feed-forward width */
    size_t layers;         /* L */
    size_t heads;          /* A; the head size D is H / A */
    size_t vocabulary;     /* V */
    size_t positions;      /* P, tokens that the position table has rows for: those from first_position on */
    size_t first_position; /* the row of a text's first token. Where it isn't 0, a padding token takes the row before it and no
                              place of its own */
    size_t padding;        /* the id of that token */
    size_t token_types;    /* rows of the token type table; 0: there is none */
    size_t embedding;      /* columns of the tables if a linear layer makes H of them; 0: they have H */
    size_t buckets;        /* rows of the bias by relative position, at least SV_LEAST_BUCKETS; 0: there is none */
    float layernorm_eps;
    sv_activation activation;
    sv_head head;
    size_t labels; /* of a classifier */

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

/* "gelu", "gelu_tanh" or "relu". */
const char *sv_activation_name(sv_activation activation);

/* "mean", "cls" or "max". */
const char *sv_pooling_name(sv_pooling pooling);

#endif
