/* The readers of the parts of tokenizer.json. Each fills its part of a tokenizer. Errors: FORMAT, UNSUPPORTED (names the part
 * that senvec lacks), TOO_LARGE, OUT_OF_MEMORY. */
#ifndef SV_TEXT_TOKENIZER_READ_H
#define SV_TEXT_TOKENIZER_READ_H

#include "text/json_part.h"
#include "text/tokenizer_internal.h"

/* `file` is the whole file; "normalizer" and "pre_tokenizer" may be absent or null. */
senvec_status sv_normalizers_read(sv_tokenizer *tokenizer, const sv_part *file);
senvec_status sv_pre_tokenizers_read(sv_tokenizer *tokenizer, const sv_part *file);
senvec_status sv_post_processor_read(sv_tokenizer *tokenizer, const sv_part *file);

/* Adds one step, cleared. Errors: TOO_LARGE, OUT_OF_MEMORY. */
struct sv_normalizer;
struct sv_pre_tokenizer;
senvec_status sv_normalizer_add(sv_tokenizer *tokenizer, const char *path, struct sv_normalizer **out, senvec_error *err);
senvec_status sv_pre_tokenizer_add(sv_tokenizer *tokenizer, const char *path, struct sv_pre_tokenizer **out, senvec_error *err);

/* Reads only the first Precompiled of a "normalizer", as transformers' classes for sentencepiece do. */
senvec_status sv_charsmap_normalizer_read(sv_tokenizer *tokenizer, const sv_part *file);
/* Make the pre-tokenizers WhitespaceSplit and Metaspace, or ByteLevel, as transformers' classes do. */
senvec_status sv_pre_tokenizers_sentencepiece(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err);
senvec_status sv_pre_tokenizers_byte_level(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err);

/* Whether the last step is ByteLevel. */
bool sv_pre_tokenizers_give_bytes(const sv_tokenizer *tokenizer);

/* Read the model, after the pre-tokenizers. `anew`: only the vocabulary, as a transformers class does that builds the rest
 * anew. */
senvec_status sv_wordpiece_read(sv_tokenizer *tokenizer, const sv_part *model, bool anew);
senvec_status sv_unigram_read(sv_tokenizer *tokenizer, const sv_part *model);
senvec_status sv_bpe_read(sv_tokenizer *tokenizer, const sv_part *model, bool anew);

/* Notes a token of the vocabulary: its text by id, and how many there are. Errors: TOO_LARGE. */
senvec_status sv_tokenizer_note(sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t id, const char *path,
                                senvec_error *err);
/* Measures a vocabulary {token: id}: the number of its tokens, their bytes together, and the largest id + 1. Errors: FORMAT,
 * TOO_LARGE. */
senvec_status sv_vocabulary_measure(const sv_part *model, sv_json vocabulary, size_t *count, size_t *bytes, size_t *size);

#endif
