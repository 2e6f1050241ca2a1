/* Recognises a file's format by its first bytes, for messages that name the format and say what to do, and for reading
 * compressed text. */
#ifndef SV_IO_MAGIC_H
#define SV_IO_MAGIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A NUL byte among this many first bytes is a sign of binary data; enough of a file for sv_magic_binary, too. */
#define SV_MAGIC_HEAD 8192u

typedef enum sv_magic_kind {
    SV_MAGIC_GZIP,
    SV_MAGIC_ZSTD,
    SV_MAGIC_ARCHIVE, /* compressed or packed in another way */
    SV_MAGIC_ENCODING,
    SV_MAGIC_TABLE,
    SV_MAGIC_MODEL,
    SV_MAGIC_OTHER,
} sv_magic_kind;

typedef struct sv_magic {
    sv_magic_kind kind;
    const char *name;   /* "a Parquet file", "compressed by xz", "UTF-16" */
    const char *advice; /* what to do where texts were expected: "convert it ..." */
} sv_magic;

/* Recognises a format by the bytes that every file of it begins with; NULL: none. *undecided (then NULL is returned): these
 * bytes may begin one, and more are needed; no format needs more than 16. A line of text is decided at its newline at the
 * latest. */
const sv_magic *sv_magic_find(const void *head, size_t size, bool *undecided);

/* A guess for data that has a NUL byte within its first SV_MAGIC_HEAD bytes and that sv_magic_find doesn't know. Never NULL. */
const sv_magic *sv_magic_binary(const void *head, size_t size);

#endif
