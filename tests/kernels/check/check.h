/* What the tests of kernels share: guarded matrices, random input, and the comparison with an oracle.
 *
 * A matrix here ends exactly where a forbidden page begins, another one lies in front of it, and everything around its elements
 * (the gaps between rows, the rest of its first page) holds a canary: a NaN with a payload, so that a stray write is found by
 * looking and a stray read poisons the result. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* ---------------------------------------------------------------- reports */

/* What is being tested, for failures and for a crash: "avx2 gemm_f32 m=7 n=33 k=65 random". */
__attribute__((format(printf, 1, 2))) void check_begin(const char *format, ...);

/* Reports a failure of what began last. The first ones are printed, all are counted. */
__attribute__((format(printf, 1, 2))) void check_fail(const char *format, ...);

/* --------------------------------------------------------------- matrices */

typedef struct matrix {
    float *at; /* (rows, columns), ld from row to row; NULL for "none" */
    size_t rows, columns, ld;
    unsigned char *map; /* the whole mapping, forbidden pages included */
    size_t map_bytes;
} matrix;

/* All elements are canaries at first. Never fails: the program ends with a message. */
matrix matrix_open(size_t rows, size_t columns, size_t ld);

/* A vector of `count` floats that begins on a cache line; up to 60 bytes of canary lie between its end and the page. */
matrix matrix_open_aligned(size_t count);

matrix matrix_copy(const matrix *from);
void matrix_close(matrix *m);

/* Fails the test if a canary was overwritten. */
void matrix_check_canaries(const matrix *m, const char *name);

/* Fails the test unless all elements have the same bits; any two NaNs are the same. */
void matrix_check_same(const matrix *got, const matrix *want, const char *what);

/* ------------------------------------------------------------------ input */

typedef enum pattern { RANDOM, LARGE, DENORMAL, MIXED, PATTERNS } pattern;
extern const char *const pattern_names[PATTERNS];

uint64_t random_bits(void);             /* splitmix64, from the seed of --seed */
size_t random_below(size_t limit);      /* 0 .. limit - 1 */
float random_float(pattern p);          /* RANDOM: [-1, 1); LARGE: about 1e18; MIXED: any finite exponent from 2^-20 to 2^20 */
void matrix_fill(matrix *m, pattern p); /* the elements only */

/* ----------------------------------------------------------------- oracle */

#define U 0x1p-24 /* half an ulp of 1: the relative error of one rounded float operation */

/* Fails the test unless |got - want| <= bound; a NaN must be a NaN and an infinity the same one. Remembers the largest error
 * over bound. */
void check_close(float got, double want, double bound, const char *what, size_t row, size_t column);

double gelu_oracle(double x);
/* How far gelu_f32 may be from the oracle at x. */
double gelu_bound(double x);

/* ------------------------------------------------------------------ tests */

typedef struct check_test {
    const char *name;
    void (*run)(const sv_kernels *kernels);
    void (*bench)(const sv_kernels *kernels, double peak_gmacs);
} check_test;

void test_gemm(const sv_kernels *kernels);
void test_attention(const sv_kernels *kernels);
void test_layernorm(const sv_kernels *kernels);
void test_gelu(const sv_kernels *kernels);
void bench_gemm(const sv_kernels *kernels, double peak_gmacs);
void bench_attention(const sv_kernels *kernels, double peak_gmacs);
void bench_layernorm(const sv_kernels *kernels, double peak_gmacs);
void bench_gelu(const sv_kernels *kernels, double peak_gmacs);

/* Median nanoseconds of one call, by calibrated repetition over about `milliseconds`. */
double bench_ns(void (*call)(void *), void *context, unsigned milliseconds);
/* One line: ns, GMAC/s and percent of peak (macs > 0), and how many times faster than the ref kernel's ref_ns. */
void bench_print(const char *name, double ns, double macs, double peak_gmacs, double ref_ns);

/* The table that all others are compared with: that of the empty mask. */
const sv_kernels *check_ref(void);

#endif
