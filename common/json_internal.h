/* Inside of the JSON reader: json_check.c checks a document, json.c walks one that is checked. */
#ifndef SV_COMMON_JSON_INTERNAL_H
#define SV_COMMON_JSON_INTERNAL_H

#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

#define ONES UINT64_C(0x0101010101010101)
#define TOPS UINT64_C(0x8080808080808080)

/* Sets the top bit of every byte that is zero, and perhaps of some bytes above a zero one. */
static inline uint64_t zero_bytes(uint64_t word) {
    return (word - ONES) & ~word & TOPS;
}

static inline uint64_t load(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Are eight characters of a string plain ASCII, neither a quote nor a backslash nor a control? */
static inline bool all_plain(uint64_t word) {
    return !((word & TOPS) | ((word - 0x20 * ONES) & ~word & TOPS) | zero_bytes(word ^ '"' * ONES) |
             zero_bytes(word ^ '\\' * ONES));
}

static inline bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The value of four hexadecimal digits; -1 if the characters aren't digits. */
int sv_json_hex4(const char *at);

/* The escape at `at`, a backslash, of a checked string: writes its bytes, moves `at` behind it and returns their number. */
size_t sv_json_unescape(const char **at, uint8_t out[SV_MAX_UTF8]);

/* Takes whatever is at `at`: an escape as sv_json_unescape does, or else one byte unchanged. */
static inline size_t sv_json_take(const char **at, uint8_t out[SV_MAX_UTF8]) {
    if (**at == '\\')
        return sv_json_unescape(at, out);
    const char byte = *(*at)++;
    out[0] = (uint8_t)byte;
    return 1;
}

/* The value that begins at `at`, of a checked document that ends at `end`. */
sv_json sv_json_value_at(const char *at, const char *end);

/* The first position at or after `at` that isn't white space. */
static inline const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_space(*at))
        at++;
    return at;
}

#endif
