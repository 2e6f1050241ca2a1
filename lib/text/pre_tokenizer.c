/* The pre-tokenizers. A piece goes through the steps one after the other, deep first: as soon as a step has split something
 * off, the next step gets it, and after the last one the model. So nothing is collected, and encoding ends as soon as the ids
 * are full. A step that changes its piece writes it into work->piece; the reader sees to it that at most one step does. */
#include "text/pre_tokenizer.h"

#include <string.h>

#include "common/utf8.h"
#include "text/char_tables.h"
#include "text/charclass.h"
#include "text/pipeline.h"

static void run_step(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin);

/* Hands a piece to the step behind `step`. */
static inline void pass_on(sv_work *work, size_t step, const uint8_t *from, const uint8_t *to, bool origin) {
    if (to > from && !sv_work_stops(work))
        run_step(work, step + 1, from, (size_t)(to - from), origin);
}

static inline bool is_white(uint32_t c) {
    sv_char_class class = sv_char_classify(c);
    return class == SV_CHAR_SPACE || class == SV_CHAR_BREAK;
}

/* ----------------------------------------------------------------------------------------------------------------- splitting
 */

/* A text that is being split: pieces that are matches and such that aren't arrive in order and cover it. */
typedef struct splitter {
    sv_work *work;
    size_t step;
    sv_split_behavior behavior;
    bool invert, origin;
    const uint8_t *start;
    const uint8_t *held_from, *held_to; /* waits for what comes next; NULL: nothing does */
    bool before;                        /* the last piece was a match */
} splitter;

static void hand_on(splitter *s, const uint8_t *from, const uint8_t *to) {
    if (from)
        pass_on(s->work, s->step, from, to, s->origin && from == s->start);
}

/* Hands on what is held, and holds a piece instead. */
static void hold(splitter *s, const uint8_t *from, const uint8_t *to) {
    hand_on(s, s->held_from, s->held_to);
    s->held_from = from;
    s->held_to = to;
}

static void take(splitter *s, const uint8_t *from, const uint8_t *to, bool match) {
    if (s->invert)
        match = !match;
    switch (s->behavior) {
    case SV_SPLIT_REMOVED:
        if (!match)
            hand_on(s, from, to);
        break;
    case SV_SPLIT_ISOLATED:
        hand_on(s, from, to);
        break;
    case SV_SPLIT_CONTIGUOUS: /* with the one before, if both are matches or both aren't */
        if (s->held_from && match == s->before)
            s->held_to = to;
        else
            hold(s, from, to);
        break;
    case SV_SPLIT_MERGED_WITH_PREVIOUS:
        if (s->held_from && match && !s->before)
            s->held_to = to;
        else
            hold(s, from, to);
        break;
    case SV_SPLIT_MERGED_WITH_NEXT:
        if (s->held_from && s->before && !match)
            s->held_to = to;
        else
            hold(s, from, to);
        break;
    }
    s->before = match;
}

static splitter split_begin(sv_work *work, size_t step, const uint8_t *piece, bool origin) {
    const sv_pre_tokenizer *p = &work->tokenizer->pre_tokenizers[step];
    return (splitter){
        .work = work, .step = step, .behavior = p->behavior, .invert = p->invert, .origin = origin, .start = piece};
}

/* Splits at single code points. */
static void split_at(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin, bool (*is_match)(uint32_t)) {
    splitter s = split_begin(work, step, piece, origin);
    const uint8_t *from = piece, *end = piece + size;
    bool invalid = false;
    for (const uint8_t *at = piece; at < end && !sv_work_stops(work);) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        if (is_match(c)) {
            if (at > from)
                take(&s, from, at, false);
            take(&s, at, at + length, true);
            from = at + length;
        }
        at += length;
    }
    if (end > from)
        take(&s, from, end, false);
    hand_on(&s, s.held_from, s.held_to);
}

static bool is_punctuation(uint32_t c) {
    return sv_char_classify(c) == SV_CHAR_PUNCTUATION;
}

static const uint8_t *find_string(const sv_pre_tokenizer *p, const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    const uint8_t *found = memmem(at, (size_t)(end - at), p->string, p->length);
    *stop = found ? found + p->length : end;
    return found;
}

/* Splits by a string or a regular expression. */
static void split_by(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const sv_pre_tokenizer *p = &work->tokenizer->pre_tokenizers[step];
    splitter s = split_begin(work, step, piece, origin);
    const uint8_t *end = piece + size;
    for (const uint8_t *at = piece; at < end && !sv_work_stops(work);) {
        const uint8_t *stop = end, *found = p->pattern ? p->pattern(at, end, &stop) : find_string(p, at, end, &stop);
        if (!found) {
            take(&s, at, end, false);
            break;
        }
        if (found > at)
            take(&s, at, found, false);
        take(&s, found, stop, true);
        at = stop;
    }
    hand_on(&s, s.held_from, s.held_to);
}

/* -------------------------------------------------------------------------------------------------------------- the steps */

static void split_whitespace(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const uint8_t *from = piece, *end = piece + size;
    bool invalid = false;
    for (const uint8_t *at = piece; at < end && !sv_work_stops(work);) {
        while (at < end && *at < 0x80 && sv_ascii_classes[*at] != SV_CHAR_SPACE && sv_ascii_classes[*at] != SV_CHAR_BREAK)
            at++;
        if (at == end)
            break;
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        if (is_white(c)) {
            pass_on(work, step, from, at, origin && from == piece);
            from = at + length;
        }
        at += length;
    }
    pass_on(work, step, from, end, origin && from == piece);
}

