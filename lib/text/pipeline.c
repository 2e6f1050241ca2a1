/* The steps of encoding, applied to one chunk of the text after the other.
 *
 *     raw text -> added tokens that aren't normalised are cut out -> normalizers -> added tokens that are normalised are cut
 * out
 *              -> pre-tokenizers -> the model, piece by piece
 *
 * The reference applies each step to the whole text. What a step does depends on what is near: a text may be cut before a
 * single space between ASCII letters or digits, where no normalizer combines anything and every pre-tokenizer that splits at
 * white space splits too. So a chunk of about a kilobyte goes through all steps before the next is looked at, memory doesn't
 * grow with the text, and encoding ends where the ids are full. Where a step does look further (sv_pipeline_is_local), and
 * where a text has no such place, all of it is one chunk. */
#include "text/pipeline.h"

#include "common/utf8.h"
#include "text/bpe.h"
#include "text/char_tables.h"
#include "text/charclass.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/unigram.h"
#include "text/word_cache.h"

enum { CHUNK = 1024 };

static void encode_piece(sv_work *work, const uint8_t *piece, size_t size) {
    if (work->tokenizer->model == SV_MODEL_UNIGRAM)
        sv_unigram_encode(work, piece, size);
    else
        sv_bpe_encode(work, piece, size);
}

/* A piece that is short enough for the cache. */
static void encode_short_piece(sv_work *work, const uint8_t *piece, size_t size) {
    const sv_word_cache *cache = &work->tokenizer->cache;
    uint64_t hash;
    const sv_cached_word *cached = sv_word_cache_find(cache, piece, size, &hash);
    if (cached) {
        for (size_t i = 0; i < cached->count; i++)
            sv_put_id(work->sink, cached->ids[i]);
        return;
    }
    uint32_t ids[SV_CACHED_BYTES]; /* none has more ids than bytes */
    sv_id_sink all = {.ids = ids, .limit = SV_CACHED_BYTES}, *sink = work->sink;
    work->sink = &all;
    encode_piece(work, piece, size);
    work->sink = sink;
    for (size_t i = 0; i < all.count; i++)
        sv_put_id(sink, ids[i]);
    if (all.count <= SV_CACHED_IDS)
        sv_word_cache_put(cache, piece, size, hash, ids, all.count);
}

