#!/usr/bin/env python3
"""Writes lib/text/char_tables.c: properties of code points as Hugging Face `tokenizers` sees them.

usage: make_char_tables.py > lib/text/char_tables.c    (with the `tokenizers` that senvec is compared with)

`tokenizers` takes these properties from libraries of different Unicode versions, so they are asked of it, code point by code
point, rather than of the Unicode database.
"""

import struct

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def removed_by(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return {c for c in CODE_POINTS if not split.pre_tokenize_str(chr(c))}


def word_characters():
    words = pre_tokenizers.Whitespace()
    return {c for c in CODE_POINTS if [piece for piece, _ in words.pre_tokenize_str("a" + chr(c))] == ["a" + chr(c)]}


def numeric():
    digits = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in CODE_POINTS if len(digits.pre_tokenize_str("a" + chr(c))) == 2}


def combining_marks():
    strip = normalizers.StripAccents()
    return {c for c in CODE_POINTS if not strip.normalize_str(chr(c))}


def compatible():
    form = normalizers.NFKD()
    return {c for c in CODE_POINTS if form.normalize_str(chr(c)) != chr(c)}


def joins():
    """Code points that continue the grapheme cluster of an "x": a charsmap that knows "x" alone replaces them too."""
    # Units of a double array: the root, which leads to "x" at 1 ^ 0x78, which leads to its value.
    units = [0xFF] * 256
    units[0] = 1 << 10  # offset 1
    units[1 ^ 0x78] = (0x79 ^ 2) << 10 | 1 << 8 | 0x78  # offset to 2, with a leaf
    units[2] = 1 << 31  # value 0
    trie = struct.pack("<256I", *units)
    charsmap = normalizers.Precompiled(struct.pack("<I", len(trie)) + trie + b"y\0")
    assert charsmap.normalize_str("axb") == "ayb"
    return {c for c in CODE_POINTS if charsmap.normalize_str("x" + chr(c)) == "y"}


def boundaries(members):
    """Where membership changes: members are from an even place of the list up to before the next."""
    inside = False
    for c in range(0x110001):
        if (c in members) != inside:
            inside = not inside
            yield c


def table(name, comment, members):
    values = [f"0x{c:x}" for c in boundaries(members)]
    print(f"\n/* {comment} */\nstatic const uint32_t {name}[] = {{")
    line = "   "
    for value in values:
        if len(line) + len(value) + 2 > 127:
            print(line)
            line = "   "
        line += f" {value},"
    print(line + "\n};")


def main():
    print(f"""/* Properties of code points as Hugging Face `tokenizers` {tokenizers.__version__} sees them. Written by
 * tools/make_char_tables.py; don't edit it. Each table lists where membership changes: code points from an even place of it up
 * to before the next place are members. */
/* clang-format off */
#include "text/char_tables.h"

#include <stddef.h>""")
    table("letters", r"\p{L} of the regular expressions", removed_by(r"\p{L}"))
    table("numbers", r"\p{N} of the regular expressions", removed_by(r"\p{N}"))
    table("words", r"\w of the pre-tokenizer Whitespace and of added tokens", word_characters())
    table("numerics", "the pre-tokenizer Digits", numeric())
    table("marks", "the normalizer StripAccents", combining_marks())
    table("compatibles", "NFKD: code points that it decomposes", compatible())
    table("joining", "grapheme clusters: code points that continue one", joins() - {0x78})
    print("""
static bool is_member(const uint32_t *table, size_t count, uint32_t c) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table[middle] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    return low % 2 == 1;
}

#define IS_MEMBER(table, c) is_member(table, sizeof(table) / sizeof(table[0]), c)

bool sv_char_is_letter(uint32_t c) {
    return c < 0x80 ? (c | 32) >= 'a' && (c | 32) <= 'z' : IS_MEMBER(letters, c);
}

bool sv_char_is_number(uint32_t c) {
    return c < 0x80 ? c >= '0' && c <= '9' : IS_MEMBER(numbers, c);
}

bool sv_char_is_word(uint32_t c) {
    return IS_MEMBER(words, c);
}

bool sv_char_is_numeric(uint32_t c) {
    return c < 0x80 ? c >= '0' && c <= '9' : IS_MEMBER(numerics, c);
}

bool sv_char_is_mark(uint32_t c) {
    return c >= 0x300 && IS_MEMBER(marks, c);
}

bool sv_char_is_compatible(uint32_t c) {
    return c >= 0xa0 && IS_MEMBER(compatibles, c);
}

bool sv_char_joins(uint32_t c) {
    return c >= 0x300 && IS_MEMBER(joining, c);
}""")


if __name__ == "__main__":
    main()
