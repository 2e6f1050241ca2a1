/* The readers of the parts of tokenizer.json. Each fills its part of a tokenizer. Errors: FORMAT, UNSUPPORTED (names what is
 * asked for and not there), TOO_LARGE, OUT_OF_MEMORY. */
#ifndef SV_TEXT_TOKENIZER_READ_H
#define SV_TEXT_TOKENIZER_READ_H

#include "text/json_part.h"
#include "text/tokenizer_internal.h"

/* `file` is the whole file; an absent or null "normalizer" or "pre_tokenizer" is none. */
senvec_status sv_normalizers_read(sv_tokenizer *tokenizer, const sv_part *file);
senvec_status sv_pre_tokenizers_read(sv_tokenizer *tokenizer, const sv_part *file);
senvec_status sv_post_processor_read(sv_tokenizer *tokenizer, const sv_part *file);

/* Room for one step more, cleared. Errors: TOO_LARGE, OUT_OF_MEMORY. */
struct sv_normalizer;
struct sv_pre_tokenizer;
senvec_status sv_normalizer_add(sv_tokenizer *tokenizer, const char *path, struct sv_normalizer **out, senvec_error *err);
senvec_status sv_pre_tokenizer_add(sv_tokenizer *tokenizer, const char *path, struct sv_pre_tokenizer **out, senvec_error *err);

/* The first Precompiled of a "normalizer", alone: what transformers' classes for sentencepiece take of it. */
senvec_status sv_charsmap_normalizer_read(sv_tokenizer *tokenizer, const sv_part *file);
/* WhitespaceSplit and Metaspace; ByteLevel: as transformers' classes make them. */
senvec_status sv_pre_tokenizers_sentencepiece(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err);
senvec_status sv_pre_tokenizers_byte_level(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err);

/* Whether the last step is ByteLevel. */
bool sv_pre_tokenizers_give_bytes(const sv_tokenizer *tokenizer);

/* The models, after the pre-tokenizers. `anew`: a class of transformers takes the vocabulary alone. */
senvec_status sv_wordpiece_read(sv_tokenizer *tokenizer, const sv_part *model, bool anew);
senvec_status sv_unigram_read(sv_tokenizer *tokenizer, const sv_part *model);
senvec_status sv_bpe_read(sv_tokenizer *tokenizer, const sv_part *model, bool anew);

/* Notes a token of the vocabulary: its text by id, and how many there are. Errors: TOO_LARGE. */
senvec_status sv_tokenizer_note(sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t id, const char *path,
                                senvec_error *err);
/* A vocabulary {token: id}: its tokens, their bytes together, and the largest id + 1. Errors: FORMAT, TOO_LARGE. */
senvec_status sv_vocabulary_measure(const sv_part *model, sv_json vocabulary, size_t *count, size_t *bytes, size_t *size);

#endif
