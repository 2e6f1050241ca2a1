/* The tokens of another model by id, which turn ids sent by that model's clients back into text. LangChain's
 * OpenAIEmbeddings sends the ids of OpenAI's cl100k_base by default.
 *
 * The file is tiktoken's: a line for each token, its bytes in base64, a space, its id. Inside of the server. */
#ifndef SV_SERVER_TOKEN_TABLE_H
#define SV_SERVER_TOKEN_TABLE_H

#include "common/status.h"

typedef struct sv_token_bytes {
    uint32_t begin, length; /* in the table's bytes; length 0: no token has this id */
} sv_token_bytes;

/* Immutable once open; zeroed: no tokens. */
typedef struct sv_token_table {
    char *bytes; /* (size) of all tokens, one after the other */
    size_t size;
    sv_token_bytes *tokens; /* (count) by id */
    size_t count;
} sv_token_table;

/* Errors: those of sv_file_map_open; FORMAT (with the line); TOO_LARGE; OUT_OF_MEMORY. */
senvec_status sv_token_table_open(const char *path, sv_token_table *out, senvec_error *err);
void sv_token_table_close(sv_token_table *table);

/* The bytes of a token, or NULL. */
const char *sv_token_table_find(const sv_token_table *table, uint64_t id, size_t *length);

#endif
