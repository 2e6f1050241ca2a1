/* BERT tokenization: exactly the ids that Hugging Face `tokenizers` gives for the same tokenizer.json.
 *
 * text -> added tokens cut out of the raw text -> clean_text, CJK spacing, lower-casing, accents -> words and punctuation ->
 * WordPiece
 * -> [CLS] ids [SEP], cut to a maximum. docs/MODEL.md describes each step. A tokenizer is immutable once loaded and may be used
 * by any number of threads. */
#ifndef SV_TEXT_TOKENIZER_H
#define SV_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/status.h"

typedef struct sv_tokenizer sv_tokenizer;

/* Loads tokenizer.json from a model directory, or vocab.txt (with tokenizer_config.json where present) if there is no
 * tokenizer.json. Truncation and padding that are written in tokenizer.json are ignored: the model's max_seq_length rules, as
 * in sentence-transformers. `allocator` NULL means the default. Errors: NOT_FOUND, FORMAT, UNSUPPORTED (names the part),
 * TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_tokenizer_load(const char *directory, const senvec_allocator *allocator, sv_tokenizer **out,
                                senvec_error *err);
void sv_tokenizer_free(sv_tokenizer *tokenizer);

/* The files that a tokenizer is made of, in memory; NULL where there is none. The vocabulary counts only without a
 * tokenizer.json. */
#define SV_TOKENIZER_JSON "tokenizer.json"
#define SV_TOKENIZER_VOCABULARY "vocab.txt"
#define SV_TOKENIZER_CONFIG "tokenizer_config.json"
typedef struct sv_tokenizer_files {
    const sv_file_map *json, *vocabulary, *config;
} sv_tokenizer_files;

/* sv_tokenizer_load from memory, which isn't needed afterwards; `folder` is for messages. */
senvec_status sv_tokenizer_load_files(const char *folder, const sv_tokenizer_files *files, const senvec_allocator *allocator,
                                      sv_tokenizer **out, senvec_error *err);

/* Those that sv_tokenizer_load would read, mapped. Errors: IO, TOO_LARGE. */
typedef struct sv_tokenizer_maps {
    sv_tokenizer_files files; /* points into the rest */
    sv_file_map json, vocabulary, config;
} sv_tokenizer_maps;
senvec_status sv_tokenizer_maps_open(sv_tokenizer_maps *maps, const char *directory, senvec_error *err);
void sv_tokenizer_maps_close(sv_tokenizer_maps *maps);

/* Ids are 0 .. size-1. */
size_t sv_tokenizer_vocabulary(const sv_tokenizer *tokenizer);
/* The text of a token, as the vocabulary has it ("##ing"), of *length bytes without a terminator; it lives as long as the
 * tokenizer. NULL if no token has this id. */
const char *sv_tokenizer_token(const sv_tokenizer *tokenizer, uint32_t id, size_t *length);
/* Bytes allocated. */
size_t sv_tokenizer_memory(const sv_tokenizer *tokenizer);

typedef struct sv_tokens {
    size_t count;      /* ids written, [CLS] and [SEP] included */
    bool truncated;    /* the text had more */
    bool invalid_utf8; /* some bytes were read as U+FFFD; bytes beyond the cut are not looked at */
} sv_tokens;

/* Tokenizes `length` bytes into at most `max_ids` ids (at least 2). Reads no further than it needs, allocates nothing, can't
 * fail: any bytes are a text (invalid UTF-8 is read as U+FFFD, one for each maximal invalid part). */
sv_tokens sv_tokenizer_encode(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *ids, size_t max_ids);

#endif
