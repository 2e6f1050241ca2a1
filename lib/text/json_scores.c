/* The scores of a Unigram model, bit for bit as the reference has them.
 *
 * `tokenizers` reads JSON with serde_json, which doesn't round decimal numbers correctly: it takes the digits as one integer,
 * as a double, and multiplies or divides that by a power of ten. The last bit may differ from the nearest double, and where two
 * ways through a word have the same score but for rounding, that bit chooses. So numbers are read here in the same way, from
 * the text; jansson has only the nearest doubles. */
#include "text/json_scores.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct scanner {
    const char *at, *end;
} scanner;

static char peek(const scanner *s) {
    return s->at < s->end ? *s->at : '\0';
}

static void skip_space(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

/* At a quotation mark: skips the string and says whether it is `text`, which has nothing that would be escaped. */
static bool skip_string(scanner *s, const char *text) {
    const char *begin = ++s->at;
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' ? 2 : 1;
    if (s->at > s->end)
        s->at = s->end;
    size_t length = (size_t)(s->at - begin);
    if (s->at < s->end)
        s->at++;
    return text && length == strlen(text) && memcmp(begin, text, length) == 0;
}

/* Skips one value of any kind. */
static void skip_value(scanner *s) {
    size_t depth = 0;
    skip_space(s);
    while (s->at < s->end) {
        char c = *s->at;
        if (depth == 0 && (c == ',' || c == ']' || c == '}'))
            return;
        if (c == '"') {
            skip_string(s, NULL);
        } else {
            depth += c == '[' || c == '{';
            depth -= c == ']' || c == '}';
            s->at++;
        }
        if (depth == 0 && (c == '"' || c == ']' || c == '}'))
            return;
    }
}

/* At an object: goes to the value of its last member `key`, as jansson and serde_json take it. */
static bool find_member(scanner *s, const char *key) {
    const char *found = NULL;
    skip_space(s);
    if (peek(s) != '{')
        return false;
    do {
        s->at++;
        skip_space(s);
        if (peek(s) != '"')
            break;
        bool is_key = skip_string(s, key);
        skip_space(s);
        if (peek(s) != ':')
            return false;
        s->at++;
        skip_space(s);
        if (is_key)
            found = s->at;
        skip_value(s);
        skip_space(s);
    } while (peek(s) == ',');
    s->at = found;
    return found != NULL;
}

static double power_of_ten(int exponent) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                    1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
                                    1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30};
    if (exponent < 31)
        return powers[exponent];
    char text[16];
    snprintf(text, sizeof text, "1e%d", exponent);
    return strtod(text, NULL); /* infinite from 309 on */
}

/* A number: sign, digits, fraction, exponent. Digits beyond 64 bits are dropped. */
static double read_number(scanner *s) {
    bool negative = peek(s) == '-', point = false, full = false;
    uint64_t digits = 0;
    int exponent = 0, written = 0;
    for (s->at += negative; s->at < s->end; s->at++) {
        if (*s->at == '.') {
            point = true;
            continue;
        }
        if (*s->at < '0' || *s->at > '9')
            break;
        uint64_t digit = (uint64_t)(*s->at - '0');
        full = full || digits > (UINT64_MAX - digit) / 10;
        if (!full)
            digits = digits * 10 + digit;
        if (full ? !point : point)
            exponent += full ? 1 : -1;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        bool minus = peek(s) == '-';
        s->at += minus || peek(s) == '+';
        for (; peek(s) >= '0' && peek(s) <= '9'; s->at++)
            written = written < 10000 ? written * 10 + (*s->at - '0') : written;
        exponent += minus ? -written : written;
    }
    double value = (double)digits;
    if (value != 0 && exponent >= 0)
        value *= power_of_ten(exponent < 400 ? exponent : 400);
    for (; value != 0 && exponent < -308; exponent += 308)
        value /= 1e308;
    if (value != 0 && exponent < 0)
        value /= power_of_ten(-exponent);
    return negative ? -value : value;
}

bool sv_json_scores(const char *json, size_t size, double *scores, size_t count) {
    scanner s = {json, json + size};
    if (!find_member(&s, "model") || !find_member(&s, "vocab") || peek(&s) != '[')
        return false;
    for (size_t i = 0; i < count; i++) {
        s.at++; /* "[" or "," */
        skip_space(&s);
        if (peek(&s) != '[')
            return false;
        s.at++;
        skip_space(&s);
        if (peek(&s) != '"')
            return false;
        skip_string(&s, NULL);
        skip_space(&s);
        if (peek(&s) != ',')
            return false;
        s.at++;
        skip_space(&s);
        scores[i] = read_number(&s);
        skip_space(&s);
        if (peek(&s) != ']')
            return false;
        s.at++;
        skip_space(&s);
        if (peek(&s) != (i + 1 < count ? ',' : ']'))
            return false;
    }
    return true;
}
