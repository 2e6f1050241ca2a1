/* Allocation: the seam, overflow checks, and arenas. An arena block is one allocation each: the tables of a model are few and
 * large, so nothing is gained by carving small pieces out of big ones. */
#include "common/memory.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4 << 10)

/* A block that, where it is large, has pages of this size by preference. */
static void *alloc_with(size_t page, int advice, size_t size, size_t alignment) {
    bool large = size >= 4 * HUGE_PAGE;
    if (large)
        alignment = page;
    size_t rounded = (size + alignment - 1) & ~(alignment - 1);
    if (rounded < size)
        return NULL;
    void *block = aligned_alloc(alignment, rounded);
    if (block && large)
        madvise(block, rounded, advice); /* a wish: whether it is granted doesn't matter */
    return block;
}

/* Large blocks (packed weights) ask for huge pages: a pass over them touches each once, so with 4 KB pages nearly every panel
 * pays for TLB misses. */
static void *default_alloc(void *context, size_t size, size_t alignment) {
    (void)context;
    return alloc_with(HUGE_PAGE, MADV_HUGEPAGE, size, alignment);
}

static void *thrifty_alloc(void *context, size_t size, size_t alignment) {
    (void)context;
    return alloc_with(SMALL_PAGE, MADV_NOHUGEPAGE, size, alignment);
}

static void default_free(void *context, void *block, size_t size) {
    (void)context;
    (void)size;
    free(block);
}

const senvec_allocator sv_default_allocator = {default_alloc, default_free, NULL};
const senvec_allocator sv_thrifty_allocator = {thrifty_alloc, default_free, NULL};

/* The size asked of the allocator for `count` elements of `size` bytes: never 0. */
static bool block_size(size_t count, size_t size, size_t *bytes) {
    if (!sv_mul_size(count, size, bytes) || *bytes > SIZE_MAX - 4096)
        return false;
    if (*bytes == 0)
        *bytes = 1;
    return true;
}

senvec_status sv_alloc(const senvec_allocator *allocator, size_t count, size_t size, const char *what, void **out,
                       senvec_error *err) {
    size_t bytes;
    if (!block_size(count, size, &bytes))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: %zu x %zu bytes is more than can be addressed", what, count, size);
    void *block = allocator->alloc(allocator->context, bytes, SV_CACHE_LINE);
    if (!block)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: %zu bytes could not be allocated; free memory or use fewer threads",
                       what, bytes);
    *out = block;
    return SENVEC_OK;
}

void sv_free(const senvec_allocator *allocator, void *block, size_t count, size_t size) {
    if (!block)
        return;
    size_t bytes;
    bool fits = block_size(count, size, &bytes);
    assert(fits);
    (void)fits;
    allocator->free(allocator->context, block, bytes);
}

/* The header takes a cache line, so that what follows it stays aligned. */
struct sv_arena_block {
    alignas(SV_CACHE_LINE) struct sv_arena_block *next;
    size_t bytes; /* header included */
};

void sv_arena_init(sv_arena *arena, const senvec_allocator *allocator) {
    *arena = (sv_arena){.allocator = allocator ? *allocator : sv_default_allocator};
}

senvec_status sv_arena_alloc(sv_arena *arena, size_t count, size_t size, const char *what, void **out, senvec_error *err) {
    size_t bytes;
    if (!block_size(count, size, &bytes))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: %zu x %zu bytes is more than can be addressed", what, count, size);
    size_t total = bytes + sizeof(struct sv_arena_block);
    void *memory;
    SENVEC_TRY(sv_alloc(&arena->allocator, total, 1, what, &memory, err));
    struct sv_arena_block *block = memory;
    block->next = arena->blocks;
    block->bytes = total;
    arena->blocks = block;
    arena->bytes += total;
    memset(block + 1, 0, bytes);
    *out = block + 1;
    return SENVEC_OK;
}

senvec_status sv_arena_string(sv_arena *arena, const char *text, size_t length, const char **out, senvec_error *err) {
    void *memory = NULL;
    SENVEC_TRY(sv_arena_alloc(arena, length + 1, 1, "a string", &memory, err));
    if (length)
        memcpy(memory, text, length);
    *out = memory;
    return SENVEC_OK;
}

void sv_arena_release(sv_arena *arena) {
    while (arena->blocks) {
        struct sv_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        sv_free(&arena->allocator, block, block->bytes, 1);
    }
    arena->bytes = 0;
}
