/* A JSON file whose strings are wanted as text: a copy of it in which every string is decoded in place and ends in NUL, so that
 * sv_json_text() is a pointer into it. A document takes the bytes of its file and nothing more. */
#ifndef SV_COMMON_JSON_DOCUMENT_H
#define SV_COMMON_JSON_DOCUMENT_H

#include <stdio.h>

#include "common/json.h"

typedef struct sv_json_document {
    sv_json root; /* NONE: there is no such document */
    char *text;   /* [size] */
    size_t size;
    senvec_allocator allocator;
} sv_json_document; /* zeroed: none */

/* Copies text[0 .. length) and reads the copy as sv_json_read does. A string with NUL in it is refused, as no member of a
 * model's files has one. `allocator` NULL: the C library's. Errors: FORMAT, with the offset; OUT_OF_MEMORY. */
senvec_status sv_json_document_read(const char *text, size_t length, const senvec_allocator *allocator, sv_json_document *out,
                                    senvec_error *err);
/* sv_json_document_read for a model's file of `size` bytes; `path` is for messages. The file must not be empty and has at most
 * SV_MAX_JSON_BYTES; if it has another format, the message names it. Errors: TOO_LARGE too. */
senvec_status sv_json_document_open(const char *path, const void *data, size_t size, sv_json_document *out, senvec_error *err);
void sv_json_document_close(sv_json_document *document);

/* The text of a document's string, which lives as long as the document does; NULL: it isn't a string. */
static inline const char *sv_json_text(sv_json value) {
    return value.kind == SV_JSON_STRING ? value.text + 1 : NULL;
}

/* The length of a document's string in bytes; 0: the value isn't a string. */
static inline size_t sv_json_text_length(sv_json value) {
    return value.kind == SV_JSON_STRING ? value.length - 2 : 0;
}

/* Writes a string with its quotes and escapes. Errors of the stream stay in it. */
void sv_json_write_string(FILE *stream, const char *text);
/* Writes a finite number so that reading it gives the same one, whatever the locale. */
void sv_json_write_number(FILE *stream, double number);

#endif
