/* int8's product: pack and run. Its contract names every operation, so all tiers must agree with ref bit for bit, and ref with
 * an oracle that sums in 64 bits; GELU is compared with the exact one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* What the integers are. PEAK: the largest products, all of one sign. SIGNS: the largest, signs at random, so that sums of
 * neighbours reach both ends. SPARSE: mostly zeros. */
typedef enum integers { ANY, PEAK, SIGNS, SPARSE, INTEGERS } integers;
static const char *const integers_names[INTEGERS] = {"any", "peak", "signs", "sparse"};

typedef struct problem {
    size_t m, n, k;
    matrix q, w;                 /* (m, k) u8, (n, k) s8 */
    sv_row_range *range;         /* (m) */
    matrix w_scale, w_sum, bias; /* (n) */
    matrix residual;             /* (m, n) */
    size_t ldc;
    bool gelu;
    unsigned exponent;
    bool bf16, with_residual; /* what C is */
} problem;

static uint8_t random_q(integers kind) {
    return kind == PEAK                        ? 255
           : kind == SIGNS                     ? (random_below(8) ? 255 : 0)
           : kind == SPARSE && random_below(8) ? 0
                                               : (uint8_t)random_below(256);
}

static int8_t random_w(integers kind, bool negative) {
    return kind == PEAK    ? (negative ? -127 : 127)
           : kind == SIGNS ? (random_below(2) ? -127 : 127)
                           : (int8_t)(random_below(255) - 127);
}

static problem problem_open(const sv_kernels *kernels, size_t m, size_t n, size_t k, integers kind) {
    problem p = {
        .m = m,
        .n = n,
        .k = k,
        .q = matrix_open_typed(1, m, k, k + 1, false),
        .w = matrix_open_typed(1, n, k, k + random_below(3), false),
        .range = malloc((m + 1) * sizeof *p.range),
        .w_scale = matrix_open(1, n, n),
        .w_sum = matrix_open(1, n, n),
        .bias = matrix_open(1, n, n),
        .ldc = n + random_below(3),
        .gelu = random_below(2),
        .exponent = (unsigned)random_below(SV_GELU_EXPONENT_MAX + 1),
    };
    p.residual = matrix_open(m, n, p.ldc);
    matrix_fill(&p.residual, RANDOM);
    p.with_residual = !p.gelu && random_below(2);
    p.bf16 = !p.gelu && !p.with_residual && kernels->int8.attention.bf16 && random_below(2);
    const float unit = p.gelu ? SV_GELU_UNIT : 1;
    for (size_t row = 0; row < m; row++) {
        for (size_t i = 0; i < k; i++)
            p.q.u8[row * p.q.ld + i] = random_q(kind);
        p.range[row] = (sv_row_range){.scale = (1 + random_float(RANDOM)) / 64, .low = random_float(RANDOM) * 4 - 2};
    }
    for (size_t c = 0; c < n; c++) {
        int32_t sum = 0;
        for (size_t i = 0; i < k; i++)
            sum += p.w.s8[c * p.w.ld + i] = random_w(kind, c % 2);
        p.w_scale.at[c] = (1 + random_float(RANDOM)) / 256 * unit;
        p.w_sum.at[c] = (float)sum * p.w_scale.at[c];
        p.bias.at[c] = random_float(RANDOM) * unit;
    }
    return p;
}

static void problem_close(problem *p) {
    matrix_close(&p->q);
    matrix_close(&p->w);
    matrix_close(&p->w_scale);
    matrix_close(&p->w_sum);
    matrix_close(&p->bias);
    matrix_close(&p->residual);
    free(p->range);
}

static matrix pack(const sv_gemm *g, const problem *p) {
    const size_t bytes = g->packed_size(p->n, p->k);
    matrix packed = matrix_open_typed(1, 1, bytes, bytes, true);
    g->pack(packed.u8, p->w.s8, p->w.ld, p->n, p->k);
    matrix_check_canaries(&packed, "packed W");
    return packed;
}

/* q in the tier's elements, zeros up to the stride, sometimes a line between the rows. */
static matrix activations(const sv_gemm *g, const problem *p) {
    const size_t stride = g->stride(p->k);
    matrix a = matrix_open_typed(g->element, p->m, stride, stride + random_below(2) * 64 / g->element, true);
    for (size_t row = 0; row < p->m; row++)
        for (size_t i = 0; i < stride; i++) {
            const uint16_t q = i < p->k ? p->q.u8[row * p->q.ld + i] : 0;
            if (g->element == 1)
                a.u8[row * a.ld + i] = (uint8_t)q;
            else
                a.u16[row * a.ld + i] = q;
        }
    return a;
}

