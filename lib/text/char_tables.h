/* Properties of code points beyond those that BERT asks about (charclass.h), as Hugging Face `tokenizers` sees them. All are
 * pure and take any value. */
#ifndef SV_TEXT_CHAR_TABLES_H
#define SV_TEXT_CHAR_TABLES_H

#include <stdbool.h>
#include <stdint.h>

bool sv_char_is_letter(uint32_t c);     /* \p{L} */
bool sv_char_is_number(uint32_t c);     /* \p{N} */
bool sv_char_is_word(uint32_t c);       /* \w: letters, marks, digits, connectors */
bool sv_char_is_numeric(uint32_t c);    /* what the pre-tokenizer Digits splits off */
bool sv_char_is_mark(uint32_t c);       /* what the normalizer StripAccents removes */
bool sv_char_is_compatible(uint32_t c); /* has a compatible decomposition */
bool sv_char_joins(uint32_t c);         /* continues a grapheme cluster: Extend, ZWJ, SpacingMark */

#endif
