/* The kernels: the arithmetic of an encoder, one table of functions for each ISA tier.
 *
 * Kernels never allocate, lock, log or know a model. They assert their arguments; checking input is their callers' work.
 * Shapes are (rows, columns), row-major; `ld...` is the distance in elements from a row to the next. Unless it says otherwise a
 * kernel accepts any alignment, any size from 0 up, reads and writes nothing outside of the stated shapes, and its inputs may
 * not overlap its output.
 *
 * Every tier gives a row the same bits whatever the other rows are and however many there are: each output of the float kernels
 * sums its products in one order, k ascending, with one fused multiply-add a step. Tiers may differ from each other by rounding
 * there; the int8 products give the same bits on every tier. docs/KERNELS.md has the contracts. */
#ifndef SV_KERNELS_KERNELS_H
#define SV_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cpu/isa.h"

/* ------------------------------------------------------------------ products */

/* The largest k whose sums of int8 products fit an int32: 255 * 127 * k < 2^31. */
#define SV_GEMM_INT8_MAX_K 66311

/* A row of activations as integers: x[r][i] is about low + scale * q[r][i], q in 0 .. 255. */
typedef struct sv_row_range {
    float scale, low;
} sv_row_range;

/* GELU's output between two int8 products is in fixed point (gelu_int8.h): values times SV_GELU_UNIT / 2^exponent as int16, so
 * of up to 28 * 2^exponent. */
#define SV_GELU_UNIT (4096 / 3.5f)
#define SV_GELU_EXPONENT_MAX 4

/* The forms of C. */
typedef enum sv_gemm_output {
    SV_GEMM_FLOAT,      /* float: y, or y + residual */
    SV_GEMM_GELU,       /* float: gelu(y), the exact one, x/2 (1 + erf(x/sqrt 2)); where the record has `gelu` */
    SV_GEMM_GELU_FIXED, /* int16: gelu of y as gelu_int8.h defines it; int8 only */
    SV_GEMM_BF16,       /* bfloat16: y rounded to nearest, ties to even; for an attention that reads bfloat16 */
} sv_gemm_output;

/* C (m, n) = epilogue(A (m, k) x W'), A an operand and W (n, k) packed, both by the same record. A call may take any range of
 * whole panels: w + p * panel bytes, with the vectors of columns and C moved alike. */
typedef struct sv_gemm_args {
    const void *a;         /* (m, k), as `prepare` of the same record wrote it; floats where there is no `prepare` */
    size_t lda;            /* in elements: at least stride(k) */
    const void *w;         /* packed */
    size_t panel;          /* bytes from one panel of nr output columns to the next: packed_size(nr, k) */
    const float *bias;     /* (n), added after the last product; NULL, in fp32 only: none */
    const float *residual; /* (m, n), ldc from row to row, added after the bias; NULL, as for any other output: none */
    void *c;               /* (m, n) of what `output` says */
    size_t ldc;            /* in elements */
    size_t m, n, k;
    sv_gemm_output output;
    bool accumulate; /* fp32 only: the sums start from C instead of 0 */
    /* int8 only: */
    const sv_row_range *range; /* (m) */
    const float *w_scale;      /* (n) */
    const float *w_sum;        /* (n): w_scale[c] * the sum of w[c][i] over i */
    unsigned gelu_exponent;    /* of SV_GEMM_GELU_FIXED */
} sv_gemm_args;

/* A product of one tier in one precision: the operand that it reads, its tile, its packer and its kernel are chosen together,
 * since each form belongs to the others.
 *
 * fp32: A is floats as they lie. Packed layout, for a matrix of K columns in all: [ceil(n / nr)][K][nr] floats, zeros beyond n.
 * A call may take any range of the K columns (w + k0 * nr floats, with a + k0): a sum that is cut into ranges of k with
 * `accumulate` has the same bits as an uncut one.
 *
 * bf16: A and W are rounded to bfloat16, to nearest even; sums in float. Each output adds pairs of products, k ascending, as
 * vdpbf16ps or tdpbf16ps does: a row's bits don't depend on the other rows.
 *
 * int8: A in integers with a range for each row, W in s8 with a scale for each output column. With S = the exact sum of
 * q[r][i] * w[c][i] over i, as int32:
 *     y = fmaf((float)S * w_scale[c], range[r].scale, fmaf(range[r].low, w_sum[c], bias[c]))
 * For SV_GEMM_GELU_FIXED y is rounded to an int16, ties to even and the nearest one if it is too large (from 2^31 on, and for a
 * NaN, the least). Every operation is rounded as written, so all tiers give the same bits. */
