/* The kernels: the arithmetic of an encoder, one table of functions for each ISA tier.
 *
 * Kernels never allocate, lock, log or know a model. They assert their arguments; checking input is their callers' work.
 * Shapes are (rows, columns), row-major; `ld...` is the distance in elements from a row to the next. Unless it says otherwise a
 * kernel accepts any alignment, any size from 0 up, reads and writes nothing outside of the stated shapes, and its inputs may
 * not overlap its output.
 *
 * Every tier gives a row the same bits whatever the other rows are and however many there are: each output sums its products in
 * one order, k ascending, with one fused multiply-add a step. Tiers may differ from each other by rounding. docs/KERNELS.md has
 * the contracts. */
#ifndef SV_KERNELS_KERNELS_H
#define SV_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/isa.h"

/* ------------------------------------------------------------- float GEMM */

/* C (m, n) = epilogue(A (m, k) x W'), W (n, k) packed.
 * Packed layout, for a matrix of K columns in all: [ceil(n / nr)][K][nr], zeros beyond n; `panel` floats from one panel of nr
 * output columns to the next, which is K * nr. A call may take any range of whole panels (w + p * panel) and any range of the K
 * columns (w + k0 * nr, with a + k0): a sum that is cut into ranges of k with `accumulate` has the same bits as an uncut one.
 */
typedef struct sv_gemm_f32_args {
    const float *a; /* (m, k) */
    size_t lda;
    const float *w; /* packed */
    size_t panel;
    const float *bias; /* (n), added after the last product; NULL: none */
    float *c;          /* (m, n) */
    size_t ldc;
    size_t m, n, k;
    bool accumulate; /* the sums start from C instead of 0 */
    bool gelu;       /* C = gelu(sum + bias), the exact one: x/2 (1 + erf(x/sqrt 2)) */
} sv_gemm_f32_args;

/* Tile, packer and kernel of one tier: chosen together, since the packed form belongs to the tile. */
typedef struct sv_gemm_f32 {
    const char *name; /* "gemm_f32_avx2_6x16" */
    size_t mr, nr;
    /* Floats in the packed form of W (n, k): ceil(n / nr) * nr * k. */
    size_t (*packed_size)(size_t n, size_t k);
    /* packed <- W (n, k), row-major, ldw from row to row. `packed` is aligned to 64 bytes. */
    void (*pack)(float *packed, const float *w, size_t ldw, size_t n, size_t k);
    void (*run)(const sv_gemm_f32_args *args);
} sv_gemm_f32;

/* -------------------------------------------------------------- the others */

/* Self-attention of one text over `heads` heads: out = softmax(Q K' * scale) V for each head.
 * Head h's columns are [h * d, (h + 1) * d) of q, k, v and out; so a caller can give any range of heads by moving the pointers.
 */
typedef struct sv_attention_f32_args {
    const float *q, *k, *v; /* (n, heads * d) each, ld floats from row to row */
    size_t ld;
    float *out; /* (n, heads * d) */
    size_t ld_out;
    size_t n, heads, d;
    float scale;    /* 1 / sqrt(d) */
    float *scratch; /* attention_f32_scratch(n, d) floats, aligned to 64 bytes */
} sv_attention_f32_args;

typedef struct sv_kernels {
    const char *tier; /* "ref", "avx2", "avx512" */
    sv_gemm_f32 gemm_f32;

    void (*attention_f32)(const sv_attention_f32_args *args);
    size_t (*attention_f32_scratch)(size_t n, size_t d); /* floats; grows with n */

    /* out (rows, h) = (y - mean(y)) / sqrt(var(y) + eps) * gamma + beta, y = x + residual; residual may be NULL (y = x) and out
     * may be x or residual. The variance is the biased one, from the centred values. */
    void (*layernorm_f32)(float *out, size_t ld_out, const float *x, size_t ldx, const float *residual, size_t ldr,
                          const float *gamma, const float *beta, float eps, size_t rows, size_t h);

    /* x[i] = gelu(x[i]), the exact one, in place. */
    void (*gelu_f32)(float *x, size_t count);
} sv_kernels;

/* The fastest table for a set of flags; a set with no tier of its own gives the best tier inside it, down to ref. Static
 * storage. */
const sv_kernels *sv_kernels_choose(sv_isa_flags flags);

#endif
