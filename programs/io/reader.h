/* Bytes of a file or pipe through one buffer that grows to the longest record, and what the three formats need to know. */
#ifndef SV_IO_READER_H
#define SV_IO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* The unread bytes are data[start .. filled). */
typedef struct sv_reader {
    char *data;
    size_t capacity, start, filled;
    int descriptor;
    bool owned;        /* the descriptor is closed with the reader */
    bool end;          /* the file has no more bytes than the buffer */
    char *name;        /* for messages */
    uint64_t size;     /* of a regular file, else 0 */
    uint64_t received; /* bytes read from the descriptor */
    uint64_t line;     /* of data[start], from 1 */
} sv_reader;

/* "-" is standard input. Errors: NOT_FOUND, IO, OUT_OF_MEMORY. */
senvec_status sv_reader_open(sv_reader *reader, const char *path, senvec_error *err);
void sv_reader_close(sv_reader *reader);

/* Reads more behind the unread bytes, which may move; sets `end` where there are none. Errors: IO, TOO_LARGE (over
 * SV_MAX_LINE_BYTES unread bytes), OUT_OF_MEMORY. */
senvec_status sv_reader_fill(sv_reader *reader, senvec_error *err);

/* The next byte without taking it, or -1 at the end of the file. */
senvec_status sv_reader_peek(sv_reader *reader, int *byte, senvec_error *err);
/* Takes `count` of the unread bytes and counts their lines. */
void sv_reader_take(sv_reader *reader, size_t count);

/* Takes a line and gives it without its "\n" or "\r\n"; *more = false at the end of the file. */
senvec_status sv_reader_line(sv_reader *reader, senvec_text *line, bool *more, senvec_error *err);

/* The byte offset of data[start]. */
uint64_t sv_reader_offset(const sv_reader *reader);

#endif