typedef struct sv_gemm {
    const char *name; /* "gemm_int8_avx512vnni_14x32"; NULL: the tier has none */
    size_t mr, nr;
    size_t panel_rows; /* rows of A for full speed: enough to share the cost of reading W, few enough that their activations fit
                          L2 */
    size_t element;    /* bytes of an element of A. In int8, unsigned: 1 if the tier multiplies bytes, 2 if it widens them */
    bool ranged;       /* int8: A's rows have ranges, and W's columns scales */
    bool gelu;         /* `run` gives SV_GEMM_GELU */
    /* Elements from a row of A of k columns to the next: k, or k rounded up so that each row begins on a cache line. */
    size_t (*stride)(size_t k);
    /* Bytes of the packed form of W (n, k), which begins on a cache line. */
    size_t (*packed_size)(size_t n, size_t k);
    /* packed <- W (n, k), row-major, ldw from row to row: floats, or in int8 s8 in -127 .. 127. Zeros beyond n and k. */
    void (*pack)(void *packed, const void *w, size_t ldw, size_t n, size_t k);
    /* Makes an operand of x (rows, k); NULL in fp32, where x is one. The elements of `out` between column k and the stride are
     * set to zero; `out` and ld_out keep rows on cache lines. bf16: x rounded; `range` and `multiplier` are NULL. int8: for
     * each row, u[i] = multiplier ? x[i] * multiplier[i] : x[i], low and high the least and the largest u: range.low = low,
     * range.scale = (high - low) * (1 / 255.0f) q[i] = (u[i] - low) * (255 / (high - low)) rounded to the nearest integer, ties
     * to even; 0 where high - low < 2^-100 A zero in a range is positive. A row with a NaN, an infinity or a high - low beyond
     * float gets a range of NaN, and any q; one without columns a range of 0. Same bits on every tier. */
    void (*prepare)(void *out, size_t ld_out, sv_row_range *range, const float *x, size_t ldx, const float *multiplier,
                    size_t rows, size_t k);
    /* int8, else NULL. The same for GELU's output x, int16 with an exponent e, in integers: low is what gelu_int8.h says is the
     * least, and with width = min(high - low, 32767)
     *     f = min(255 * 2^15 / max(width, 1), 32767)        rounded down
     *     q[i] = mulhrs(min(x[i] - low, 32767), f)
     *     range.low = low * s, range.scale = 32768.0f / f * s, s = 2^e / SV_GELU_UNIT
     * On entry `range` holds that of the row which x was computed from: one of NaN stays so. */
    void (*prepare_gelu)(void *out, size_t ld_out, sv_row_range *range, const int16_t *x, size_t ldx, unsigned exponent,
                         size_t rows, size_t k);
    void (*run)(const sv_gemm_args *args);
} sv_gemm;

/* -------------------------------------------------------------- the others */

/* Self-attention of one text over `heads` heads: out = softmax(Q K' * scale + B) V for each head, for the first `queries` rows.
 * Head h's columns are [h * d, (h + 1) * d) of q, k, v and out; so a caller can give any range of heads by moving the pointers.
 * B is a bias by distance, as relative positions give it: B[query][key] = bias[h * ld_bias + query - key]. What is read of it
 * for a head reaches from distance -(n - 1) to queries - 1.
 */
typedef struct sv_attention_args {
    const void *q, *k, *v; /* (n, heads * d) each: float, or bfloat16 if the record says so */
    size_t ld;             /* elements from row to row */
    float *out;            /* (queries, heads * d) */
    size_t ld_out;
    size_t n, heads, d;
    size_t queries;    /* rows of q and out that are computed: at most n */
    float scale;       /* 1 / sqrt(d) */
    const float *bias; /* distance 0 of the first head; NULL: no bias */
    size_t ld_bias;
    void *scratch; /* scratch_size(n, d) bytes of the same record, aligned to 64 */
} sv_attention_args;

typedef struct sv_attention {
    const char *name;                           /* "attention_f32_avx2" */
    bool bf16;                                  /* q, k and v are bfloat16 */
    size_t (*scratch_size)(size_t n, size_t d); /* bytes; grows with n */
    void (*run)(const sv_attention_args *args);
} sv_attention;

/* A precision: its product, with the operand that the product reads, and its attention.
 *
 * In bf16 and int8, which round more than attention in fp32 does, q, k and v may be bfloat16, the softmax's weights rounded to
 * it, denormals to zero, and e^x has a relative error of at most 2^-12. In int8 moreover q and k may be rounded to 8 bits, k by
 * the range of each of its columns over the text and q by the text's largest value once these ranges have moved to it, and the
 * softmax's weights may be off by up to 2^-6; with a bias, or with fewer queries than keys, it gives what bf16's does. Where a
 * tier gains nothing by that, or its product writes no bfloat16, attention is that of a wider precision. */
typedef struct sv_precision {
    sv_gemm gemm;
    sv_attention attention;
    sv_attention rowwise; /* an attention for the same elements in which a query's bits don't depend on the other queries; in
                             most tiers the same as `attention` */
} sv_precision;

typedef struct sv_kernels {
    const char *tier; /* "ref", "avx2", "avx512", "avx512vnni", ... */
    sv_precision fp32;
    sv_precision bf16; /* no product unless the CPU multiplies bfloat16 */
    sv_precision int8;

    /* out (rows, h) = (x - mean(x)) / sqrt(var(x) + eps) * gamma + beta; out may be x. The variance is the biased one, from the
     * centred values. */
    void (*layernorm_f32)(float *out, size_t ld_out, const float *x, size_t ldx, const float *gamma, const float *beta,
                          float eps, size_t rows, size_t h);

    /* x[i] = gelu(x[i]), the exact GELU, in place. */
    void (*gelu_f32)(float *x, size_t count);

    /* The GELU with the approximation by tanh that some models were trained with:
     * x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which is x / (1 + e^(-2 sqrt(2/pi) (...))). */
    void (*gelu_tanh_f32)(float *x, size_t count);
} sv_kernels;

/* The fastest kernels for a set of flags: the best tier inside it, down to ref. */
sv_kernels sv_kernels_choose(sv_isa_flags flags);

#endif
