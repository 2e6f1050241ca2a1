/* layernorm_f32, gelu_f32 and gelu_tanh_f32: kernels that go along a row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ------------------------------------------------------------- LayerNorm */

typedef enum where { APART, ON_X } where; /* where `out` lies */

typedef struct norm {
    size_t rows, h;
    matrix x, gamma, beta;
    float eps;
} norm;

static norm norm_open(size_t rows, size_t h, pattern p) {
    const size_t ld = h + random_below(3);
    norm t = {
        .rows = rows,
        .h = h,
        .x = matrix_open(rows, h, ld),
        .gamma = matrix_open(1, h, h),
        .beta = matrix_open(1, h, h),
        .eps = 1e-12f,
    };
    matrix_fill(&t.x, p);
    matrix_fill(&t.gamma, RANDOM);
    matrix_fill(&t.beta, RANDOM);
    return t;
}

static void norm_close(norm *t) {
    matrix_close(&t->x);
    matrix_close(&t->gamma);
    matrix_close(&t->beta);
}

static matrix run_norm(const sv_kernels *kernels, const norm *t, where place, bool row_by_row) {
    matrix x = matrix_copy(&t->x), out = matrix_open(t->rows, t->h, t->x.ld);
    matrix *target = place == ON_X ? &x : &out, *other = place == ON_X ? &out : &x;
    const size_t step = row_by_row ? 1 : t->rows;
    for (size_t row = 0; row < t->rows; row += step)
        kernels->layernorm_f32(target->at + row * target->ld, target->ld, x.at + row * x.ld, x.ld, t->gamma.at, t->beta.at,
                               t->eps, step, t->h);
    matrix_check_canaries(target, "out");
    matrix_close(other);
    return *target;
}

/* The error of the mean (a sum of h) and of the scale, carried through the formula to first order, and
 * doubled for what that leaves out. */
static void check_norm_oracle(const norm *t, const matrix *out) {
    double *y = malloc((t->h + 1) * sizeof *y);
    for (size_t row = 0; row < t->rows; row++) {
        const double h = (double)t->h;
        double sum = 0, size = 0, largest = 0, squares = 0;
        for (size_t i = 0; i < t->h; i++) {
            y[i] = t->x.at[row * t->x.ld + i];
            sum += y[i];
            size += fabs(y[i]);
            largest = fmax(largest, fabs(y[i]));
        }
        const double mean = sum / h;
        for (size_t i = 0; i < t->h; i++)
            squares += (y[i] - mean) * (y[i] - mean);
        if (squares > 0x1p126) /* beyond float on the way */
            continue;
        const double deviation = sqrt(squares / h + t->eps);
        const double centred_error = U * largest + (h + 1) * U * size / h + 0x1p-148;
        const double scale_error =
            (h / 2 + 4) * U + centred_error / deviation + centred_error * centred_error / (deviation * deviation);
        for (size_t i = 0; i < t->h; i++) {
            const double normal = (y[i] - mean) / deviation, gamma = t->gamma.at[i], want = normal * gamma + t->beta.at[i];
            const double bound =
                2 * (fabs(gamma) * (centred_error / deviation + fabs(normal) * (scale_error + 4 * U)) + U * fabs(want));
            check_close(out->at[row * out->ld + i], want, bound + 0x1p-149, "out against the oracle", row, i);
        }
    }
    free(y);
}

