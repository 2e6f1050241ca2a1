/* The API dialects in which embedding services are asked: OpenAI's, TEI's and Ollama's. */
#ifndef SV_LOADGEN_LOAD_DIALECT_H
#define SV_LOADGEN_LOAD_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

typedef enum sv_load_dialect {
    SV_LOAD_DIALECT_OPENAI,        /* numbers as JSON */
    SV_LOAD_DIALECT_OPENAI_BASE64, /* what the openai package for Python asks for */
    SV_LOAD_DIALECT_TEI,
    SV_LOAD_DIALECT_OLLAMA,
} sv_load_dialect;

extern const char *const sv_load_dialect_choices[]; /* names, by dialect; NULL-terminated */

/* The path that services of this kind have. */
const char *sv_load_dialect_path(sv_load_dialect dialect);

/* Writes the beginning of a request's body, up to the texts, which are JSON strings with commas between them;
 * SV_LOAD_DIALECT_TAIL follows them. `head` needs the model's name as a JSON string, quotes included; it writes at most `size`
 * bytes and returns their number, or 0 if there is no room. */
#define SV_LOAD_DIALECT_TAIL "]}"
size_t sv_load_dialect_head(sv_load_dialect dialect, const char *model, char *out, size_t size);

/* Whether the body of an answer has a vector for each of `texts` texts: well-formed JSON of the dialect's shape, all of the
 * same length, in order. On failure *why says what is missing. */
bool sv_load_dialect_check(sv_load_dialect dialect, const char *body, size_t length, size_t texts, const char **why);

/* The vectors in a body that sv_load_dialect_check finds right: *out (malloc'ed) [texts, *dimensions]. False: there are none,
 * they are no base64 of floats, or there is no memory. */
bool sv_load_dialect_vectors(sv_load_dialect dialect, const char *body, size_t length, size_t texts, float **out,
                             size_t *dimensions);

#endif