/* Room for C: 16 bits with GELU and for bfloat16. */
static matrix c_open(const problem *p) {
    return matrix_open_typed(p->gelu || p->bf16 ? sizeof(int16_t) : sizeof(float), p->m, p->n, p->ldc, false);
}

static sv_gemm_args whole(const sv_gemm *g, const problem *p, const matrix *a, const matrix *packed, const matrix *c) {
    return (sv_gemm_args){
        .a = a->u8,
        .lda = a->ld,
        .range = p->range,
        .w = packed->u8,
        .panel = g->packed_size(g->nr, p->k),
        .w_scale = p->w_scale.at,
        .w_sum = p->w_sum.at,
        .bias = p->bias.at,
        .c = c->u8,
        .residual = p->with_residual ? p->residual.at : NULL,
        .output = p->gelu   ? SV_GEMM_GELU_FIXED
                  : p->bf16 ? SV_GEMM_BF16
                            : SV_GEMM_FLOAT,
        .gelu_exponent = p->exponent,
        .ldc = c->ld,
        .m = p->m,
        .n = p->n,
        .k = p->k,
    };
}

/* C by rows alone and by single panels. */
static matrix run_in_pieces(const sv_gemm *g, const problem *p, const matrix *a, const matrix *packed) {
    matrix c = c_open(p);
    for (size_t row = 0; row < p->m; row++)
        for (size_t column = 0; column < p->n; column += g->nr) {
            sv_gemm_args args = whole(g, p, a, packed, &c);
            args.a = a->u8 + row * a->ld * a->element;
            args.range += row;
            args.w = packed->u8 + column / g->nr * args.panel;
            args.w_scale += column;
            args.w_sum += column;
            args.bias += column;
            args.c = c.u8 + (row * args.ldc + column) * c.element;
            if (args.residual)
                args.residual += row * args.ldc + column;
            args.m = 1;
            args.n = p->n - column < g->nr ? p->n - column : g->nr;
            g->run(&args);
        }
    matrix_check_canaries(&c, "C in pieces");
    return c;
}

static void check_gelu(const problem *p, int16_t got, float y, size_t row, size_t column) {
    static const double bounds[] = {8.2e-4, 9.0e-4, 1.8e-3, 3.5e-3, 6.9e-3}; /* those of gelu_int8.h */
    const double unit = ldexp(SV_GELU_UNIT, -(int)p->exponent);
    /* What isn't less than 2^31, or is no number, is the least int16: GELU of it is 0. */
    const double x = !(fabsf(y) < 0x1p31f) ? -32768 : fmin(fmax(y, -32768), 32767);
    check_close((float)(got / unit), gelu_oracle(x / unit), bounds[p->exponent] + 0.57 / unit, "GELU against the oracle", row,
                column);
}

static void check_oracle(const problem *p, const matrix *c) {
    for (size_t row = 0; row < p->m; row++)
        for (size_t column = 0; column < p->n; column++) {
            int64_t sum = 0;
            for (size_t i = 0; i < p->k; i++)
                sum += (int64_t)p->q.u8[row * p->q.ld + i] * p->w.s8[column * p->w.ld + i];
            const sv_row_range range = p->range[row];
            const float offset = fmaf(range.low, p->w_sum.at[column], p->bias.at[column]);
            const float product = (float)sum * p->w_scale.at[column];
            const float y = fmaf(product, range.scale, offset);
            if (p->gelu)
                check_gelu(p, (int16_t)c->u16[row * c->ld + column], y, row, column);
            else if (p->bf16)
                check_close(bf16_as_float(c->u16[row * c->ld + column]), bf16_oracle(y), 0, "C against the oracle", row,
                            column);
            else if (p->with_residual)
                check_close(c->at[row * c->ld + column], y + p->residual.at[row * p->residual.ld + column], 0,
                            "C against the oracle", row, column);
            else
                check_close(c->at[row * c->ld + column], y, 0, "C against the oracle", row, column);
        }
}

