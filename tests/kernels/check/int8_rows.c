/* prepare and prepare_gelu of int8's product: the same bits as ref, and right by an oracle that takes the contract's steps one
 * by one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct rows {
    size_t rows, k;
    matrix x, multiplier; /* (rows, k), (k) */
    bool with_multiplier;
    size_t gap; /* lines between the rows of the output */
} rows;

typedef struct result {
    matrix q, range; /* (rows, stride), (rows, 2): scale, low */
} result;

static rows rows_open(size_t count, size_t k, pattern p) {
    rows t = {
        .rows = count,
        .k = k,
        .x = matrix_open(count, k, k + random_below(3)),
        .multiplier = matrix_open(1, k, k),
        .with_multiplier = random_below(2),
        .gap = random_below(2),
    };
    matrix_fill(&t.x, p);
    matrix_fill(&t.multiplier, RANDOM);
    return t;
}

static void rows_close(rows *t) {
    matrix_close(&t->x);
    matrix_close(&t->multiplier);
}

static result quantize(const sv_gemm *g, const rows *t, bool row_by_row) {
    const size_t stride = g->stride(t->k), ld = stride + t->gap * 64 / g->element;
    result r = {matrix_open_typed(g->element, t->rows, stride, ld, true), matrix_open(t->rows, 2, 2)};
    const float *multiplier = t->with_multiplier ? t->multiplier.at : NULL;
    const size_t step = row_by_row || !t->rows ? 1 : t->rows;
    for (size_t row = 0; row < t->rows || row == 0; row += step)
        g->prepare(r.q.u8 + row * ld * g->element, ld, (sv_row_range *)(void *)(r.range.at + row * 2), t->x.at + row * t->x.ld,
                   t->x.ld, multiplier, t->rows ? step : 0, t->k);
    matrix_check_canaries(&r.q, "q");
    matrix_check_canaries(&r.range, "range");
    return r;
}

static unsigned element(const matrix *q, size_t row, size_t i) {
    return q->element == 1 ? q->u8[row * q->ld + i] : q->u16[row * q->ld + i];
}

static void result_close(result *r) {
    matrix_close(&r->q);
    matrix_close(&r->range);
}

static void check_oracle(const rows *t, const result *r) {
    for (size_t row = 0; row < t->rows; row++) {
        float *u = malloc((t->k + 1) * sizeof *u);
        float low = INFINITY, high = -INFINITY;
        bool finite = true;
        for (size_t i = 0; i < t->k; i++) {
            u[i] = t->x.at[row * t->x.ld + i];
            if (t->with_multiplier)
                u[i] *= t->multiplier.at[i];
            low = fminf(low, u[i]);
            high = fmaxf(high, u[i]);
            finite = finite && isfinite(u[i]);
        }
        const float scale = r->range.at[row * 2], got_low = r->range.at[row * 2 + 1], width = high - low;
        if (t->k && (!finite || isinf(width))) {
            if (!isnan(scale) || !isnan(got_low))
                check_fail("row %zu: range (%g, %g) of what isn't finite", row, scale, got_low);
        } else if (t->k) {
            check_close(scale, width * (1 / 255.0f), 0, "scale", row, 0);
            check_close(got_low, low, 0, "low", row, 0);
            if (signbit(scale) || (got_low == 0 && signbit(got_low)))
                check_fail("row %zu: a zero is negative", row);
            for (size_t i = 0; i < t->k; i++) {
                const unsigned q = element(&r->q, row, i);
                const float steps = width < 0x1p-100f ? 0 : (u[i] - low) * (255 / width);
                if (q != (unsigned)nearbyint(steps) || q > 255)
                    check_fail("q (%zu, %zu) is %u, should be %a rounded", row, i, q, steps);
                check_close((float)(low + (double)scale * q), u[i],
                            scale * 0.5001 + 2 * U * (fabs(low) + fabs(high)) + 0x1p-100, "low + scale q", row, i);
            }
        } else if (scale != 0 || got_low != 0)
            check_fail("row %zu: range (%g, %g) of no columns", row, scale, got_low);
        for (size_t i = t->k; i < r->q.columns; i++)
            if (element(&r->q, row, i))
                check_fail("q (%zu, %zu), beyond the row, is %u", row, i, element(&r->q, row, i));
        free(u);
    }
}

/* Where the range is a number. */
static void check_same_integers(const result *got, const result *want, size_t k, const char *what) {
    for (size_t row = 0; row < got->q.rows; row++)
        for (size_t i = 0; i < k && !isnan(want->range.at[row * 2]); i++)
            if (element(&got->q, row, i) != element(&want->q, row, i))
                check_fail("%s: q (%zu, %zu) is %u, should be %u", what, row, i, element(&got->q, row, i),
                           element(&want->q, row, i));
}

