/* One pass checks everything and keeps nothing but the hashes of the names in open objects. They lie on a stack; when an object
 * ends, its part is sorted, two equal neighbours are a duplicate, and the part is dropped. A hash table would be quicker for
 * huge objects, but has to be protected from names that are chosen to collide. */
#include "common/json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/memory.h"
#include "common/utf8.h"

#define FEW_NAMES 64

/* ---------------------------------------------------------------- scanning */

#define ONES UINT64_C(0x0101010101010101)
#define TOPS UINT64_C(0x8080808080808080)

/* A bit is set in bytes that are zero, and perhaps in some above one that is. */
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

/* Four hexadecimal digits; -1: they aren't. */
static int hex4(const char *at) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The escape at `at`, a backslash, of a checked string: writes its bytes, moves `at` behind it and returns their number. */
static size_t unescape(const char **at, uint8_t out[SV_MAX_UTF8]) {
    static const char letters[] = "bfnrt", controls[] = "\b\f\n\r\t";
    char c = (*at)[1];
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        out[0] = (uint8_t)(letter ? controls[letter - letters] : c);
        *at += 2;
        return 1;
    }
    uint32_t code = (uint32_t)hex4(*at + 2);
    *at += 6;
    if (code >= 0xd800 && code < 0xdc00) {
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(*at + 2) - 0xdc00);
        *at += 6;
    }
    return sv_utf8_encode(code, out);
}

/* ---------------------------------------------------------------- checking */

typedef struct checker {
    const char *at, *end;
    const char *fault; /* what is wrong at `at` */
    size_t depth;
    bool is_object[SV_MAX_JSON_DEPTH];
    size_t first_name[SV_MAX_JSON_DEPTH]; /* of an open object, in names */
    uint64_t *names, few[FEW_NAMES];      /* hashes, of all open objects */
    size_t name_count, name_capacity;
    senvec_allocator allocator;
} checker;

static bool fail(checker *c, const char *what) {
    c->fault = what;
    return false;
}

static void skip_space(checker *c) {
    while (c->at < c->end && is_space(*c->at))
        c->at++;
}

static bool check_escape(checker *c) {
    size_t left = (size_t)(c->end - c->at);
    if (left < 2)
        return fail(c, "a string has no end");
    if (c->at[1] != 'u') {
        if (!c->at[1] || !strchr("\"\\/bfnrt", c->at[1]))
            return fail(c, "a backslash is followed by a character that it can't escape");
        c->at += 2;
        return true;
    }
    int code = left < 6 ? -1 : hex4(c->at + 2);
    if (code < 0)
        return fail(c, "\\u isn't followed by four hexadecimal digits");
    bool high = code >= 0xd800 && code < 0xdc00;
    int low = high && left >= 12 && c->at[6] == '\\' && c->at[7] == 'u' ? hex4(c->at + 8) : -1;
    if (high ? low < 0xdc00 || low > 0xdfff : code >= 0xdc00 && code <= 0xdfff)
        return fail(c, "a \\u escape is half of a surrogate pair");
    c->at += high ? 12 : 6;
    return true;
}

/* At a quote. */
static bool check_string(checker *c) {
    for (c->at++;;) {
        while (c->end - c->at >= 8 && all_plain(load(c->at)))
            c->at += 8;
        if (c->at >= c->end)
            return fail(c, "a string has no end");
        unsigned char byte = (unsigned char)*c->at;
        if (byte == '"') {
            c->at++;
            return true;
        }
        if (byte < 0x20)
            return fail(c, "a string holds a control character; it must be escaped");
        if (byte == '\\') {
            if (!check_escape(c))
                return false;
        } else if (byte < 0x80) {
            c->at++;
        } else {
            uint32_t code;
            bool invalid = false;
            size_t taken = sv_utf8_decode((const uint8_t *)c->at, (const uint8_t *)c->end, &code, &invalid);
            if (invalid)
                return fail(c, "these bytes aren't UTF-8");
            c->at += taken;
        }
    }
}

static bool check_digits(checker *c) {
    if (c->at >= c->end || !is_digit(*c->at))
        return fail(c, "a digit is missing in a number");
    while (c->at < c->end && is_digit(*c->at))
        c->at++;
    return true;
}

static bool check_number(checker *c) {
    c->at += *c->at == '-';
    if (c->at < c->end && *c->at == '0') {
        c->at++;
        if (c->at < c->end && is_digit(*c->at))
            return fail(c, "a number begins with 0");
    } else if (!check_digits(c)) {
        return false;
    }
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!check_digits(c))
            return false;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        c->at += c->at < c->end && (*c->at == '+' || *c->at == '-');
        return check_digits(c);
    }
    return true;
}

