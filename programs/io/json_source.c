/* JSON: one value a line, or all of them in one array; the first byte tells which ('[' begins no JSON line that could hold a
 * text). An array is cut into its elements first, so that memory is bounded by an element and not by the file. The cut needs
 * only quotes, backslashes and brackets: what lies between is checked afterwards, as a line is. Nothing but the text itself is
 * decoded: a number of any size passes through as it stands. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/formats.h"

static senvec_status fail_here(const sv_reader *reader, const char *what, senvec_error *err) {
    return sv_fail(err, SENVEC_FORMAT, sv_reader_offset(reader), "%s: line %llu: %s", reader->name,
                   (unsigned long long)reader->line, what);
}

/* The content of a string: in place where it has no escapes. */
static senvec_status decode_string(sv_json_source *source, sv_json value, senvec_text *text, senvec_error *err) {
    if (!sv_json_is_escaped(value)) {
        *text = (senvec_text){value.text + 1, value.length - 2};
        return SENVEC_OK;
    }
    if (value.length > source->capacity) {
        char *grown = realloc(source->text, value.length);
        if (!grown)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a text of %zu bytes", value.length);
        source->text = grown;
        source->capacity = value.length;
    }
    *text = (senvec_text){source->text, sv_json_decode(value, source->text)};
    return SENVEC_OK;
}

/* The member or element of that name or number; of several members of one name the last. */
static bool find_one(sv_json json, const char *name, size_t length, sv_json *found) {
    sv_json_items items = sv_json_walk(json);
    sv_json key, value;
    bool any = false;
    if (json.kind == SV_JSON_ARRAY) {
        size_t wanted = 0;
        for (size_t i = 0; i < length; i++) {
            if (name[i] < '0' || name[i] > '9' || wanted > SIZE_MAX / 16)
                return false;
            wanted = wanted * 10 + (size_t)(name[i] - '0');
        }
        if (length == 0)
            return false;
        for (size_t i = 0; sv_json_step(&items, NULL, found); i++)
            if (i == wanted)
                return true;
        return false;
    }
    while (sv_json_step(&items, &key, &value)) {
        if (sv_json_equals(key, name, length)) {
            *found = value;
            any = true;
        }
    }
    return any;
}

bool sv_json_find(sv_json json, const char *path, sv_json *value) {
    if (find_one(json, path, strlen(path), value))
        return true;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        sv_json inner;
        if (find_one(json, path, (size_t)(dot - path), &inner) && sv_json_find(inner, dot + 1, value))
            return true;
    }
    return false;
}

/* Checks a record that began at `line` and `offset` and has been taken, and finds the text in it. */
static senvec_status decode(sv_json_source *source, sv_reader *reader, senvec_text json, uint64_t line, uint64_t offset,
                            senvec_text *text, senvec_error *err) {
    size_t at;
    sv_json value;
    const char *problem = sv_json_read_lenient(json.data, json.length, &value, &at);
    reader->damage = SV_DAMAGE_RECORD;
    if (problem) {
        for (size_t i = 0; i < at; i++)
            line += json.data[i] == '\n';
        return sv_fail(err, SENVEC_FORMAT, offset + at, "%s: line %llu: not JSON: %s", reader->name, (unsigned long long)line,
                       problem);
    }
    source->record = value;
    if (value.kind == SV_JSON_OBJECT) {
        if (!source->key) {
            reader->damage = SV_DAMAGE_FILE;
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, offset,
                           "%s: line %llu: an object; name the member that holds the text (--key)", reader->name,
                           (unsigned long long)line);
        }
        bool found = sv_json_find(source->record, source->key, &value);
        if (!found || value.kind != SV_JSON_STRING)
            return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: %s \"%s\"", reader->name, (unsigned long long)line,
                           found ? "no string in member" : "no member", source->key);
    }
    if (value.kind != SV_JSON_STRING)
        return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: neither an object nor a string", reader->name,
                       (unsigned long long)line);
    return decode_string(source, value, text, err);
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

/* The length of the value that begins at the reader's next byte. */
static senvec_status measure_value(sv_reader *reader, size_t *length, senvec_error *err) {
    size_t depth = 0;
    bool in_string = false, scalar = false;
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
        else if (!in_string && !depth) { /* a number or a word goes on to the next separator */
            scalar = true;
            if (byte == ',' || byte == ']' || byte == '}' || is_blank(byte)) {
                *length = i;
                return SENVEC_OK;
            }
        }
        if (!in_string && !depth && !scalar) {
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
        source->state = SV_RECORDS_DONE;
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
    if (byte == -1 || byte == ']' || byte == ',')
        return fail_here(reader, byte == -1 ? "the file ends inside its JSON array" : "neither an object nor a string", err);
    size_t length = 0;
    SENVEC_TRY(measure_value(reader, &length, err));
    senvec_text json = {reader->data + reader->start, length};
    uint64_t line = reader->line, offset = sv_reader_offset(reader);
    sv_reader_take(reader, length); /* the bytes stay where they are until more are read */
    *more = true;
    return decode(source, reader, json, line, offset, text, err);
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
    bool first = source->state == SV_RECORDS_START;
    if (first) {
        int byte;
        SENVEC_TRY(skip_blank(reader, &byte, err));
        source->state = byte == '[' ? SV_RECORDS_ARRAY : SV_RECORDS_LINES;
        if (byte == '[')
            sv_reader_take(reader, 1);
    }
    if (source->state == SV_RECORDS_ARRAY)
        return next_in_array(source, reader, first, text, more, err);
    if (source->state == SV_RECORDS_LINES)
        return next_line(source, reader, text, more, err);
    *more = false;
    return SENVEC_OK;
}

void sv_json_release(sv_json_source *source) {
    free(source->text);
    *source = (sv_json_source){0};
}
