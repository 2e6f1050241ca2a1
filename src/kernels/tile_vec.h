/* What the products of the vector tiers share, over the words of a vector header, which is to be included before: rows of C in
 * vectors, and one copy of a tile's body for each height. */
#ifndef SV_KERNELS_TILE_VEC_H
#define SV_KERNELS_TILE_VEC_H

#include <stddef.h>

#include "kernels/unroll.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
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

/* X(1) X(2) ... X(MR) */
#if MR == 6
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#elif MR == 12
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#elif MR == 14
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#error "EACH_HEIGHT lacks this MR"
#endif

#endif