static void split_bert(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const uint8_t *from = piece, *end = piece + size;
    bool invalid = false;
    for (const uint8_t *at = piece; at < end && !sv_work_stops(work);) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        sv_char_class class = sv_char_classify(c);
        bool white = class == SV_CHAR_SPACE || class == SV_CHAR_BREAK, punctuation = class == SV_CHAR_PUNCTUATION;
        if (white || punctuation) {
            pass_on(work, step, from, at, origin && from == piece);
            from = at + length;
        }
        if (punctuation)
            pass_on(work, step, at, at + length, origin && at == piece);
        at += length;
    }
    pass_on(work, step, from, end, origin && from == piece);
}

/* Runs of word characters, and runs of what is neither that nor white space. */
static void split_words(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const uint8_t *from = piece, *end = piece + size;
    int before = 0;
    bool invalid = false;
    for (const uint8_t *at = piece; at < end && !sv_work_stops(work);) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        int now = is_white(c) ? 0 : sv_char_is_word(c) ? 1 : 2;
        if (now != before) {
            if (before != 0)
                pass_on(work, step, from, at, origin && from == piece);
            from = at;
        }
        before = now;
        at += length;
    }
    if (before != 0)
        pass_on(work, step, from, end, origin && from == piece);
}

/* Spaces become `string`, which is also put before the piece if the scheme says so; then each begins a piece of its own. */
static void metaspace(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const sv_pre_tokenizer *p = &work->tokenizer->pre_tokenizers[step];
    sv_buffer *out = &work->piece;
    out->size = 0;
    size_t spaces = 0;
    for (size_t i = 0; i < size; i++)
        spaces += piece[i] == ' ';
    if (!sv_work_room(work, out, size + (spaces + 1) * p->length))
        return;
    bool begins = piece[0] == ' ' || (size >= p->length && memcmp(piece, p->string, p->length) == 0);
    if (!begins && (p->prepend == SV_PREPEND_ALWAYS || (p->prepend == SV_PREPEND_FIRST && origin))) {
        memcpy(out->data, p->string, p->length);
        out->size = p->length;
    }
    if (spaces == 0) {
        memcpy(out->data + out->size, piece, size);
        out->size += size;
    } else {
        for (size_t i = 0; i < size; i++) {
            if (piece[i] == ' ') {
                memcpy(out->data + out->size, p->string, p->length);
                out->size += p->length;
            } else {
                out->data[out->size++] = piece[i];
            }
        }
    }
    bool one = out->size <= p->length || !memchr(out->data + p->length, p->string[0], out->size - p->length);
    if (p->split && !one)
        split_by(work, step, out->data, out->size, origin);
    else
        pass_on(work, step, out->data, out->data + out->size, origin);
}

static void byte_level(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    const sv_pre_tokenizer *p = &work->tokenizer->pre_tokenizers[step];
    if (p->prefix_space && piece[0] != ' ') {
        sv_buffer *out = &work->piece;
        out->size = 0;
        if (!sv_work_room(work, out, size + 1))
            return;
        out->data[0] = ' ';
        memcpy(out->data + 1, piece, size);
        piece = out->data;
        size++;
    }
    const uint8_t *at = piece, *end = piece + size;
    if (!p->split)
        pass_on(work, step, at, end, origin);
    else
        for (const uint8_t *stop; at < end && !sv_work_stops(work); at = stop) {
            sv_pattern_gpt2(at, end, &stop);
            pass_on(work, step, at, stop, origin && at == piece);
        }
}

static void run_step(sv_work *work, size_t step, const uint8_t *piece, size_t size, bool origin) {
    if (step == work->tokenizer->pre_tokenizer_count) {
        sv_model_encode(work, piece, size);
        return;
    }
    switch (work->tokenizer->pre_tokenizers[step].kind) {
    case SV_PRE_TOKENIZER_BERT:
        split_bert(work, step, piece, size, origin);
        break;
    case SV_PRE_TOKENIZER_WHITESPACE:
        split_words(work, step, piece, size, origin);
        break;
    case SV_PRE_TOKENIZER_WHITESPACE_SPLIT:
        split_whitespace(work, step, piece, size, origin);
        break;
    case SV_PRE_TOKENIZER_PUNCTUATION:
        split_at(work, step, piece, size, origin, is_punctuation);
        break;
    case SV_PRE_TOKENIZER_DIGITS:
        split_at(work, step, piece, size, origin, sv_char_is_numeric);
        break;
    case SV_PRE_TOKENIZER_STRING:
    case SV_PRE_TOKENIZER_PATTERN:
        split_by(work, step, piece, size, origin);
        break;
    case SV_PRE_TOKENIZER_METASPACE:
        metaspace(work, step, piece, size, origin);
        break;
    case SV_PRE_TOKENIZER_BYTE_LEVEL:
        byte_level(work, step, piece, size, origin);
        break;
    }
}

void sv_pre_tokenize(sv_work *work, const uint8_t *piece, size_t size, bool origin) {
    if (size > 0)
        run_step(work, 0, piece, size, origin);
}