static void test_rows(const sv_kernels *kernels, const rows *t, const char *label) {
    check_begin("%s quantize rows=%zu k=%zu ldx=%zu%s %s", kernels->tier, t->rows, t->k, t->x.ld,
                t->with_multiplier ? " multiplier" : "", label);
    result all = quantize(&kernels->int8.gemm, t, false), ref = quantize(&check_ref()->int8.gemm, t, false);
    result single = quantize(&kernels->int8.gemm, t, true);
    check_oracle(t, &all);
    matrix_check_same(&all.range, &ref.range, "ranges against ref");
    check_same_integers(&all, &ref, t->k, "against ref");
    matrix_check_same(&single.range, &all.range, "ranges row by row");
    check_same_integers(&single, &all, t->k, "row by row");
    result_close(&all);
    result_close(&ref);
    result_close(&single);
}

void test_quantize(const sv_kernels *kernels) {
    if (!kernels->int8.gemm.name)
        return;
    const size_t ks[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 384, 768, 1536, 1537};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (size_t count = 0; count < 8; count += 1 + count)
            for (size_t p = 0; p < PATTERNS; p++) {
                rows t = rows_open(count, ks[i], (pattern)p);
                test_rows(kernels, &t, pattern_names[p]);
                rows_close(&t);
            }
    /* One value of a row, the whole row, or every other one. */
    const float specials[] = {NAN,  INFINITY, -INFINITY, 0x1p-149f, -0x1p-127f, 0x1p-101f, 0x1p-100f,
                              0.0f, -0.0f,    1.0f,      -17.25f,   3.4e38f,    -3.4e38f,  1.7e38f};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        for (size_t how = 0; how < 4; how++) {
            rows t = rows_open(3, 1 + random_below(80), RANDOM);
            for (size_t j = 0; j < t.k; j++) {
                float *x = &t.x.at[t.x.ld + j];
                if (how == 0)
                    *x = j == t.k / 2 ? specials[i] : *x;
                else if (how == 1)
                    *x = specials[i];
                else
                    *x = j % 2 ? specials[i] : how == 2 ? -specials[i] : 0.0f;
            }
            char label[60];
            snprintf(label, sizeof label, "with %g in row 1, way %zu", specials[i], how);
            test_rows(kernels, &t, label);
            rows_close(&t);
        }
}

/* ---------------------------------------------------- GELU's output */

typedef struct gelu_rows {
    size_t rows, k;
    matrix x;     /* (rows, k) int16 */
    matrix range; /* (rows, 2), on entry */
    unsigned exponent;
    size_t gap;
} gelu_rows;

/* `width` above the least of the exponent, or less. */
static gelu_rows gelu_rows_open(size_t count, size_t k, unsigned exponent, size_t width) {
    gelu_rows t = {
        .rows = count,
        .k = k,
        .x = matrix_open_typed(sizeof(int16_t), count, k, k + random_below(3), false),
        .range = matrix_open(count, 2, 2),
        .exponent = exponent,
        .gap = random_below(2),
    };
    const int least = -(200 >> exponent);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < k; i++) {
            const int value = least + (int)random_below(width + 1);
            t.x.u16[row * t.x.ld + i] = (uint16_t)(value < INT16_MAX ? value : INT16_MAX);
        }
        t.range.at[row * 2] = random_below(8) ? 1 : NAN;
        t.range.at[row * 2 + 1] = t.range.at[row * 2];
    }
    return t;
}

static result quantize_gelu(const sv_gemm *g, const gelu_rows *t, bool row_by_row) {
    const size_t stride = g->stride(t->k), ld = stride + t->gap * 64 / g->element;
    result r = {matrix_open_typed(g->element, t->rows, stride, ld, true), matrix_copy(&t->range)};
    const size_t step = row_by_row || !t->rows ? 1 : t->rows;
    for (size_t row = 0; row < t->rows; row += step)
        g->prepare_gelu(r.q.u8 + row * ld * g->element, ld, (sv_row_range *)(void *)(r.range.at + row * 2),
                        (const int16_t *)t->x.u16 + row * t->x.ld, t->x.ld, t->exponent, step, t->k);
    matrix_check_canaries(&r.q, "q");
    matrix_check_canaries(&r.range, "range");
    return r;
}

