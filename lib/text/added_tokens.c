/* Added tokens: [CLS], [MASK], and words that were added to a vocabulary. They are found in a text before the model sees it. */
#include <stdlib.h>

#include "common/utf8.h"
#include "text/charclass.h"
#include "text/tokenizer_internal.h"

senvec_status sv_added_tokens_reserve(sv_tokenizer *tokenizer, size_t count, size_t bytes, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, count, sizeof *tokenizer->added, "added tokens", &memory, err));
    tokenizer->added = memory;
    return sv_vocabulary_init(&tokenizer->added_index, count, bytes, &tokenizer->arena, err);
}

bool sv_added_tokens_has(const sv_tokenizer *tokenizer, const char *text, size_t length) {
    uint32_t place;
    return sv_vocabulary_get(&tokenizer->added_index, SV_PIECE_START, (const uint8_t *)text, length, &place);
}

bool sv_tokenizer_any_id(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *id) {
    uint32_t place;
    if (!sv_vocabulary_get(&tokenizer->added_index, SV_PIECE_START, (const uint8_t *)text, length, &place))
        return sv_tokenizer_id(tokenizer, text, length, id);
    *id = tokenizer->added[place].id;
    return true;
}

/* What an added token may look like. lstrip and rstrip need nothing: they give the token the white space beside it, and white
 * space has no ids anyway. (A token that starts with white space itself could be disturbed by them.) */
static senvec_status check(const sv_added_token *token, const char *path, senvec_error *err) {
    const char *problem = NULL;
    uint32_t first;
    bool invalid = false;
    sv_utf8_decode((const uint8_t *)token->text, (const uint8_t *)token->text + token->length, &first, &invalid);
    sv_char_class class = sv_char_classify(first);
    if (token->single_word)
        problem = "single_word";
    else if (token->normalized)
        problem = "normalized";
    else if (class == SV_CHAR_SPACE || class == SV_CHAR_BREAK)
        problem = "white space at the start";
    else if (strstr(token->text, "\xef\xbf\xbd"))
        problem = "U+FFFD in it"; /* would have to match invalid bytes */
    if (problem)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: added token \"%.40s\": %s is not supported", path, token->text,
                       problem);
    return SENVEC_OK;
}

senvec_status sv_added_tokens_put(sv_tokenizer *tokenizer, const char *path, const sv_added_token *token, const uint32_t *id,
                                  senvec_error *err) {
    if (token->length > SV_MAX_TOKEN_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: an added token has %zu bytes, but at most %u are read", path,
                       token->length, SV_MAX_TOKEN_BYTES);
    SENVEC_TRY(check(token, path, err));
    sv_vocabulary *index = &tokenizer->added_index;
    uint32_t place, expected;
    bool there = sv_vocabulary_get(index, SV_PIECE_START, (const uint8_t *)token->text, token->length, &place);
    if (there)
        expected = tokenizer->added[place].id;
    else if (!sv_tokenizer_id(tokenizer, token->text, token->length, &expected))
        /* The next one behind the vocabulary and the added tokens before. The reference computes it like this and ignores what
         * the file says; a file that says something else is refused. */
        expected = tokenizer->added_next > tokenizer->tokens ? tokenizer->added_next : (uint32_t)tokenizer->tokens;
    if (id && *id != expected)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: added token \"%.40s\" has id %u, but the vocabulary makes it %u", path,
                       token->text, *id, expected);
    if (expected >= SV_MAX_VOCABULARY)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: added token \"%.40s\" has id %u, but ids end at %u", path, token->text,
                       expected, SV_MAX_VOCABULARY - 1);
    if (!there) {
        place = (uint32_t)tokenizer->added_count++;
        sv_vocabulary_add(index, SV_PIECE_START, (const uint8_t *)token->text, token->length, place);
    }
    sv_added_token *added = &tokenizer->added[place];
    *added = *token;
    added->id = expected;
    if (expected >= tokenizer->added_next)
        tokenizer->added_next = expected + 1;
    if (expected >= tokenizer->size)
        tokenizer->size = (size_t)expected + 1;
    return sv_arena_string(&tokenizer->arena, token->text, token->length, &added->text, err);
}

static int compare_added(const void *left, const void *right) {
    const sv_added_token *a = left, *b = right;
    if (a->text[0] != b->text[0])
        return (uint8_t)a->text[0] < (uint8_t)b->text[0] ? -1 : 1;
    return a->length > b->length ? -1 : a->length < b->length;
}

/* The texts of all tokens, now that it is known how many there are. */
static senvec_status add_texts(sv_tokenizer *tokenizer, senvec_error *err) {
    sv_token_texts old = tokenizer->texts, *texts = &tokenizer->texts;
    size_t bytes = old.used;
    for (size_t i = 0; i < tokenizer->added_count; i++)
        bytes += tokenizer->added[i].length;
    SENVEC_TRY(sv_token_texts_init(texts, tokenizer->size, bytes, &tokenizer->arena, err));
    for (size_t i = 0; i < old.size; i++)
        sv_token_texts_add(texts, (uint32_t)i, (const char *)old.bytes + old.entries[i].offset, old.entries[i].length);
    for (size_t i = 0; i < tokenizer->added_count; i++)
        sv_token_texts_add(texts, tokenizer->added[i].id, tokenizer->added[i].text, tokenizer->added[i].length);
    return SENVEC_OK;
}

senvec_status sv_added_tokens_finish(sv_tokenizer *tokenizer, const char *path, senvec_error *err) {
    (void)path;
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        uint32_t unused;
        if (!sv_tokenizer_id(tokenizer, tokenizer->added[i].text, tokenizer->added[i].length, &unused)) {
            SENVEC_TRY(add_texts(tokenizer, err));
            break;
        }
    }
    if (tokenizer->split_specials) {
        size_t kept = 0;
        for (size_t i = 0; i < tokenizer->added_count; i++)
            if (!tokenizer->added[i].special)
                tokenizer->added[kept++] = tokenizer->added[i];
        tokenizer->added_count = kept;
    }
    if (tokenizer->added_count > 0)
        qsort(tokenizer->added, tokenizer->added_count, sizeof *tokenizer->added, compare_added);
    size_t i = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (i < tokenizer->added_count && (uint8_t)tokenizer->added[i].text[0] < byte)
            i++;
        tokenizer->added_start[byte] = (uint32_t)i;
    }
    return SENVEC_OK;
}

const sv_added_token *sv_added_token_at(const sv_tokenizer *tokenizer, const uint8_t *at, const uint8_t *end) {
    for (size_t i = tokenizer->added_start[*at]; i < tokenizer->added_start[*at + 1]; i++) {
        const sv_added_token *added = &tokenizer->added[i];
        if (added->length <= (size_t)(end - at) && memcmp(at, added->text, added->length) == 0)
            return added;
    }
    return NULL;
}
