/* Encoding: one pass over the bytes, word by word, until the ids are full.
 *
 * Hugging Face `tokenizers` runs seven passes over the whole text (added tokens, clean_text, CJK spacing, NFD and Mn removal,
 * lower case, split at white space, split at punctuation) and truncates at the end. All of them but one look at a single code
 * point, so they can be done one after the other for each code point, and a text can be left where its ids are full. The
 * exception is NFD, which sorts runs of combining marks: word_append() sorts them as they arrive. A run never leaves its word:
 * spaces, punctuation, ideographs and added tokens have combining class 0.
 *
 * ASCII, most of what is tokenized, goes through two byte tables (tokenizer_load.c) and never meets the Unicode functions. */
#include <assert.h>

#include "common/utf8.h"
#include "text/charclass.h"
#include "text/tokenizer_internal.h"

typedef struct encoder {
    const sv_tokenizer *tokenizer;
    uint32_t *ids;  /* [limit] */
    size_t count;   /* ids written */
    size_t limit;   /* the place of [SEP] */
    bool truncated; /* an id had no place: stop */
    bool invalid_utf8;
    /* The word that is being built, normalised. */
    size_t chars; /* code points; above max_word_chars they are counted only */
    size_t bytes; /* UTF-8 in `word` */
    size_t run;   /* where the run of combining marks at the end of `word` starts */
    uint8_t word[SV_MAX_WORD_CHARS * SV_MAX_UTF8];
} encoder;

static void put_id(encoder *e, uint32_t id) {
    if (e->count < e->limit)
        e->ids[e->count++] = id;
    else
        e->truncated = true;
}

/* Splits word[from .. bytes) into the longest tokens from the left; the whole word is [UNK] if that fails anywhere. The pieces
 * are written behind `count` and only then counted. */
static void put_pieces(encoder *e) {
    const sv_vocabulary *vocabulary = &e->tokenizer->vocabulary;
    uint64_t hashes[SV_MAX_TOKEN_BYTES + 1]; /* of the prefixes of what is left, by length */
    size_t pieces = 0;
    sv_piece piece = SV_PIECE_START;
    for (size_t at = 0; at < e->bytes; piece = SV_PIECE_REST) {
        const uint8_t *rest = e->word + at;
        size_t length = e->bytes - at;
        if (length > vocabulary->longest[piece])
            length = vocabulary->longest[piece];
        hashes[0] = sv_vocabulary_hash_start(piece);
        for (size_t i = 0; i < length; i++)
            hashes[i + 1] = sv_vocabulary_hash_step(hashes[i], rest[i]);
        uint32_t id;
        while (length > 0 && !sv_vocabulary_find(vocabulary, hashes[length], piece, rest, length, &id))
            length--;
        if (length == 0) {
            put_id(e, e->tokenizer->unknown);
            return;
        }
        if (e->count + pieces < e->limit)
            e->ids[e->count + pieces] = id;
        pieces++;
        at += length;
    }
    size_t room = e->limit - e->count;
    e->truncated = pieces > room;
    e->count += e->truncated ? room : pieces;
}

static void end_word(encoder *e) {
    if (e->chars == 0)
        return;
    if (e->chars > e->tokenizer->max_word_chars)
        put_id(e, e->tokenizer->unknown);
    else {
        uint64_t hash = sv_vocabulary_hash_start(SV_PIECE_START);
        for (size_t i = 0; i < e->bytes; i++)
            hash = sv_vocabulary_hash_step(hash, e->word[i]);
        uint32_t id;
        if (sv_vocabulary_find(&e->tokenizer->vocabulary, hash, SV_PIECE_START, e->word, e->bytes, &id))
            put_id(e, id);
        else
            put_pieces(e);
    }
    e->chars = e->bytes = e->run = 0;
}

/* Appends a normalised code point to the word; before the marks at its end that have a greater combining class. */
static void word_append(encoder *e, uint32_t c, unsigned combining_class) {
    if (e->count == e->limit) {
        e->truncated = true; /* a word with anything in it gives an id */
        return;
    }
    if (e->chars >= e->tokenizer->max_word_chars) {
        e->chars = (size_t)e->tokenizer->max_word_chars + 1;
        return;
    }
    e->chars++;
    uint8_t encoded[SV_MAX_UTF8];
    size_t length = sv_utf8_encode(c, encoded);
    size_t at = e->bytes;
    while (combining_class && at > e->run) {
        size_t before = at;
        do
            before--;
        while (sv_utf8_is_continuation(e->word[before]));
        uint32_t mark;
        bool invalid = false;
        sv_utf8_decode(e->word + before, e->word + at, &mark, &invalid);
        if (sv_char_combining_class(mark) <= combining_class)
            break;
        at = before;
    }
    memmove(e->word + at + length, e->word + at, e->bytes - at);
    memcpy(e->word + at, encoded, length);
    e->bytes += length;
    if (combining_class == 0)
        e->run = e->bytes;
}

