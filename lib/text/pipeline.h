/* Encoding a text by the steps of tokenizer.json, one after the other. */
#ifndef SV_TEXT_PIPELINE_H
#define SV_TEXT_PIPELINE_H

#include "text/work.h"

/* The general `encode` of a tokenizer, for any normalizers, pre-tokenizers and models. */
void sv_pipeline_encode(const sv_tokenizer *tokenizer, const uint8_t *text, size_t length, sv_id_sink *sink);

/* The model's ids of a piece of at least one byte, valid UTF-8. */
void sv_model_encode(sv_work *work, const uint8_t *piece, size_t size);

/* Normalises the text of an added token that is looked for in normalised text. The result lies in the arena. Errors:
 * OUT_OF_MEMORY. */
senvec_status sv_pipeline_normalize(sv_tokenizer *tokenizer, const char *text, size_t length, const char **out,
                                    size_t *out_length, senvec_error *err);

/* Whether a text may be cut before a single space between ASCII letters or digits and its parts be encoded by themselves. */
bool sv_pipeline_is_local(const sv_tokenizer *tokenizer);

#endif
