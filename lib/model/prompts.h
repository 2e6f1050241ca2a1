/* The prompts of a model: texts that go before the texts to embed, by name ("query" -> "query: "). */
#ifndef SV_MODEL_PROMPTS_H
#define SV_MODEL_PROMPTS_H

#include <stdio.h>

#include "common/json_document.h"
#include "common/memory.h"
#include "senvec.h"

/* The strings live in the arena that they were read into. */
typedef struct sv_prompts {
    const senvec_prompt *list;
    size_t count;
    const senvec_prompt *usual; /* the prompt of texts for which a call names none; NULL: no prompt */
} sv_prompts;

/* Reads "prompts" and "default_prompt_name" of config_sentence_transformers.json in `directory`; without the file there are
 * none. Errors: FORMAT (not strings; a default that isn't in the list), IO, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_prompts_load(const char *directory, sv_arena *arena, sv_prompts *out, senvec_error *err);

/* Reads the prompts from an object of a document that has these members; `path` is for messages. */
senvec_status sv_prompts_read(sv_json object, const char *path, sv_arena *arena, sv_prompts *out, senvec_error *err);

/* Writes both members. Errors of the stream stay in it. */
void sv_prompts_write(const sv_prompts *prompts, FILE *stream);

/* The text of a prompt. As in sentence-transformers, every model has "query" and "document", which are empty if it doesn't name
 * them. Error: INVALID_ARGUMENT (no such prompt; the message lists the model's prompts). */
senvec_status sv_prompts_find(const sv_prompts *prompts, const char *name, const char **text, senvec_error *err);

#endif
