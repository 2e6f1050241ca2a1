/* The formats: each takes the next record from a reader. All of them: what they hand out lives until the next call, *more =
 * false at the end of the file, errors as in corpus.h. Before an error that concerns a single record they say in
 * reader->damage how to go on behind it. */
#ifndef SV_IO_FORMATS_H
#define SV_IO_FORMATS_H

#include "common/json.h"
#include "io/corpus.h"
#include "io/reader.h"

typedef struct sv_json_source {
    const char *key; /* NULL: there must be no objects */
    enum { SV_RECORDS_START, SV_RECORDS_LINES, SV_RECORDS_ARRAY, SV_RECORDS_DONE } state;
    sv_json record; /* the current one */
    char *text;     /* a text that had escapes */
    size_t capacity;
} sv_json_source;

senvec_status sv_json_next(sv_json_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err);
/* Finds the value at `path` in a record: a member of that name, else members within members, "a.b" being member "b" of member
 * "a"; of an array, a number from 0 stands for its element. Of several members of one name the last counts. */
bool sv_json_find(sv_json json, const char *path, sv_json *value);
void sv_json_release(sv_json_source *source);

typedef struct sv_csv_source {
    char separator;
    bool quoted;   /* fields may stand in quotes */
    bool header;   /* the first record had names */
    bool pending;  /* the current record was read while opening and hasn't been handed out */
    size_t column; /* from 0 */
    char *bytes;   /* the fields of the current record, end to end */
    size_t length, capacity;
    size_t *ends; /* (fields) of each in `bytes` */
    size_t fields, field_capacity;
    uint64_t line; /* where the record began */
    size_t *kept;  /* (keep_count) columns of options.keep */
} sv_csv_source;

senvec_status sv_csv_open(sv_csv_source *source, sv_reader *reader, const sv_corpus_options *options, senvec_error *err);
senvec_status sv_csv_next(sv_csv_source *source, sv_reader *reader, senvec_text *text, bool *more, senvec_error *err);
/* Field `index`, from 0, of the current record; false: it has fewer. */
bool sv_csv_field(const sv_csv_source *source, size_t index, senvec_text *field);
void sv_csv_release(sv_csv_source *source);

#endif
