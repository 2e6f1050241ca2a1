/* Fields of a record, such as an id or a title, that are written beside its vector. */
#ifndef SV_CLI_KEEP_H
#define SV_CLI_KEEP_H

#include "cli/output.h"
#include "io/corpus.h"

enum { SV_MAX_KEPT = 64 };

typedef struct sv_keep {
    const char *names[SV_MAX_KEPT]; /* as typed */
    size_t count;
    char text[4096]; /* what `names` point into */
} sv_keep;

/* Takes "id,title" apart; NULL: nothing. Errors: INVALID_ARGUMENT (an empty name, a name twice, too many, a format that has no
 * room for fields; "index" and "embedding" are taken). */
senvec_status sv_keep_parse(sv_keep *keep, const char *list, sv_output_format format, senvec_error *err);

/* Bytes that grow. */
typedef struct sv_keep_buffer {
    char *data;
    size_t length, capacity;
} sv_keep_buffer;

/* Appends the fields of the corpus's current record as they stand in a line of the format: "\"id\":7,\"title\":\"x\"," in
 * jsonl, "7,x," in csv. A field that the record lacks is null or empty. Values of JSON pass as they are, numbers of any size
 * included; in csv a string is its content. Error: OUT_OF_MEMORY. */
senvec_status sv_keep_append(const sv_keep *keep, sv_output_format format, const sv_corpus *corpus, sv_keep_buffer *buffer,
                             senvec_error *err);

#endif
