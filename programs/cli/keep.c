#include "cli/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

senvec_status sv_keep_parse(sv_keep *keep, const char *list, sv_output_format format, senvec_error *err) {
    *keep = (sv_keep){0};
    if (!list)
        return SENVEC_OK;
    if (format != SV_OUTPUT_JSONL && format != SV_OUTPUT_CSV)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep' writes fields into jsonl and csv; %s has no room for them",
                       sv_output_choices[format]);
    if (strlen(list) >= sizeof keep->text)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep': over %zu bytes", sizeof keep->text - 1);
    snprintf(keep->text, sizeof keep->text, "%s", list);
    for (char *name = keep->text, *comma = name; comma; name = comma + 1) {
        comma = strchr(name, ',');
        if (comma)
            *comma = '\0';
        if (!*name)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep %s': an empty name", list);
        if (format == SV_OUTPUT_JSONL && (strcmp(name, "index") == 0 || strcmp(name, "embedding") == 0))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep %s': the output has a member \"%s\" of its own", list,
                           name);
        for (size_t i = 0; i < keep->count; i++)
            if (strcmp(keep->names[i], name) == 0)
                return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep %s': \"%s\" stands there twice", list, name);
        if (keep->count == SV_MAX_KEPT)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--keep': over %d names", SV_MAX_KEPT);
        keep->names[keep->count++] = name;
        if (!comma)
            break;
    }
    return SENVEC_OK;
}

/* Makes room for `more` bytes. */
static bool reserve(sv_keep_buffer *buffer, size_t more) {
    if (more <= buffer->capacity - buffer->length)
        return true;
    size_t capacity = 2 * (buffer->length + more);
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

static void put(sv_keep_buffer *buffer, const char *bytes, size_t length) {
    memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
}

/* A string in JSON's quotes; invalid bytes become U+FFFD. At most six bytes come of one. */
static bool put_json_string(sv_keep_buffer *buffer, senvec_text text) {
    if (text.length > SIZE_MAX / 16 || !reserve(buffer, 6 * text.length + 2))
        return false;
    const uint8_t *at = (const uint8_t *)text.data, *end = at + text.length;
    put(buffer, "\"", 1);
    while (at < end) {
        uint32_t c;
        bool invalid = false;
        at += sv_utf8_decode(at, end, &c, &invalid);
        uint8_t encoded[8];
        size_t length;
        if (c == '"' || c == '\\') {
            encoded[0] = '\\';
            encoded[1] = (uint8_t)c;
            length = 2;
        } else if (c < 0x20) {
            length = (size_t)snprintf((char *)encoded, sizeof encoded, "\\u%04x", c);
        } else {
            length = sv_utf8_encode(c, encoded);
        }
        put(buffer, (const char *)encoded, length);
    }
    put(buffer, "\"", 1);
    return true;
}

/* A value as it stands, in one line: JSON's line ends mean nothing between its parts, and have none within. */
static bool put_json(sv_keep_buffer *buffer, sv_json value) {
    if (!reserve(buffer, value.length))
        return false;
    for (size_t i = 0; i < value.length; i++) {
        char byte = value.text[i];
        buffer->data[buffer->length++] = byte == '\n' || byte == '\r' ? ' ' : byte;
    }
    return true;
}

/* A field of RFC 4180: in quotes where it needs them. */
static bool put_csv(sv_keep_buffer *buffer, senvec_text text) {
    if (text.length > SIZE_MAX / 4 || !reserve(buffer, 2 * text.length + 2))
        return false;
    bool quoted = false;
    for (size_t i = 0; i < text.length; i++)
        quoted = quoted || strchr(",\"\r\n", text.data[i]);
    if (quoted)
        put(buffer, "\"", 1);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"')
            put(buffer, "\"", 1);
        put(buffer, text.data + i, 1);
    }
    if (quoted)
        put(buffer, "\"", 1);
    return true;
}

/* A value of JSON as a field: a string's content, nothing for null, else the text of the value. */
static bool put_json_as_csv(sv_keep_buffer *buffer, sv_json value) {
    if (value.kind == SV_JSON_NULL)
        return true;
    if (value.kind != SV_JSON_STRING)
        return put_csv(buffer, (senvec_text){value.text, value.length});
    char *content = malloc(value.length);
    bool done = content && put_csv(buffer, (senvec_text){content, sv_json_decode(value, content)});
    free(content);
    return done;
}

static bool put_field(const sv_keep *keep, size_t index, sv_output_format format, const sv_corpus *corpus,
                      sv_keep_buffer *buffer) {
    sv_corpus_value value = sv_corpus_kept(corpus, index);
    bool done = true;
    if (format == SV_OUTPUT_JSONL) {
        if (!put_json_string(buffer, (senvec_text){keep->names[index], strlen(keep->names[index])}) || !reserve(buffer, 8))
            return false;
        put(buffer, ":", 1);
        if (value.kind == SV_VALUE_MISSING)
            put(buffer, "null", 4);
        else
            done = value.kind == SV_VALUE_JSON ? put_json(buffer, value.json) : put_json_string(buffer, value.text);
    } else if (value.kind != SV_VALUE_MISSING) {
        done = value.kind == SV_VALUE_JSON ? put_json_as_csv(buffer, value.json) : put_csv(buffer, value.text);
    }
    if (!done || !reserve(buffer, 1))
        return false;
    put(buffer, ",", 1);
    return true;
}

senvec_status sv_keep_append(const sv_keep *keep, sv_output_format format, const sv_corpus *corpus, sv_keep_buffer *buffer,
                             senvec_error *err) {
    for (size_t i = 0; i < keep->count; i++)
        if (!put_field(keep, i, format, corpus, buffer))
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the kept field \"%s\"", keep->names[i]);
    return SENVEC_OK;
}