/* A code point after NFD and the removal of marks: lower case, then split. */
static void take_normalised(encoder *e, uint32_t c, sv_char_class class, unsigned combining_class) {
    if (class == SV_CHAR_SPACE || class == SV_CHAR_BREAK) {
        end_word(e);
    } else if (class == SV_CHAR_PUNCTUATION) {
        end_word(e);
        word_append(e, c, 0);
        end_word(e);
    } else {
        uint32_t lower[SV_MAX_LOWER] = {c};
        size_t count = e->tokenizer->lowercase ? sv_char_lower(c, lower) : 1;
        for (size_t i = 0; i < count; i++)
            word_append(e, lower[i], combining_class);
    }
}

/* A code point of the raw text. */
static void take_char(encoder *e, uint32_t c) {
    const sv_tokenizer *tokenizer = e->tokenizer;
    sv_char_class class = sv_char_classify(c);
    if (tokenizer->clean_text && (class == SV_CHAR_CONTROL || class == SV_CHAR_BREAK))
        return;
    bool alone = tokenizer->pad_cjk && sv_char_is_cjk(c);
    if (alone)
        end_word(e);
    if (tokenizer->strip_accents) {
        uint32_t parts[SV_MAX_DECOMPOSITION];
        size_t count = sv_char_decompose(c, parts);
        for (size_t i = 0; i < count; i++) {
            if (parts[i] != c)
                class = sv_char_classify(parts[i]);
            unsigned combining_class = sv_char_combining_class(parts[i]);
            if (class != SV_CHAR_MARK)
                take_normalised(e, parts[i], class, combining_class);
            else if (combining_class == 0)
                e->run = e->bytes;
        }
    } else {
        take_normalised(e, c, class, 0);
    }
    if (alone)
        end_word(e);
}

/* The longest added token at `at`, or NULL. */
static const sv_added_token *added_token_at(const sv_tokenizer *tokenizer, const uint8_t *at, const uint8_t *end) {
    for (size_t i = tokenizer->added_start[*at]; i < tokenizer->added_start[*at + 1]; i++) {
        const sv_added_token *added = &tokenizer->added[i];
        if (added->length <= (size_t)(end - at) && memcmp(at, added->text, added->length) == 0)
            return added;
    }
    return NULL;
}

/* An added token or a code point; returns what is behind it. */
static const uint8_t *take_slow(encoder *e, const uint8_t *at, const uint8_t *end) {
    const sv_added_token *added = added_token_at(e->tokenizer, at, end);
    if (added) {
        end_word(e);
        put_id(e, added->id);
        return at + added->length;
    }
    uint32_t c;
    size_t length = sv_utf8_decode(at, end, &c, &e->invalid_utf8);
    take_char(e, c);
    return at + length;
}

/* A run of ASCII letters and digits; returns what is behind it. */
static const uint8_t *take_ascii_word(encoder *e, const uint8_t *at, const uint8_t *end) {
    const sv_tokenizer *tokenizer = e->tokenizer;
    if (e->count == e->limit) {
        e->truncated = true;
        return end;
    }
    size_t max = tokenizer->max_word_chars;
    size_t room = e->chars < max ? max - e->chars : 0;
    size_t length = 0;
    uint8_t *word = e->word + e->bytes;
    bool too_long = false;
    for (; at < end && tokenizer->kind[*at] == SV_BYTE_WORD; at++) {
        if (length < room)
            word[length++] = tokenizer->lower[*at];
        else
            too_long = true;
    }
    e->chars = too_long ? max + 1 : e->chars + length;
    e->bytes += length;
    e->run = e->bytes;
    return at;
}

sv_tokens sv_tokenizer_encode(const sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t *ids, size_t max_ids) {
    assert(max_ids >= 2);
    encoder e; /* not cleared: `word` is large */
    e.tokenizer = tokenizer;
    e.ids = ids;
    e.count = 0;
    e.limit = max_ids - 1;
    e.truncated = e.invalid_utf8 = false;
    e.chars = e.bytes = e.run = 0;

    put_id(&e, tokenizer->first);
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = length ? at + length : at;
    while (at < end && !e.truncated) {
        switch ((sv_byte_kind)tokenizer->kind[*at]) {
        case SV_BYTE_WORD:
            at = take_ascii_word(&e, at, end);
            break;
        case SV_BYTE_SPACE:
            end_word(&e);
            at++;
            break;
        case SV_BYTE_PUNCTUATION:
            end_word(&e);
            word_append(&e, *at, 0);
            end_word(&e);
            at++;
            break;
        case SV_BYTE_SKIP:
            at++;
            break;
        case SV_BYTE_SLOW:
            at = take_slow(&e, at, end);
            break;
        }
    }
    end_word(&e);
    ids[e.count++] = tokenizer->last;
    return (sv_tokens){.count = e.count, .truncated = e.truncated, .invalid_utf8 = e.invalid_utf8};
}
