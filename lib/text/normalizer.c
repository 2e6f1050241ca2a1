/* The normalizers. Each reads the text in one buffer and writes it into another, or says that it leaves the text as it is. */
#include "text/normalizer.h"

#include <string.h>
#include <utf8proc.h>

#include "common/utf8.h"
#include "text/char_tables.h"
#include "text/charclass.h"
#include "text/unicode_forms.h"

typedef enum outcome { UNCHANGED, WRITTEN, FAILED } outcome;

static bool is_ascii(const sv_buffer *text) {
    return sv_ascii_length(text->data, text->size) == text->size;
}

static bool is_white(uint32_t c) {
    sv_char_class class = sv_char_classify(c);
    return class == SV_CHAR_SPACE || class == SV_CHAR_BREAK;
}

static inline void put(sv_buffer *out, const void *bytes, size_t size) {
    memcpy(out->data + out->size, bytes, size);
    out->size += size;
}

static inline void put_char(sv_buffer *out, uint32_t c) {
    out->size += sv_utf8_encode(c, out->data + out->size);
}

/* ------------------------------------------------------------------------------------------------- one code point at a time */

static outcome lowercase(sv_work *work, const sv_buffer *in, sv_buffer *out) {
    /* Lower case has at most one and a half times the bytes (U+0130 from two to three, U+023A from two to three). */
    if (!sv_work_room(work, out, in->size + in->size / 2 + SV_MAX_UTF8 * SV_MAX_LOWER))
        return FAILED;
    bool invalid = false;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        if (*at < 0x80) {
            uint8_t c = *at++;
            out->data[out->size++] = c >= 'A' && c <= 'Z' ? c + 32 : c;
            continue;
        }
        uint32_t c, lower[SV_MAX_LOWER];
        at += sv_utf8_decode(at, end, &c, &invalid);
        size_t count = sv_char_lower(c, lower);
        for (size_t i = 0; i < count; i++)
            put_char(out, lower[i]);
    }
    return WRITTEN;
}

static outcome strip_accents(sv_work *work, const sv_buffer *in, sv_buffer *out) {
    if (is_ascii(in))
        return UNCHANGED;
    if (!sv_work_room(work, out, in->size))
        return FAILED;
    bool invalid = false;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        if (!sv_char_is_mark(c))
            put(out, at, length);
        at += length;
    }
    return WRITTEN;
}

static bool nmt_removes(uint32_t c) {
    return (c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
}

static outcome nmt(sv_work *work, const sv_buffer *in, sv_buffer *out) {
    if (!sv_work_room(work, out, in->size))
        return FAILED;
    bool invalid = false;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        bool removed = nmt_removes(c);
        bool space = c == '\t' || c == '\n' || c == 0x0c || c == '\r' || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                     c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == SV_REPLACEMENT;
        if (space)
            out->data[out->size++] = ' ';
        else if (!removed)
            put(out, at, length);
        at += length;
    }
    return WRITTEN;
}

/* BertNormalizer for ASCII, which has no accents and no ideographs. */
static outcome bert_ascii(sv_work *work, const sv_normalizer *step, const sv_buffer *in, sv_buffer *out) {
    if (!sv_work_room(work, out, in->size))
        return FAILED;
    for (size_t i = 0; i < in->size; i++) {
        uint8_t c = in->data[i];
        sv_char_class class = sv_char_classify(c);
        if (step->clean_text && (class == SV_CHAR_CONTROL || class == SV_CHAR_BREAK))
            continue;
        if (step->clean_text && class == SV_CHAR_SPACE)
            c = ' ';
        out->data[out->size++] = step->lowercase && c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return WRITTEN;
}

/* BertNormalizer: clean_text and handle_chinese_chars, then NFD without marks, then lower case. */
static outcome bert(sv_work *work, const sv_normalizer *step, const sv_buffer *in, sv_buffer *out) {
    if (is_ascii(in))
        return bert_ascii(work, step, in, out);
    if (!sv_work_room(work, out, in->size + 2 * (in->size / 3) + 2))
        return FAILED;
    bool invalid = false;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        uint32_t c;
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        sv_char_class class = sv_char_classify(c);
        bool cjk = step->pad_cjk && sv_char_is_cjk(c);
        if (cjk)
            out->data[out->size++] = ' ';
        if (step->clean_text && class == SV_CHAR_SPACE)
            out->data[out->size++] = ' ';
        else if (!step->clean_text || (class != SV_CHAR_CONTROL && class != SV_CHAR_BREAK))
            put(out, at, length);
        if (cjk)
            out->data[out->size++] = ' ';
        at += length;
    }
    if (!step->strip_accents && !step->lowercase)
        return WRITTEN;
    size_t count = 0, kept = 0;
    if (step->strip_accents) {
        count = sv_decompose(work, out, false);
        if (count == SIZE_MAX)
            return FAILED;
    } else {
        if (!sv_work_room(work, &work->points, out->size * sizeof(uint32_t)))
            return FAILED;
        for (const uint8_t *at = out->data, *end = at + out->size; at < end; count++)
            at += sv_utf8_decode(at, end, (uint32_t *)(void *)work->points.data + count, &invalid);
    }
    uint32_t *points = (uint32_t *)(void *)work->points.data;
    for (size_t i = 0; step->strip_accents && i < count; i++)
        if (sv_char_classify(points[i]) != SV_CHAR_MARK)
            points[kept++] = points[i];
    if (step->strip_accents)
        count = kept;
    out->size = 0;
    if (!sv_work_room(work, out, count * SV_MAX_UTF8 * SV_MAX_LOWER))
        return FAILED;
    for (size_t i = 0; i < count; i++) {
        uint32_t lower[SV_MAX_LOWER] = {points[i]};
        size_t length = step->lowercase ? sv_char_lower(points[i], lower) : 1;
        for (size_t j = 0; j < length; j++)
            put_char(out, lower[j]);
    }
    return WRITTEN;
}

