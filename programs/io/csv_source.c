/* CSV as RFC 4180 has it, byte by byte: a field is quoted or not, "" stands for a quote inside of quotes, a record ends at a
 * newline outside of them. Only the wanted column is kept. Where files depart from the RFC: an unquoted field may hold quotes
 * (as every spreadsheet reads it), but text after a closing quote is an error, since it is the usual sign of a quote that was
 * not doubled, after which everything would be cut in wrong places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "io/formats.h"

typedef enum field_end { END_SEPARATOR, END_RECORD, END_FILE } field_end;

static senvec_status keep_byte(sv_csv_source *source, const sv_reader *reader, char byte, senvec_error *err) {
    if (source->length == source->capacity) {
        if (source->length >= SV_MAX_LINE_BYTES)
            return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: a field of over %u bytes",
                           reader->name, (unsigned long long)reader->line, SV_MAX_LINE_BYTES);
        size_t capacity = source->capacity ? source->capacity * 2 : 4096;
        char *field = realloc(source->field, capacity);
        if (!field)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, sv_reader_offset(reader),
                           "%s: line %llu: no memory for a field of %zu bytes", reader->name, (unsigned long long)reader->line,
                           capacity);
        source->field = field;
        source->capacity = capacity;
    }
    source->field[source->length++] = byte;
    return SENVEC_OK;
}

/* Takes one field with its separator. *empty: nothing stood there, not even quotes. */
static senvec_status take_field(sv_csv_source *source, sv_reader *reader, bool keep, field_end *end, bool *empty,
                                senvec_error *err) {
    uint64_t line = reader->line, offset = sv_reader_offset(reader);
    int byte;
    SENVEC_TRY(sv_reader_peek(reader, &byte, err));
    bool quoted = byte == '"';
    enum { PLAIN, INSIDE, CLOSED } state = quoted ? INSIDE : PLAIN;
    if (quoted)
        sv_reader_take(reader, 1);
    source->length = 0;
    *empty = !quoted;
    for (;;) {
        SENVEC_TRY(sv_reader_peek(reader, &byte, err));
        if (byte == -1) {
            if (state == INSIDE)
                return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: the field that begins here has no closing quote",
                               reader->name, (unsigned long long)line);
            *end = END_FILE;
            return SENVEC_OK;
        }
        sv_reader_take(reader, 1);
        if (state == INSIDE) {
            if (byte == '"') {
                int following;
                SENVEC_TRY(sv_reader_peek(reader, &following, err));
                if (following != '"') {
                    state = CLOSED;
                    continue;
                }
                sv_reader_take(reader, 1);
            }
        } else {
            if (byte == source->separator || byte == '\n') {
                *end = byte == '\n' ? END_RECORD : END_SEPARATOR;
                return SENVEC_OK;
            }
            if (byte == '\r') {
                int following;
                SENVEC_TRY(sv_reader_peek(reader, &following, err));
                if (following == '\n')
                    continue;
            }
            if (state == CLOSED)
                return sv_fail(err, SENVEC_FORMAT, sv_reader_offset(reader) - 1,
                               "%s: line %llu: text after a closing quote; a quote inside of a quoted field must be doubled",
                               reader->name, (unsigned long long)reader->line);
        }
        *empty = false;
        if (keep)
            SENVEC_TRY(keep_byte(source, reader, (char)byte, err));
    }
}

/* Finds a column by its name and takes the header row. */
static senvec_status find_column(sv_csv_source *source, sv_reader *reader, const char *name, senvec_error *err) {
    char list[600];
    size_t used = 0;
    bool found = false, empty;
    field_end end = END_SEPARATOR;
    for (size_t column = 0; end == END_SEPARATOR; column++) {
        SENVEC_TRY(take_field(source, reader, true, &end, &empty, err));
        if (!found && source->length == strlen(name) && memcmp(source->field, name, source->length) == 0) {
            source->column = column;
            found = true;
        }
        int shown = source->length < 60 ? (int)source->length : 60;
        if (sizeof list - used > 64)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%.*s", column ? ", " : "", shown,
                                     shown ? source->field : "");
    }
    if (!found)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: line 1: no column \"%s\"; there are: %s", reader->name, name,
                       list);
    return SENVEC_OK;
}

senvec_status sv_csv_open(sv_csv_source *source, sv_reader *reader, char separator, const char *column, senvec_error *err) {
    *source = (sv_csv_source){.separator = separator};
    if (!column || !*column)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "%s: name the column that holds the text (--column), or give its number", reader->name);
    if (column[strspn(column, "0123456789")])
        return find_column(source, reader, column, err);
    unsigned long number = strtoul(column, NULL, 10);
    if (number < 1)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "column 0: columns are counted from 1");
    source->column = number - 1;
    return SENVEC_OK;
}

senvec_status sv_csv_next(sv_csv_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err) {
    for (;;) {
        uint64_t line = reader->line, offset = sv_reader_offset(reader);
        field_end end = END_SEPARATOR;
        bool empty = true, found = false;
        size_t column = 0;
        size_t length = 0;
        for (; end == END_SEPARATOR; column++) {
            SENVEC_TRY(take_field(source, reader, column == source->column, &end, &empty, err));
            if (column == source->column) {
                found = true;
                length = source->length;
            }
        }
        if (column == 1 && empty) {
            if (end == END_RECORD)
                continue;
            *more = false;
            return SENVEC_OK;
        }
        if (!found)
            return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: %zu fields, and the text should be in field %zu",
                           reader->name, (unsigned long long)line, column, source->column + 1);
        *text = (senvec_text){source->field, length};
        *more = true;
        return SENVEC_OK;
    }
}

void sv_csv_release(sv_csv_source *source) {
    free(source->field);
    *source = (sv_csv_source){0};
}
