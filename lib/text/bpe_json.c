/* Reading a model of type BPE: {vocab: {token: id}, merges: ["left right", ...] or [[left, right], ...], unk_token (null),
 * fuse_unk, byte_fallback, ignore_merges (false)}. Not supported: dropout, continuing_subword_prefix, end_of_word_suffix.
 *
 * A tokenizer with the pre-tokenizer ByteLevel writes each byte as one of 256 characters that can be seen. Its tokens are
 * turned back into bytes here, once, instead of every text into such characters. */
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "text/bpe.h"
#include "text/tokenizer_read.h"
#include "text/word_cache.h"

/* Whether ByteLevel writes a byte as the character of the same number. */
static bool is_visible(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* bytes[c] is the byte that ByteLevel writes as the character c, or -1. The others follow from U+0100 on, in order. */
static void byte_alphabet(int16_t bytes[512]) {
    unsigned next = 256;
    memset(bytes, 0xff, 512 * sizeof *bytes);
    for (unsigned byte = 0; byte < 256; byte++)
        bytes[is_visible(byte) ? byte : next++] = (int16_t)byte;
}

/* A token's bytes; false: it has a character that stands for none, so no text can be this token. */
static bool to_bytes(const int16_t alphabet[512], const char *token, size_t length, uint8_t *out, size_t *out_length) {
    bool invalid = false;
    *out_length = 0;
    for (const uint8_t *at = (const uint8_t *)token, *end = at + length; at < end;) {
        uint32_t c;
        at += sv_utf8_decode(at, end, &c, &invalid);
        if (c >= 512 || alphabet[c] < 0)
            return false;
        out[(*out_length)++] = (uint8_t)alphabet[c];
    }
    return true;
}

static senvec_status read_vocabulary(sv_tokenizer *tokenizer, sv_bpe *model, const sv_part *p) {
    sv_json vocabulary, token, value;
    size_t count, bytes, size;
    SENVEC_TRY(sv_part_object(p, "vocab", &vocabulary));
    SENVEC_TRY(sv_vocabulary_measure(p, vocabulary, &count, &bytes, &size));
    SENVEC_TRY(sv_token_texts_init(&tokenizer->texts, size, bytes, &tokenizer->arena, p->err));
    SENVEC_TRY(sv_vocabulary_init(&tokenizer->names, count, bytes, &tokenizer->arena, p->err));
    SENVEC_TRY(sv_vocabulary_init(&model->pieces, count, bytes, &tokenizer->arena, p->err));
    int16_t alphabet[512];
    byte_alphabet(alphabet);
    sv_json_items items = sv_json_walk(vocabulary);
    while (sv_json_step(&items, &token, &value)) {
        const char *text = sv_json_text(token);
        size_t length = sv_json_text_length(token), piece_length = length;
        uint8_t piece[SV_MAX_TOKEN_BYTES];
        uint32_t id;
        sv_json_id(value, &id);
        SENVEC_TRY(sv_tokenizer_note(tokenizer, text, length, id, p->path, p->err));
        if (length == 0)
            continue;
        sv_vocabulary_add(&tokenizer->names, SV_PIECE_START, (const uint8_t *)text, length, id);
        bool possible = true;
        if (model->byte_level)
            possible = to_bytes(alphabet, text, length, piece, &piece_length);
        else
            memcpy(piece, text, length);
        if (!possible)
            continue;
        sv_vocabulary_add(&model->pieces, SV_PIECE_START, piece, piece_length, id);
        if (model->byte_level && piece_length == 1) {
            model->bytes[piece[0]] = id;
            model->has_byte[piece[0]] = true;
        }
    }
    return SENVEC_OK;
}

/* The two tokens of a merge: a list of two, or a string with one space. */
static bool split_merge(sv_json value, const char *parts[2], size_t lengths[2]) {
    if (value.kind == SV_JSON_ARRAY) {
        sv_json_items items = sv_json_walk(value);
        sv_json part;
        size_t count = 0;
        for (; sv_json_step(&items, NULL, &part) && part.kind == SV_JSON_STRING && count < 2; count++) {
            parts[count] = sv_json_text(part);
            lengths[count] = sv_json_text_length(part);
        }
        return count == 2 && !items.at;
    }
    const char *text = sv_json_text(value), *space = text ? strchr(text, ' ') : NULL;
    if (!space || strchr(space + 1, ' '))
        return false;
    parts[0] = text;
    lengths[0] = (size_t)(space - text);
    parts[1] = space + 1;
    lengths[1] = strlen(space + 1);
    return true;
}

static void put_merge(sv_bpe *model, sv_merge merge) {
    size_t i = (size_t)((merge.pair * UINT64_C(0x9e3779b97f4a7c15)) >> 24);
    while (model->merges[i & model->merge_mask].pair != SV_NO_PAIR && model->merges[i & model->merge_mask].pair != merge.pair)
        i++;
    model->merges[i & model->merge_mask] = merge;
}

static senvec_status read_merge(const sv_tokenizer *tokenizer, sv_bpe *model, const sv_part *p, size_t rank, sv_json value) {
    const char *parts[2];
    size_t lengths[2];
    uint32_t ids[3];
    char joined[2 * SV_MAX_TOKEN_BYTES];
    if (!split_merge(value, parts, lengths))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: merge %zu is not two tokens", p->path, rank);
    for (size_t i = 0; i < 2; i++)
        if (!sv_tokenizer_id(tokenizer, parts[i], lengths[i], &ids[i]))
            return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: merge %zu: token \"%.*s\" is not in the vocabulary", p->path,
                           rank, lengths[i] < 40 ? (int)lengths[i] : 40, parts[i]);
    memcpy(joined, parts[0], lengths[0]); /* tokens of the vocabulary are short enough */
    memcpy(joined + lengths[0], parts[1], lengths[1]);
    if (!sv_tokenizer_id(tokenizer, joined, lengths[0] + lengths[1], &ids[2]))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: merge %zu: its result \"%.*s\" is not in the vocabulary", p->path,
                       rank, lengths[0] + lengths[1] < 40 ? (int)(lengths[0] + lengths[1]) : 40, joined);
    put_merge(model, (sv_merge){(uint64_t)ids[0] << 32 | ids[1], (uint32_t)rank, ids[2]});
    return SENVEC_OK;
}