/* ------------------------------------------------------------------------------------------------------------- Unicode forms
 */

static outcome form(sv_work *work, sv_normalizer_kind kind, const sv_buffer *in, sv_buffer *out) {
    if (is_ascii(in))
        return UNCHANGED;
    size_t count = sv_decompose(work, in, kind == SV_NORMALIZER_NFKC || kind == SV_NORMALIZER_NFKD);
    if (count == SIZE_MAX)
        return FAILED;
    uint32_t *points = (uint32_t *)(void *)work->points.data;
    if (kind == SV_NORMALIZER_NFC || kind == SV_NORMALIZER_NFKC)
        count = sv_compose(points, count);
    return sv_write_points(work, points, count, out) ? WRITTEN : FAILED;
}

/* --------------------------------------------------------------------------------------------------------------- Precompiled
 */

/* Grapheme clusters count below six bytes only, so what has to be right is which clusters those are. */
typedef enum break_class {
    OTHER,
    CONTROL, /* alone, but for CR LF */
    PREPEND, /* joins what follows */
    JOINING, /* joins what is before: Extend, ZWJ, SpacingMark */
    HANGUL_L,
    HANGUL_V, /* and LV */
    HANGUL_T, /* and LVT */
    PICTURE,
} break_class;

static break_class break_class_of(uint32_t c) {
    if (c < 0x80)
        return c < 0x20 || c == 0x7f ? CONTROL : OTHER;
    if (sv_char_joins(c))
        return JOINING;
    if (c == 0x2065 || (c >= 0xfff0 && c <= 0xfff8) || (c >= 0xe0000 && c <= 0xe0fff))
        return CONTROL; /* ignorable though unassigned, which not every version of utf8proc knows */
    switch (utf8proc_get_property((utf8proc_int32_t)c)->boundclass) {
    case UTF8PROC_BOUNDCLASS_CR:
    case UTF8PROC_BOUNDCLASS_LF:
    case UTF8PROC_BOUNDCLASS_CONTROL:
        return CONTROL;
    case UTF8PROC_BOUNDCLASS_PREPEND:
        return PREPEND;
    case UTF8PROC_BOUNDCLASS_L:
        return HANGUL_L;
    case UTF8PROC_BOUNDCLASS_V:
    case UTF8PROC_BOUNDCLASS_LV:
        return HANGUL_V;
    case UTF8PROC_BOUNDCLASS_T:
    case UTF8PROC_BOUNDCLASS_LVT:
        return HANGUL_T;
    case UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC:
        return PICTURE;
    default:
        return OTHER;
    }
}

/* Whether no cluster ends between two code points; `picture`: the left one is a ZWJ behind a picture. */
static bool is_joined(break_class left, break_class right, uint32_t c, bool picture) {
    if (left == CONTROL || right == CONTROL)
        return false;
    if (right == JOINING || left == PREPEND)
        return true;
    if (left == HANGUL_L)
        return right == HANGUL_L || right == HANGUL_V || (right == HANGUL_T && c >= 0xac00 && c <= 0xd7a3);
    if (left == HANGUL_V)
        return (right == HANGUL_V && !(c >= 0xac00 && c <= 0xd7a3)) || (right == HANGUL_T && !(c >= 0xac00 && c <= 0xd7a3));
    if (left == HANGUL_T)
        return right == HANGUL_T && !(c >= 0xac00 && c <= 0xd7a3);
    return picture && right == PICTURE;
}