/* Values come back to within half a step, and one rounding of it. */
static void check_gelu_oracle(const gelu_rows *t, const result *r) {
    const double unit = ldexp(SV_GELU_UNIT, -(int)t->exponent);
    for (size_t row = 0; row < t->rows; row++) {
        const float scale = r->range.at[row * 2], low = r->range.at[row * 2 + 1];
        if (isnan(t->range.at[row * 2])) {
            if (!isnan(scale) || !isnan(low))
                check_fail("row %zu: range (%g, %g) of a row of NaN", row, scale, low);
            continue;
        }
        check_close(low, -(200 >> t->exponent) / unit, 2 * U * fabs(low), "low", row, 0);
        for (size_t i = 0; i < r->q.columns; i++) {
            const unsigned q = element(&r->q, row, i);
            const double value = i < t->k ? (int16_t)t->x.u16[row * t->x.ld + i] / unit : low;
            /* Above 32767 steps the difference is cut. */
            check_close((float)(low + (double)scale * q), fmin(value, low + 32767 / unit), scale * 0.51 + 1e-5, "low + scale q",
                        row, i);
            if (q > 255)
                check_fail("q (%zu, %zu) is %u", row, i, q);
        }
    }
}

static void test_gelu_rows(const sv_kernels *kernels, size_t count, size_t k, unsigned exponent, size_t width) {
    gelu_rows t = gelu_rows_open(count, k, exponent, width);
    check_begin("%s quantize_gelu rows=%zu k=%zu ldx=%zu exponent=%u width=%zu", kernels->tier, count, k, t.x.ld, exponent,
                width);
    result all = quantize_gelu(&kernels->int8.gemm, &t, false), ref = quantize_gelu(&check_ref()->int8.gemm, &t, false);
    result single = quantize_gelu(&kernels->int8.gemm, &t, true);
    check_gelu_oracle(&t, &all);
    matrix_check_same(&all.range, &ref.range, "ranges against ref");
    check_same_integers(&all, &ref, k, "against ref");
    matrix_check_same(&single.range, &all.range, "ranges row by row");
    check_same_integers(&single, &all, k, "row by row");
    result_close(&all);
    result_close(&ref);
    result_close(&single);
    matrix_close(&t.x);
    matrix_close(&t.range);
}

void test_quantize_gelu(const sv_kernels *kernels) {
    if (!kernels->int8.gemm.name)
        return;
    const size_t ks[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 384, 1536, 1537};
    const size_t widths[] = {0, 1, 2, 100, 254, 255, 256, 257, 1000, 4095, 30000, 32766, 32767, 32768, 33000};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++)
            for (unsigned exponent = 0; exponent <= SV_GELU_EXPONENT_MAX; exponent++)
                test_gelu_rows(kernels, random_below(6), ks[i], exponent, widths[j]);
}

/* ----------------------------------------------------------------- bench */

typedef struct quantize_bench {
    const sv_gemm *gemm;
    size_t rows, k;
    float *x, *multiplier;
    void *q;
    sv_row_range *range;
} quantize_bench;

static void call(void *context) {
    const quantize_bench *b = context;
    b->gemm->prepare(b->q, b->gemm->stride(b->k), b->range, b->x, b->k, b->multiplier, b->rows, b->k);
}

/* x's bits will do for any int16. */
static void call_gelu(void *context) {
    const quantize_bench *b = context;
    b->gemm->prepare_gelu(b->q, b->gemm->stride(b->k), b->range, (const int16_t *)(void *)b->x, b->k, 0, b->rows, b->k);
}

void bench_quantize(const sv_kernels *kernels, double peak_gmacs) {
    (void)peak_gmacs;
    if (!kernels->int8.gemm.name)
        return;
    const size_t shapes[][2] = {{12, 384}, {48, 384}, {12, BENCH_INNER}, {48, BENCH_INNER}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t count = shapes[i][0], k = shapes[i][1];
        quantize_bench b = {&kernels->int8.gemm,
                            count,
                            k,
                            bench_alloc(count * k * sizeof(float)),
                            bench_alloc(k * sizeof(float)),
                            bench_alloc(count * k * kernels->int8.gemm.element),
                            bench_alloc(count * sizeof(sv_row_range))};
        for (size_t j = 0; j < count * k; j++)
            b.x[j] = random_float(RANDOM);
        for (size_t j = 0; j < k; j++)
            b.multiplier[j] = random_float(RANDOM);
        quantize_bench ref = b;
        ref.gemm = &check_ref()->int8.gemm;
        char name[80];
        snprintf(name, sizeof name, "quantize rows=%zu k=%zu", count, k);
        bench_print(name, bench_ns(call, &b, 20), 0, 0, bench_ns(call, &ref, 20));
        snprintf(name, sizeof name, "quantize_gelu rows=%zu k=%zu", count, k);
        bench_print(name, bench_ns(call_gelu, &b, 20), 0, 0, bench_ns(call_gelu, &ref, 20));
        free(b.x);
        free(b.multiplier);
        free(b.q);
        free(b.range);
    }
}
