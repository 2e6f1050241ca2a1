/* Reading of a document that json_check.c has checked: so a walk only needs quotes, backslashes and brackets, and takes what is
 * between them on trust. */
#include "common/json.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "common/json_internal.h"

/* ----------------------------------------------------------------- reading */

/* Behind the string whose first character, after the quote, is at `at`. Here as below, the text was checked. */
static const char *skip_string(const char *at, const char *end) {
    for (;;) {
        while (end - at >= 8 && !(zero_bytes(load(at) ^ '"' * ONES) | zero_bytes(load(at) ^ '\\' * ONES)))
            at += 8;
        if (*at == '"')
            return at + 1;
        at += *at == '\\' ? 2 : 1;
    }
}

/* Behind the decoded string that begins at `at`; spaces follow it. */
static const char *skip_decoded(const char *at, const char *end) {
    const char *stop = memchr(at, '\0', (size_t)(end - at));
    assert(stop);
    return stop + 1;
}

/* Behind the list or object that begins at `at`. */
static const char *skip_nested(const char *at, const char *end) {
    size_t depth = 0;
    do {
        char c = *at++;
        if (c == '"')
            at = skip_string(at, end);
        else if (c == SV_JSON_DECODED)
            at = skip_decoded(at, end);
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
    } while (depth > 0);
    return at;
}

sv_json sv_json_value_at(const char *at, const char *end) {
    const char *stop = at + 4;
    sv_json_kind kind = SV_JSON_NULL;
    switch (*at) {
    case '{':
    case '[':
        kind = *at == '{' ? SV_JSON_OBJECT : SV_JSON_ARRAY;
        stop = skip_nested(at, end);
        break;
    case '"':
        kind = SV_JSON_STRING;
        stop = skip_string(at + 1, end);
        break;
    case SV_JSON_DECODED:
        kind = SV_JSON_STRING;
        stop = skip_decoded(at, end);
        break;
    case 'n':
        break;
    case 't':
        kind = SV_JSON_TRUE;
        break;
    case 'f':
        kind = SV_JSON_FALSE;
        stop++;
        break;
    default:
        kind = SV_JSON_INTEGER;
        for (stop = at + 1; stop < end; stop++) {
            if (*stop == '.' || *stop == 'e' || *stop == 'E')
                kind = SV_JSON_REAL;
            else if (!is_digit(*stop) && *stop != '-' && *stop != '+')
                break;
        }
        break;
    }
    return (sv_json){at, (size_t)(stop - at), kind};
}
sv_json_items sv_json_walk(sv_json value) {
    if (value.kind != SV_JSON_ARRAY && value.kind != SV_JSON_OBJECT)
        return (sv_json_items){NULL, NULL};
    const char *end = value.text + value.length - 1, *at = skip_blanks(value.text + 1, end);
    return at < end ? (sv_json_items){at, end} : (sv_json_items){NULL, NULL};
}

bool sv_json_step(sv_json_items *items, sv_json *name, sv_json *value) {
    const char *at = items->at, *end = items->end;
    if (!at)
        return false;
    *value = sv_json_value_at(at, end);
    at = skip_blanks(value->text + value->length, end);
    if (at < end && *at == ':') {
        if (name)
            *name = *value;
        *value = sv_json_value_at(skip_blanks(at + 1, end), end);
        at = skip_blanks(value->text + value->length, end);
    }
    items->at = at < end ? skip_blanks(at + 1, end) : NULL; /* behind the comma */
    return true;
}

size_t sv_json_count(sv_json value) {
    sv_json_items items = sv_json_walk(value);
    sv_json item;
    size_t count = 0;
    while (sv_json_step(&items, NULL, &item))
        count++;
    return count;
}

sv_json sv_json_at(sv_json list, size_t index) {
    sv_json_items items = list.kind == SV_JSON_ARRAY ? sv_json_walk(list) : (sv_json_items){NULL, NULL};
    sv_json item;
    while (sv_json_step(&items, NULL, &item))
        if (index-- == 0)
            return item;
    return (sv_json){NULL, 0, SV_JSON_NONE};
}

static sv_json find_among(sv_json_items items, const char *name) {
    sv_json found, value;
    while (sv_json_step(&items, &found, &value))
        if (sv_json_is(found, name))
            return value;
    return (sv_json){NULL, 0, SV_JSON_NONE};
}

