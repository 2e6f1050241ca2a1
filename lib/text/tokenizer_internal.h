/* The inside of a tokenizer, shared by the readers (tokenizer_json.c, tokenizer_vocab.c, tokenizer_config.c), tokenizer_load.c,
 * which puts it together, and the files that encode. */
#ifndef SV_TEXT_TOKENIZER_INTERNAL_H
#define SV_TEXT_TOKENIZER_INTERNAL_H

#include "common/file.h"
#include "common/limits.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

/* --------------------------------------------------------------------------------------------------------- where ids go to */

/* Takes the ids of a text one by one: drops the first `skip` ids, keeps the next `limit`, and notes whether there were more. */
typedef struct sv_id_sink {
    uint32_t *ids; /* [limit]; NULL: ids are only counted */
    size_t skip;   /* still to be dropped */
    size_t count;  /* kept */
    size_t limit;
    bool truncated; /* an id had no place: encoding may stop */
    bool invalid_utf8;
    bool no_memory; /* encoding has to stop */
} sv_id_sink;

static inline void sv_put_id(sv_id_sink *sink, uint32_t id) {
    if (sink->skip > 0) {
        sink->skip--;
    } else if (sink->count < sink->limit) {
        if (sink->ids)
            sink->ids[sink->count] = id;
        sink->count++;
    } else {
        sink->truncated = true;
    }
}

/* Whether the sink is full, so that any further id is one too many. */
static inline bool sv_sink_is_full(const sv_id_sink *sink) {
    return sink->count == sink->limit && sink->skip == 0;
}

/* ------------------------------------------------------------------------------------------------------------------- parts */

/* What encoding does with a byte of the raw text, as far as that depends on the byte alone. */
typedef enum sv_byte_kind {
    SV_BYTE_SLOW, /* look at the code point: not ASCII, or an added token may start here */
    SV_BYTE_WORD, /* append `lower` to the word */
    SV_BYTE_SPACE,
    SV_BYTE_PUNCTUATION,
    SV_BYTE_SKIP, /* removed by clean_text */
} sv_byte_kind;

/* A token that is found in the text before the model sees it. */
typedef struct sv_added_token {
    const char *text;
    size_t length;
    uint32_t id;
    bool single_word;    /* found only where no word character is beside it */
    bool lstrip, rstrip; /* takes the white space on that side with it */
    bool normalized;     /* looked for, normalised, in the normalised text instead of the raw text */
    bool special;
} sv_added_token;

/* The added tokens, arranged so that those which match at a position are found fast. */
typedef struct sv_added_tokens {
    sv_added_token *tokens; /* sorted by first byte, the longest first */
    size_t count;
    uint32_t start[257]; /* those with first byte b: start[b] .. start[b + 1] */
    bool begins[256];    /* whether there are any */
} sv_added_tokens;

/* The template around a text, or around the two texts of a pair: ids, and the places of the texts. */
typedef struct sv_template {
    struct sv_template_piece {
        int text; /* 0 or 1: that text; -1: `id` */
        uint32_t id, type;
    } pieces[SV_MAX_TEMPLATE];
    size_t count;    /* pieces; 0: there is no such template */
    size_t specials; /* pieces that are ids */
} sv_template;

/* Splits a word into the longest tokens from the left (wordpiece.c). */
typedef struct sv_wordpiece {
    sv_vocabulary vocabulary;
    const char *prefix; /* of a continuation: "##" */
    size_t prefix_length;
    uint32_t max_word_chars; /* a longer word is `unknown` */
    uint32_t unknown;
} sv_wordpiece;

/* The tokens' texts by id. */
typedef struct sv_token_texts {
    uint8_t *bytes;
    size_t used, capacity;
    struct sv_token_text {
        uint32_t offset, length; /* length 0: no token, or the empty one */
    } * entries;                 /* [size] */
    size_t size;
} sv_token_texts;

/* Words and their ids (word_cache.h). */
typedef struct sv_word_cache {
    struct sv_cached_word *slots;
} sv_word_cache;

typedef enum sv_model_kind { SV_MODEL_WORDPIECE, SV_MODEL_UNIGRAM, SV_MODEL_BPE } sv_model_kind;

struct sv_tokenizer {
    sv_arena arena; /* owns everything here, this struct too */

    /* Puts the ids of a text into a sink, without a template: sv_bert_encode where it can, else sv_pipeline_encode. */
    void (*encode)(const sv_tokenizer *tokenizer, const uint8_t *text, size_t length, sv_id_sink *sink);

    struct sv_normalizer *normalizers; /* [SV_MAX_STEPS] */
    size_t normalizer_count;
    struct sv_pre_tokenizer *pre_tokenizers; /* [SV_MAX_STEPS] */
    size_t pre_tokenizer_count;
    sv_model_kind model;
    sv_wordpiece wordpiece;
    struct sv_unigram *unigram;
    struct sv_bpe *bpe;
    struct sv_word_cache cache; /* Unigram and BPE */
    sv_template single, pair;
    bool truncate_left; /* what SENVEC_TRUNCATION_AUTO means */

