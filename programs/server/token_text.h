/* Token ids back to text.
 *
 * The engine takes texts. Ids are embedded as the text that tokenizes to exactly these ids. If there is no such text, another
 * tokenizer made the ids, and their vector would be meaningless. */
#ifndef SV_SERVER_TOKEN_TEXT_H
#define SV_SERVER_TOKEN_TEXT_H

#include "common/memory.h"
#include "senvec.h"

/* Immutable once open. */
typedef struct sv_token_text {
    sv_arena arena;
    const char **tokens; /* (count) by id; NULL: no token has it */
    size_t count;
    uint32_t begin, end; /* ids of [CLS] and [SEP] */
} sv_token_text;

/* Error: OUT_OF_MEMORY. */
senvec_status sv_token_text_open(const senvec_model *model, sv_token_text *out, senvec_error *err);
/* A zeroed one is accepted. */
void sv_token_text_close(sv_token_text *tokens);

/* The token with this id as the vocabulary has it ("##ing"), or NULL. */
const char *sv_token_text_of(const sv_token_text *tokens, uint64_t id);

/* Bytes that the text of `count` ids has at most. */
size_t sv_token_text_size(const sv_token_text *tokens, const uint32_t *ids, size_t count);
/* Writes the text of ids[0 .. count), which begin with [CLS] and end with [SEP], and returns its length. */
size_t sv_token_text_write(const sv_token_text *tokens, const uint32_t *ids, size_t count, char *out);

#endif
