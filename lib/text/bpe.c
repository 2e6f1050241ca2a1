/* Merging pairs of symbols, the one of the lowest rank first and of equal ones the leftmost, until none is left.
 *
 * A short piece is searched for its lowest rank again after each merge. For a long one that would be quadratic, and so its
 * pairs wait in a heap: n log n, for a word of megabytes as well. */
#include "text/bpe.h"

#include "common/utf8.h"

#define NONE UINT32_MAX
#define SHORT 24 /* symbols */

/* ----------------------------------------------------------------------------------------------------------------- symbols */

/* The symbols that a piece begins with: one for each character, or what stands for it. */
typedef struct beginning {
    const sv_bpe *model;
    uint32_t *ids; /* room for one for each byte */
    size_t count;
    bool waiting; /* unknown ones wait for what is behind them */
} beginning;

static void end_unknown(beginning *s) {
    if (s->waiting)
        s->ids[s->count++] = s->model->unknown;
    s->waiting = false;
}

static void add_unknown(beginning *s) {
    if (!s->model->has_unknown)
        return; /* it vanishes, as in the reference */
    if (!s->model->fuse_unknown)
        end_unknown(s);
    s->waiting = true;
}

static void add_known(beginning *s, uint32_t id) {
    end_unknown(s);
    s->ids[s->count++] = id;
}

/* A character that is no token, as the tokens of its bytes; false: not all bytes have one. Unknown ones before it go on
 * waiting, as in the reference. */
static bool add_bytes(beginning *s, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!s->model->byte_fallback || !s->model->has_byte[bytes[i]])
            return false;
    for (size_t i = 0; i < count; i++)
        s->ids[s->count++] = s->model->bytes[bytes[i]];
    return true;
}

static size_t first_symbols(const sv_bpe *model, const uint8_t *piece, size_t size, uint32_t *ids) {
    beginning s = {.model = model, .ids = ids};
    for (size_t at = 0, length; at < size; at += length) {
        length = 1;
        if (model->byte_level) {
            if (model->has_byte[piece[at]])
                add_known(&s, model->bytes[piece[at]]);
            else
                add_unknown(&s);
            continue;
        }
        uint32_t c, id;
        bool invalid = false;
        length = sv_utf8_decode(piece + at, piece + size, &c, &invalid);
        if (sv_vocabulary_get(&model->pieces, SV_PIECE_START, piece + at, length, &id))
            add_known(&s, id);
        else if (!add_bytes(&s, piece + at, length))
            add_unknown(&s);
    }
    end_unknown(&s);
    return s.count;
}

/* ------------------------------------------------------------------------------------------------------------------ merging */

/* Merges in place; returns how many symbols are left. */
static size_t merge_short(const sv_bpe *model, uint32_t *ids, size_t count) {
    const sv_merge *merges[SHORT];
    for (size_t i = 0; i + 1 < count; i++)
        merges[i] = sv_bpe_merge(model, ids[i], ids[i + 1]);
    for (;;) {
        size_t best = count;
        uint32_t rank = NONE;
        for (size_t i = 0; i + 1 < count; i++)
            if (merges[i] && merges[i]->rank < rank) {
                rank = merges[i]->rank;
                best = i;
            }
        if (best == count)
            return count;
        ids[best] = merges[best]->id;
        count--;
        for (size_t i = best + 1; i < count; i++)
            ids[i] = ids[i + 1];
        for (size_t i = best + 1; i + 1 < count; i++)
            merges[i] = merges[i + 1];
        if (best > 0)
            merges[best - 1] = sv_bpe_merge(model, ids[best - 1], ids[best]);
        if (best + 1 < count)
            merges[best] = sv_bpe_merge(model, ids[best], ids[best + 1]);
    }
}

/* A symbol of a long piece. */
typedef struct symbol {
    uint32_t id, before, next; /* places of its neighbours; NONE */
} symbol;

