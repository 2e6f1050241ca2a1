/* What the products of the vector tiers share, over the words of a vector header: rows of C in vectors, and one copy of a
 * tile's body for each height.
 *
 * Parameters, beside a words_*.h header that is included before: MR, the rows of a tile. */
#ifndef SV_KERNELS_TILE_TMPL_H
#define SV_KERNELS_TILE_TMPL_H

#if !defined(LANES) || !defined(MR)
#error "tile_tmpl.h: a words_*.h header and MR come before it"
#endif

#include <stddef.h>

#include "kernels/unroll.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Rows are split into equal chunks of at most MR (14 rows into 5 + 5 + 4, not 6 + 6 + 2, if MR is 6): how many, and where each
 * begins. */
static inline size_t chunks_of(size_t rows) {
    return (rows + MR - 1) / MR;
}

static inline size_t chunk_begin(size_t rows, size_t chunk) {
    return rows * chunk / chunks_of(rows);
}

/* `count` float of the vectors x[0..nv): those that aren't there are zeros, or aren't written. */
ALWAYS_INLINE void load_row(vf *x, const float *p, const size_t nv, size_t count) {
    UNROLL
    for (size_t j = 0; j < nv; j++)
        x[j] = count >= (j + 1) * LANES ? v_load(p + j * LANES)
               : count > j * LANES      ? v_load_first(p + j * LANES, count - j * LANES)
                                        : v_zero();
}

ALWAYS_INLINE void store_row(float *p, const vf *x, const size_t nv, size_t count) {
    UNROLL
    for (size_t j = 0; j < nv; j++)
        if (count >= (j + 1) * LANES)
            v_store(p + j * LANES, x[j]);
        else if (count > j * LANES)
            v_store_first(p + j * LANES, x[j], count - j * LANES);
}

/* x += those `count`. */
ALWAYS_INLINE void add_row(vf *x, const float *p, const size_t nv, size_t count) {
    vf y[2];
    load_row(y, p, nv, count);
    UNROLL
    for (size_t j = 0; j < nv; j++)
        x[j] = v_add(x[j], y[j]);
}

/* X(1) X(2) ... X(MR), for the tiles that have a copy for each height. */
#if MR == 6
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#elif MR == 12
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#elif MR == 14
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#endif

#endif
