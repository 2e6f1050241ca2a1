/* CSV as RFC 4180 has it, byte by byte: a field is quoted or not, "" stands for a quote inside of quotes, a record ends at a
 * newline outside of them. Where files depart from the RFC: an unquoted field may hold quotes (as every spreadsheet reads it),
 * but text after a closing quote is an error, since it is the usual sign of a quote that was not doubled, after which
 * everything would be cut in wrong places. Without quoting (TSV) a quote is a character like any other, and a newline ends the
 * record. The fields of one record are kept; which of them are wanted is known only after the first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "io/formats.h"

typedef enum field_end { END_SEPARATOR, END_RECORD, END_FILE } field_end;

static const size_t NO_COLUMN = SIZE_MAX;

static senvec_status keep_byte(sv_csv_source *source, sv_reader *reader, char byte, senvec_error *err) {
    if (source->length == source->capacity) {
        if (source->length >= SV_MAX_LINE_BYTES) {
            reader->damage = SV_DAMAGE_LINE;
            return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: a record of over %u bytes",
                           reader->name, (unsigned long long)source->line, SV_MAX_LINE_BYTES);
        }
        size_t capacity = source->capacity ? source->capacity * 2 : 4096;
        char *bytes = realloc(source->bytes, capacity);
        if (!bytes)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, sv_reader_offset(reader),
                           "%s: line %llu: no memory for a record of %zu bytes", reader->name, (unsigned long long)reader->line,
                           capacity);
        source->bytes = bytes;
        source->capacity = capacity;
    }
    source->bytes[source->length++] = byte;
    return SENVEC_OK;
}

static senvec_status end_field(sv_csv_source *source, const sv_reader *reader, senvec_error *err) {
    if (source->fields == source->field_capacity) {
        size_t capacity = source->field_capacity ? source->field_capacity * 2 : 64;
        size_t *ends = realloc(source->ends, capacity * sizeof *ends);
        if (!ends)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, sv_reader_offset(reader), "%s: line %llu: no memory for %zu fields",
                           reader->name, (unsigned long long)reader->line, capacity);
        source->ends = ends;
        source->field_capacity = capacity;
    }
    source->ends[source->fields++] = source->length;
    return SENVEC_OK;
}

/* Takes one field with its separator. *empty: nothing stood there, not even quotes. */
static senvec_status take_field(sv_csv_source *source, sv_reader *reader, field_end *end, bool *empty, senvec_error *err) {
    uint64_t line = reader->line, offset = sv_reader_offset(reader);
    int byte;
    SENVEC_TRY(sv_reader_peek(reader, &byte, err));
    bool quoted = source->quoted && byte == '"';
    enum { PLAIN, INSIDE, CLOSED } state = quoted ? INSIDE : PLAIN;
    if (quoted)
        sv_reader_take(reader, 1);
    *empty = !quoted;
    for (;;) {
        SENVEC_TRY(sv_reader_peek(reader, &byte, err));
        if (byte == -1) {
            reader->damage = SV_DAMAGE_RECORD;
            if (state == INSIDE)
                return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: the field that begins here has no closing quote",
                               reader->name, (unsigned long long)line);
            *end = END_FILE;
            return end_field(source, reader, err);
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
            if (byte == (unsigned char)source->separator || byte == '\n') {
                *end = byte == '\n' ? END_RECORD : END_SEPARATOR;
                return end_field(source, reader, err);
            }
            if (byte == '\r') {
                int following;
                SENVEC_TRY(sv_reader_peek(reader, &following, err));
                if (following == '\n')
                    continue;
            }
            if (state == CLOSED) {
                reader->damage = SV_DAMAGE_LINE;
                return sv_fail(err, SENVEC_FORMAT, sv_reader_offset(reader) - 1,
                               "%s: line %llu: text after a closing quote; a quote inside of a quoted field must be doubled",
                               reader->name, (unsigned long long)reader->line);
            }
        }
        *empty = false;
        SENVEC_TRY(keep_byte(source, reader, (char)byte, err));
    }
}

/* Takes a record that isn't an empty line; *more = false at the end of the file. */
static senvec_status take_record(sv_csv_source *source, sv_reader *reader, bool *more, senvec_error *err) {
    for (;;) {
        field_end end = END_SEPARATOR;
        bool empty = true;
        source->line = reader->line;
        source->length = 0;
        source->fields = 0;
        while (end == END_SEPARATOR)
            SENVEC_TRY(take_field(source, reader, &end, &empty, err));
        *more = !(source->fields == 1 && empty);
        if (*more || end == END_FILE)
            return SENVEC_OK;
    }
}

bool sv_csv_field(const sv_csv_source *source, size_t index, senvec_text *field) {
    if (index >= source->fields)
        return false;
    size_t begin = index ? source->ends[index - 1] : 0;
    *field = (senvec_text){source->bytes ? source->bytes + begin : NULL, source->ends[index] - begin};
    return true;
}

