/* UTF-8, one code point at a time. Invalid bytes are read as U+FFFD, one for each maximal part of a sequence, which is what
 * Unicode recommends (chapter 3.9, "U+FFFD Substitution of Maximal Subparts") and what Python's errors="replace" does. */
#ifndef SV_COMMON_UTF8_H
#define SV_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SV_REPLACEMENT 0xfffdu
#define SV_MAX_UTF8 4 /* bytes of one code point */

static inline bool sv_utf8_is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* Reads the code point at `at` (at < end) into *c and returns the bytes that it took, at least 1. *invalid becomes true if they
 * were replaced; it is never cleared. */
static inline size_t sv_utf8_decode(const uint8_t *at, const uint8_t *end, uint32_t *c, bool *invalid) {
    uint8_t lead = at[0];
    if (lead < 0x80) {
        *c = lead;
        return 1;
    }
    size_t left = (size_t)(end - at);
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    /* What the second byte may be: this excludes overlong forms, surrogates, and all above U+10FFFF (table 3-7). */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t taken = 1;
    if (lead >= 0xc2 && lead <= 0xf4 && left > 1 && at[1] >= low && at[1] <= high) {
        uint32_t value = (lead & (0x7fu >> length)) << 6 | (at[1] & 0x3f);
        for (taken = 2; taken < length && taken < left && sv_utf8_is_continuation(at[taken]); taken++)
            value = value << 6 | (at[taken] & 0x3f);
        if (taken == length) {
            *c = value;
            return length;
        }
    }
    *c = SV_REPLACEMENT;
    *invalid = true;
    return taken;
}

/* Writes c (a code point, no surrogate) and returns its bytes. */
static inline size_t sv_utf8_encode(uint32_t c, uint8_t out[SV_MAX_UTF8]) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; --i > 0; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(0xf00u >> length | c);
    return length;
}

/* Replaces each invalid byte of a text that ends with NUL by '?'. Returns whether there was one. */
static inline bool sv_utf8_clean(char *text) {
    bool replaced = false;
    const char *end = text + strlen(text);
    for (char *at = text; at < end;) {
        uint32_t c;
        bool invalid = false;
        size_t taken = sv_utf8_decode((const uint8_t *)at, (const uint8_t *)end, &c, &invalid);
        if (invalid)
            memset(at, '?', taken);
        replaced |= invalid;
        at += taken;
    }
    return replaced;
}

#endif
