/* The check is one loop over values with a stack of open brackets. What follows the check may trust its input, so skipping a
 * value only needs quotes, backslashes and brackets. */
#include "io/json_scan.h"

#include <stdint.h>
#include <string.h>

#include "common/utf8.h"

/* Bytes at[0] .. end[-1] are still to be read. */
typedef struct scanner {
    const char *at, *end;
    const char *problem; /* NULL: none so far */
} scanner;

static bool fail(scanner *s, const char *problem) {
    s->problem = problem;
    return false;
}

static void skip_blank(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take(scanner *s, char byte) {
    skip_blank(s);
    if (s->at == s->end || *s->at != byte)
        return false;
    s->at++;
    return true;
}

/* ------------------------------------------------------------------ check */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* After the backslash. */
static bool check_escape(scanner *s) {
    if (s->at == s->end)
        return fail(s, "it ends inside a string");
    if (*s->at != 'u') {
        if (!*s->at || !strchr("\"\\/bfnrt", *s->at))
            return fail(s, "an unknown escape in a string");
        s->at++;
        return true;
    }
    s->at++;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || hex_digit(*s->at) < 0)
            return fail(s, "\\u needs four hexadecimal digits");
    return true;
}

/* After the opening quote. */
static bool check_string(scanner *s) {
    while (s->at < s->end) {
        unsigned char byte = (unsigned char)*s->at;
        if (byte == '"') {
            s->at++;
            return true;
        }
        if (byte < 0x20)
            return fail(s, "a control character in a string; it has to be escaped");
        if (byte == '\\') {
            s->at++;
            if (!check_escape(s))
                return false;
        } else if (byte < 0x80) {
            s->at++;
        } else {
            uint32_t c;
            bool invalid = false;
            const uint8_t *at = (const uint8_t *)s->at;
            size_t length = sv_utf8_decode(at, (const uint8_t *)s->end, &c, &invalid);
            if (invalid)
                return fail(s, "invalid UTF-8 in a string");
            s->at += length;
        }
    }
    return fail(s, "it ends inside a string");
}

static bool check_digits(scanner *s) {
    const char *begin = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > begin || fail(s, "not a number");
}

static bool check_number(scanner *s) {
    if (*s->at == '-')
        s->at++;
    const char *begin = s->at;
    if (!check_digits(s))
        return false;
    if (*begin == '0' && s->at > begin + 1)
        return fail(s, "a number with a leading zero");
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!check_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return check_digits(s);
    }
    return true;
}

static bool check_word(scanner *s) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(s->end - s->at) >= length && memcmp(s->at, words[i], length) == 0) {
            s->at += length;
            return true;
        }
    }
    return fail(s, "a value is missing");
}

/* "name": before a member's value. */
static bool check_name(scanner *s) {
    if (!take(s, '"'))
        return fail(s, "a member's name is missing");
    return check_string(s) && (take(s, ':') || fail(s, "no ':' after a member's name"));
}

/* A string, number or word, or the opening of an object or array, which is pushed. *open: a value must follow. */
static bool check_begin(scanner *s, char *stack, size_t *depth, bool *open) {
    *open = false;
    skip_blank(s);
    if (s->at == s->end)
        return fail(s, "it ends where a value should begin");
    if (*s->at == '"') {
        s->at++;
        return check_string(s);
    }
    if (*s->at == '-' || (*s->at >= '0' && *s->at <= '9'))
        return check_number(s);
    if (*s->at != '{' && *s->at != '[')
        return check_word(s);
    if (*depth == SV_JSON_MAX_DEPTH)
        return fail(s, "too many brackets within brackets");
    char bracket = *s->at++;
    stack[(*depth)++] = bracket;
    skip_blank(s);
    *open = s->at == s->end || *s->at != (bracket == '{' ? '}' : ']');
    return !*open || bracket == '[' || check_name(s);
}

/* What follows a value: brackets that close, and a comma. *open: a value must follow. */
static bool check_end(scanner *s, const char *stack, size_t *depth, bool *open) {
    *open = false;
    while (*depth > 0) {
        char bracket = stack[*depth - 1];
        if (take(s, bracket == '{' ? '}' : ']')) {
            (*depth)--;
        } else if (take(s, ',')) {
            *open = true;
            return bracket == '[' || check_name(s);
        } else {
            return fail(s, bracket == '{' ? "no ',' or '}' after a member" : "no ',' or ']' after an element");
        }
    }
    return true;
}

