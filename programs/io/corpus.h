/* Texts from files: lines, one key of JSON lines, one column of CSV. Streaming: memory is bounded by the longest record. */
#ifndef SV_IO_CORPUS_H
#define SV_IO_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

typedef enum sv_corpus_format {
    SV_CORPUS_AUTO,  /* by the file's name (.jsonl, .ndjson, .json, .csv, .tsv), else JSONL where a key is given, CSV where a
                        column is, else LINES */
    SV_CORPUS_LINES, /* one text a line; "\n" or "\r\n"; the last line needs no end; any bytes, NUL included */
    SV_CORPUS_JSONL, /* one JSON value a line, or all of them in one JSON array: objects whose member `key` is the text, or
                        strings */
    SV_CORPUS_CSV,   /* RFC 4180: quoted fields may hold newlines; empty lines are skipped */
    SV_CORPUS_TSV,   /* the same with tabs for commas */
} sv_corpus_format;

typedef struct sv_corpus_options {
    sv_corpus_format format;
    const char *key;    /* jsonl: the member that holds the text; required for objects */
    const char *column; /* csv, tsv: a name of the header row, or a number from 1 (then there is no header); required there */
} sv_corpus_options;

typedef struct sv_corpus sv_corpus;

/* Opens `path`, or standard input for "-"; a byte order mark is skipped. The options are copied. Errors: NOT_FOUND, IO, FORMAT
 * (UTF-16, a broken header row), INVALID_ARGUMENT (no column, or none of that name), TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_corpus_open(const char *path, const sv_corpus_options *options, sv_corpus **out, senvec_error *err);
/* The next text: *text points into the reader until the next call; *more = false at the end of the file.
 * Errors name the file and the line, and err->offset is the byte: FORMAT, TOO_LARGE (SV_MAX_LINE_BYTES), INVALID_ARGUMENT (an
 * object, and no key), IO, OUT_OF_MEMORY. After an error only sv_corpus_close may follow. */
senvec_status sv_corpus_next(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err);
/* Bytes read so far and, for a regular file, its size (else 0): for a progress bar. */
void sv_corpus_progress(const sv_corpus *corpus, uint64_t *done, uint64_t *total);
/* NULL is accepted. */
void sv_corpus_close(sv_corpus *corpus);

#endif
