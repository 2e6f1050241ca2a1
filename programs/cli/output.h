/* Vectors to a file or to standard output, in constant memory.
 *
 *   npy    one NumPy matrix (texts, numbers), little-endian
 *   jsonl  one object a text: {"index":0,"embedding":[0.1,...]}, kept fields between the two
 *   f32    the floats alone, little-endian, row after row
 *   csv    one line a text, no header: kept fields, then the numbers
 *   raw    the numbers alone, as they stand in an npy
 *
 * The numbers are of a type (io/vector_type.h, and float16): as many as there are dimensions, but of the binary types a byte
 * for eight. A named file appears whole at the close or not at all (common/file.h). */
#ifndef SV_CLI_OUTPUT_H
#define SV_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef enum sv_output_format {
    SV_OUTPUT_NPY,
    SV_OUTPUT_JSONL,
    SV_OUTPUT_F32,
    SV_OUTPUT_CSV,
    SV_OUTPUT_RAW,
} sv_output_format;

typedef enum sv_output_type {
    SV_TYPE_FLOAT32,
    SV_TYPE_FLOAT16,
    SV_TYPE_INT8,
    SV_TYPE_UINT8,
    SV_TYPE_BINARY,
    SV_TYPE_UBINARY,
} sv_output_type;

extern const char *const sv_output_choices[];      /* names, by format */
extern const char *const sv_output_type_choices[]; /* names, by type */

/* The format that a file's name asks for by what follows its last dot; jsonl where that is nothing, or for NULL and "-". Error:
 * INVALID_ARGUMENT (a name for which there is no format). */
senvec_status sv_output_format_of(const char *path, sv_output_format *out, senvec_error *err);

typedef struct sv_output sv_output;

typedef struct sv_output_options {
    sv_output_format format;
    sv_output_type type;
    size_t dimensions; /* the first ones of each vector, which are written */
} sv_output_options;

/* Opens `path`, NULL or "-" being standard output. Ctrl-C will remove the temporary. Errors: IO, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_output_open(const char *path, const sv_output_options *options, sv_output **out, senvec_error *err);

/* Vectors to be written, and what stands beside each. */
typedef struct sv_output_rows {
    const float *vectors;    /* (count, stride) */
    size_t count, stride;    /* at least the dimensions */
    const uint64_t *indices; /* (count) */
    const char *kept;        /* kept fields of all rows end to end, as keep.h writes them */
    const size_t *kept_ends; /* (count) of each in `kept`; NULL: there are none */
    size_t kept_begin;       /* of the first row's in `kept` */
} sv_output_rows;

/* Appends rows. Error: IO. */
senvec_status sv_output_write(sv_output *output, const sv_output_rows *rows, senvec_error *err);
/* Hands on what is buffered, for a reader who waits; not a named file, which nobody sees yet. Error: IO. */
senvec_status sv_output_flush(sv_output *output, senvec_error *err);
/* Completes the output and puts the file in its place. The output is gone afterwards, in any case. Error: IO, and then nothing
 * stands under the name. */
senvec_status sv_output_close(sv_output *output, senvec_error *err);
/* Drops the output; a named file doesn't appear. NULL is accepted. */
void sv_output_abort(sv_output *output);

#endif