void sv_model_encode(sv_work *work, const uint8_t *piece, size_t size) {
    const sv_tokenizer *tokenizer = work->tokenizer;
    size_t chars = 0;
    if (tokenizer->model != SV_MODEL_WORDPIECE) {
        if (size <= SV_CACHED_BYTES)
            encode_short_piece(work, piece, size);
        else
            encode_piece(work, piece, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        chars += !sv_utf8_is_continuation(piece[i]);
    sv_wordpiece_encode(&tokenizer->wordpiece, piece, size, chars, work->sink);
}

/* ------------------------------------------------------------------------------------------------------------ added tokens */

static bool is_white(uint32_t c) {
    sv_char_class class = sv_char_classify(c);
    return class == SV_CHAR_SPACE || class == SV_CHAR_BREAK;
}

/* The code point that ends before `at`; start < at. */
static uint32_t char_before(const uint8_t *start, const uint8_t *at, const uint8_t **begins) {
    const uint8_t *before = at - 1;
    while (before > start && at - before < SV_MAX_UTF8 && sv_utf8_is_continuation(*before))
        before--;
    uint32_t c;
    bool invalid = false;
    size_t length = sv_utf8_decode(before, at, &c, &invalid);
    if (length != (size_t)(at - before)) { /* not one code point: the last byte alone is invalid */
        before = at - 1;
        c = SV_REPLACEMENT;
    }
    *begins = before;
    return c;
}

static uint32_t char_at(const uint8_t *at, const uint8_t *end, size_t *length) {
    uint32_t c;
    bool invalid = false;
    *length = sv_utf8_decode(at, end, &c, &invalid);
    return c;
}

/* A match of an added token, with the white space that it takes. */
typedef struct match {
    const sv_added_token *token; /* NULL: none */
    const uint8_t *from, *to;
} match;

/* Whether a token that was found at `at` counts; *found is set. `start` .. `end`: where it may look for what is beside it;
 * white space is taken from `floor` on. */
static bool accept(const sv_tokenizer *tokenizer, const sv_added_token *token, const uint8_t *start, const uint8_t *floor,
                   const uint8_t *at, const uint8_t *end, match *found) {
    const uint8_t *from = at, *to = at + token->length, *before;
    size_t length;
    if (token->special && tokenizer->split_specials)
        return false;
    if (token->single_word && ((at > start && sv_char_is_word(char_before(start, at, &before))) ||
                               (to < end && sv_char_is_word(char_at(to, end, &length)))))
        return false;
    while (token->lstrip && from > floor && is_white(char_before(floor, from, &before)))
        from = before;
    while (token->rstrip && to < end && is_white(char_at(to, end, &length)))
        to += length;
    *found = (match){token, from, to};
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- chunks */

/* Copies a chunk into work->text[0], invalid UTF-8 replaced. */
static bool read_chunk(sv_work *work, const uint8_t *at, const uint8_t *end) {
    sv_buffer *out = &work->text[0];
    out->size = 0;
    /* U+FFFD has three bytes and may stand for one. */
    if (!sv_work_room(work, out, 3 * (size_t)(end - at)))
        return false;
    bool invalid = false;
    while (at < end) {
        size_t ascii = sv_ascii_length(at, (size_t)(end - at));
        memcpy(out->data + out->size, at, ascii);
        out->size += ascii;
        at += ascii;
        if (at == end)
            break;
        uint32_t c;
        at += sv_utf8_decode(at, end, &c, &invalid);
        out->size += sv_utf8_encode(c, out->data + out->size);
    }
    if (work->sink)
        work->sink->invalid_utf8 |= invalid;
    return true;
}

/* A normalised text: cuts out the added tokens and gives the rest to the pre-tokenizers. */
static void split_normalised(sv_work *work, const sv_buffer *text, bool origin) {
    const sv_tokenizer *tokenizer = work->tokenizer;
    const uint8_t *start = text->data, *end = start + text->size, *from = start;
    const sv_added_tokens *tokens = &tokenizer->normalised;
    for (const uint8_t *at = start; tokens->count > 0 && at < end && !sv_work_stops(work);) {
        const sv_added_token *token = sv_added_token_at(tokens, at, end);
        match found;
        if (!token) {
            at++;
        } else if (!accept(tokenizer, token, start, from, at, end, &found)) {
            at += token->length;
        } else {
            sv_pre_tokenize(work, from, (size_t)(found.from - from), origin && from == start);
            sv_put_id(work->sink, token->id);
            at += token->length;
            from = found.to;
            if (at < from)
                at = from;
        }
    }
    if (!sv_work_stops(work))
        sv_pre_tokenize(work, from, (size_t)(end - from), origin && from == start);
}

static bool is_ascii_word(uint8_t byte) {
    return (uint8_t)((byte | 32) - 'a') < 26 || (uint8_t)(byte - '0') < 10;
}

/* The end of the chunk that begins at `at`: a place to cut, or the next added token. */
static const uint8_t *chunk_end(const sv_tokenizer *tokenizer, const uint8_t *start, const uint8_t *at, const uint8_t *end,
                                match *found) {
    const sv_added_tokens *tokens = &tokenizer->added;
    const uint8_t *enough = tokenizer->is_local && end - at > CHUNK ? at + CHUNK : end, *floor = at;
    *found = (match){0};
    while (at < end) {
        while (at < enough && !tokens->begins[*at])
            at++;
        if (at == end)
            break;
        if (tokens->begins[*at]) {
            const sv_added_token *token = sv_added_token_at(tokens, at, end);
            if (token && accept(tokenizer, token, start, floor, at, end, found))
                return found->from;
            at += token ? token->length : 1;
            continue;
        }
        if (at >= enough && *at == ' ' && end - at > 1 && is_ascii_word(at[-1]) && is_ascii_word(at[1]))
            return at;
        at++;
    }
    return end;
}

/* Whether sv_bert_encode can take a chunk, which has no added tokens of the raw text: BERT's steps, ASCII, and no character
 * that one of the normalised text could begin with. */
static bool is_plain_bert(const sv_tokenizer *tokenizer, const uint8_t *at, const uint8_t *end) {
    if (!tokenizer->bert_steps)
        return false;
    while (at < end && *at < 0x80 && !tokenizer->suspect[*at])
        at++;
    return at == end;
}

void sv_pipeline_encode(const sv_tokenizer *tokenizer, const uint8_t *text, size_t length, sv_id_sink *sink) {
    sv_work work; /* not cleared: it is large */
    sv_work_init(&work, tokenizer, sink);
    const uint8_t *at = text, *end = length ? text + length : text;
    bool first = true; /* of the stretch between two added tokens */
    while (at < end && !sv_work_stops(&work)) {
        match found;
        const uint8_t *stop = chunk_end(tokenizer, text, at, end, &found);
        sv_buffer *normalised;
        work.origin = at == text;
        if (is_plain_bert(tokenizer, at, stop))
            sv_bert_encode(tokenizer, at, (size_t)(stop - at), sink);
        else if (stop > at && read_chunk(&work, at, stop) &&
                 sv_normalize(&work, first, found.token || stop == end, &normalised))
            split_normalised(&work, normalised, work.origin);
        if (found.token && !sv_work_stops(&work))
            sv_put_id(sink, found.token->id);
        first = found.token != NULL;
        at = found.token ? found.to : stop;
    }
    sv_work_release(&work);
}

senvec_status sv_pipeline_normalize(sv_tokenizer *tokenizer, const char *text, size_t length, const char **out,
                                    size_t *out_length, senvec_error *err) {
    sv_work work;
    sv_work_init(&work, tokenizer, NULL);
    sv_buffer *normalised;
    const uint8_t *bytes = (const uint8_t *)text;
    senvec_status status;
    if (read_chunk(&work, bytes, bytes + length) && sv_normalize(&work, true, true, &normalised)) {
        *out_length = normalised->size;
        status = sv_arena_string(&tokenizer->arena, (const char *)normalised->data, normalised->size, out, err);
    } else {
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to normalise an added token");
    }
    sv_work_release(&work);
    return status;
}

static bool has_space(const char *text, size_t length) {
    bool invalid = false;
    uint32_t c;
    for (const uint8_t *at = (const uint8_t *)text, *end = at + length; at < end;) {
        at += sv_utf8_decode(at, end, &c, &invalid);
        if (is_white(c))
            return true;
    }
    return false;
}

bool sv_pipeline_is_local(const sv_tokenizer *tokenizer) {
    for (size_t i = 0; i < tokenizer->normalizer_count; i++) {
        const sv_normalizer *step = &tokenizer->normalizers[i];
        if (step->kind == SV_NORMALIZER_REPLACE && step->pattern_length > 1 && has_space(step->pattern, step->pattern_length))
            return false;
    }
    for (size_t i = 0; i < tokenizer->normalised.count; i++) {
        const sv_added_token *token = &tokenizer->normalised.tokens[i];
        if (token->rstrip || token->lstrip || has_space(token->text, token->length))
            return false;
    }
    for (size_t i = 0; i < tokenizer->pre_tokenizer_count; i++) {
        const sv_pre_tokenizer *step = &tokenizer->pre_tokenizers[i];
        switch (step->kind) {
        case SV_PRE_TOKENIZER_BERT:
        case SV_PRE_TOKENIZER_WHITESPACE:
        case SV_PRE_TOKENIZER_WHITESPACE_SPLIT:
            return true;
        case SV_PRE_TOKENIZER_METASPACE:
        case SV_PRE_TOKENIZER_BYTE_LEVEL:
            if (step->split)
                return true;
            break;
        case SV_PRE_TOKENIZER_PATTERN:
            if (step->covers && !step->invert && step->behavior == SV_SPLIT_ISOLATED)
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}
