/* Reading a model of type Unigram: {unk_id, vocab: [[piece, score], ...], byte_fallback (false)}; a piece's place is its id. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_scores.h"
#include "text/tokenizer_read.h"
#include "text/unigram.h"
#include "text/word_cache.h"

#define UNKNOWN_PENALTY 10.0 /* how much worse an unknown code point is than the worst piece */

static int compare_keys(const void *left, const void *right) {
    const sv_prefix_key *a = left, *b = right;
    int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    if (order == 0)
        order = (a->length > b->length) - (a->length < b->length);
    return order ? order : (a->id < b->id) - (a->id > b->id); /* of equal pieces the last one counts */
}

/* The tree of all pieces. The texts are in tokenizer->texts already. */
static senvec_status build_tree(sv_tokenizer *tokenizer, sv_unigram *model, size_t count, senvec_error *err) {
    sv_arena temporary;
    sv_arena_init(&temporary, &tokenizer->arena.allocator);
    void *memory;
    senvec_status status = sv_arena_alloc(&temporary, count, sizeof(sv_prefix_key), "the pieces", &memory, err);
    if (status == SENVEC_OK) {
        sv_prefix_key *keys = memory;
        const sv_token_texts *texts = &tokenizer->texts;
        size_t used = 0, kept = 0;
        for (size_t i = 0; i < count; i++)
            if (texts->entries[i].length > 0)
                keys[used++] = (sv_prefix_key){texts->bytes + texts->entries[i].offset, texts->entries[i].length, (uint32_t)i};
        if (used > 1)
            qsort(keys, used, sizeof *keys, compare_keys);
        for (size_t i = 0; i < used; i++)
            if (kept == 0 || keys[i].length != keys[kept - 1].length ||
                memcmp(keys[i].bytes, keys[kept - 1].bytes, keys[i].length) != 0)
                keys[kept++] = keys[i];
        status = sv_prefix_tree_build(&model->tree, keys, kept, &tokenizer->arena, err);
    }
    sv_arena_release(&temporary);
    return status;
}

/* A list of a piece and its score, as json_scores.h reads it. */
static bool read_piece(sv_json list, sv_json *piece, double *score) {
    sv_json_items items = sv_json_walk(list);
    sv_json number;
    if (list.kind != SV_JSON_ARRAY || !sv_json_step(&items, NULL, piece) || !sv_json_step(&items, NULL, &number) || items.at ||
        piece->kind != SV_JSON_STRING || (number.kind != SV_JSON_INTEGER && number.kind != SV_JSON_REAL))
        return false;
    *score = sv_json_score(number);
    return isfinite(*score);
}

static senvec_status read_pieces(sv_tokenizer *tokenizer, sv_unigram *model, const sv_part *p, sv_json list, size_t *pieces) {
    size_t count = 0, bytes = 0;
    sv_json value, piece;
    double score, least = INFINITY;
    sv_json_items items = sv_json_walk(list);
    for (; sv_json_step(&items, NULL, &value); count++) {
        if (!read_piece(value, &piece, &score))
            return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: piece %zu is not a string and its score", p->path, count);
        bytes += sv_json_text_length(piece);
    }
    if (count > SV_MAX_VOCABULARY)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: %zu pieces, but at most %u are read", p->path, count,
                       SV_MAX_VOCABULARY);
    SENVEC_TRY(sv_token_texts_init(&tokenizer->texts, count, bytes, &tokenizer->arena, p->err));
    void *scores;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, count, sizeof(double), "the scores", &scores, p->err));
    double *all = scores;
    items = sv_json_walk(list);
    for (uint32_t id = 0; sv_json_step(&items, NULL, &value); id++) {
        read_piece(value, &piece, &all[id]);
        SENVEC_TRY(sv_tokenizer_note(tokenizer, sv_json_text(piece), sv_json_text_length(piece), id, p->path, p->err));
        least = all[id] < least ? all[id] : least;
    }
    *pieces = count;
    model->scores = scores;
    model->unknown_score = least - UNKNOWN_PENALTY;
    return build_tree(tokenizer, model, count, p->err);
}

senvec_status sv_unigram_read(sv_tokenizer *tokenizer, const sv_part *p) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, 1, sizeof(sv_unigram), "the model", &memory, p->err));
    sv_unigram *model = memory;
    tokenizer->unigram = model;
    tokenizer->model = SV_MODEL_UNIGRAM;
    sv_json list;
    size_t pieces = 0;
    SENVEC_TRY(sv_word_cache_init(&tokenizer->cache, &tokenizer->arena, p->err));
    SENVEC_TRY(sv_part_array(p, "vocab", &list));
    SENVEC_TRY(read_pieces(tokenizer, model, p, list, &pieces));
    const sv_json unknown = sv_part_option(p, "unk_id");
    if (unknown.kind == SV_JSON_NONE)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: model: a Unigram without unk_id is not supported", p->path);
    if (!sv_json_id(unknown, &model->unknown) || model->unknown >= pieces)
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: unk_id is not the id of one of its %zu pieces", p->path, pieces);
    SENVEC_TRY(sv_part_option_bool(p, "byte_fallback", &model->byte_fallback));
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        model->has_byte[byte] = sv_tokenizer_id(tokenizer, name, strlen(name), &model->bytes[byte]);
    }
    return SENVEC_OK;
}