/* The end of the cluster that begins at `at`. */
static const uint8_t *cluster_end(const uint8_t *at, const uint8_t *end) {
    bool invalid = false, picture = false, linked = false;
    uint32_t c;
    if (at[0] == '\r' && end - at > 1 && at[1] == '\n')
        return at + 2;
    at += sv_utf8_decode(at, end, &c, &invalid);
    break_class left = break_class_of(c);
    picture = left == PICTURE;
    while (at < end && !(*at < 0x80 && left != PREPEND)) {
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        break_class right = break_class_of(c);
        if (!is_joined(left, right, c, linked))
            break;
        linked = picture && c == 0x200d;
        picture = right == PICTURE || (picture && right == JOINING);
        left = right;
        at += length;
    }
    return at;
}

static bool put_mapped(sv_work *work, const sv_charsmap *map, const uint8_t *key, size_t size, const uint8_t *end,
                       sv_buffer *out) {
    size_t length;
    const uint8_t *found = sv_charsmap_find(map, key, size, &length);
    if (!found)
        return false;
    /* Room for it, and for all that is left where nothing is mapped. */
    if (sv_work_room(work, out, out->size + length + (size_t)(end - key)))
        put(out, found, length);
    return true;
}

static outcome precompiled(sv_work *work, const sv_charsmap *map, const sv_buffer *in, sv_buffer *out) {
    if (!sv_work_room(work, out, in->size))
        return FAILED;
    const uint8_t *at = in->data, *end = at + in->size;
    while (at < end && !work->no_memory) {
        const uint8_t *plain = at;
        while (plain < end && *plain < 0x80 && map->plain[*plain])
            plain++;
        if (plain < end && plain > at && *plain >= 0x80)
            plain--; /* what follows may join it */
        put(out, at, (size_t)(plain - at));
        at = plain;
        if (at == end)
            break;
        const uint8_t *stop = cluster_end(at, end);
        if (stop - at < 6 && put_mapped(work, map, at, (size_t)(stop - at), end, out)) {
            at = stop;
            continue;
        }
        while (at < stop) {
            uint32_t c;
            bool invalid = false;
            size_t length = sv_utf8_decode(at, stop, &c, &invalid);
            if (!put_mapped(work, map, at, length, end, out))
                put(out, at, length);
            at += length;
        }
    }
    return work->no_memory ? FAILED : WRITTEN;
}

/* ------------------------------------------------------------------------------------------------ replacing, adding, removing
 */

static outcome replace(sv_work *work, const sv_normalizer *step, const sv_buffer *in, sv_buffer *out) {
    const uint8_t *at = in->data, *end = at + in->size, *found;
    if (step->pattern_length == 0 || in->size == 0 || !memmem(at, in->size, step->pattern, step->pattern_length))
        return UNCHANGED;
    while (at < end) {
        found = memmem(at, (size_t)(end - at), step->pattern, step->pattern_length);
        size_t before = (size_t)((found ? found : end) - at);
        if (!sv_work_room(work, out, out->size + before + step->content_length))
            return FAILED;
        put(out, at, before);
        if (found)
            put(out, step->content, step->content_length);
        at = found ? found + step->pattern_length : end;
    }
    return WRITTEN;
}

/* A run of spaces, or of white space, becomes `content`. */
static outcome replace_runs(sv_work *work, const sv_normalizer *step, const sv_buffer *in, sv_buffer *out) {
    bool any = step->kind == SV_NORMALIZER_REPLACE_WHITE, invalid = false;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        const uint8_t *stop = at;
        size_t count = 0, length;
        uint32_t c;
        for (; stop < end; stop += length, count++) {
            length = sv_utf8_decode(stop, end, &c, &invalid);
            if (any ? !is_white(c) : c != ' ')
                break;
        }
        bool replaced = count >= step->least;
        if (!replaced && stop < end && count == 0)
            stop += length;
        if (!sv_work_room(work, out, out->size + (size_t)(stop - at) + step->content_length))
            return FAILED;
        if (replaced)
            put(out, step->content, step->content_length);
        else
            put(out, at, (size_t)(stop - at));
        at = stop;
    }
    return WRITTEN;
}

