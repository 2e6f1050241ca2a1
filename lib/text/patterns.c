/* Each expression is one function that follows its alternatives in their order. They never look back, and each looks ahead no
 * further than the run of white space that it begins in, which is what it matches. */
#include "text/patterns.h"

#include <string.h>

#include "common/utf8.h"
#include "text/char_tables.h"
#include "text/charclass.h"

typedef enum kind { END, LETTER, NUMBER, SPACE, REST } kind;

static const uint8_t ascii_kinds[128] = {
    [0 ... 8] = REST,     [9 ... 13] = SPACE,     [14 ... 31] = REST,    [' '] = SPACE,
    ['!' ... '/'] = REST, ['0' ... '9'] = NUMBER, [':' ... '@'] = REST,  ['A' ... 'Z'] = LETTER,
    ['[' ... '`'] = REST, ['a' ... 'z'] = LETTER, ['{' ... 0x7f] = REST,
};

static kind wide_kind_at(const uint8_t *at, const uint8_t *end, size_t *length) {
    uint32_t c;
    bool invalid = false;
    *length = sv_utf8_decode(at, end, &c, &invalid);
    if (sv_char_is_letter(c))
        return LETTER;
    if (sv_char_is_number(c))
        return NUMBER;
    sv_char_class class = sv_char_classify(c);
    return class == SV_CHAR_SPACE || class == SV_CHAR_BREAK ? SPACE : REST;
}

/* The kind of the code point at `at`, and its bytes. */
static inline kind kind_at(const uint8_t *at, const uint8_t *end, size_t *length) {
    *length = 1;
    if (at >= end)
        return END;
    return *at < 0x80 ? (kind)ascii_kinds[*at] : wide_kind_at(at, end, length);
}

/* Behind the run of one kind that begins at `at`. */
static inline const uint8_t *run_end(const uint8_t *at, const uint8_t *end, kind of) {
    size_t length;
    while (kind_at(at, end, &length) == of)
        at += length;
    return at;
}

/* \s+(?!\S)|\s+ : the run, without its last code point if something follows it and there are more. */
static const uint8_t *spaces_end(const uint8_t *at, const uint8_t *end) {
    const uint8_t *stop = at, *last = at;
    size_t length;
    while (kind_at(stop, end, &length) == SPACE) {
        last = stop;
        stop += length;
    }
    return stop == end || last == at ? stop : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d ; in any case: U+017F is an s then. Returns what is behind it, or NULL. */
static const uint8_t *contraction_end(const uint8_t *at, const uint8_t *end, bool any_case) {
    if (*at != '\'' || end - at < 2)
        return NULL;
    uint8_t fold = any_case ? 32 : 0, first = at[1] | fold, second = end - at > 2 ? at[2] | fold : 0;
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return at + 2;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
        return at + 3;
    if (any_case && end - at > 2 && at[1] == 0xc5 && at[2] == 0xbf)
        return at + 3;
    return NULL;
}

const uint8_t *sv_pattern_gpt2(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    if (at == end)
        return NULL;
    const uint8_t *short_end = contraction_end(at, end, false);
    if (short_end) {
        *stop = short_end;
        return at;
    }
    size_t length;
    const uint8_t *from = at;
    kind first = kind_at(at, end, &length);
    if (*at == ' ') { /* " ?" */
        kind next = kind_at(at + 1, end, &length);
        if (next != END && next != SPACE) {
            first = next;
            from++;
        }
    }
    *stop = first == SPACE ? spaces_end(at, end) : run_end(from + length, end, first);
    return at;
}

/* The longest \s*[\r\n]+ , or NULL. */
static const uint8_t *line_breaks_end(const uint8_t *at, const uint8_t *end) {
    const uint8_t *found = NULL;
    size_t length;
    while (kind_at(at, end, &length) == SPACE) {
        if (*at == '\r' || *at == '\n')
            found = at + 1;
        at += length;
    }
    return found;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static const uint8_t *cl100k(const uint8_t *at, const uint8_t *end, const uint8_t **stop, size_t digits) {
    if (at == end)
        return NULL;
    *stop = contraction_end(at, end, true);
    if (*stop)
        return at;
    size_t length = 0, next_length;
    kind first = kind_at(at, end, &length), next = kind_at(at + length, end, &next_length);
    if (first == LETTER || (first != NUMBER && *at != '\r' && *at != '\n' && next == LETTER)) {
        *stop = run_end(at + length, end, LETTER);
        return at;
    }
    if (first == NUMBER) {
        *stop = at;
        for (size_t i = 0; i < digits && kind_at(*stop, end, &length) == NUMBER; i++)
            *stop += length;
        return at;
    }
    const uint8_t *from = *at == ' ' && next == REST ? at + 1 : at;
    if (first == REST || from > at) {
        const uint8_t *rest = run_end(from, end, REST);
        while (rest < end && (*rest == '\r' || *rest == '\n'))
            rest++;
        *stop = rest;
        return at;
    }
    *stop = line_breaks_end(at, end);
    if (!*stop)
        *stop = spaces_end(at, end);
    return at;
}

static const uint8_t *cl100k_three(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return cl100k(at, end, stop, 3);
}

static const uint8_t *cl100k_one(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return cl100k(at, end, stop, 1);
}

/* The first code point, or run of them, of one kind. */
static const uint8_t *first_of(const uint8_t *at, const uint8_t *end, const uint8_t **stop, kind of, bool run) {
    size_t length;
    for (kind now; (now = kind_at(at, end, &length)) != END; at += length)
        if (now == of) {
            *stop = run ? run_end(at, end, of) : at + length;
            return at;
        }
    return NULL;
}

static const uint8_t *spaces(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return first_of(at, end, stop, SPACE, true);
}

static const uint8_t *space(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return first_of(at, end, stop, SPACE, false);
}

static const uint8_t *numbers(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return first_of(at, end, stop, NUMBER, true);
}

static const uint8_t *number(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return first_of(at, end, stop, NUMBER, false);
}

static const uint8_t *letters(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    return first_of(at, end, stop, LETTER, true);
}

sv_pattern *sv_pattern_of(const char *expression, bool *covers) {
    static const struct {
        const char *expression;
        sv_pattern *pattern;
        bool covers;
    } patterns[] = {
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", sv_pattern_gpt2, true},
        {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", sv_pattern_gpt2, true},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
         "\\s+(?!\\S)|\\s+",
         cl100k_three, true},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
         "\\s+(?!\\S)|\\s+",
         cl100k_one, true},
        {"\\s+", spaces, false},
        {"\\s", space, false},
        {"\\p{N}+", numbers, false},
        {"\\p{N}", number, false},
        {"\\p{L}+", letters, false},
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (strcmp(patterns[i].expression, expression) == 0) {
            *covers = patterns[i].covers;
            return patterns[i].pattern;
        }
    return NULL;
}
