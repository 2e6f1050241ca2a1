/* A tokenizer: exactly the ids that transformers gives for the same tokenizer.json and tokenizer_config.json.
 *
 * text -> added tokens cut out of the raw text -> normalizer -> pre-tokenizer (words) -> model (ids) -> template, such as
 * [CLS] ids [SEP], cut to a maximum. docs/MODEL.md describes each step. A tokenizer is immutable once loaded and may be used by
 * any number of threads. */
#ifndef SV_TEXT_TOKENIZER_H
#define SV_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/status.h"

typedef struct sv_tokenizer sv_tokenizer;

/* Loads tokenizer.json from a model directory, or vocab.txt if there is no tokenizer.json; tokenizer_config.json, where
 * present, has the same effect as in transformers (tokenizer_config.c). Lengths of truncation and padding that are written in
 * tokenizer.json are ignored: the model's max_seq_length rules, as in sentence-transformers. `allocator` NULL means the
 * default. Errors: NOT_FOUND, FORMAT, UNSUPPORTED (names the part), TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_tokenizer_load(const char *directory, const senvec_allocator *allocator, sv_tokenizer **out,
                                senvec_error *err);
void sv_tokenizer_free(sv_tokenizer *tokenizer);

/* The files of a tokenizer, in memory; NULL for a file that is missing. The vocabulary is used only if there is no
 * tokenizer.json. */
typedef struct sv_tokenizer_files {
    const sv_file_map *json, *vocabulary, *config;
} sv_tokenizer_files;

/* sv_tokenizer_load from memory, which isn't needed afterwards; `folder` is for messages. */
senvec_status sv_tokenizer_load_files(const char *folder, const sv_tokenizer_files *files, const senvec_allocator *allocator,
                                      sv_tokenizer **out, senvec_error *err);

/* The files that sv_tokenizer_load reads, mapped. Errors: IO, TOO_LARGE. */
typedef struct sv_tokenizer_maps {
    sv_tokenizer_files files; /* points to the maps below */
    sv_file_map json, vocabulary, config;
} sv_tokenizer_maps;
senvec_status sv_tokenizer_maps_open(sv_tokenizer_maps *maps, const char *directory, senvec_error *err);
void sv_tokenizer_maps_close(sv_tokenizer_maps *maps);

/* The size of the vocabulary: ids are 0 .. size - 1. */
size_t sv_tokenizer_vocabulary(const sv_tokenizer *tokenizer);
/* The side that SENVEC_TRUNCATION_AUTO means. */
senvec_truncation sv_tokenizer_truncation(const sv_tokenizer *tokenizer);
/* The bytes that the tokenizer has allocated. */
size_t sv_tokenizer_memory(const sv_tokenizer *tokenizer);

/* The text of a token as the vocabulary writes it ("##ing", "[CLS]", "\u2581the"): *length bytes, not NUL-terminated, that live
 * as long as the tokenizer. NULL for an id that is no token. */
const char *sv_tokenizer_token(const sv_tokenizer *tokenizer, uint32_t id, size_t *length);

/* Ids that the template adds to one text, or to a pair: 2 ([CLS] and [SEP]) and 3 for BERT. */
size_t sv_tokenizer_specials(const sv_tokenizer *tokenizer, bool pair);
/* Whether there is a template for pairs. */
bool sv_tokenizer_takes_pairs(const sv_tokenizer *tokenizer);

typedef struct sv_tokens {
    size_t count;      /* ids written, the template's ids included */
    bool truncated;    /* the text had more */
    bool invalid_utf8; /* some bytes were read as U+FFFD; bytes beyond the cut are not looked at */
    bool no_memory;    /* there was no memory for a very long word, so the ids are wrong */
} sv_tokens;

/* Tokenizes `length` bytes into at most `max_ids` ids (below sv_tokenizer_specials there is no place for the text). Any bytes
 * are a text (invalid UTF-8 is read as U+FFFD, one for each maximal invalid part). A text that has too many ids loses its last
 * ones (RIGHT) or its first ones (LEFT, which takes a second pass); AUTO is the side that the tokenizer's files name. Allocates
 * only for a word of some thousand bytes. */
sv_tokens sv_tokenizer_encode(const sv_tokenizer *tokenizer, const char *text, size_t length, senvec_truncation truncation,
                              uint32_t *ids, size_t max_ids);

/* Tokenizes a pair of texts: [CLS] a [SEP] b [SEP]. Only for a tokenizer for which sv_tokenizer_takes_pairs is true. If the
 * pair is too long, tokens are removed from the longer text first (transformers' "longest_first"), on the same side of both.
 * `types` gets the token type of each id; NULL: not wanted. `max_ids` is at least sv_tokenizer_specials. */
sv_tokens sv_tokenizer_encode_pair(const sv_tokenizer *tokenizer, senvec_text a, senvec_text b, senvec_truncation truncation,
                                   uint32_t *ids, uint32_t *types, size_t max_ids);

/* Counts the ids of the whole text, the template's ids included, in memory that doesn't grow with the text. With room for that
 * many ids sv_tokenizer_encode gives all of them. */
sv_tokens sv_tokenizer_count(const sv_tokenizer *tokenizer, const char *text, size_t length);

#endif
