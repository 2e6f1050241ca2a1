/* Vectors to a file or to standard output, in one of four formats, in constant memory.
 *
 *   npy    one NumPy matrix (texts, dimensions) of little-endian floats
 *   jsonl  one object a text: {"index":0,"embedding":[0.1,...]}
 *   f32    the floats alone, little-endian, row after row
 *   csv    one line a text, no header
 *
 * A named file appears whole at the close or not at all (common/file.h). */
#ifndef SV_CLI_OUTPUT_H
#define SV_CLI_OUTPUT_H

#include <stddef.h>

#include "common/status.h"

typedef enum sv_output_format { SV_OUTPUT_NPY, SV_OUTPUT_JSONL, SV_OUTPUT_F32, SV_OUTPUT_CSV } sv_output_format;

extern const char *const sv_output_choices[]; /* names, by format */

/* The format that a file's name asks for by what follows its last dot; jsonl where that is nothing, or for NULL and "-". Error:
 * INVALID_ARGUMENT (a name for which there is no format). */
senvec_status sv_output_format_of(const char *path, sv_output_format *out, senvec_error *err);

typedef struct sv_output sv_output;

/* Opens `path`, NULL or "-" being standard output. Ctrl-C will remove the temporary. Errors: IO, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_output_open(const char *path, sv_output_format format, size_t dimensions, sv_output **out, senvec_error *err);
/* Appends `count` vectors (count, dimensions). Error: IO. */
senvec_status sv_output_write(sv_output *output, const float *vectors, size_t count, senvec_error *err);
/* Hands on what is buffered, for a reader who waits; not a named file, which nobody sees yet. Error: IO. */
senvec_status sv_output_flush(sv_output *output, senvec_error *err);
/* Completes the output and puts the file in its place. The output is gone afterwards, in any case. Error: IO, and then nothing
 * stands under the name. */
senvec_status sv_output_close(sv_output *output, senvec_error *err);
/* Drops the output; a named file doesn't appear. NULL is accepted. */
void sv_output_abort(sv_output *output);

#endif
