/* The waiting tile of the AMX products and of overlapped tiles: the epilogue of a tile runs while the next tile is multiplied.
 * Parameters: MR and NR (a tile template defines them). */
#ifndef SV_KERNELS_WAITING_TILE_TMPL_H
#define SV_KERNELS_WAITING_TILE_TMPL_H

#if !defined(MR) || !defined(NR)
#error "waiting_tile_tmpl.h: include a tile template before, which defines MR and NR"
#endif

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
