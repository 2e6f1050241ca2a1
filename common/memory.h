/* The one allocator seam. Everything that a model or session allocates comes through a senvec_allocator, so a caller can bring
 * memory and a test can count allocations or make the Nth one fail. */
#ifndef SV_COMMON_MEMORY_H
#define SV_COMMON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

#define SV_CACHE_LINE 64

/* Rounds a size up to whole cache lines. The caller makes sure that it doesn't overflow. */
static inline size_t sv_whole_lines(size_t bytes) {
    return (bytes + SV_CACHE_LINE - 1) / SV_CACHE_LINE * SV_CACHE_LINE;
}

/* The C library's allocator (aligned_alloc and free). Large blocks are on huge pages where the system has them. */
extern const senvec_allocator sv_default_allocator;
/* The same on small pages, so that of a block that is used in part only that part is in memory. */
extern const senvec_allocator sv_thrifty_allocator;

/* count * size into *out; false if the product doesn't fit. */
static inline bool sv_mul_size(size_t count, size_t size, size_t *out) {
    return !__builtin_mul_overflow(count, size, out);
}

/* `count` elements of `size` bytes, aligned to SV_CACHE_LINE, not cleared. A zero-byte request gives a unique valid block.
 * On failure: OUT_OF_MEMORY, naming `what` ("packed weights"). */
senvec_status sv_alloc(const senvec_allocator *allocator, size_t count, size_t size, const char *what, void **out,
                       senvec_error *err);

/* Gives back a block of sv_alloc with the same count and size; NULL is accepted. */
void sv_free(const senvec_allocator *allocator, void *block, size_t count, size_t size);

/* An arena: blocks that live and die together (a model's tables). Not thread safe while it is being filled. */
typedef struct sv_arena {
    senvec_allocator allocator;
    struct sv_arena_block *blocks; /* newest first */
    size_t bytes;                  /* handed out in total */
} sv_arena;

/* `allocator` NULL means the default; it is copied. Can't fail. */
void sv_arena_init(sv_arena *arena, const senvec_allocator *allocator);
/* `count` elements of `size` bytes, zeroed, aligned to SV_CACHE_LINE; live until sv_arena_release. */
senvec_status sv_arena_alloc(sv_arena *arena, size_t count, size_t size, const char *what, void **out, senvec_error *err);
/* A NUL-terminated copy of `length` bytes. */
senvec_status sv_arena_string(sv_arena *arena, const char *text, size_t length, const char **out, senvec_error *err);
/* Frees every block; the arena may be filled again. */
void sv_arena_release(sv_arena *arena);

#endif
