/* JSON: one value a line, or all of them in one array; the first byte tells which ('[' begins no JSON line that could hold a
 * text). Jansson decodes; an array is cut into its elements first, so that memory is bounded by an element and not by the file.
 * The cut needs only quotes, backslashes and brackets: what lies between is checked by the decoder. */
#include <string.h>

#include "io/formats.h"

static senvec_status fail_here(const sv_reader *reader, const char *what, senvec_error *err) {
    return sv_fail(err, SENVEC_FORMAT, sv_reader_offset(reader), "%s: line %llu: %s", reader->name,
                   (unsigned long long)reader->line, what);
}

/* Decodes a value that began at `line` and `offset`, and finds the text in it. */
static senvec_status decode(sv_json_source *source, const sv_reader *reader, senvec_text json, uint64_t line, uint64_t offset,
                            senvec_text *text, senvec_error *err) {
    json_error_t problem;
    json_decref(source->value);
    source->value = json_loadb(json.data, json.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
    if (!source->value)
        return sv_fail(err, SENVEC_FORMAT, offset + (uint64_t)(problem.position > 0 ? problem.position : 0),
                       "%s: line %llu: not JSON: %s", reader->name,
                       (unsigned long long)line + (unsigned long long)(problem.line > 0 ? problem.line - 1 : 0), problem.text);
    const json_t *value = source->value;
    if (json_is_object(value)) {
        if (!source->key)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, offset,
                           "%s: line %llu: an object; name the member that holds the text (--key)", reader->name,
                           (unsigned long long)line);
        value = json_object_get(value, source->key);
        if (!json_is_string(value))
            return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: %s \"%s\"", reader->name, (unsigned long long)line,
                           value ? "no string in member" : "no member", source->key);
    }
    if (!json_is_string(value))
        return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: neither an object nor a string", reader->name,
                       (unsigned long long)line);
    *text = (senvec_text){json_string_value(value), json_string_length(value)};
    return SENVEC_OK;
}

static bool is_blank(int byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Takes white space; *byte is what follows, -1 at the end. */
static senvec_status skip_blank(sv_reader *reader, int *byte, senvec_error *err) {
    for (;;) {
        SENVEC_TRY(sv_reader_peek(reader, byte, err));
        if (!is_blank(*byte))
            return SENVEC_OK;
        sv_reader_take(reader, 1);
    }
}

/* The length of the string, object or array that begins at the reader's next byte. */
static senvec_status measure_value(sv_reader *reader, size_t *length, senvec_error *err) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0;; i++) {
        while (reader->start + i >= reader->filled) {
            if (reader->end)
                return fail_here(reader, "the file ends inside the value that begins here", err);
            SENVEC_TRY(sv_reader_fill(reader, err));
        }
        char byte = reader->data[reader->start + i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '['))
            depth++;
        else if (!in_string && (byte == '}' || byte == ']') && depth)
            depth--;
        if (!in_string && !depth) {
            *length = i + 1;
            return SENVEC_OK;
        }
    }
}

static senvec_status next_in_array(sv_json_source *source, sv_reader *reader, bool first, senvec_text *text, bool *more,
                                   senvec_error *err) {
    int byte;
    SENVEC_TRY(skip_blank(reader, &byte, err));
    if (byte == ']') {
        sv_reader_take(reader, 1);
        SENVEC_TRY(skip_blank(reader, &byte, err));
        if (byte != -1)
            return fail_here(reader, "something follows the end of the JSON array", err);
        source->state = SV_JSON_DONE;
        *more = false;
        return SENVEC_OK;
    }
    if (!first) {
        if (byte != ',')
            return fail_here(reader, byte == -1 ? "the file ends inside its JSON array" : "no ',' between two array elements",
                             err);
        sv_reader_take(reader, 1);
        SENVEC_TRY(skip_blank(reader, &byte, err));
    }
    if (byte != '"' && byte != '{')
        return fail_here(reader, byte == -1 ? "the file ends inside its JSON array" : "neither an object nor a string", err);
    size_t length = 0;
    SENVEC_TRY(measure_value(reader, &length, err));
    senvec_text json = {reader->data + reader->start, length};
    SENVEC_TRY(decode(source, reader, json, reader->line, sv_reader_offset(reader), text, err));
    sv_reader_take(reader, length);
    *more = true;
    return SENVEC_OK;
}

static senvec_status next_line(sv_json_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err) {
    for (;;) {
        uint64_t line = reader->line, offset = sv_reader_offset(reader);
        senvec_text json;
        SENVEC_TRY(sv_reader_line(reader, &json, more, err));
        if (!*more)
            return SENVEC_OK;
        size_t blank = 0;
        while (blank < json.length && is_blank(json.data[blank]))
            blank++;
        if (blank < json.length)
            return decode(source, reader, json, line, offset, text, err);
    }
}

senvec_status sv_json_next(sv_json_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err) {
    bool first = source->state == SV_JSON_START;
    if (first) {
        int byte;
        SENVEC_TRY(skip_blank(reader, &byte, err));
        source->state = byte == '[' ? SV_JSON_ARRAY : SV_JSON_LINES;
        if (byte == '[')
            sv_reader_take(reader, 1);
    }
    if (source->state == SV_JSON_ARRAY)
        return next_in_array(source, reader, first, text, more, err);
    if (source->state == SV_JSON_LINES)
        return next_line(source, reader, text, more, err);
    *more = false;
    return SENVEC_OK;
}

void sv_json_release(sv_json_source *source) {
    json_decref(source->value);
    source->value = NULL;
}
