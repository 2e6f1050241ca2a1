/* One pass checks everything and keeps nothing but the hashes of the names in open objects. They lie on a stack; when an object
 * ends, its part is sorted, two equal neighbours are a duplicate, and the part is dropped. A hash table would be quicker for
 * huge objects, but has to be protected from names that are chosen to collide. */
#include "common/json_internal.h"
#include "common/limits.h"
#include "common/memory.h"

#define FEW_NAMES 64

int sv_json_hex4(const char *at) {
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
/* ---------------------------------------------------------------- checking */

typedef struct checker {
    const char *at, *end;
    const char *fault; /* what is wrong at `at` */
    bool lenient;
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
    int code = left < 6 ? -1 : sv_json_hex4(c->at + 2);
    if (code < 0)
        return fail(c, "\\u isn't followed by four hexadecimal digits");
    bool high = code >= 0xd800 && code < 0xdc00;
    int low = high && left >= 12 && c->at[6] == '\\' && c->at[7] == 'u' ? sv_json_hex4(c->at + 8) : -1;
    bool pair = low >= 0xdc00 && low <= 0xdfff;
    if (!pair && code >= 0xd800 && code <= 0xdfff && !c->lenient)
        return fail(c, "a \\u escape is half of a surrogate pair");
    c->at += pair ? 12 : 6;
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
        uint8_t bytes[SV_MAX_UTF8];
        size_t count = sv_json_take(&at, bytes);
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
    if (!c->lenient) {
        if (c->name_count == c->name_capacity && !grow_names(c))
            return SENVEC_OUT_OF_MEMORY;
        c->names[c->name_count++] = hash_name(begin, c->at - 1);
    }
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
static senvec_status read_document(checker *c, const char *text, size_t length, sv_json *root) {
    c->at = text;
    c->end = text + length;
    c->fault = NULL;
    c->depth = c->name_count = 0;
    c->names = c->few;
    c->name_capacity = FEW_NAMES;
    senvec_status status = check_document(c);
    if (c->names != c->few)
        sv_free(&c->allocator, c->names, c->name_capacity, sizeof *c->names);
    if (status == SENVEC_OK)
        *root = sv_json_value_at(skip_blanks(text, c->end), c->end);
    return status;
}

senvec_status sv_json_read(const char *text, size_t length, const senvec_allocator *allocator, sv_json *root,
                           senvec_error *err) {
    checker c;
    c.lenient = false;
    c.allocator = allocator ? *allocator : sv_default_allocator;
    senvec_status status = read_document(&c, text, length, root);
    if (status == SENVEC_FORMAT)
        return explain(&c, text, err);
    if (status != SENVEC_OK)
        return sv_fail(err, status, 0, "no memory to read %zu bytes of JSON", length);
    return SENVEC_OK;
}

const char *sv_json_read_lenient(const char *text, size_t length, sv_json *root, size_t *at) {
    checker c;
    c.lenient = true;
    if (read_document(&c, text, length, root) == SENVEC_OK)
        return NULL;
    *at = (size_t)(c.at - text);
    return c.fault;
}
