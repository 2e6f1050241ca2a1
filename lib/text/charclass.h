/* What BERT tokenization asks about one code point, answered as Hugging Face `tokenizers` does (charclass.c says how). All
 * functions are pure and take any value up to U+10FFFF. */
#ifndef SV_TEXT_CHARCLASS_H
#define SV_TEXT_CHARCLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum sv_char_class {
    SV_CHAR_WORD,        /* part of a word: everything that isn't below */
    SV_CHAR_SPACE,       /* Unicode White_Space */
    SV_CHAR_BREAK,       /* U+000B, U+000C, U+0085: White_Space too, but clean_text removes it as a control */
    SV_CHAR_CONTROL,     /* removed by clean_text: NUL, U+FFFD, and the categories Cc, Cf, Co */
    SV_CHAR_PUNCTUATION, /* a word of its own: the categories P*, and the ASCII symbols ($ + < = > ^ ` | ~) */
    SV_CHAR_MARK,        /* category Mn, removed by strip_accents */
} sv_char_class;

extern const uint8_t sv_ascii_classes[128];      /* of sv_char_class */
sv_char_class sv_char_classify_wide(uint32_t c); /* from U+0080 on */
static inline sv_char_class sv_char_classify(uint32_t c) {
    return c < 0x80 ? (sv_char_class)sv_ascii_classes[c] : sv_char_classify_wide(c);
}

/* The ideographs that handle_chinese_chars puts spaces around. */
bool sv_char_is_cjk(uint32_t c);

#define SV_MAX_DECOMPOSITION 4 /* code points, for a canonical decomposition */
/* Full canonical decomposition (what NFD makes of c alone); returns its length, at least 1. */
size_t sv_char_decompose(uint32_t c, uint32_t out[SV_MAX_DECOMPOSITION]);

#define SV_MAX_COMPATIBLE 18 /* code points, for a compatible decomposition */
/* Full compatible decomposition (what NFKD makes of c alone); returns its length, at least 1. */
size_t sv_char_decompose_compatible(uint32_t c, uint32_t out[SV_MAX_COMPATIBLE]);

/* Whether the reference's decompositions don't know c, though utf8proc does. */
bool sv_char_is_later(uint32_t c);

/* Canonical combining class, by which NFD orders marks; 0 for everything that ends a run of marks. */
unsigned sv_char_combining_class(uint32_t c);

#define SV_MAX_LOWER 2
/* Lower case, with the one unconditional mapping to two code points (U+0130); returns the length. Looks at no context, so a
 * capital sigma always gives U+03C3. */
size_t sv_char_lower(uint32_t c, uint32_t out[SV_MAX_LOWER]);

#endif
