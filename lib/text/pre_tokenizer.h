/* Pre-tokenizers: steps that split a normalised text into the pieces that the model sees. */
#ifndef SV_TEXT_PRE_TOKENIZER_H
#define SV_TEXT_PRE_TOKENIZER_H

#include "text/patterns.h"
#include "text/work.h"

typedef enum sv_pre_tokenizer_kind {
    SV_PRE_TOKENIZER_BERT,
    SV_PRE_TOKENIZER_WHITESPACE,       /* \w+|[^\w\s]+ */
    SV_PRE_TOKENIZER_WHITESPACE_SPLIT, /* at white space */
    SV_PRE_TOKENIZER_PUNCTUATION,
    SV_PRE_TOKENIZER_DIGITS,
    SV_PRE_TOKENIZER_STRING,  /* Split by a string */
    SV_PRE_TOKENIZER_PATTERN, /* Split by a regular expression */
    SV_PRE_TOKENIZER_METASPACE,
    SV_PRE_TOKENIZER_BYTE_LEVEL,
} sv_pre_tokenizer_kind;

/* What happens to the separators at which a text is split. */
typedef enum sv_split_behavior {
    SV_SPLIT_REMOVED,
    SV_SPLIT_ISOLATED,
    SV_SPLIT_MERGED_WITH_PREVIOUS,
    SV_SPLIT_MERGED_WITH_NEXT,
    SV_SPLIT_CONTIGUOUS,
} sv_split_behavior;

typedef enum sv_prepend_scheme { SV_PREPEND_ALWAYS, SV_PREPEND_FIRST, SV_PREPEND_NEVER } sv_prepend_scheme;

typedef struct sv_pre_tokenizer {
    sv_pre_tokenizer_kind kind;
    sv_split_behavior behavior; /* PUNCTUATION, DIGITS, STRING, PATTERN, METASPACE */
    bool invert;                /* STRING, PATTERN: the text between the matches is the separator */
    bool split;                 /* METASPACE: whether it splits; BYTE_LEVEL: whether it splits by GPT-2's pattern */
    bool prefix_space;          /* BYTE_LEVEL */
    sv_prepend_scheme prepend;  /* METASPACE */
    const char *string;         /* STRING: the separator; METASPACE: the replacement of a space */
    size_t length;
    sv_pattern *pattern;
    bool covers; /* PATTERN: sv_pattern_of */
} sv_pre_tokenizer;

/* Splits size bytes and gives each piece to the tokenizer's model. `origin`: the piece is the beginning of the text. */
void sv_pre_tokenize(sv_work *work, const uint8_t *piece, size_t size, bool origin);

#endif
