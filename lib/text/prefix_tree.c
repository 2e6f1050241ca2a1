/* Building the double array: depth first over the sorted keys, each node's children at the first base that fits.
 *
 * A base is XORed with a label, so all children of a node lie in one block of 256 units. No two nodes have the same base, or a
 * label alone couldn't tell whose child a unit is. Bases are looked for in the last blocks only: older ones are nearly full,
 * and looking through them for every node would be quadratic. */
#include "text/prefix_tree.h"

#include <string.h>

#include "common/limits.h"

enum { BLOCK = 256, OPEN_BLOCKS = 16, MOST_TRIES = 512 };
#define NONE UINT32_MAX

/* Free units of the open blocks, in a list by ascending place. */
typedef struct link {
    uint32_t before, next;
} link;

typedef struct builder {
    sv_arena arena; /* of the arrays that are being built */
    sv_prefix_unit *units;
    uint8_t *is_base; /* [count] a node has this base */
    link *links;      /* [count] */
    uint32_t first_free, last_free;
    size_t count, room;
    const sv_prefix_key *keys;
    uint8_t labels[256]; /* of the node that is looked at */
    senvec_error *err;
} builder;

static senvec_status grow(builder *b) {
    size_t room = b->room ? 2 * b->room : 64 * BLOCK;
    if (room > UINT32_MAX / 2)
        return sv_fail(b->err, SENVEC_TOO_LARGE, 0, "a vocabulary of so many pieces is not supported");
    sv_arena arena;
    sv_arena_init(&arena, &b->arena.allocator);
    void *units, *is_base, *links;
    senvec_status status = sv_arena_alloc(&arena, room, sizeof *b->units, "the pieces", &units, b->err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, room, 1, "the pieces", &is_base, b->err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, room, sizeof *b->links, "the pieces", &links, b->err);
    if (status != SENVEC_OK) {
        sv_arena_release(&arena);
        return status;
    }
    if (b->count > 0) {
        memcpy(units, b->units, b->count * sizeof *b->units);
        memcpy(is_base, b->is_base, b->count);
        memcpy(links, b->links, b->count * sizeof *b->links);
    }
    sv_arena_release(&b->arena);
    b->arena = arena;
    b->units = units;
    b->is_base = is_base;
    b->links = links;
    b->room = room;
    return SENVEC_OK;
}

static void take_unit(builder *b, uint32_t place) {
    link at = b->links[place];
    *(at.before == NONE ? &b->first_free : &b->links[at.before].next) = at.next;
    *(at.next == NONE ? &b->last_free : &b->links[at.next].before) = at.before;
    b->units[place].used = 1;
}

static senvec_status add_block(builder *b) {
    if (b->count == b->room)
        SENVEC_TRY(grow(b));
    for (size_t i = b->count; i < b->count + BLOCK; i++) {
        b->links[i] = (link){b->last_free, NONE};
        *(b->last_free == NONE ? &b->first_free : &b->links[b->last_free].next) = (uint32_t)i;
        b->last_free = (uint32_t)i;
    }
    b->count += BLOCK;
    while (b->count > OPEN_BLOCKS * BLOCK && b->first_free < b->count - OPEN_BLOCKS * BLOCK)
        take_unit(b, b->first_free); /* never to be used */
    return SENVEC_OK;
}

static bool fits(const builder *b, uint32_t base, size_t count) {
    if (b->is_base[base])
        return false;
    for (size_t i = 0; i < count; i++)
        if (b->units[base ^ b->labels[i]].used)
            return false;
    return true;
}

/* A base for children with labels[0 .. count); takes their units. */
static senvec_status find_base(builder *b, size_t count, uint32_t *base) {
    bool found = false;
    uint32_t at = b->first_free;
    for (size_t tries = 0; at != NONE && tries < MOST_TRIES && !found; tries++, at = b->links[at].next)
        if (fits(b, at ^ b->labels[0], count)) {
            *base = at ^ b->labels[0];
            found = true;
        }
    if (!found) {
        *base = (uint32_t)b->count ^ b->labels[0];
        SENVEC_TRY(add_block(b));
    }
    b->is_base[*base] = 1;
    for (size_t i = 0; i < count; i++) {
        take_unit(b, *base ^ b->labels[i]);
        b->units[*base ^ b->labels[i]].label = b->labels[i];
    }
    return SENVEC_OK;
}

static uint8_t label_of(const builder *b, size_t key, size_t depth) {
    return b->keys[key].length == depth ? 0 : b->keys[key].bytes[depth];
}

/* Keys [first, last) are alike in their first `depth` bytes: makes the children of the node that they share (NONE: the root),
 * and sets its base. It calls itself as deep as the longest key is long, at most SV_MAX_TOKEN_BYTES. */
static senvec_status build(builder *b, size_t first, size_t last, size_t depth, uint32_t node, uint32_t *root) {
    size_t count = 0;
    for (size_t i = first; i < last; i++)
        if (count == 0 || b->labels[count - 1] != label_of(b, i, depth))
            b->labels[count++] = label_of(b, i, depth);
    uint32_t base = 0;
    SENVEC_TRY(find_base(b, count, &base));
    if (node == NONE) {
        *root = base;
    } else {
        b->units[node].base = base;
        b->units[node].ends = b->labels[0] == 0;
    }
    for (size_t i = first, end; i < last; i = end) {
        uint8_t label = label_of(b, i, depth);
        for (end = i + 1; end < last && label_of(b, end, depth) == label; end++)
            continue;
        if (label == 0)
            b->units[base].base = b->keys[i].id;
        else
            SENVEC_TRY(build(b, i, end, depth + 1, base ^ label, root));
    }
    return SENVEC_OK;
}

senvec_status sv_prefix_tree_build(sv_prefix_tree *tree, const sv_prefix_key *keys, size_t count, sv_arena *arena,
                                   senvec_error *err) {
    builder b = {.keys = keys, .first_free = NONE, .last_free = NONE, .err = err};
    sv_arena_init(&b.arena, &arena->allocator);
    senvec_status status = count > 0 ? build(&b, 0, count, 0, NONE, &tree->root) : add_block(&b);
    void *memory;
    if (status == SENVEC_OK)
        status = sv_arena_alloc(arena, b.count, sizeof *b.units, "the pieces", &memory, err);
    if (status == SENVEC_OK) {
        memcpy(memory, b.units, b.count * sizeof *b.units);
        tree->units = memory;
    }
    sv_arena_release(&b.arena);
    return status;
}
