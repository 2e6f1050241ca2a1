/* BERT's text in one pass over the bytes, word by word, until the ids are full.
 *
 * Hugging Face `tokenizers` runs seven passes over the whole text (added tokens, clean_text, CJK spacing, NFD and Mn removal,
 * lower case, split at white space, split at punctuation) and truncates at the end. All of them but one look at a single code
 * point, so they can be done one after the other for each code point, and a text can be left where its ids are full. The
 * exception is NFD, which sorts runs of combining marks: word_append() sorts them as they arrive. A run never leaves its word:
 * spaces, punctuation, ideographs and added tokens have combining class 0.
 *
 * ASCII, most of what is tokenized, goes through two byte tables (tokenizer_load.c) and never meets the Unicode functions. */
#include "common/utf8.h"
#include "text/charclass.h"
#include "text/normalizer.h"

typedef struct encoder {
    const sv_tokenizer *tokenizer;
    const sv_normalizer *normalizer;
    sv_id_sink *sink;
    /* The word that is being built, normalised. */
    size_t chars; /* code points; above max_word_chars they are counted only */
    size_t bytes; /* UTF-8 in `word` */
    size_t run;   /* where the run of combining marks at the end of `word` starts */
    uint8_t word[SV_MAX_WORD_CHARS * SV_MAX_UTF8];
} encoder;

static void end_word(encoder *e) {
    if (e->chars == 0)
        return;
    sv_wordpiece_encode(&e->tokenizer->wordpiece, e->word, e->bytes, e->chars, e->sink);
    e->chars = e->bytes = e->run = 0;
}

/* Appends a normalised code point to the word; before the marks at its end that have a greater combining class. */
static void word_append(encoder *e, uint32_t c, unsigned combining_class) {
    if (sv_sink_is_full(e->sink)) {
        e->sink->truncated = true; /* a word with anything in it gives an id */
        return;
    }
    if (e->chars >= e->tokenizer->wordpiece.max_word_chars) {
        e->chars = (size_t)e->tokenizer->wordpiece.max_word_chars + 1;
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
        size_t count = e->normalizer->lowercase ? sv_char_lower(c, lower) : 1;
        for (size_t i = 0; i < count; i++)
            word_append(e, lower[i], combining_class);
    }
}

/* A code point of the raw text. */
static void take_char(encoder *e, uint32_t c) {
    const sv_normalizer *normalizer = e->normalizer;
    sv_char_class class = sv_char_classify(c);
    if (normalizer->clean_text && (class == SV_CHAR_CONTROL || class == SV_CHAR_BREAK))
        return;
    bool alone = normalizer->pad_cjk && sv_char_is_cjk(c);
    if (alone)
        end_word(e);
    if (normalizer->strip_accents) {
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

/* An added token or a code point; returns what is behind it. */
static const uint8_t *take_slow(encoder *e, const uint8_t *at, const uint8_t *end) {
    const sv_added_token *added = sv_added_token_at(&e->tokenizer->added, at, end);
    if (added) {
        end_word(e);
        sv_put_id(e->sink, added->id);
        return at + added->length;
    }
    uint32_t c;
    size_t length = sv_utf8_decode(at, end, &c, &e->sink->invalid_utf8);
    take_char(e, c);
    return at + length;
}

/* A run of ASCII letters and digits; returns what is behind it. */
static const uint8_t *take_ascii_word(encoder *e, const uint8_t *at, const uint8_t *end) {
    const sv_tokenizer *tokenizer = e->tokenizer;
    if (sv_sink_is_full(e->sink)) {
        e->sink->truncated = true;
        return end;
    }
    size_t max = tokenizer->wordpiece.max_word_chars;
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

void sv_bert_encode(const sv_tokenizer *tokenizer, const uint8_t *text, size_t length, sv_id_sink *sink) {
    encoder e; /* not cleared: `word` is large */
    e.tokenizer = tokenizer;
    e.normalizer = tokenizer->normalizers;
    e.sink = sink;
    e.chars = e.bytes = e.run = 0;

    const uint8_t *at = text;
    const uint8_t *end = length ? at + length : at;
    while (at < end && !sink->truncated) {
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
}
