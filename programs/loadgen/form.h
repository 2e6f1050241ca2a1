/* The forms in which embedding services are asked: OpenAI's, TEI's and Ollama's. */
#ifndef SV_LOADGEN_FORM_H
#define SV_LOADGEN_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

typedef enum sv_load_form {
    SV_FORM_OPENAI,        /* numbers as JSON */
    SV_FORM_OPENAI_BASE64, /* what the openai package for Python asks for */
    SV_FORM_TEI,
    SV_FORM_OLLAMA,
} sv_load_form;

extern const char *const sv_load_form_choices[]; /* names, by form; NULL-terminated */

/* The path that services of this kind have. */
const char *sv_load_form_path(sv_load_form form);

/* What stands around the texts, which are JSON strings with commas between them. `head` needs the model's name as a JSON
 * string, quotes included; it writes at most `size` bytes and returns their number, or 0 if there is no room. */
#define SV_LOAD_FORM_TAIL "]}"
size_t sv_load_form_head(sv_load_form form, const char *model, char *out, size_t size);

/* Whether the body of an answer has a vector for each of `texts` texts: well-formed JSON of the form's shape, all of the same
 * length, in order. On failure *why says what is missing. */
bool sv_load_form_check(sv_load_form form, const char *body, size_t length, size_t texts, const char **why);

#endif