sv_json sv_json_member(sv_json object, const char *name) {
    return find_among(object.kind == SV_JSON_OBJECT ? sv_json_walk(object) : (sv_json_items){NULL, NULL}, name);
}

void sv_json_index_members(sv_json object, sv_json_index *out) {
    out->count = 0;
    out->others = object.kind == SV_JSON_OBJECT ? sv_json_walk(object) : (sv_json_items){NULL, NULL};
    while (out->count < SV_JSON_INDEXED &&
           sv_json_step(&out->others, &out->members[out->count].name, &out->members[out->count].value))
        out->count++;
}

sv_json sv_json_look_up(const sv_json_index *index, const char *name) {
    for (size_t i = 0; i < index->count; i++)
        if (sv_json_is(index->members[i].name, name))
            return index->members[i].value;
    return find_among(index->others, name);
}

/* ----------------------------------------------------------------- values */

size_t sv_json_unescape(const char **at, uint8_t out[SV_MAX_UTF8]) {
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    char c = (*at)[1];
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        out[0] = (uint8_t)(letter ? controls[letter - letters] : c);
        *at += 2;
        return 1;
    }
    uint32_t code = (uint32_t)sv_json_hex4(*at + 2);
    *at += 6;
    if (code >= 0xd800 && code < 0xdc00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = (uint32_t)sv_json_hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return sv_utf8_encode(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
        }
    }
    if (code >= 0xd800 && code < 0xe000) {
        out[0] = SV_JSON_HALF_PAIR;
        return 1;
    }
    return sv_utf8_encode(code, out);
}

bool sv_json_is_escaped(sv_json string) {
    return string.kind == SV_JSON_STRING && *string.text == '"' && memchr(string.text, '\\', string.length) != NULL;
}

bool sv_json_is(sv_json value, const char *text) {
    return sv_json_equals(value, text, strlen(text));
}

bool sv_json_equals(sv_json value, const char *text, size_t length) {
    if (value.kind != SV_JSON_STRING)
        return false;
    if (!sv_json_is_escaped(value))
        return value.length - 2 == length && memcmp(value.text + 1, text, length) == 0;
    const char *at = value.text + 1, *end = value.text + value.length - 1;
    while (at < end) {
        uint8_t bytes[SV_MAX_UTF8];
        size_t count = sv_json_take(&at, bytes);
        if (count > length || memcmp(bytes, text, count) != 0)
            return false;
        text += count;
        length -= count;
    }
    return length == 0;
}

size_t sv_json_decode(sv_json string, char *out) {
    if (string.kind != SV_JSON_STRING)
        return 0;
    const char *at = string.text + 1, *end = string.text + string.length - 1;
    char *to = out;
    while (at < end) {
        const char *escape = *string.text == '"' ? memchr(at, '\\', (size_t)(end - at)) : NULL;
        size_t plain = (size_t)((escape ? escape : end) - at);
        memmove(to, at, plain);
        to += plain;
        at += plain;
        while (at < end && *at == '\\') { /* often one follows the other */
            uint8_t bytes[SV_MAX_UTF8];
            size_t count = sv_json_unescape(&at, bytes);
            memcpy(to, bytes, count);
            to += count;
        }
    }
    return (size_t)(to - out);
}

bool sv_json_integer(sv_json value, int64_t *out) {
    if (value.kind != SV_JSON_INTEGER)
        return false;
    bool negative = value.text[0] == '-';
    int64_t number = 0;
    for (size_t i = negative; i < value.length; i++) { /* below zero, where one number more is */
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_sub_overflow(number, value.text[i] - '0', &number))
            return false;
    }
    if (!negative && number == INT64_MIN)
        return false;
    *out = negative ? number : -number;
    return true;
}

bool sv_json_number(sv_json value, double *out) {
    char text[1001];
    int64_t integer;
    if (sv_json_integer(value, &integer) && integer != 0 && integer < (1LL << 53) && integer > -(1LL << 53)) {
        *out = (double)integer;
        return true;
    }
    if ((value.kind != SV_JSON_INTEGER && value.kind != SV_JSON_REAL) || value.length >= sizeof text)
        return false;
    memcpy(text, value.text, value.length);
    text[value.length] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* the caller's may have a decimal comma */
    if (!c)
        return false;
    double number = strtod_l(text, NULL, c);
    freelocale(c);
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}
