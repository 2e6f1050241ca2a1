/* A set of byte strings with an id each, and a fast way to find all that a text begins with: a double array, built once. */
#ifndef SV_TEXT_PREFIX_TREE_H
#define SV_TEXT_PREFIX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"

/* A node lies at its parent's base ^ label. Its own base says where its children lie; a node that ends a string has a child
 * with label 0, whose base is the id. Label 0 has no other use, so no string may hold a NUL byte. */
typedef struct sv_prefix_unit {
    uint32_t base;
    uint8_t label; /* label of the edge to this node; in a free unit a label that can't lead to it */
    uint8_t ends;  /* a string ends here */
    uint16_t used;
} sv_prefix_unit;

typedef struct sv_prefix_tree {
    const sv_prefix_unit *units; /* covers every base ^ label */
    uint32_t root;               /* base of the root */
} sv_prefix_tree;

typedef struct sv_prefix_key {
    const uint8_t *bytes;
    uint32_t length, id;
} sv_prefix_key;

/* Builds a tree of `count` keys, in ascending order of their bytes and different, none of them empty or with a NUL. Errors:
 * OUT_OF_MEMORY, TOO_LARGE. */
senvec_status sv_prefix_tree_build(sv_prefix_tree *tree, const sv_prefix_key *keys, size_t count, sv_arena *arena,
                                   senvec_error *err);

/* One step down from the node whose base is *base, by a byte; false: no string begins like this. *unit gets the node. */
static inline bool sv_prefix_tree_step(const sv_prefix_tree *tree, uint32_t *base, uint8_t byte, const sv_prefix_unit **unit) {
    const sv_prefix_unit *next = &tree->units[*base ^ byte];
    if (next->label != byte || byte == 0)
        return false;
    *base = next->base;
    *unit = next;
    return true;
}

/* The id of the string that ends at a node. */
static inline uint32_t sv_prefix_tree_id(const sv_prefix_tree *tree, const sv_prefix_unit *unit) {
    return tree->units[unit->base].base;
}

#endif