    sv_added_tokens added;      /* those that are looked for in the raw text */
    sv_added_tokens normalised; /* those that are looked for in the normalised text */
    bool split_specials;        /* special tokens that occur in a text are treated as text */

    size_t tokens; /* in the vocabulary, added tokens not counted */
    size_t size;   /* largest id + 1 */
    sv_token_texts texts;

    /* Used while added tokens are read: the list of all, and an index from a text to its place in the list. */
    sv_added_token *listed;
    size_t listed_count;
    uint32_t listed_next; /* largest id of them + 1 */
    sv_vocabulary listed_index;
    sv_vocabulary names; /* BPE: from a token to its id */

    /* Made from the above by tokenizer_load.c. */
    bool is_local;     /* sv_pipeline_is_local */
    bool bert_steps;   /* the steps are BERT's, so sv_bert_encode can encode a chunk without added tokens */
    bool suspect[256]; /* ASCII bytes that an added token in the normalised text may come from */
    uint8_t kind[256]; /* sv_byte_kind, for sv_bert_encode */
    uint8_t lower[128];
};

/* ---------------------------------------------------------------------------------------------------------------- encoding */

/* One pass over the bytes for BERT's normalizer, pre-tokenizer and WordPiece (bert_text.c). */
void sv_bert_encode(const sv_tokenizer *tokenizer, const uint8_t *text, size_t length, sv_id_sink *sink);

/* Encodes a normalised word of `bytes` bytes and `chars` code points, at least one of each. */
void sv_wordpiece_encode(const sv_wordpiece *model, const uint8_t *word, size_t bytes, size_t chars, sv_id_sink *sink);

/* The longest added token at `at`, or NULL. */
const sv_added_token *sv_added_token_at(const sv_added_tokens *tokens, const uint8_t *at, const uint8_t *end);

/* ----------------------------------------------------------------------------------------------------------------- loading */

/* Room for `size` ids whose tokens have `bytes` bytes together. Errors: OUT_OF_MEMORY, TOO_LARGE. */
senvec_status sv_token_texts_init(sv_token_texts *texts, size_t size, size_t bytes, sv_arena *arena, senvec_error *err);
void sv_token_texts_add(sv_token_texts *texts, uint32_t id, const char *text, size_t length);

/* Room for a WordPiece vocabulary: `tokens` strings of `bytes` bytes together, with ids below `size`, those of added tokens
 * included. Errors: OUT_OF_MEMORY, TOO_LARGE. */
senvec_status sv_tokenizer_reserve(sv_tokenizer *tokenizer, size_t tokens, size_t bytes, size_t size, const char *path,
                                   senvec_error *err);
/* Adds one entry of the vocabulary; an empty one is ignored, as nothing can match it. Needs `prefix`. Errors: TOO_LARGE. */
senvec_status sv_tokenizer_add(sv_tokenizer *tokenizer, const char *text, size_t length, uint64_t id, const char *path,
                               senvec_error *err);
/* The id of a whole token of the vocabulary, of any model; false if there is none. */
bool sv_tokenizer_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id);

/* Sets the usual templates: [first] a [last], and for pairs [first] a [last] b [last] with types 0 and 1 or, if `roberta`, <s>
 * a </s> </s> b </s>. */
void sv_template_usual(sv_tokenizer *tokenizer, uint32_t first, uint32_t last, bool roberta);

/* The readers: fill options, vocabulary, added tokens and the ids of special tokens from files in memory; paths are for
 * messages. Errors as sv_tokenizer_load. */
struct sv_tokenizer_config;
senvec_status sv_tokenizer_read_json(sv_tokenizer *tokenizer, const char *path, sv_file_map file,
                                     const struct sv_tokenizer_config *config, senvec_error *err);
senvec_status sv_tokenizer_read_vocabulary(sv_tokenizer *tokenizer, const char *path, sv_file_map file,
                                           const struct sv_tokenizer_config *config, senvec_error *err);

/* Room for `count` added tokens of `bytes` bytes together. Errors: OUT_OF_MEMORY. */
senvec_status sv_added_tokens_reserve(sv_tokenizer *tokenizer, size_t count, size_t bytes, senvec_error *err);
/* Adds an added token, or changes the options of one that was added before. Its id is the one in the vocabulary, else the next
 * id after the vocabulary; if `id` isn't NULL, it must be the same. Errors: FORMAT, UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_added_tokens_put(sv_tokenizer *tokenizer, const char *path, const sv_added_token *token, const uint32_t *id,
                                  senvec_error *err);
bool sv_added_tokens_has(const sv_tokenizer *tokenizer, const char *text, size_t length);
/* Arranges the added tokens for sv_added_token_at. Errors: FORMAT, UNSUPPORTED, OUT_OF_MEMORY. */
senvec_status sv_added_tokens_finish(sv_tokenizer *tokenizer, const char *path, senvec_error *err);
/* The id of a text that is an added token or one of the vocabulary. */
bool sv_tokenizer_any_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id);

#endif
