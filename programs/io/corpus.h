/* Texts from files: lines, one member of JSON lines, one column of CSV; unpacked where a file is in gzip or zstd. Streaming:
 * memory is bounded by the longest record. */
#ifndef SV_IO_CORPUS_H
#define SV_IO_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/json.h"
#include "common/status.h"

typedef enum sv_corpus_format {
    SV_CORPUS_AUTO,  /* by the file's name (.jsonl, .ndjson, .json, .csv, .tsv, each also with .gz, .zst or .zstd behind it),
                        else  JSONL where a key is given, CSV where a column is, else LINES */
    SV_CORPUS_LINES, /* one text a line; "\n" or "\r\n"; the last line needs no end */
    SV_CORPUS_JSONL, /* one JSON value a line, or all of them in one JSON array: objects whose member `key` is the text, or
                        strings */
    SV_CORPUS_CSV,   /* RFC 4180: quoted fields may hold newlines; empty lines are skipped */
    SV_CORPUS_TSV,   /* fields between tabs, as they are: a quote is a character like any other */
} sv_corpus_format;

typedef enum sv_quoting {
    SV_QUOTING_AUTO, /* CSV unless tabs separate the fields */
    SV_QUOTING_CSV,  /* a field may stand in quotes, as RFC 4180 has it */
    SV_QUOTING_NONE,
} sv_quoting;

/* Zero means "the default" in every field. */
typedef struct sv_corpus_options {
    sv_corpus_format format;
    const char *key;    /* jsonl: the member that holds the text, "a.b" within another (formats.h); required for objects */
    const char *column; /* csv, tsv, where it is required: a name in the header row; or a number from 1, and then there is no
                           header row, unless the first record has fewer fields and one of that name */
    bool header;        /* csv, tsv: the first record is a header row, even if the column is given by its number */
    char separator;     /* of fields, for ',' or the tab */
    sv_quoting quoting;
    const char *const *keep; /* members or columns, named as above, that sv_corpus_kept hands out beside the text */
    size_t keep_count;
    bool skip_bad; /* go on behind a record that is broken */
} sv_corpus_options;

typedef struct sv_corpus sv_corpus;

/* Opens `path`, or standard input for "-"; a byte order mark is skipped. `options` are copied, not the strings in it, which
 * must outlive the corpus. Errors: NOT_FOUND, IO, FORMAT (no text: a Parquet file, UTF-16, binary data, ...; a broken header
 * row; damaged gzip or zstd), INVALID_ARGUMENT (no column, or none of that name), TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_corpus_open(const char *path, const sv_corpus_options *options, sv_corpus **out, senvec_error *err);
/* The next text: *text points into the reader until the next call; *more = false at the end of the file.
 * Errors name the file and the line, and err->offset is the byte: FORMAT, TOO_LARGE (SV_MAX_LINE_BYTES), INVALID_ARGUMENT (an
 * object, and no key), IO, OUT_OF_MEMORY. After an error only sv_corpus_close may follow. */
senvec_status sv_corpus_next(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err);
/* Bytes read so far and, for a regular file, its size (else 0): for a progress bar. Of a packed file, packed bytes. */
void sv_corpus_progress(const sv_corpus *corpus, uint64_t *done, uint64_t *total);

/* Records of the file so far, that of the current text and those that were skipped included: its number is one less. */
uint64_t sv_corpus_records(const sv_corpus *corpus);

typedef struct sv_corpus_value {
    enum { SV_VALUE_MISSING, SV_VALUE_STRING, SV_VALUE_JSON } kind;
    senvec_text text; /* of a STRING */
    sv_json json;     /* of a JSON */
} sv_corpus_value;

/* Of the current record, what options.keep[index] names. Lives until the next text. */
sv_corpus_value sv_corpus_kept(const sv_corpus *corpus, size_t index);

/* How many broken records were skipped, and the message of the first (NULL: none). */
uint64_t sv_corpus_skipped(const sv_corpus *corpus, const char **first);

/* NULL is accepted. */
void sv_corpus_close(sv_corpus *corpus);

#endif
