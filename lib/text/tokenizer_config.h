/* tokenizer_config.json: the arguments that transformers constructs a tokenizer with. */
#ifndef SV_TEXT_TOKENIZER_CONFIG_H
#define SV_TEXT_TOKENIZER_CONFIG_H

#include "text/json_part.h"
#include "text/tokenizer_internal.h"

/* What a class of transformers does with a tokenizer.json. */
typedef enum sv_tokenizer_class {
    SV_CLASS_PLAIN, /* takes it as it is */
    /* The others keep the vocabulary and make everything else anew, by their own rules and the arguments. */
    SV_CLASS_BERT,
    SV_CLASS_MPNET,
    SV_CLASS_ROBERTA,
    SV_CLASS_XLM_ROBERTA,
    SV_CLASS_CAMEMBERT,
} sv_tokenizer_class;

typedef struct sv_tokenizer_config {
    sv_json_document document;
    sv_part part; /* object NONE: there is no such file */
    char path[SV_MAX_PATH];
    bool named;               /* whether there is a "tokenizer_class" */
    sv_tokenizer_class class; /* where it is named */
    const char *class_name;
} sv_tokenizer_config;

/* `file` may be NULL. Release it in any case. Errors: FORMAT, UNSUPPORTED, TOO_LARGE. */
senvec_status sv_tokenizer_config_open(sv_tokenizer_config *config, const char *folder, const sv_file_map *file,
                                       senvec_error *err);
void sv_tokenizer_config_close(sv_tokenizer_config *config);

/* Whether this class makes a tokenizer anew, given the model's type ("WordPiece"). Error: UNSUPPORTED, where the class is for
 * another model. */
senvec_status sv_tokenizer_config_class(const sv_tokenizer_config *config, const char *model, sv_tokenizer_class *out);

/* The added tokens: those of tokenizer.json (NONE, or its "added_tokens"), those of the arguments, and the special ones. */
senvec_status sv_tokenizer_config_added(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const char *path, sv_json list, senvec_error *err);

/* What a class that makes a tokenizer anew makes: the normalizer and the pre-tokenizer, before the model is read; the unknown
 * token and the template, after the added tokens. `file` may have no object (vocab.txt); `path` is that of the vocabulary. */
senvec_status sv_tokenizer_config_steps(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const sv_part *file);
senvec_status sv_tokenizer_config_anew(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                       const char *path);

/* truncation_side and what else is the same for every class. */
senvec_status sv_tokenizer_config_common(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, senvec_error *err);

#endif