static outcome prepend(sv_work *work, const sv_normalizer *step, const sv_buffer *in, sv_buffer *out) {
    if (in->size == 0)
        return UNCHANGED;
    if (!sv_work_room(work, out, in->size + step->content_length))
        return FAILED;
    put(out, step->content, step->content_length);
    put(out, in->data, in->size);
    return WRITTEN;
}

static outcome strip(sv_work *work, const sv_normalizer *step, bool first, bool last, const sv_buffer *in, sv_buffer *out) {
    const uint8_t *at = in->data, *end = at + in->size;
    bool invalid = false;
    uint32_t c;
    while (step->left && first && at < end) {
        size_t length = sv_utf8_decode(at, end, &c, &invalid);
        if (!is_white(c))
            break;
        at += length;
    }
    while (step->right && last && at < end) {
        const uint8_t *before = end - 1;
        while (before > at && sv_utf8_is_continuation(*before))
            before--;
        sv_utf8_decode(before, end, &c, &invalid);
        if (!is_white(c))
            break;
        end = before;
    }
    if (!sv_work_room(work, out, in->size))
        return FAILED;
    put(out, at, (size_t)(end - at));
    return WRITTEN;
}

static outcome apply(sv_work *work, const sv_normalizer *step, bool first, bool last, const sv_buffer *in, sv_buffer *out) {
    switch (step->kind) {
    case SV_NORMALIZER_NFC:
    case SV_NORMALIZER_NFD:
    case SV_NORMALIZER_NFKC:
    case SV_NORMALIZER_NFKD:
        return form(work, step->kind, in, out);
    case SV_NORMALIZER_LOWERCASE:
        return lowercase(work, in, out);
    case SV_NORMALIZER_STRIP_ACCENTS:
        return strip_accents(work, in, out);
    case SV_NORMALIZER_BERT:
        return bert(work, step, in, out);
    case SV_NORMALIZER_NMT:
        return nmt(work, in, out);
    case SV_NORMALIZER_PRECOMPILED:
        return precompiled(work, &step->charsmap, in, out);
    case SV_NORMALIZER_REPLACE:
        return replace(work, step, in, out);
    case SV_NORMALIZER_REPLACE_SPACES:
    case SV_NORMALIZER_REPLACE_WHITE:
        return replace_runs(work, step, in, out);
    case SV_NORMALIZER_PREPEND:
        return first ? prepend(work, step, in, out) : UNCHANGED;
    case SV_NORMALIZER_STRIP:
        return strip(work, step, first, last, in, out);
    }
    return UNCHANGED;
}

/* Whether the reference goes on taking the text's first code point for the beginning of the text, which Metaspace asks for: not
 * if that is removed, and not if it is replaced. */
static bool keeps_origin(const sv_normalizer *step, const sv_buffer *in) {
    bool invalid = false;
    uint32_t c;
    if (in->size == 0)
        return true;
    size_t spaces = 0;
    sv_utf8_decode(in->data, in->data + in->size, &c, &invalid);
    switch (step->kind) {
    case SV_NORMALIZER_STRIP:
        return !step->left || !is_white(c);
    case SV_NORMALIZER_NMT:
        return !nmt_removes(c);
    case SV_NORMALIZER_STRIP_ACCENTS:
        return !sv_char_is_mark(c);
    case SV_NORMALIZER_REPLACE:
        return in->size < step->pattern_length || memcmp(in->data, step->pattern, step->pattern_length) != 0;
    case SV_NORMALIZER_REPLACE_SPACES:
        while (spaces < step->least && spaces < in->size && in->data[spaces] == ' ')
            spaces++;
        return spaces < step->least;
    case SV_NORMALIZER_REPLACE_WHITE:
        return !is_white(c);
    default:
        return true;
    }
}

bool sv_normalize(sv_work *work, bool first, bool last, sv_buffer **out) {
    const sv_tokenizer *tokenizer = work->tokenizer;
    size_t now = 0;
    for (size_t i = 0; i < tokenizer->normalizer_count; i++) {
        work->text[!now].size = 0;
        work->origin = work->origin && keeps_origin(&tokenizer->normalizers[i], &work->text[now]);
        outcome what = apply(work, &tokenizer->normalizers[i], first, last, &work->text[now], &work->text[!now]);
        if (what == FAILED)
            return false;
        if (what == WRITTEN)
            now = !now;
    }
    *out = &work->text[now];
    return true;
}
