/* A folder of vectors in parts that each appear whole, so that a long run can be ended and gone on with.
 *
 *     DIR/part-000000.npy, part-000001.npy, ...   `rows` vectors each, the last one fewer; the ending is the format's name
 *     DIR/manifest.jsonl                          first line: what the run is of; then a line for each part that is there
 *
 * A part is written under a temporary name, flushed to the disk and renamed; then the manifest gets its line, which is flushed,
 * too. A part without its line is made again, with the same bytes, since a vector depends on its text alone. The manifest is
 * that of the Python package's senvec.batch. */
#ifndef SV_CLI_PARTS_H
#define SV_CLI_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/output.h"

typedef struct sv_parts sv_parts;

/* A string for `run` below: what isn't UTF-8 in it becomes '?'; null for NULL. */
json_t *sv_parts_text(const char *text);
/* Name, size and a checksum of 64 parts of a file of input, all of it up to 4 MiB, as a JSON object; of "-", standard input,
 * the name alone. Errors: NOT_FOUND, IO. */
senvec_status sv_parts_fingerprint(const char *path, json_t **out, senvec_error *err);

/* Takes up the folder, which is made where there is none. `run` says what the run is of: members whose values all have to be
 * the same when it is gone on with. With `resume`, *done gets the rows that are there, whose texts needn't be computed; a
 * folder without a run is begun. Errors: INVALID_ARGUMENT (a folder with other files; a run, without `resume`; another run's
 * folder), IO, FORMAT (a manifest that isn't one), NOT_FOUND (a part that the manifest names), SYSTEM (another process writes
 * there). */
senvec_status sv_parts_open(const char *directory, const sv_output_options *options, uint64_t rows, json_t *run, bool resume,
                            sv_parts **out, uint64_t *done, senvec_error *err);
/* Appends rows. Error: IO; then the parts that the manifest names are whole. */
senvec_status sv_parts_write(sv_parts *parts, const sv_output_rows *rows, senvec_error *err);
/* Completes the last part. `parts` is gone afterwards, in any case. Error: IO. */
senvec_status sv_parts_close(sv_parts *parts, senvec_error *err);
/* Drops the part that isn't whole. NULL is accepted. */
void sv_parts_abort(sv_parts *parts);

#endif
