/* Token ids back to text: the vocabulary by id, with terminators. */
#include "server/token_text.h"

#include <string.h>

senvec_status sv_token_text_open(const senvec_model *model, sv_token_text *out, senvec_error *err) {
    senvec_model_info info;
    senvec_model_describe(model, &info);
    sv_token_text tokens = {.count = info.vocabulary};
    sv_arena_init(&tokens.arena, NULL);
    void *table;
    uint32_t frame[2];
    size_t framed;
    senvec_status status = sv_arena_alloc(&tokens.arena, tokens.count, sizeof *tokens.tokens, "tokens by id", &table, err);
    if (status == SENVEC_OK)
        tokens.tokens = table;
    for (size_t id = 0; id < tokens.count && status == SENVEC_OK; id++) {
        size_t length;
        const char *text = senvec_token_text(model, (uint32_t)id, &length);
        if (text)
            status = sv_arena_string(&tokens.arena, text, length, &tokens.tokens[id], err);
    }
    if (status == SENVEC_OK)
        status = senvec_tokenize(model, (senvec_text){NULL, 0}, frame, 2, &framed, NULL, err);
    if (status != SENVEC_OK) {
        sv_token_text_close(&tokens);
        return status;
    }
    tokens.begin = frame[0];
    tokens.end = frame[1];
    *out = tokens;
    return SENVEC_OK;
}

void sv_token_text_close(sv_token_text *tokens) {
    if (tokens->tokens)
        sv_arena_release(&tokens->arena);
    *tokens = (sv_token_text){0};
}

const char *sv_token_text_of(const sv_token_text *tokens, uint64_t id) {
    return id < tokens->count ? tokens->tokens[id] : NULL;
}

/* "##ing" goes on with the word before it. */
static bool continues(const char *token) {
    return token[0] == '#' && token[1] == '#' && token[2];
}

size_t sv_token_text_size(const sv_token_text *tokens, const uint32_t *ids, size_t count) {
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        const char *token = sv_token_text_of(tokens, ids[i]);
        size += token ? strlen(token) + 1 : 0;
    }
    return size;
}

size_t sv_token_text_write(const sv_token_text *tokens, const uint32_t *ids, size_t count, char *out) {
    char *to = out;
    for (size_t i = 1; i + 1 < count; i++) {
        const char *token = sv_token_text_of(tokens, ids[i]);
        if (!token)
            continue;
        if (continues(token) && to > out)
            token += 2;
        else if (to > out)
            *to++ = ' ';
        size_t length = strlen(token);
        memcpy(to, token, length);
        to += length;
    }
    return (size_t)(to - out);
}
