/* What surrounds the ids of a text: the template, the cut, and pairs.
 *
 * A text that is cut on the right is left where its ids are full, so a line of 10 MB costs what is kept of it. One that is cut
 * on the left, and each text of a pair, is counted first and encoded then: two passes, and no list of all its ids. */
#include "text/tokenizer.h"

#include <assert.h>

#include "text/tokenizer_internal.h"

/* Encodes a text into `ids`, at most `limit` of them, and adds what happened to *tokens. Returns how many were written. */
static size_t put_text(const sv_tokenizer *tokenizer, senvec_text text, size_t skip, uint32_t *ids, size_t limit,
                       sv_tokens *tokens) {
    sv_id_sink sink = {.ids = ids, .skip = skip, .limit = limit};
    tokenizer->encode(tokenizer, (const uint8_t *)text.data, text.length, &sink);
    tokens->truncated |= sink.truncated || skip > 0;
    tokens->invalid_utf8 |= sink.invalid_utf8;
    tokens->no_memory |= sink.no_memory;
    return sink.count;
}

/* The ids of a text without a template, at most `limit`. */
static size_t count_ids(const sv_tokenizer *tokenizer, senvec_text text, size_t limit, sv_tokens *tokens) {
    sv_id_sink sink = {.limit = limit};
    tokenizer->encode(tokenizer, (const uint8_t *)text.data, text.length, &sink);
    tokens->invalid_utf8 |= sink.invalid_utf8;
    tokens->no_memory |= sink.no_memory;
    return sink.count;
}

/* Writes the template with the texts in their places, each cut to its limit. `skip` says what a text loses at its start. */
static sv_tokens fill(const sv_tokenizer *tokenizer, const sv_template *template, const senvec_text *texts, const size_t *skip,
                      const size_t *limit, uint32_t *ids, uint32_t *types) {
    sv_tokens tokens = {0};
    for (size_t i = 0; i < template->count; i++) {
        const struct sv_template_piece *piece = &template->pieces[i];
        size_t before = tokens.count;
        if (piece->text < 0)
            ids[tokens.count++] = piece->id;
        else
            tokens.count +=
                put_text(tokenizer, texts[piece->text], skip[piece->text], ids + tokens.count, limit[piece->text], &tokens);
        for (size_t j = before; types && j < tokens.count; j++)
            types[j] = piece->type;
    }
    return tokens;
}

/* What is kept of a template that is itself too long. */
static sv_tokens cut_template(const sv_template *template, uint32_t *ids, size_t max_ids) {
    sv_tokens tokens = {.truncated = true};
    for (size_t i = 0; i < template->count && tokens.count < max_ids; i++)
        if (template->pieces[i].text < 0)
            ids[tokens.count++] = template->pieces[i].id;
    return tokens;
}

static bool is_left(const sv_tokenizer *tokenizer, senvec_truncation truncation) {
    return truncation == SENVEC_TRUNCATION_AUTO ? tokenizer->truncate_left : truncation == SENVEC_TRUNCATION_LEFT;
}

sv_tokens sv_tokenizer_encode(const sv_tokenizer *tokenizer, const char *text, size_t length, senvec_truncation truncation,
                              uint32_t *ids, size_t max_ids) {
    if (max_ids < tokenizer->single.specials)
        return cut_template(&tokenizer->single, ids, max_ids);
    senvec_text whole = {text, length};
    size_t limit = max_ids - tokenizer->single.specials, skip = 0;
    sv_tokens counted = {0};
    if (is_left(tokenizer, truncation)) {
        size_t all = count_ids(tokenizer, whole, SIZE_MAX, &counted);
        skip = all > limit ? all - limit : 0;
    }
    sv_tokens tokens = fill(tokenizer, &tokenizer->single, &whole, &skip, &limit, ids, NULL);
    tokens.no_memory |= counted.no_memory;
    return tokens;
}

sv_tokens sv_tokenizer_count(const sv_tokenizer *tokenizer, const char *text, size_t length) {
    sv_tokens tokens = {0};
    tokens.count = count_ids(tokenizer, (senvec_text){text, length}, SIZE_MAX, &tokens) + tokenizer->single.specials;
    return tokens;
}

/* How many ids each of two texts keeps of `limit` together, given how many it has: the longer is cut until both are as long,
 * then both. Where both are cut, the longer has the odd one, and the second where they are equally long. */
static void share(size_t limit, const size_t has[2], size_t keeps[2]) {
    size_t shorter = has[0] > has[1], longer = !shorter;
    keeps[0] = has[0];
    keeps[1] = has[1];
    if (has[0] + has[1] <= limit)
        return;
    if (has[shorter] <= limit / 2) {
        keeps[longer] = limit - has[shorter];
    } else {
        keeps[shorter] = limit / 2;
        keeps[longer] = limit / 2 + limit % 2;
    }
}

sv_tokens sv_tokenizer_encode_pair(const sv_tokenizer *tokenizer, senvec_text a, senvec_text b, senvec_truncation truncation,
                                   uint32_t *ids, uint32_t *types, size_t max_ids) {
    const sv_template *template = &tokenizer->pair;
    assert(template->count > 0 && max_ids >= template->specials);
    const senvec_text texts[2] = {a, b};
    const bool left = is_left(tokenizer, truncation);
    size_t limit = max_ids - template->specials, has[2], keeps[2], skip[2] = {0, 0};
    /* From `limit` + 1 ids on, a text is too long by itself: how much too long matters only where its end is kept, or where it
     * decides who has the odd one. */
    size_t enough = left ? SIZE_MAX / 2 : limit + 1;
    sv_tokens counted = {0};
    for (int i = 0; i < 2; i++)
        has[i] = count_ids(tokenizer, texts[i], enough, &counted);
    bool who = !left && limit % 2 == 1 && has[0] > limit && has[1] > limit;
    for (int i = 0; i < 2 && who; i++)
        has[i] = count_ids(tokenizer, texts[i], SIZE_MAX / 2, &counted);
    share(limit, has, keeps);
    if (left)
        for (int i = 0; i < 2; i++)
            skip[i] = has[i] - keeps[i];
    sv_tokens tokens = fill(tokenizer, template, texts, skip, keeps, ids, types);
    tokens.no_memory |= counted.no_memory;
    return tokens;
}

size_t sv_tokenizer_specials(const sv_tokenizer *tokenizer, bool pair) {
    return pair ? tokenizer->pair.specials : tokenizer->single.specials;
}

bool sv_tokenizer_takes_pairs(const sv_tokenizer *tokenizer) {
    return tokenizer->pair.count > 0;
}

size_t sv_tokenizer_vocabulary(const sv_tokenizer *tokenizer) {
    return tokenizer->size;
}

senvec_truncation sv_tokenizer_truncation(const sv_tokenizer *tokenizer) {
    return tokenizer->truncate_left ? SENVEC_TRUNCATION_LEFT : SENVEC_TRUNCATION_RIGHT;
}

size_t sv_tokenizer_memory(const sv_tokenizer *tokenizer) {
    return tokenizer->arena.bytes;
}

const char *sv_tokenizer_token(const sv_tokenizer *tokenizer, uint32_t id, size_t *length) {
    const sv_token_texts *texts = &tokenizer->texts;
    if (id >= texts->size || texts->entries[id].length == 0)
        return NULL;
    *length = texts->entries[id].length;
    return (const char *)texts->bytes + texts->entries[id].offset;
}