/* The column of that name in the current record, else NO_COLUMN. */
static size_t find_name(const sv_csv_source *source, const char *name) {
    size_t length = strlen(name);
    senvec_text field;
    for (size_t i = 0; sv_csv_field(source, i, &field); i++)
        if (field.length == length && (length == 0 || memcmp(field.data, name, length) == 0))
            return i;
    return NO_COLUMN;
}

/* A number from 1 as a column from 0; NO_COLUMN: it isn't one. */
static size_t parse_number(const char *column) {
    if (!*column || column[strspn(column, "0123456789")])
        return NO_COLUMN;
    unsigned long number = strtoul(column, NULL, 10);
    return number >= 1 && number < SV_MAX_LINE_BYTES ? number - 1 : NO_COLUMN;
}

/* Whether the name would be there if `separator` stood between the fields of the only one. */
static bool would_separate(const sv_csv_source *source, const char *column, char separator) {
    senvec_text line;
    if (source->fields != 1 || !sv_csv_field(source, 0, &line) || line.length == 0)
        return false;
    const size_t length = strlen(column);
    for (const char *at = line.data, *end = at + line.length, *stop; at < end; at = stop + 1) {
        stop = memchr(at, separator, (size_t)(end - at));
        stop = stop ? stop : end;
        if ((size_t)(stop - at) == length && memcmp(at, column, length) == 0)
            return true;
    }
    return false;
}

static senvec_status fail_missing(const sv_csv_source *source, const sv_reader *reader, const char *column, senvec_error *err) {
    char list[600] = "";
    size_t used = 0;
    senvec_text field;
    for (size_t i = 0; sv_csv_field(source, i, &field) && sizeof list - used > 64; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.*s", i ? ", " : "",
                                 field.length < 60 ? (int)field.length : 60, field.length ? field.data : "");
    const char *advice = would_separate(source, column, ';')    ? "; give --separator ';'"
                         : would_separate(source, column, '\t') ? "; give --separator tab"
                         : would_separate(source, column, '|')  ? "; give --separator '|'"
                                                                : "";
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: line 1: no column \"%s\"; there are: %s%s", reader->name, column, list,
                   advice);
}

/* Looks for a column in the first record. In a header row a name goes before a number; without one there are only numbers. */
static senvec_status find_column(const sv_csv_source *source, const sv_reader *reader, const char *column, size_t *out,
                                 senvec_error *err) {
    size_t named = source->header ? find_name(source, column) : NO_COLUMN, numbered = parse_number(column);
    *out = named != NO_COLUMN ? named : numbered;
    if (*out == NO_COLUMN)
        return fail_missing(source, reader, column, err);
    return SENVEC_OK;
}

senvec_status sv_csv_open(sv_csv_source *source, sv_reader *reader, const sv_corpus_options *options, senvec_error *err) {
    const char *column = options->column;
    *source = (sv_csv_source){.separator = options->separator, .quoted = options->quoting == SV_QUOTING_CSV};
    if (!column || !*column)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "%s: name the column that holds the text (--column), or give its number", reader->name);
    size_t number = parse_number(column);
    if (number == NO_COLUMN && !column[strspn(column, "0")])
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "column 0: columns are counted from 1");
    bool more;
    SENVEC_TRY(take_record(source, reader, &more, err));
    if (!more)
        source->fields = 0;
    /* A number is a position unless there is no such position and the first record has a field that is called so. */
    source->header =
        options->header || number == NO_COLUMN || (more && number >= source->fields && find_name(source, column) != NO_COLUMN);
    SENVEC_TRY(find_column(source, reader, column, &source->column, err));
    if (options->keep_count) {
        source->kept = malloc(options->keep_count * sizeof *source->kept);
        if (!source->kept)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for its columns", reader->name);
        for (size_t i = 0; i < options->keep_count; i++)
            SENVEC_TRY(find_column(source, reader, options->keep[i], &source->kept[i], err));
    }
    source->pending = more && !source->header;
    return SENVEC_OK;
}

senvec_status sv_csv_next(sv_csv_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err) {
    uint64_t offset = source->pending ? 0 : sv_reader_offset(reader);
    if (!source->pending)
        SENVEC_TRY(take_record(source, reader, more, err));
    else
        *more = true;
    source->pending = false;
    if (!*more)
        return SENVEC_OK;
    if (!sv_csv_field(source, source->column, text)) {
        reader->damage = SV_DAMAGE_RECORD;
        return sv_fail(err, SENVEC_FORMAT, offset, "%s: line %llu: %zu field%s, and the text should be in field %zu",
                       reader->name, (unsigned long long)source->line, source->fields, source->fields == 1 ? "" : "s",
                       source->column + 1);
    }
    return SENVEC_OK;
}

void sv_csv_release(sv_csv_source *source) {
    free(source->bytes);
    free(source->ends);
    free(source->kept);
    *source = (sv_csv_source){0};
}