static matrix run_whole(const sv_gemm *g, const problem *p, bool also_in_pieces) {
    matrix packed = pack(g, p), a = activations(g, p), c = c_open(p);
    const sv_gemm_args args = whole(g, p, &a, &packed, &c);
    g->run(&args);
    matrix_check_canaries(&c, "C");
    if (also_in_pieces) {
        matrix pieces = run_in_pieces(g, p, &a, &packed);
        matrix_check_same(&pieces, &c, "C in pieces");
        matrix_close(&pieces);
    }
    matrix_close(&packed);
    matrix_close(&a);
    return c;
}

static void test_problem(const sv_kernels *kernels, const problem *p, const char *label) {
    const sv_gemm *g = &kernels->int8.gemm;
    check_begin("%s %s m=%zu n=%zu k=%zu ldc=%zu%s%s%s %s", kernels->tier, g->name, p->m, p->n, p->k, p->ldc,
                p->gelu ? " gelu" : "", p->with_residual ? " residual" : "", p->bf16 ? " to bf16" : "", label);
    matrix c = run_whole(g, p, true);
    if (!p->bf16) { /* which ref doesn't write */
        matrix ref = run_whole(&check_ref()->int8.gemm, p, false);
        matrix_check_same(&c, &ref, "C against ref");
        matrix_close(&ref);
    }
    check_oracle(p, &c);
    matrix_close(&c);
}

static void test_shape(const sv_kernels *kernels, size_t m, size_t n, size_t k, integers kind) {
    problem p = problem_open(kernels, m, n, k, kind);
    test_problem(kernels, &p, integers_names[kind]);
    problem_close(&p);
}

/* Ranges of NaN, infinity, denormals and zeros stay in their rows. */
static void test_ranges(const sv_kernels *kernels) {
    const float specials[] = {NAN, INFINITY, -INFINITY, 0x1p-140f, 0.0f, -0.0f, 3e38f};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        for (size_t gelu = 0; gelu < 2; gelu++) {
            problem p = problem_open(kernels, 5, 19, 13, ANY);
            p.gelu = gelu;
            p.bf16 = p.bf16 && !gelu;
            p.with_residual = p.with_residual && !gelu;
            p.range[2].low = specials[i];
            p.range[3].scale = specials[i];
            p.range[4] = (sv_row_range){specials[i], specials[i]};
            p.w_scale.at[7] = 0x1p-120f;
            p.bias.at[8] = -0.0f;
            char label[40];
            snprintf(label, sizeof label, "with ranges of %g", specials[i]);
            test_problem(kernels, &p, label);
            problem_close(&p);
        }
}

/* All of gelu_int8, by way of the bias: every int16, halves between them, and far away. */
static void test_values(const sv_kernels *kernels) {
    const size_t n = 1024;
    for (size_t part = 0; part < 134; part++) {
        problem p = problem_open(kernels, 1, n + part % 3, 4, SPARSE);
        p.gelu = true;
        p.bf16 = p.with_residual = false;
        for (size_t c = 0; c < p.n; c++) {
            const size_t value = part % 67 * n + c;
            p.w_scale.at[c] = 0;
            p.w_sum.at[c] = 0;
            p.bias.at[c] = value < 66 * n ? (float)value - 33 * (float)n + (part < 67 ? 0 : 0.5f)
                                          : random_float((pattern)random_below(PATTERNS)) * (c % 2 ? 1 : 0x1p31f);
        }
        test_problem(kernels, &p, "values of gelu");
        problem_close(&p);
    }
}