const char *sv_json_check(senvec_text json, size_t *at) {
    scanner s = {json.data, json.data + json.length, NULL};
    char stack[SV_JSON_MAX_DEPTH];
    size_t depth = 0;
    bool open = true;
    while (open && check_begin(&s, stack, &depth, &open))
        if (!open && !check_end(&s, stack, &depth, &open))
            break;
    skip_blank(&s);
    if (!s.problem && s.at < s.end)
        s.problem = "something follows the value";
    *at = (size_t)(s.at - json.data);
    return s.problem;
}

/* ------------------------------------------------------------------ values */

/* Past the value that begins at s->at. */
static void skip_value(scanner *s) {
    size_t depth = 0;
    bool in_string = false, scalar = false;
    for (; s->at < s->end; s->at++) {
        char byte = *s->at;
        if (in_string) {
            if (byte == '\\')
                s->at++;
            else if (byte == '"')
                in_string = false;
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if (byte == '}' || byte == ']') {
            if (scalar && depth == 0)
                return;
            depth--;
        } else if (depth == 0) { /* of a number or word */
            if (byte == ',' || byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r')
                return;
            scalar = true;
            continue;
        } else {
            continue;
        }
        if (!in_string && depth == 0 && !scalar) {
            s->at++;
            return;
        }
    }
}

static senvec_text take_value(scanner *s) {
    skip_blank(s);
    const char *begin = s->at;
    skip_value(s);
    return (senvec_text){begin, (size_t)(s->at - begin)};
}

/* Whether a member's name, with its quotes and escapes, is `name`. */
static bool is_named(senvec_text quoted, const char *name, size_t length) {
    if (!memchr(quoted.data, '\\', quoted.length))
        return quoted.length == length + 2 && memcmp(quoted.data + 1, name, length) == 0;
    char decoded[256];
    if (quoted.length > sizeof decoded)
        return false;
    return sv_json_string(quoted, decoded) == length && memcmp(decoded, name, length) == 0;
}

/* The member or element of that name or number. */
static bool find_one(senvec_text json, const char *name, size_t length, senvec_text *value) {
    scanner s = {json.data, json.data + json.length, NULL};
    bool found = false;
    if (take(&s, '[')) {
        size_t wanted = 0;
        for (size_t i = 0; i < length; i++) {
            if (name[i] < '0' || name[i] > '9' || wanted > SIZE_MAX / 16)
                return false;
            wanted = wanted * 10 + (size_t)(name[i] - '0');
        }
        if (length == 0 || take(&s, ']'))
            return false;
        for (size_t i = 0;; i++) {
            *value = take_value(&s);
            if (i == wanted)
                return true;
            if (!take(&s, ','))
                return false;
        }
    }
    if (!take(&s, '{') || take(&s, '}'))
        return false;
    do {
        senvec_text quoted = take_value(&s);
        take(&s, ':');
        senvec_text member = take_value(&s);
        if (is_named(quoted, name, length)) {
            *value = member;
            found = true;
        }
    } while (take(&s, ','));
    return found;
}

bool sv_json_find(senvec_text json, const char *path, senvec_text *value) {
    if (find_one(json, path, strlen(path), value))
        return true;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        senvec_text inner;
        if (find_one(json, path, (size_t)(dot - path), &inner) && sv_json_find(inner, dot + 1, value))
            return true;
    }
    return false;
}

senvec_text sv_json_trim(senvec_text json) {
    scanner s = {json.data, json.data + json.length, NULL};
    return take_value(&s);
}

bool sv_json_is_string(senvec_text value) {
    return value.length > 0 && value.data[0] == '"';
}

static uint32_t hex4(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value * 16 + (uint32_t)hex_digit(at[i]);
    return value;
}

/* The character after "\u"; *at moves past it. */
static size_t put_unicode(const char **at, const char *end, char *out) {
    uint32_t c = hex4(*at);
    *at += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return sv_utf8_encode(0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00), (uint8_t *)out);
        }
    }
    if (c >= 0xd800 && c < 0xe000) {
        *out = (char)0xff;
        return 1;
    }
    return sv_utf8_encode(c, (uint8_t *)out);
}

size_t sv_json_string(senvec_text value, char *out) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *at = value.data + 1, *end = value.data + value.length - 1;
    char *to = out;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] == 'u') {
            at += 2;
            to += put_unicode(&at, end, to);
        } else {
            *to++ = meant[strchr(names, at[1]) - names];
            at += 2;
        }
    }
    return (size_t)(to - out);
}
