/* tokenizer_config.json: the arguments with which transformers constructs a tokenizer. */
#ifndef SV_TEXT_TOKENIZER_CONFIG_H
#define SV_TEXT_TOKENIZER_CONFIG_H

#include "text/json_part.h"
#include "text/tokenizer_internal.h"

/* What a class of transformers does with a tokenizer.json. */
typedef enum sv_tokenizer_class {
    SV_CLASS_PLAIN, /* uses tokenizer.json as it is */
    /* The other classes keep the vocabulary and build everything else anew, by their own rules and the arguments. */
    SV_CLASS_BERT,
    SV_CLASS_MPNET,
    SV_CLASS_ROBERTA,
    SV_CLASS_XLM_ROBERTA,
    SV_CLASS_CAMEMBERT,
} sv_tokenizer_class;

typedef struct sv_tokenizer_config {
    sv_json_document document;
    sv_part part; /* its object is NONE if the file is missing */
    char path[SV_MAX_PATH];
    bool named;               /* whether there is a "tokenizer_class" */
    sv_tokenizer_class class; /* valid if `named` */
    const char *class_name;
} sv_tokenizer_config;

/* Reads the file; `file` may be NULL. The caller closes *config in any case, also after an error. Errors: FORMAT, UNSUPPORTED,
 * TOO_LARGE. */
senvec_status sv_tokenizer_config_open(sv_tokenizer_config *config, const char *folder, const sv_file_map *file,
                                       senvec_error *err);
void sv_tokenizer_config_close(sv_tokenizer_config *config);

/* Finds the class that builds the tokenizer, given the model's type ("WordPiece"). Error: UNSUPPORTED (the class is for another
 * model). */
senvec_status sv_tokenizer_config_class(const sv_tokenizer_config *config, const char *model, sv_tokenizer_class *out);

/* Adds the added tokens: those in tokenizer.json (`list` is its "added_tokens", or NONE), those in the arguments, and the
 * special tokens. */
senvec_status sv_tokenizer_config_added(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const char *path, sv_json list, senvec_error *err);

/* For a class that builds a tokenizer anew. sv_tokenizer_config_steps makes the normalizer and the pre-tokenizer, before the
 * model is read; sv_tokenizer_config_anew makes the unknown token and the template, after the added tokens. `file` may have no
 * object (vocab.txt); `path` is the path of the vocabulary. */
senvec_status sv_tokenizer_config_steps(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const sv_part *file);
senvec_status sv_tokenizer_config_anew(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                       const char *path);

/* Applies truncation_side and the other arguments that mean the same for every class. */
senvec_status sv_tokenizer_config_common(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, senvec_error *err);

#endif