void test_int8(const sv_kernels *kernels) {
    if (!kernels->int8.gemm.name)
        return;
    const size_t mr = kernels->int8.gemm.mr, nr = kernels->int8.gemm.nr;
    const size_t ms[] = {0, 1, 2, mr > 1 ? mr - 1 : 3, mr, mr + 1, 2 * mr, 2 * mr + 1, 23};
    const size_t ns[] = {0, 1, nr / 2 - 1, nr / 2, nr / 2 + 1, nr - 1, nr, nr + 1, 2 * nr + nr / 2, 53};
    const size_t ks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257, 301};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t kind = 0; kind < INTEGERS; kind++)
                test_shape(kernels, ms[i], ns[j], ks[random_below(sizeof ks / sizeof *ks)], (integers)kind);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        test_shape(kernels, mr + 1, nr + 3, ks[i], (integers)random_below(INTEGERS));
    static const size_t models[][2] = {{384, 1536}, {768, 3072}, {32, 128}}; /* hidden, inner */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const size_t h = models[i][0], inner = models[i][1];
        const size_t sizes[][2] = {{3 * h, h}, {h, h}, {inner, h}, {h, inner}};
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            test_shape(kernels, 3, sizes[j][0], sizes[j][1], ANY);
    }
    test_shape(kernels, 97, nr, 1536, SIGNS); /* more rows than any block */
    test_shape(kernels, 301, 3, 40, ANY);
    test_shape(kernels, 301, 3 * nr, 100, ANY); /* an odd number of panels, of whose tiles one waits when they begin again */
    test_shape(kernels, 2, nr + 1, SV_GEMM_INT8_MAX_K, PEAK);
    test_shape(kernels, 2, 3, SV_GEMM_INT8_MAX_K, SIGNS);
    test_ranges(kernels);
    test_values(kernels);
}

/* ----------------------------------------------------------------- bench */

typedef struct int8_product {
    const sv_gemm *gemm;
    void *a;             /* (BENCH_ROWS, BENCH_INNER) */
    sv_row_range *range; /* (BENCH_ROWS) */
    float *columns, *c;  /* (BENCH_INNER), (BENCH_ROWS, BENCH_INNER) */
    int16_t *gelu;       /* (BENCH_ROWS, BENCH_INNER) */
    void *packed[BENCH_LAYERS][BENCH_SHAPES];
} int8_product;

static void run_product(void *context, size_t layer, size_t shape, size_t m) {
    const int8_product *p = context;
    const bench_shape *s = &bench_shapes[shape];
    p->gemm->run(&(sv_gemm_args){.a = p->a,
                                 .lda = p->gemm->stride(s->k),
                                 .range = p->range,
                                 .w = p->packed[layer][shape],
                                 .panel = p->gemm->packed_size(p->gemm->nr, s->k),
                                 .w_scale = p->columns,
                                 .w_sum = p->columns,
                                 .bias = p->columns,
                                 .c = s->gelu ? (void *)p->gelu : p->c,
                                 .output = s->gelu ? SV_GEMM_GELU_FIXED : SV_GEMM_FLOAT,
                                 .ldc = s->n,
                                 .m = m,
                                 .n = s->n,
                                 .k = s->k});
}

static int8_product product_open(const sv_gemm *g) {
    const size_t rows = BENCH_ROWS, inner = BENCH_INNER;
    int8_product p = {.gemm = g,
                      .a = bench_alloc(rows * inner * g->element),
                      .range = bench_alloc(rows * sizeof *p.range),
                      .columns = bench_alloc(inner * sizeof(float)),
                      .c = bench_alloc(rows * inner * sizeof(float)),
                      .gelu = bench_alloc(rows * inner * sizeof(int16_t))};
    for (size_t i = 0; i < rows * inner; i++)
        p.c[i] = random_float(RANDOM);
    for (size_t i = 0; i < inner; i++)
        p.columns[i] = random_float(RANDOM);
    g->prepare(p.a, g->stride(inner), p.range, p.c, inner, NULL, rows, inner);
    int8_t *w = bench_alloc(inner * inner);
    for (size_t i = 0; i < inner * inner; i++)
        w[i] = random_w(ANY, false);
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++) {
            const size_t n = bench_shapes[i].n, k = bench_shapes[i].k;
            p.packed[layer][i] = bench_alloc(g->packed_size(n, k));
            g->pack(p.packed[layer][i], w, k, n, k);
        }
    free(w);
    return p;
}

static void product_close(int8_product *p) {
    free(p->a);
    free(p->range);
    free(p->columns);
    free(p->c);
    free(p->gelu);
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++)
            free(p->packed[layer][i]);
}

void bench_int8(const sv_kernels *kernels, double peak_gmacs) {
    if (!kernels->int8.gemm.name)
        return;
    const size_t ms[] = {12, 48, 96, 256};
    int8_product p = product_open(&kernels->int8.gemm), ref = product_open(&check_ref()->int8.gemm);
    const bench_product both[2] = {{&p, run_product}, {&ref, run_product}};
    bench_linear(&both[kernels == check_ref()], &both[1], ms, sizeof ms / sizeof *ms, peak_gmacs);
    product_close(&p);
    product_close(&ref);
}