static void test_norm(const sv_kernels *kernels, const norm *t, const char *label) {
    check_begin("%s layernorm_f32 rows=%zu h=%zu ld=%zu %s", kernels->tier, t->rows, t->h, t->x.ld, label);
    matrix out = run_norm(kernels, t, APART, false);
    check_norm_oracle(t, &out);
    const struct {
        where place;
        bool row_by_row;
        const char *what;
    } others[] = {{APART, true, "row by row"}, {ON_X, false, "in place of x"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        matrix other = run_norm(kernels, t, others[i].place, others[i].row_by_row);
        matrix_check_same(&other, &out, others[i].what);
        matrix_close(&other);
    }
    matrix_close(&out);
}

void test_layernorm(const sv_kernels *kernels) {
    const size_t lanes = kernels->fp32.gemm.nr / 2;
    const size_t hs[] = {1,   2,  3,   lanes - 1, lanes, lanes + 1, 4 * lanes - 1, 4 * lanes, 4 * lanes + 1,
                         101, 32, 384, 768,       1024};
    for (size_t i = 0; i < sizeof hs / sizeof *hs; i++)
        for (size_t rows = 0; rows < 8; rows += 1 + rows)
            for (size_t p = 0; p < PATTERNS; p++) {
                norm t = norm_open(rows, hs[i], (pattern)p);
                test_norm(kernels, &t, pattern_names[p]);
                norm_close(&t);
            }
    /* A row with a NaN or an infinity is all NaN, its neighbours are as before. */
    const float specials[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        norm t = norm_open(3, 53, RANDOM);
        t.x.at[t.x.ld + random_below(t.h)] = specials[i];
        check_begin("%s layernorm_f32 with %g in row 1", kernels->tier, specials[i]);
        matrix out = run_norm(kernels, &t, APART, false);
        check_norm_oracle(&t, &out);
        matrix_close(&out);
        norm_close(&t);
    }
}

/* ------------------------------------------------------------------ GELU */

static double gelu_tanh_oracle(double x) {
    return x / (1 + exp(-2 * sqrt(M_2_PI) * (x + 0.044715 * x * x * x)));
}

static double gelu_tanh_bound(double x) {
    return 8 * U * fabs(x) + 0x1p-149;
}

typedef struct activation {
    const char *name;
    void (*run)(float *x, size_t count);
    double (*oracle)(double x), (*bound)(double x);
} activation;

static void test_activation(const sv_kernels *kernels, const activation *f) {
    /* Every 4093rd float (a prime) of all 2^32, in pieces of changing length: signs, infinities, NaNs, denormals. */
    enum { MOST = 97 };
    const uint32_t stride = 4093, begin = (uint32_t)random_below(4093);
    uint64_t next = begin;
    while (next < UINT64_C(1) << 32) {
        matrix x = matrix_open(1, 1 + random_below(MOST), MOST);
        for (size_t i = 0; i < x.columns; i++, next += stride) {
            const uint32_t bits = (uint32_t)next;
            memcpy(x.at + i, &bits, sizeof bits);
        }
        check_begin("%s %s count=%zu from %a", kernels->tier, f->name, x.columns, x.at[0]);
        matrix y = matrix_copy(&x);
        f->run(y.at, y.columns);
        matrix_check_canaries(&y, "x");
        for (size_t i = 0; i < x.columns; i++) {
            const double value = x.at[i];
            /* x/2 (1 + erf(x/sqrt 2)) at -infinity is -infinity times 0. */
            check_close(y.at[i], value == -INFINITY ? NAN : f->oracle(value), f->bound(value), f->name, 0, i);
        }
        matrix_close(&x);
        matrix_close(&y);
    }
    check_begin("%s %s count=0", kernels->tier, f->name);
    matrix none = matrix_open(0, 0, 1);
    f->run(none.at, 0);
    matrix_check_canaries(&none, "x");
    matrix_close(&none);
}

void test_gelu(const sv_kernels *kernels) {
    test_activation(kernels, &(activation){"gelu_f32", kernels->gelu_f32, gelu_oracle, gelu_bound});
    test_activation(kernels, &(activation){"gelu_tanh_f32", kernels->gelu_tanh_f32, gelu_tanh_oracle, gelu_tanh_bound});
}

/* ----------------------------------------------------------------- bench */

typedef struct rows_bench {
    const sv_kernels *kernels;
    float *x, *y, *gamma, *beta;
    size_t rows, h;
} rows_bench;

static void call_layernorm(void *context) {
    const rows_bench *b = context;
    b->kernels->layernorm_f32(b->y, b->h, b->x, b->h, b->gamma, b->beta, 1e-12f, b->rows, b->h);
}

static void call_gelu(void *context) {
    const rows_bench *b = context;
    memcpy(b->y, b->x, b->rows * b->h * sizeof *b->y); /* or it would approach 0 */
    b->kernels->gelu_f32(b->y, b->rows * b->h);
}

static void bench_rows(const sv_kernels *kernels, void (*call)(void *), size_t rows, size_t h, const char *format) {
    matrix x = matrix_open_aligned(rows * h), y = matrix_open_aligned(rows * h);
    matrix gamma = matrix_open_aligned(h), beta = matrix_open_aligned(h);
    matrix_fill(&x, RANDOM);
    matrix_fill(&y, RANDOM);
    matrix_fill(&gamma, RANDOM);
    matrix_fill(&beta, RANDOM);
    rows_bench b = {kernels, x.at, y.at, gamma.at, beta.at, rows, h}, ref = b;
    ref.kernels = check_ref();
    char name[80];
    snprintf(name, sizeof name, "%s rows=%zu h=%zu", format, rows, h);
    bench_print(name, bench_ns(call, &b, 20), 0, 0, bench_ns(call, &ref, 20));
    matrix_close(&x);
    matrix_close(&y);
    matrix_close(&gamma);
    matrix_close(&beta);
}

void bench_layernorm(const sv_kernels *kernels, double peak_gmacs) {
    (void)peak_gmacs;
    bench_rows(kernels, call_layernorm, 14, 384, "layernorm");
    bench_rows(kernels, call_layernorm, 128, 384, "layernorm");
}

void bench_gelu(const sv_kernels *kernels, double peak_gmacs) {
    (void)peak_gmacs;
    bench_rows(kernels, call_gelu, 14, 1536, "copy + gelu");
}
