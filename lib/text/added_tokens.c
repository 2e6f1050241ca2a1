/* Added tokens: [CLS], [MASK], and words that were added to a vocabulary. They are found in a text before the model sees it. */
#include <stdlib.h>

#include "text/pipeline.h"

senvec_status sv_added_tokens_reserve(sv_tokenizer *tokenizer, size_t count, size_t bytes, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, count, sizeof *tokenizer->listed, "added tokens", &memory, err));
    tokenizer->listed = memory;
    return sv_vocabulary_init(&tokenizer->listed_index, count, bytes, &tokenizer->arena, err);
}

bool sv_added_tokens_has(const sv_tokenizer *tokenizer, const char *text, size_t length) {
    uint32_t place;
    return sv_vocabulary_get(&tokenizer->listed_index, SV_PIECE_START, (const uint8_t *)text, length, &place);
}

bool sv_tokenizer_any_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id) {
    uint32_t place;
    if (!sv_vocabulary_get(&tokenizer->listed_index, SV_PIECE_START, (const uint8_t *)text, length, &place))
        return sv_tokenizer_id(tokenizer, text, length, id);
    *id = tokenizer->listed[place].id;
    return true;
}

senvec_status sv_added_tokens_put(sv_tokenizer *tokenizer, const char *path, const sv_added_token *token, const uint32_t *id,
                                  senvec_error *err) {
    if (token->length > SV_MAX_TOKEN_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: an added token has %zu bytes, but at most %u are read", path,
                       token->length, SV_MAX_TOKEN_BYTES);
    if (strstr(token->text, "\xef\xbf\xbd"))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: added token \"%.40s\": U+FFFD in it is not supported", path,
                       token->text);
    sv_vocabulary *index = &tokenizer->listed_index;
    uint32_t place, expected;
    bool there = sv_vocabulary_get(index, SV_PIECE_START, (const uint8_t *)token->text, token->length, &place);
    if (there)
        expected = tokenizer->listed[place].id;
    else if (!sv_tokenizer_id(tokenizer, token->text, token->length, &expected))
        /* The next one behind the vocabulary and the added tokens before. The reference computes it like this and ignores what
         * the file says; a file that says something else is refused. */
        expected = tokenizer->listed_next > tokenizer->tokens ? tokenizer->listed_next : (uint32_t)tokenizer->tokens;
    if (id && *id != expected)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: added token \"%.40s\" has id %u, but the vocabulary makes it %u", path,
                       token->text, *id, expected);
    if (expected >= SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: added token \"%.40s\" has id %u, but ids end at %u", path, token->text,
                       expected, SV_MAX_VOCABULARY - 1);
    if (!there) {
        place = (uint32_t)tokenizer->listed_count++;
        sv_vocabulary_add(index, SV_PIECE_START, (const uint8_t *)token->text, token->length, place);
    }
    sv_added_token *added = &tokenizer->listed[place];
    *added = *token;
    added->id = expected;
    if (expected >= tokenizer->listed_next)
        tokenizer->listed_next = expected + 1;
    if (expected >= tokenizer->size)
        tokenizer->size = (size_t)expected + 1;
    return sv_arena_string(&tokenizer->arena, token->text, token->length, &added->text, err);
}

static int compare_added(const void *left, const void *right) {
    const sv_added_token *a = left, *b = right;
    if (a->text[0] != b->text[0])
        return (uint8_t)a->text[0] < (uint8_t)b->text[0] ? -1 : 1;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    return memcmp(a->text, b->text, a->length);
}

/* The texts of all tokens, now that it is known how many there are. */
static senvec_status add_texts(sv_tokenizer *tokenizer, senvec_error *err) {
    sv_token_texts old = tokenizer->texts, *texts = &tokenizer->texts;
    size_t bytes = old.used;
    for (size_t i = 0; i < tokenizer->listed_count; i++)
        bytes += tokenizer->listed[i].length;
    SENVEC_TRY(sv_token_texts_init(texts, tokenizer->size, bytes, &tokenizer->arena, err));
    for (size_t i = 0; i < old.size; i++)
        sv_token_texts_add(texts, (uint32_t)i, (const char *)old.bytes + old.entries[i].offset, old.entries[i].length);
    for (size_t i = 0; i < tokenizer->listed_count; i++)
        sv_token_texts_add(texts, tokenizer->listed[i].id, tokenizer->listed[i].text, tokenizer->listed[i].length);
    return SENVEC_OK;
}

/* Takes the listed tokens that are normalised, or those that aren't, and indexes them. */
static senvec_status index_tokens(sv_tokenizer *tokenizer, sv_added_tokens *out, bool normalised, const char *path,
                                  senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, tokenizer->listed_count, sizeof *out->tokens, "added tokens", &memory, err));
    out->tokens = memory;
    for (size_t i = 0; i < tokenizer->listed_count; i++) {
        if (tokenizer->listed[i].normalized != normalised)
            continue;
        sv_added_token *token = &out->tokens[out->count];
        *token = tokenizer->listed[i];
        if (normalised) {
            SENVEC_TRY(sv_pipeline_normalize(tokenizer, token->text, token->length, &token->text, &token->length, err));
            if (token->length == 0)
                return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                               "%s: added token \"%.40s\": nothing is left of it when it is normalised", path,
                               tokenizer->listed[i].text);
        }
        out->count++;
    }
    if (out->count > 1)
        qsort(out->tokens, out->count, sizeof *out->tokens, compare_added);
    for (size_t i = 1; i < out->count; i++)
        if (compare_added(&out->tokens[i - 1], &out->tokens[i]) == 0)
            return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: two added tokens become \"%.40s\" when they are normalised", path,
                           out->tokens[i].text);
    size_t i = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (i < out->count && (uint8_t)out->tokens[i].text[0] < byte)
            i++;
        out->start[byte] = (uint32_t)i;
        if (byte > 0)
            out->begins[byte - 1] = out->start[byte - 1] < out->start[byte];
    }
    return SENVEC_OK;
}

senvec_status sv_added_tokens_finish(sv_tokenizer *tokenizer, const char *path, senvec_error *err) {
    for (size_t i = 0; i < tokenizer->listed_count; i++) {
        uint32_t unused;
        if (!sv_tokenizer_id(tokenizer, tokenizer->listed[i].text, tokenizer->listed[i].length, &unused)) {
            SENVEC_TRY(add_texts(tokenizer, err));
            break;
        }
    }
    SENVEC_TRY(index_tokens(tokenizer, &tokenizer->added, false, path, err));
    return index_tokens(tokenizer, &tokenizer->normalised, true, path, err);
}

const sv_added_token *sv_added_token_at(const sv_added_tokens *tokens, const uint8_t *at, const uint8_t *end) {
    for (size_t i = tokens->start[*at]; i < tokens->start[*at + 1]; i++) {
        const sv_added_token *added = &tokens->tokens[i];
        if (added->length <= (size_t)(end - at) && memcmp(at, added->text, added->length) == 0)
            return added;
    }
    return NULL;
}
