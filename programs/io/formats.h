/* The formats: each takes the next text from a reader. All of them: *text lives until the next call, *more = false at the end
 * of the file, errors as in corpus.h. */
#ifndef SV_IO_FORMATS_H
#define SV_IO_FORMATS_H

#include <jansson.h>

#include "io/reader.h"

typedef struct sv_json_source {
    const char *key; /* NULL: there must be no objects */
    enum { SV_JSON_START, SV_JSON_LINES, SV_JSON_ARRAY, SV_JSON_DONE } state;
    json_t *value; /* owns the current text */
} sv_json_source;

senvec_status sv_json_next(sv_json_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err);
void sv_json_release(sv_json_source *source);

typedef struct sv_csv_source {
    char separator;
    size_t column; /* from 0 */
    char *field;   /* the current text */
    size_t length, capacity;
} sv_csv_source;

/* `column` as in sv_corpus_options; a name is looked for in the first record, which is taken. */
senvec_status sv_csv_open(sv_csv_source *source, sv_reader *reader, char separator, const char *column, senvec_error *err);
senvec_status sv_csv_next(sv_csv_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err);
void sv_csv_release(sv_csv_source *source);

#endif
