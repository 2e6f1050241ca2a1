/* The inside of a tokenizer, shared by the readers (tokenizer_json.c, tokenizer_vocab.c), tokenizer_load.c, which puts it
 * together, and tokenizer.c, which encodes. */
#ifndef SV_TEXT_TOKENIZER_INTERNAL_H
#define SV_TEXT_TOKENIZER_INTERNAL_H

#include "common/file.h"
#include "common/limits.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

/* What encoding does at a byte of the raw text, as far as the byte alone tells. */
typedef enum sv_byte_kind {
    SV_BYTE_SLOW, /* look at the code point: not ASCII, or an added token may start here */
    SV_BYTE_WORD, /* append `lower` to the word */
    SV_BYTE_SPACE,
    SV_BYTE_PUNCTUATION,
    SV_BYTE_SKIP, /* removed by clean_text */
} sv_byte_kind;

/* A token that is found in the raw text, before anything is normalised. */
typedef struct sv_added_token {
    const char *text;
    size_t length;
    uint32_t id;
} sv_added_token;

struct sv_tokenizer {
    sv_arena arena; /* owns everything here, this struct too */

    /* BertNormalizer */
    bool clean_text, pad_cjk, strip_accents, lowercase;
    /* WordPiece */
    sv_vocabulary vocabulary;
    const char *prefix; /* of a continuation: "##" */
    size_t prefix_length;
    uint32_t max_word_chars; /* a longer word is `unknown` */
    uint32_t unknown;
    /* TemplateProcessing */
    uint32_t first, last; /* [CLS], [SEP] */

    sv_added_token *added; /* sorted by first byte, the longest first */
    size_t added_count;

    size_t tokens; /* in the vocabulary, added tokens not counted */
    size_t size;   /* largest id + 1 */

    /* Made from the above by tokenizer_load.c. */
    uint32_t *slot_of;         /* (size): by id, 1 + the vocabulary's slot with its whole text; 0: an added token, or none */
    uint32_t added_start[257]; /* added tokens with first byte b: added_start[b] .. added_start[b + 1] */
    uint8_t kind[256];         /* sv_byte_kind */
    uint8_t lower[128];
};

/* Room for the vocabulary: `tokens` strings of `bytes` bytes together. Errors: OUT_OF_MEMORY, TOO_LARGE. */
senvec_status sv_tokenizer_reserve(sv_tokenizer *tokenizer, size_t tokens, size_t bytes, const char *path, senvec_error *err);
/* Adds one entry of the vocabulary; an empty one is ignored, as nothing can match it. Needs `prefix`. Errors: TOO_LARGE. */
senvec_status sv_tokenizer_add(sv_tokenizer *tokenizer, const char *text, size_t length, uint64_t id, const char *path,
                               senvec_error *err);
/* The id of a whole token of the vocabulary; false if there is none. */
bool sv_tokenizer_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id);

/* The readers: fill options, vocabulary, added tokens and the ids of special tokens from files in memory; paths are for
 * messages. `config` may be NULL. Errors as sv_tokenizer_load. */
senvec_status sv_tokenizer_read_json(sv_tokenizer *tokenizer, const char *path, sv_file_map file, senvec_error *err);
senvec_status sv_tokenizer_read_vocabulary(sv_tokenizer *tokenizer, const char *path, sv_file_map file, const char *config_path,
                                           const sv_file_map *config, senvec_error *err);

/* Parses a file of at most SV_MAX_JSON_BYTES with these flags of jansson; *out is released with json_decref. Errors: TOO_LARGE,
 * FORMAT (with the byte offset). */
struct json_t;
senvec_status sv_json_parse(const char *path, sv_file_map file, size_t flags, struct json_t **out, senvec_error *err);

#endif