static bool check_word(checker *c, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return fail(c, "a value is expected here");
    c->at += length;
    return true;
}

/* ------------------------------------------------------------------- names */

/* FNV-1a of a checked string's bytes. */
static uint64_t hash_name(const char *at, const char *end) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    while (at < end) {
        uint8_t bytes[SV_MAX_UTF8] = {(uint8_t)*at};
        size_t count = 1;
        if (*at == '\\')
            count = unescape(&at, bytes);
        else
            at++;
        for (size_t i = 0; i < count; i++)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool grow_names(checker *c) {
    void *block;
    size_t capacity = 2 * c->name_capacity;
    if (sv_alloc(&c->allocator, capacity, sizeof *c->names, "names of members", &block, NULL) != SENVEC_OK)
        return false;
    memcpy(block, c->names, c->name_count * sizeof *c->names);
    if (c->names != c->few)
        sv_free(&c->allocator, c->names, c->name_capacity, sizeof *c->names);
    c->names = block;
    c->name_capacity = capacity;
    return true;
}

/* Sorts by halving at one bit after the other: in place, and as many steps for chosen numbers as for any. */
static void sort_hashes(uint64_t *hashes, size_t count, int bit) {
    while (count > 16 && bit >= 0) {
        size_t low = 0, high = count;
        while (low < high) {
            uint64_t hash = hashes[low];
            if (hash >> bit & 1) {
                hashes[low] = hashes[--high];
                hashes[high] = hash;
            } else {
                low++;
            }
        }
        sort_hashes(hashes, low, bit - 1);
        hashes += low;
        count -= low;
        bit--;
    }
    for (size_t i = 1; i < count; i++) {
        uint64_t hash = hashes[i];
        size_t to = i;
        for (; to > 0 && hashes[to - 1] > hash; to--)
            hashes[to] = hashes[to - 1];
        hashes[to] = hash;
    }
}

/* At a member's name; afterwards behind its colon. */
static senvec_status check_name(checker *c) {
    if (c->at >= c->end || *c->at != '"')
        return fail(c, "a member's name is expected here, in quotes"), SENVEC_FORMAT;
    const char *begin = c->at + 1;
    if (!check_string(c))
        return SENVEC_FORMAT;
    if (c->name_count == c->name_capacity && !grow_names(c))
        return SENVEC_OUT_OF_MEMORY;
    c->names[c->name_count++] = hash_name(begin, c->at - 1);
    skip_space(c);
    if (c->at >= c->end || *c->at != ':')
        return fail(c, "a colon is expected here"), SENVEC_FORMAT;
    c->at++;
    return SENVEC_OK;
}

/* ------------------------------------------------------------------ nesting */

static bool open_level(checker *c) {
    if (c->depth == SV_MAX_JSON_DEPTH)
        return fail(c, "lists and objects are in each other too deeply");
    c->is_object[c->depth] = *c->at == '{';
    c->first_name[c->depth] = c->name_count;
    c->depth++;
    c->at++;
    return true;
}

static bool close_level(checker *c) {
    c->depth--;
    if (c->is_object[c->depth]) {
        size_t first = c->first_name[c->depth], count = c->name_count - first;
        uint64_t *names = c->names + first;
        sort_hashes(names, count, 63);
        for (size_t i = 1; i < count; i++)
            if (names[i] == names[i - 1])
                return fail(c, "the object that ends here has two members of the same name");
        c->name_count = first;
    }
    c->at++;
    return true;
}

/* At a value's first character: a simple value is passed, a list or object opened; an empty one is closed, too. */
static bool check_value(checker *c) {
    skip_space(c);
    if (c->at >= c->end)
        return fail(c, "the document ends here, though a value is expected");
    switch (*c->at) {
    case '{':
    case '[':
        if (!open_level(c))
            return false;
        skip_space(c);
        return c->at < c->end && *c->at == (c->is_object[c->depth - 1] ? '}' : ']') ? close_level(c) : true;
    case '"':
        return check_string(c);
    case 't':
        return check_word(c, "true");
    case 'f':
        return check_word(c, "false");
    case 'n':
        return check_word(c, "null");
    default:
        return is_digit(*c->at) || *c->at == '-' ? check_number(c) : fail(c, "a value is expected here");
    }
}

/* After a value: its end, and those of all that end with it, up to where the next value begins. */
static senvec_status check_next(checker *c) {
    while (c->depth > 0) {
        bool is_object = c->is_object[c->depth - 1];
        skip_space(c);
        if (c->at >= c->end)
            return fail(c, is_object ? "an object has no end" : "a list has no end"), SENVEC_FORMAT;
        if (*c->at == ',') {
            c->at++;
            skip_space(c);
            return is_object ? check_name(c) : SENVEC_OK;
        }
        if (*c->at != (is_object ? '}' : ']'))
            return fail(c, is_object ? "a comma or } is expected here" : "a comma or ] is expected here"), SENVEC_FORMAT;
        if (!close_level(c))
            return SENVEC_FORMAT;
    }
    return SENVEC_OK;
}

static senvec_status check_document(checker *c) {
    do {
        size_t depth = c->depth;
        if (!check_value(c))
            return SENVEC_FORMAT;
        if (c->depth == depth)
            SENVEC_TRY(check_next(c));
        else if (c->is_object[depth])
            SENVEC_TRY(check_name(c));
    } while (c->depth > 0);
    skip_space(c);
    if (c->at < c->end)
        return fail(c, "the document goes on after its end"), SENVEC_FORMAT;
    return SENVEC_OK;
}

static senvec_status explain(const checker *c, const char *text, senvec_error *err) {
    size_t line = 1, column = 1;
    for (const char *at = text; at < c->at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else {
            column += !sv_utf8_is_continuation((uint8_t)*at);
        }
    }
    return sv_fail(err, SENVEC_FORMAT, (uint64_t)(c->at - text), "line %zu, column %zu: %s", line, column, c->fault);
}

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

/* Behind the list or object that begins at `at`. */
static const char *skip_nested(const char *at, const char *end) {
    size_t depth = 0;
    do {
        char c = *at++;
        if (c == '"')
            at = skip_string(at, end);
        else if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
    } while (depth > 0);
    return at;
}

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* The value that begins at `at`. */
static sv_json value_at(const char *at, const char *end) {
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
        for (stop = at + 1; stop < end && (is_digit(*stop) || strchr(".eE+-", *stop)); stop++)
            if (*stop == '.' || *stop == 'e' || *stop == 'E')
                kind = SV_JSON_REAL;
        break;
    }
    return (sv_json){at, (size_t)(stop - at), kind};
}