static senvec_status read_merges(sv_tokenizer *tokenizer, sv_bpe *model, const sv_part *p) {
    sv_json list, value;
    size_t rank = 0, slots = 16;
    SENVEC_TRY(sv_part_array(p, "merges", &list));
    const size_t count = sv_json_count(list);
    if (count > SV_MAX_VOCABULARY)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: %zu merges, but at most %u are read", p->path, count,
                       SV_MAX_VOCABULARY);
    while (slots < 2 * count)
        slots *= 2;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, slots, sizeof(sv_merge), "the merges", &memory, p->err));
    model->merges = memory;
    model->merge_mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        model->merges[i].pair = SV_NO_PAIR;
    sv_json_items items = sv_json_walk(list);
    while (sv_json_step(&items, NULL, &value)) {
        const char *text = sv_json_text(value);
        if (text && strncmp(text, "#version", 8) == 0)
            continue; /* as the reference does */
        SENVEC_TRY(read_merge(tokenizer, model, p, rank, value));
        rank++;
    }
    return SENVEC_OK;
}

/* Refuses what would change ids and isn't done here. */
static senvec_status check_options(const sv_part *p) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const char *affix = "";
        SENVEC_TRY(sv_part_option_string(p, affixes[i], &affix));
        if (*affix)
            return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: model BPE: %s \"%.40s\" is not supported", p->path, affixes[i],
                           affix);
    }
    double dropout;
    if (sv_json_number(sv_part_get(p, "dropout"), &dropout) && dropout != 0.0)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: model BPE: dropout is not supported", p->path);
    return SENVEC_OK;
}

static senvec_status read_options(sv_tokenizer *tokenizer, sv_bpe *model, const sv_part *p) {
    const char *unknown = NULL;
    SENVEC_TRY(check_options(p));
    SENVEC_TRY(sv_part_option_string(p, "unk_token", &unknown));
    SENVEC_TRY(sv_part_option_bool(p, "fuse_unk", &model->fuse_unknown));
    SENVEC_TRY(sv_part_option_bool(p, "byte_fallback", &model->byte_fallback));
    SENVEC_TRY(sv_part_option_bool(p, "ignore_merges", &model->ignore_merges));
    model->has_unknown = unknown != NULL;
    if (unknown && !sv_tokenizer_id(tokenizer, unknown, strlen(unknown), &model->unknown))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: unk_token \"%.40s\" is not in the vocabulary", p->path, unknown);
    if (model->byte_fallback && model->byte_level)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: model BPE: byte_fallback with ByteLevel is not supported", p->path);
    for (unsigned byte = 0; byte < 256 && model->byte_fallback; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        model->has_byte[byte] = sv_tokenizer_id(tokenizer, name, strlen(name), &model->bytes[byte]);
    }
    return SENVEC_OK;
}

senvec_status sv_bpe_read(sv_tokenizer *tokenizer, const sv_part *p, bool anew) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, 1, sizeof(sv_bpe), "the model", &memory, p->err));
    sv_bpe *model = memory;
    tokenizer->bpe = model;
    tokenizer->model = SV_MODEL_BPE;
    model->byte_level = sv_pre_tokenizers_give_bytes(tokenizer);
    SENVEC_TRY(read_vocabulary(tokenizer, model, p));
    SENVEC_TRY(read_merges(tokenizer, model, p));
    SENVEC_TRY(sv_word_cache_init(&tokenizer->cache, &tokenizer->arena, p->err));
    return anew ? SENVEC_OK : read_options(tokenizer, model, p);
}
