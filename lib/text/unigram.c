/* Viterbi over the bytes of a piece, as `tokenizers` does it: from left to right, each piece of the vocabulary that begins at a
 * place is tried as the end of the best way there, and only a greater sum of scores, in doubles, replaces one that was found
 * before. A code point that is no piece itself may also be one unknown. Unknown ones beside each other become one. */
#include "text/unigram.h"

#include "common/utf8.h"

#define NOWHERE UINT32_MAX

/* A place between bytes: the best way to it. */
typedef struct node {
    union {
        double score;  /* of the best way */
        uint32_t next; /* afterwards: the next place on the best way through the piece */
    };
    uint32_t start; /* where its last piece starts; NOWHERE: no way leads here */
    uint32_t id;
} node;

static size_t char_bytes(uint8_t lead) {
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static void reach(node *to, double score, size_t start, uint32_t id) {
    if (to->start == NOWHERE || score > to->score)
        *to = (node){.score = score, .start = (uint32_t)start, .id = id};
}

/* Fills nodes [size + 1]. `text` is valid UTF-8. */
static void find_ways(const sv_unigram *model, const uint8_t *text, size_t size, node *nodes) {
    nodes[0] = (node){.score = 0, .start = NOWHERE};
    for (size_t i = 1; i <= size; i++)
        nodes[i].start = NOWHERE;
    for (size_t at = 0, length; at < size; at += length) {
        length = char_bytes(text[at]);
        if (length > size - at)
            length = size - at;
        double score = nodes[at].score;
        bool whole_char = false;
        uint32_t base = model->tree.root;
        const sv_prefix_unit *unit;
        for (size_t i = at; i < size && sv_prefix_tree_step(&model->tree, &base, text[i], &unit); i++) {
            if (!unit->ends)
                continue;
            uint32_t id = sv_prefix_tree_id(&model->tree, unit);
            reach(&nodes[i + 1], model->scores[id] + score, at, id);
            whole_char |= i + 1 == at + length;
        }
        if (!whole_char)
            reach(&nodes[at + length], model->unknown_score + score, at, model->unknown);
    }
}

bool sv_unigram_find(const sv_unigram *model, const uint8_t *text, size_t size, uint32_t *id) {
    uint32_t base = model->tree.root;
    const sv_prefix_unit *unit = NULL;
    for (size_t i = 0; i < size; i++)
        if (!sv_prefix_tree_step(&model->tree, &base, text[i], &unit))
            return false;
    if (!unit || !unit->ends)
        return false;
    *id = sv_prefix_tree_id(&model->tree, unit);
    return true;
}

/* Unknown code points together: they may be a piece that just didn't win, or bytes. */
static void put_unknown(const sv_unigram *model, const uint8_t *text, size_t size, sv_id_sink *sink) {
    uint32_t id;
    bool bytes = model->byte_fallback;
    if (sv_unigram_find(model, text, size, &id)) {
        sv_put_id(sink, id);
        return;
    }
    for (size_t i = 0; i < size && bytes; i++)
        bytes = model->has_byte[text[i]];
    for (size_t i = 0; i < size && bytes; i++)
        sv_put_id(sink, model->bytes[text[i]]);
    if (!bytes)
        sv_put_id(sink, model->unknown);
}

static void put_way(const sv_unigram *model, const uint8_t *text, size_t size, node *nodes, sv_id_sink *sink) {
    for (size_t end = size; end > 0;) {
        size_t start = nodes[end].start;
        nodes[start].next = (uint32_t)end;
        end = start;
    }
    for (size_t at = 0; at < size && !sink->truncated;) {
        size_t end = nodes[at].next;
        if (nodes[end].id != model->unknown) {
            sv_put_id(sink, nodes[end].id);
        } else {
            while (end < size && nodes[nodes[end].next].id == model->unknown)
                end = nodes[end].next;
            put_unknown(model, text + at, end - at, sink);
        }
        at = end;
    }
}

void sv_unigram_encode(sv_work *work, const uint8_t *piece, size_t size) {
    const sv_unigram *model = work->tokenizer->unigram;
    if (size >= UINT32_MAX / sizeof(node) || !sv_work_room(work, &work->model, (size + 1) * sizeof(node))) {
        work->no_memory = work->sink->no_memory = true;
        return;
    }
    node *nodes = (node *)(void *)work->model.data;
    find_ways(model, piece, size, nodes);
    put_way(model, piece, size, nodes, work->sink);
}
