/* What the products of AMX and of overlapped tiles have in common: the epilogue of a tile runs while the next one is
 * multiplied. To be included where MR and NR are those of a tile. */
#ifndef SV_KERNELS_WAITING_TILE_H
#define SV_KERNELS_WAITING_TILE_H

#include <stddef.h>
#include <stdint.h>

/* A tile whose sums wait for their epilogue. */
typedef struct waiting_tile {
    _Alignas(64) int32_t sums[MR * NR];
    const void *vectors; /* what the epilogue reads in each row */
    const void *range;   /* what it reads row by row */
    char *c;             /* where the first row goes */
    size_t ldc;          /* bytes */
    intptr_t residual;   /* bytes from c to what is added to it */
    size_t rows, columns;
} waiting_tile;

#endif