senvec_status sv_json_read(const char *text, size_t length, const senvec_allocator *allocator, sv_json *root,
                           senvec_error *err) {
    checker c;
    c.at = text;
    c.end = text + length;
    c.fault = NULL;
    c.depth = c.name_count = 0;
    c.names = c.few;
    c.name_capacity = FEW_NAMES;
    c.allocator = allocator ? *allocator : sv_default_allocator;
    senvec_status status = check_document(&c);
    if (c.names != c.few)
        sv_free(&c.allocator, c.names, c.name_capacity, sizeof *c.names);
    if (status == SENVEC_FORMAT)
        return explain(&c, text, err);
    if (status != SENVEC_OK)
        return sv_fail(err, status, 0, "no memory to read %zu bytes of JSON", length);
    *root = value_at(skip_blanks(text, c.end), c.end);
    return SENVEC_OK;
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
    *value = value_at(at, end);
    at = skip_blanks(value->text + value->length, end);
    if (at < end && *at == ':') {
        if (name)
            *name = *value;
        *value = value_at(skip_blanks(at + 1, end), end);
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

bool sv_json_is_escaped(sv_json string) {
    return string.kind == SV_JSON_STRING && memchr(string.text, '\\', string.length) != NULL;
}

bool sv_json_is(sv_json value, const char *text) {
    size_t length = strlen(text);
    if (value.kind != SV_JSON_STRING)
        return false;
    if (!sv_json_is_escaped(value))
        return value.length - 2 == length && memcmp(value.text + 1, text, length) == 0;
    const char *at = value.text + 1, *end = value.text + value.length - 1;
    while (at < end) {
        uint8_t bytes[SV_MAX_UTF8] = {(uint8_t)*at};
        size_t count = 1;
        if (*at == '\\')
            count = unescape(&at, bytes);
        else
            at++;
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
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        memmove(to, at, plain);
        to += plain;
        at += plain;
        while (at < end && *at == '\\') { /* often one follows the other */
            uint8_t bytes[SV_MAX_UTF8];
            size_t count = unescape(&at, bytes);
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