/* A merge that waits: of the symbol at `place` with the next one. */
typedef struct waiting {
    uint32_t rank, place, id;
} waiting;

typedef struct heap {
    waiting *items;
    size_t count;
} heap;

static bool is_before(const waiting *a, const waiting *b) {
    return a->rank < b->rank || (a->rank == b->rank && a->place < b->place);
}

static void heap_push(heap *h, waiting item) {
    size_t at = h->count++;
    for (; at > 0 && is_before(&item, &h->items[(at - 1) / 2]); at = (at - 1) / 2)
        h->items[at] = h->items[(at - 1) / 2];
    h->items[at] = item;
}

static waiting heap_pop(heap *h) {
    waiting top = h->items[0], item = h->items[--h->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && is_before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!is_before(&h->items[child], &item))
            break;
        h->items[at] = h->items[child];
    }
    h->items[at] = item;
    return top;
}

static void push_pair(const sv_bpe *model, heap *h, const symbol *symbols, uint32_t place) {
    uint32_t next = place == NONE ? NONE : symbols[place].next;
    if (next == NONE)
        return;
    const sv_merge *merge = sv_bpe_merge(model, symbols[place].id, symbols[next].id);
    if (merge)
        heap_push(h, (waiting){merge->rank, place, merge->id});
}

/* `symbols` has room for `count`, `items` for three times as many: each merge adds at most two pairs and removes a symbol. */
static size_t merge_long(const sv_bpe *model, uint32_t *ids, size_t count, symbol *symbols, waiting *items) {
    heap h = {items, 0};
    for (size_t i = 0; i < count; i++)
        symbols[i] = (symbol){ids[i], i > 0 ? (uint32_t)i - 1 : NONE, i + 1 < count ? (uint32_t)i + 1 : NONE};
    for (size_t i = 0; i + 1 < count; i++)
        push_pair(model, &h, symbols, (uint32_t)i);
    while (h.count > 0) {
        waiting top = heap_pop(&h);
        symbol *left = &symbols[top.place];
        if (left->id == NONE || left->next == NONE)
            continue; /* it was merged away, or is the last */
        symbol *right = &symbols[left->next];
        const sv_merge *merge = sv_bpe_merge(model, left->id, right->id);
        if (!merge || merge->id != top.id)
            continue; /* the pair has changed */
        left->id = top.id;
        left->next = right->next;
        right->id = NONE;
        if (left->next != NONE)
            symbols[left->next].before = top.place;
        push_pair(model, &h, symbols, left->before);
        push_pair(model, &h, symbols, top.place);
    }
    size_t kept = 0;
    for (uint32_t at = 0; at != NONE; at = symbols[at].next)
        ids[kept++] = symbols[at].id;
    return kept;
}

void sv_bpe_encode(sv_work *work, const uint8_t *piece, size_t size) {
    const sv_bpe *model = work->tokenizer->bpe;
    uint32_t id;
    if (model->ignore_merges && sv_vocabulary_get(&model->pieces, SV_PIECE_START, piece, size, &id)) {
        sv_put_id(work->sink, id);
        return;
    }
    uint32_t few[SHORT], *ids = few;
    size_t count;
    if (size <= SHORT) {
        count = merge_short(model, few, first_symbols(model, piece, size, few));
    } else {
        size_t each = sizeof(uint32_t) + sizeof(symbol) + 3 * sizeof(waiting);
        if (size >= UINT32_MAX / each || !sv_work_room(work, &work->model, size * each)) {
            work->no_memory = work->sink->no_memory = true;
            return;
        }
        ids = (uint32_t *)(void *)work->model.data;
        symbol *symbols = (symbol *)(ids + size);
        count = first_symbols(model, piece, size, ids);
        if (count <= SHORT)
            count = merge_short(model, ids, count);
        else
            count = merge_long(model, ids, count, symbols, (waiting *)(symbols + size));
    }
    for (size_t i = 0; i < count && !work->sink->truncated; i++)
        sv_put_id(work->sink, ids[i]);
}
