/* Where the two may differ: jansson refuses numbers out of range and NUL in a member's name, though they are JSON, nests
 * deeper, and takes a NUL behind the document for its end. */
#include "json_reference.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_document.h"

static const char *compare(sv_json value, const json_t *reference);

static const char *compare_string(sv_json value, const char *text, size_t length) {
    char *copy = malloc(value.length);
    if (!copy)
        return "no memory";
    size_t decoded = sv_json_decode(value, copy);
    int same = decoded == length && memcmp(copy, text, length) == 0 && decoded <= value.length - 2;
    free(copy);
    if (same && strlen(text) == length && !sv_json_is(value, text))
        return "a string isn't what it is";
    if (same && *value.text == SV_JSON_DECODED &&
        (strcmp(sv_json_text(value), text) != 0 || sv_json_text_length(value) != length))
        return "a string of a document isn't what it is";
    return same ? NULL : "another string";
}

static const char *compare_list(sv_json value, const json_t *reference) {
    size_t index = 0;
    sv_json_items items = sv_json_walk(value);
    for (sv_json item; sv_json_step(&items, NULL, &item); index++) {
        const char *difference = compare(item, json_array_get(reference, index));
        if (!difference && index < 8 && sv_json_at(value, index).text != item.text)
            difference = "two ways to an item";
        if (difference)
            return difference;
    }
    return index == json_array_size(reference) && sv_json_count(value) == index ? NULL : "another number of items";
}

static const char *compare_object(sv_json value, const json_t *reference) {
    sv_json_index index;
    sv_json_index_members(value, &index);
    size_t count = 0;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)reference, name, member) {
        const char *difference = compare(sv_json_look_up(&index, name), member);
        if (!difference && sv_json_member(value, name).text != sv_json_look_up(&index, name).text)
            difference = "two ways to a member";
        if (difference)
            return difference;
        count++;
    }
    return sv_json_count(value) == count ? NULL : "another number of members";
}

static const char *compare(sv_json value, const json_t *reference) {
    static const sv_json_kind kinds[] = {
        [JSON_OBJECT] = SV_JSON_OBJECT,   [JSON_ARRAY] = SV_JSON_ARRAY, [JSON_STRING] = SV_JSON_STRING,
        [JSON_INTEGER] = SV_JSON_INTEGER, [JSON_REAL] = SV_JSON_REAL,   [JSON_TRUE] = SV_JSON_TRUE,
        [JSON_FALSE] = SV_JSON_FALSE,     [JSON_NULL] = SV_JSON_NULL};
    int64_t integer;
    double number;
    if (!reference || value.kind != kinds[json_typeof(reference)])
        return "another kind";
    switch (json_typeof(reference)) {
    case JSON_OBJECT:
        return compare_object(value, reference);
    case JSON_ARRAY:
        return compare_list(value, reference);
    case JSON_STRING:
        return compare_string(value, json_string_value(reference), json_string_length(reference));
    case JSON_INTEGER:
        return sv_json_integer(value, &integer) && integer == json_integer_value(reference) ? NULL : "another integer";
    case JSON_REAL:
        return value.length > 1000 || (sv_json_number(value, &number) && number == json_real_value(reference))
                   ? NULL
                   : "another number";
    default:
        return NULL;
    }
}

/* Beside the strict reader, the lenient one takes duplicates and halves of surrogate pairs, and nothing else. */
static const char *compare_lenient(const char *text, size_t length, int read, sv_json root, const senvec_error *err) {
    sv_json lenient;
    size_t at = 0;
    const char *fault = sv_json_read_lenient(text, length, &lenient, &at);
    if (read)
        return !fault && lenient.text == root.text && lenient.length == root.length ? NULL : "the lenient reader differs";
    if (strstr(err->message, "same name") || strstr(err->message, "surrogate"))
        return fault && at <= err->offset ? "the lenient reader finds another fault" : NULL;
    return fault && at == err->offset && strstr(err->message, fault) ? NULL : "the lenient reader finds another fault";
}

/* The same values in a document, whose strings are decoded in place. */
static const char *compare_document(const char *text, size_t length, const json_t *reference) {
    sv_json_document document;
    senvec_error err;
    if (sv_json_document_read(text, length, NULL, &document, &err) != SENVEC_OK)
        return strstr(err.message, "the character NUL") ? NULL : "a document isn't read";
    const char *difference = compare(document.root, reference);
    if (!difference && document.root.text + document.root.length > document.text + length)
        difference = "a document goes on behind its end";
    sv_json_document_close(&document);
    return difference;
}

const char *json_difference(const char *text, size_t length, int *valid) {
    sv_json root = {.kind = SV_JSON_NONE};
    senvec_error err;
    json_error_t error;
    int read = sv_json_read(text, length, NULL, &root, &err) == SENVEC_OK;
    json_t *reference = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    const char *difference = NULL;
    *valid |= read;
    if (read && reference)
        difference = compare(root, reference);
    else if (read && json_error_code(&error) != json_error_numeric_overflow &&
             json_error_code(&error) != json_error_null_byte_in_key)
        difference = error.text[0] ? "only the reference refuses it" : "the reference says nothing";
    else if (!read && reference && !strstr(err.message, "too deeply") && !(err.offset < length && text[err.offset] == 0))
        difference = "only the reference reads it";
    else if (!read && err.offset > length)
        difference = "a fault behind the end";
    if (read && reference && !difference)
        difference = compare_document(text, length, reference);
    json_decref(reference);
    return difference ? difference : compare_lenient(text, length, read, root, &err);
}
