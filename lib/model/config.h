/* The configuration of the model in a sentence-transformers directory. Anything that this engine can't compute is named in an
 * error. */
#ifndef SV_MODEL_CONFIG_H
#define SV_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

/* The poolings, in the order in which sentence-transformers joins their vectors. */
typedef enum sv_pooling {
    SV_POOLING_CLS,       /* the first token's vector */
    SV_POOLING_MAX,       /* the maximum of each element over all tokens */
    SV_POOLING_MEAN,      /* the sum over n tokens, divided by n */
    SV_POOLING_MEAN_SQRT, /* the sum, divided by the root of n */
    SV_POOLING_WEIGHTED,  /* the mean with the weights 1, 2, ... n */
    SV_POOLING_LAST,      /* the last token's vector */
    SV_POOLINGS
} sv_pooling;

typedef enum sv_dense_activation {
    SV_DENSE_NONE,
    SV_DENSE_TANH,
    SV_DENSE_RELU,
    SV_DENSE_GELU, /* by erf */
    SV_DENSE_SIGMOID,
    SV_DENSE_SILU,
    SV_DENSE_ACTIVATIONS
} sv_dense_activation;

typedef enum sv_module_kind { SV_MODULE_DENSE, SV_MODULE_LAYERNORM, SV_MODULE_NORMALIZE, SV_MODULE_KINDS } sv_module_kind;

/* A module after Pooling. The members that belong to Dense are 0 for the other kinds. */
typedef struct sv_module {
    sv_module_kind kind;
    size_t in, out; /* floats of a vector */
    sv_dense_activation activation;
    bool bias, residual;
    char folder[64]; /* inside the model's directory, for the weights */
} sv_module;

#define SV_MAX_MODULES 8

/* The families of encoders. They differ in the names of their weights; all other differences are members of sv_config. */
typedef enum sv_family {
    SV_FAMILY_BERT,
    SV_FAMILY_ROBERTA, /* XLM-RoBERTa and CamemBERT too */
    SV_FAMILY_MPNET,
    SV_FAMILY_DISTILBERT,
    SV_FAMILY_ELECTRA,
    SV_FAMILIES
} sv_family;

#define SV_LEAST_BUCKETS 32 /* the rows of it that are used */

/* The activation of the feed-forward layers. */
typedef enum sv_activation {
    SV_ACTIVATION_GELU,      /* by erf */
    SV_ACTIVATION_GELU_TANH, /* its approximation by tanh */
    SV_ACTIVATION_RELU,
} sv_activation;

/* The head that the checkpoint has on top of the encoder. */
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
    size_t positions;      /* P, the tokens that the position table has rows for, counted from first_position */
    size_t first_position; /* the row of a text's first token. If it isn't 0, a padding token in a text uses the row before it
                              and doesn't count as a position */
    size_t padding;        /* the id of that token */
    size_t token_types;    /* rows of the token type table; 0: there is none */
    size_t embedding; /* columns of the embedding tables if a linear layer projects them to H; 0: the tables have H columns */
    size_t buckets;   /* rows of the relative position bias, at least SV_LEAST_BUCKETS; 0: there is no such bias */
    float layernorm_eps;
    sv_activation activation;
    sv_head head;
    size_t labels;          /* of a classifier */
    const char *model_type; /* "bert", "mpnet", ...: a static string */

    /* What sentence-transformers adds (modules_config.c; task_config.c for other tasks than embedding). */
    senvec_task task;
    senvec_activation score_activation; /* of a classifier: never AUTO */
    bool log_twice;                     /* of a sparse embedder: log(1 + log(1 + relu(x))) */
    size_t max_seq_length;              /* tokens kept of a text, [CLS] and [SEP] included: 2 .. positions */
    sv_pooling poolings[SV_POOLINGS];   /* their vectors are joined, in this order */
    size_t pooling_count;               /* 1 .. SV_POOLINGS */
    bool include_prompt;                /* false: a prompt's tokens are left out of pooling */
    sv_module modules[SV_MAX_MODULES];
    size_t module_count;
    bool normalize;                 /* the last module is Normalize: a vector is divided by its length */
    size_t dimensions;              /* floats that the last module gives */
    size_t truncate_dim;            /* floats kept of these; 0: all */
    char transformer_directory[64]; /* folder of the Transformer module (weights, tokenizer) inside the model directory: "" or
                                       "0_Transformer" */
} sv_config;

/* Reads modules.json, config_sentence_transformers.json, and of the modules config.json, sentence_bert_config.json and
 * tokenizer_config.json, and resolves them as sentence-transformers does:
 * - A directory without modules.json is a plain transformers model: mean pooling, no normalisation.
 * - max_seq_length is that of sentence_bert_config.json; where it has none, the smaller one of tokenizer_config.json's
 *   model_max_length and the position table. One over the position table (sentence-transformers takes it and fails at the first
 *   text that long) is cut to it.
 * - Whatever would change a vector and can't be done here (another architecture, activation, module, ...) is refused by name.
 * - Prompts are for sv_prompts_load.
 * `out` is touched only on success. Errors: NOT_FOUND, IO, FORMAT (err->offset: the byte, for JSON that can't be parsed),
 * UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_config_load(const char *directory, sv_config *out, senvec_error *err);

/* "gelu", "gelu_tanh" or "relu". */
const char *sv_activation_name(sv_activation activation);

/* "mean", "cls", ..., as Pooling's configuration has them. */
const char *sv_pooling_name(sv_pooling pooling);

/* The class of an activation ("Tanh"), as torch names it. */
const char *sv_dense_activation_name(sv_dense_activation activation);

/* Sets `dimensions` and `in` and `out` of each module from the poolings and the Dense modules. False if a Dense or LayerNorm
 * doesn't take what is before it. */
bool sv_config_chain(sv_config *config);

/* The floats of the widest vector between two modules. */
size_t sv_config_widest(const sv_config *config);

#endif
