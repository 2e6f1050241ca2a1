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
#include "peak/peak.h"

/* ---------------------------------------------------------------- reports */

/* What is being tested, for failures and for a crash: "avx2 gemm_f32 m=7 n=33 k=65 random". */
__attribute__((format(printf, 1, 2))) void check_begin(const char *format, ...);

/* Reports a failure of what began last. The first ones are printed, all are counted. */
__attribute__((format(printf, 1, 2))) void check_fail(const char *format, ...);

/* --------------------------------------------------------------- matrices */

typedef struct matrix {
    union { /* (rows, columns), ld from row to row; NULL for "none" */
        float *at;
        int8_t *s8;
        uint8_t *u8;
        uint16_t *u16;
    };
    size_t element; /* bytes of one */
    size_t rows, columns, ld;
    unsigned char *map; /* the whole mapping, forbidden pages included */
    size_t map_bytes;
} matrix;

/* All elements are canaries at first. Never fails: the program ends with a message. */
matrix matrix_open(size_t rows, size_t columns, size_t ld);

/* The same with elements of other sizes. If it is to begin on a cache line, up to 63 bytes of canary lie between its end and
 * the page. */
matrix matrix_open_typed(size_t element, size_t rows, size_t columns, size_t ld, bool aligned);

/* A vector of `count` floats that begins on a cache line. */
matrix matrix_open_aligned(size_t count);

matrix matrix_copy(const matrix *from);
void matrix_close(matrix *m);

/* Fails the test if a canary was overwritten. */
void matrix_check_canaries(const matrix *m, const char *name);

/* Fails the test unless all elements have the same bits; any two NaNs of float are the same. */
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

double bf16_oracle(float x); /* rounded to the nearest bfloat16, ties to even, denormals to zero */
float bf16_as_float(uint16_t x);
double gelu_oracle(double x);
/* How far gelu_f32 may be from the oracle at x. */
double gelu_bound(double x);

/* ------------------------------------------------------------------ tests */

typedef struct check_test {
    const char *name;
    sv_peak_kind kind; /* the peak that `bench` gets */
    void (*run)(const sv_kernels *kernels);
    void (*bench)(const sv_kernels *kernels, double peak_gmacs);
} check_test;

/* The kernels that a mask of `flags` gives where only `available` may be executed. False: the tier of `flags` isn't available;
 * `out` is untouched. A record of a higher rung may be missing although the tier is there (AVX-512 without AVX-VNNI). */
bool check_rung(sv_isa_flags flags, sv_isa_flags available, sv_kernels *out);
/* Which kernels a mask gives, by name, and which of them a CPU without some of it runs. Takes no table of kernels. */
void test_ladder(void);
void test_gemm(const sv_kernels *kernels);
void test_int8(const sv_kernels *kernels);
void test_quantize(const sv_kernels *kernels);
void test_quantize_gelu(const sv_kernels *kernels);
void test_bf16(const sv_kernels *kernels);
void test_attention_f32(const sv_kernels *kernels);
void test_attention_bf16(const sv_kernels *kernels);
void test_attention_int8(const sv_kernels *kernels);
void test_layernorm(const sv_kernels *kernels);
void test_gelu(const sv_kernels *kernels);
void bench_gemm(const sv_kernels *kernels, double peak_gmacs);
void bench_int8(const sv_kernels *kernels, double peak_gmacs);
void bench_quantize(const sv_kernels *kernels, double peak_gmacs);
void bench_bf16(const sv_kernels *kernels, double peak_gmacs);
void bench_attention_f32(const sv_kernels *kernels, double peak_gmacs);
void bench_attention_bf16(const sv_kernels *kernels, double peak_gmacs);
void bench_attention_int8(const sv_kernels *kernels, double peak_gmacs);
void bench_layernorm(const sv_kernels *kernels, double peak_gmacs);
void bench_gelu(const sv_kernels *kernels, double peak_gmacs);

/* Median nanoseconds of one call, by calibrated repetition over about `milliseconds`. */
double bench_ns(void (*call)(void *), void *context, unsigned milliseconds);
/* One line: ns, GMAC/s and percent of peak (macs > 0), and how many times faster than the ref kernel's ref_ns. */
void bench_print(const char *name, double ns, double macs, double peak_gmacs, double ref_ns);

/* The linear layers of all-MiniLM-L6-v2 in the order of a forward pass, all encoder layers in turn: 10.6 million weights that
 * come from beyond the caches, a few rows of activations that don't. */
enum { BENCH_LAYERS = 6, BENCH_SHAPES = 4, BENCH_INNER = 1536, BENCH_ROWS = 512 };

typedef struct bench_shape {
    const char *name;
    size_t n, k;
    bool gelu;
} bench_shape;

extern const bench_shape bench_shapes[BENCH_SHAPES];

/* A product to be timed, its weights packed before. */
typedef struct bench_product {
    void *context;
    void (*run)(void *context, size_t layer, size_t shape, size_t m); /* m up to BENCH_ROWS */
} bench_product;

/* Prints each shape and their sum for each of the `count` numbers of rows in `ms`. `ref` is the same product by the ref tier;
 * its time of 4 rows stands for all m. */
void bench_linear(const bench_product *product, const bench_product *ref, const size_t *ms, size_t count, double peak_gmacs);

/* On a cache line, for whole lines; to be freed. Never fails. */
void *bench_alloc(size_t bytes);

/* The table that all others are compared with: that of the empty mask. */
const sv_kernels *check_ref(void);

#endif
