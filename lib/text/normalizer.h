/* Normalizers: steps that change a text before it is split. */
#ifndef SV_TEXT_NORMALIZER_H
#define SV_TEXT_NORMALIZER_H

#include "text/charsmap.h"
#include "text/work.h"

typedef enum sv_normalizer_kind {
    SV_NORMALIZER_NFC,
    SV_NORMALIZER_NFD,
    SV_NORMALIZER_NFKC,
    SV_NORMALIZER_NFKD,
    SV_NORMALIZER_LOWERCASE,
    SV_NORMALIZER_STRIP_ACCENTS,
    SV_NORMALIZER_BERT,
    SV_NORMALIZER_NMT,
    SV_NORMALIZER_PRECOMPILED,
    SV_NORMALIZER_REPLACE,        /* a string by a string */
    SV_NORMALIZER_REPLACE_SPACES, /* a run of `least` or more spaces by a string: " {2,}" */
    SV_NORMALIZER_REPLACE_WHITE,  /* the same for white space: "\s+" */
    SV_NORMALIZER_PREPEND,
    SV_NORMALIZER_STRIP,
} sv_normalizer_kind;

typedef struct sv_normalizer {
    sv_normalizer_kind kind;
    bool clean_text, pad_cjk, strip_accents, lowercase; /* BERT */
    bool left, right;                                   /* STRIP */
    size_t least;                                       /* REPLACE_SPACES, REPLACE_WHITE */
    const char *pattern, *content;                      /* REPLACE; content: PREPEND too */
    size_t pattern_length, content_length;
    sv_charsmap charsmap;
} sv_normalizer;

/* Applies all normalizers of the tokenizer to work->text[0]; *out is the element of work->text that holds the result. `first`
 * and `last` say whether the chunk is the beginning and the end of the text. False: no memory. */
bool sv_normalize(sv_work *work, bool first, bool last, sv_buffer **out);

#endif
