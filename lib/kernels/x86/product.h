/* A product as the tiles of AVX-512 and AMX traverse it, and the kinds of output. */
#ifndef SV_KERNELS_PRODUCT_H
#define SV_KERNELS_PRODUCT_H

#include <stddef.h>

/* In steps: a step is a unit of 4 bytes along k, or with AMX K_STEP bytes. */
typedef struct product {
    const char *a;
    size_t lda; /* bytes */
    const char *w;
    size_t panel; /* bytes */
    size_t m, n, steps;
} product;

typedef enum output {
    FLOATS,
    SUMS, /* floats, with the residual */
    BFLOATS,
    GELU,
    OUTPUTS /* the number of kinds */
} output;

#endif
