/* Bytes of a file or pipe, unpacked where they are in gzip or zstd, through one buffer that grows to the longest record, and
 * what the formats need to know. */
#ifndef SV_IO_READER_H
#define SV_IO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "io/unpack.h"

/* The extent of an error in a record, which decides where reading goes on. */
typedef enum sv_damage {
    SV_DAMAGE_FILE,   /* reading can't go on */
    SV_DAMAGE_RECORD, /* the record has been taken */
    SV_DAMAGE_LINE,   /* the rest of the line belongs to it */
} sv_damage;

/* The unread bytes are data[start .. filled). */
typedef struct sv_reader {
    char *data;
    size_t capacity, start, filled;
    int descriptor;
    bool owned;        /* the descriptor is closed with the reader */
    bool end;          /* the file has no more bytes than the buffer */
    sv_damage damage;  /* set by who reports an error */
    bool identified;   /* the first bytes have been looked at */
    char *name;        /* for messages */
    uint64_t size;     /* of a regular file, else 0 */
    uint64_t taken;    /* bytes read from the descriptor */
    uint64_t received; /* the same after unpacking: bytes that came into `data` */
    sv_unpack *unpack; /* NULL: the file is as it is */
    uint64_t line;     /* of data[start], from 1 */
} sv_reader;

/* "-" is standard input. Reads the first bytes: gzip and zstd are unpacked, a UTF-8 byte order mark is skipped, and what is no
 * text is refused. Errors: NOT_FOUND, IO, FORMAT (a Parquet file, UTF-16, binary data, ...: says which and what to do),
 * OUT_OF_MEMORY. */
senvec_status sv_reader_open(sv_reader *reader, const char *path, senvec_error *err);
void sv_reader_close(sv_reader *reader);

/* Reads more behind the unread bytes, which may move; sets `end` where there are none. Errors: IO, FORMAT (packed data that is
 * damaged; a NUL byte in the head of the file), TOO_LARGE (over SV_MAX_LINE_BYTES unread bytes), OUT_OF_MEMORY. */
senvec_status sv_reader_fill(sv_reader *reader, senvec_error *err);

/* The next byte without taking it, or -1 at the end of the file. */
senvec_status sv_reader_peek(sv_reader *reader, int *byte, senvec_error *err);
/* Takes `count` of the unread bytes and counts their lines. */
void sv_reader_take(sv_reader *reader, size_t count);

/* Takes a line and gives it without its "\n" or "\r\n"; *more = false at the end of the file. */
senvec_status sv_reader_line(sv_reader *reader, senvec_text *line, bool *more, senvec_error *err);

/* Takes everything up to the next newline, however much that is, and the newline. Errors: as sv_reader_fill. */
senvec_status sv_reader_skip_line(sv_reader *reader, senvec_error *err);

/* The byte offset of data[start], in the unpacked text. */
uint64_t sv_reader_offset(const sv_reader *reader);
/* Bytes of the file that are done with, packed as they are. */
uint64_t sv_reader_position(const sv_reader *reader);

#endif
