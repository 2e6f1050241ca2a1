/* bf16's product: prepare, pack and run. `prepare` has the same bits on every tier; sums are judged by an oracle in double,
 * since processors differ in how a pair of products is rounded. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct problem {
    size_t m, n, k;
    matrix x, w, bias, residual; /* (m, k), (n, k), (n), (m, n) float */
    size_t gap, ldc;
    bool gelu, with_residual;
    bool to_bf16; /* C is */
} problem;

static problem problem_open(const sv_kernels *kernels, size_t m, size_t n, size_t k, pattern p) {
    problem q = {
        .m = m,
        .n = n,
        .k = k,
        .x = matrix_open(m, k, k + random_below(3)),
        .w = matrix_open(n, k, k + random_below(3)),
        .bias = matrix_open(1, n, n),
        .gap = random_below(2),
        .ldc = n + random_below(3),
        .gelu = random_below(3) == 0,
    };
    q.residual = matrix_open(m, n, q.ldc);
    q.with_residual = !q.gelu && random_below(2);
    q.to_bf16 = !q.with_residual && !q.gelu && kernels->bf16.attention.bf16 && random_below(2);
    matrix_fill(&q.x, p);
    matrix_fill(&q.w, p);
    matrix_fill(&q.bias, p);
    matrix_fill(&q.residual, p);
    return q;
}

static void problem_close(problem *q) {
    matrix_close(&q->x);
    matrix_close(&q->w);
    matrix_close(&q->bias);
    matrix_close(&q->residual);
}

static matrix convert(const sv_gemm *g, const problem *q) {
    const size_t stride = g->stride(q->k);
    matrix a = matrix_open_typed(sizeof(uint16_t), q->m, stride, stride + q->gap * 32, true);
    g->prepare(a.u16, a.ld, NULL, q->x.at, q->x.ld, NULL, q->m, q->k);
    matrix_check_canaries(&a, "A");
    return a;
}

static matrix pack(const sv_gemm *g, const problem *q) {
    const size_t bytes = g->packed_size(q->n, q->k);
    matrix packed = matrix_open_typed(1, 1, bytes, bytes, true);
    g->pack(packed.u8, q->w.at, q->w.ld, q->n, q->k);
    matrix_check_canaries(&packed, "packed W");
    return packed;
}

static sv_gemm_args whole(const sv_gemm *g, const problem *q, const matrix *a, const matrix *packed, const matrix *c) {
    return (sv_gemm_args){
        .a = a->u16,
        .lda = a->ld,
        .w = packed->u8,
        .panel = g->packed_size(g->nr, q->k),
        .bias = q->bias.at,
        .residual = q->with_residual ? q->residual.at : NULL,
        .c = c->u8,
        .ldc = c->ld,
        .m = q->m,
        .n = q->n,
        .k = q->k,
        .output = q->gelu      ? SV_GEMM_GELU
                  : q->to_bf16 ? SV_GEMM_BF16
                               : SV_GEMM_FLOAT,
    };
}

static matrix c_open(const problem *q) {
    return matrix_open_typed(q->to_bf16 ? sizeof(uint16_t) : sizeof(float), q->m, q->n, q->ldc, false);
}

/* C by rows alone and by single panels. */
static matrix run_in_pieces(const sv_gemm *g, const problem *q, const matrix *a, const matrix *packed) {
    matrix c = c_open(q);
    for (size_t row = 0; row < q->m; row++)
        for (size_t column = 0; column < q->n; column += g->nr) {
            sv_gemm_args args = whole(g, q, a, packed, &c);
            args.a = a->u16 + row * args.lda;
            args.w = packed->u8 + column / g->nr * args.panel;
            args.bias += column;
            args.c = c.u8 + (row * args.ldc + column) * c.element;
            if (args.residual)
                args.residual += row * args.ldc + column;
            args.m = 1;
            args.n = q->n - column < g->nr ? q->n - column : g->nr;
            g->run(&args);
        }
    matrix_check_canaries(&c, "C in pieces");
    return c;
}

static void check_converted(const problem *q, const matrix *a) {
    for (size_t row = 0; row < q->m; row++)
        for (size_t i = 0; i < a->columns; i++) {
            const float got = bf16_as_float(a->u16[row * a->ld + i]);
            const double want = i < q->k ? bf16_oracle(q->x.at[row * q->x.ld + i]) : 0.0;
            check_close(got, want, 0, "A against the oracle", row, i);
            if (!isnan(want) && !signbit(got) != !signbit(want))
                check_fail("A (%zu, %zu) is a zero of the wrong sign", row, i);
        }
}

/* k additions, each rounded or flushed, of exact products. */
static void check_oracle(const problem *q, const matrix *c) {
    for (size_t row = 0; row < q->m; row++)
        for (size_t column = 0; column < q->n; column++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < q->k; i++) {
                const double product = bf16_oracle(q->x.at[row * q->x.ld + i]) * bf16_oracle(q->w.at[column * q->w.ld + i]);
                sum += product;
                magnitude += fabs(product);
            }
            sum += q->bias.at[column];
            magnitude += fabs(q->bias.at[column]);
            if (q->with_residual) {
                sum += q->residual.at[row * q->residual.ld + column];
                magnitude += fabs(q->residual.at[row * q->residual.ld + column]);
            }
            if (magnitude > 0x1p126 && !isinf(magnitude)) /* may overflow on the way */
                continue;
            double bound = (double)(q->k + 3) * (2 * U * magnitude + 0x1p-125);
            if (q->gelu && isfinite(sum)) {
                bound = 1.13 * bound + gelu_bound(fabs(sum) + bound); /* the slope of GELU is below 1.13 */
                sum = gelu_oracle(sum);
            } else if (q->gelu)
                sum = sum == INFINITY ? sum : NAN;
            const size_t at = row * c->ld + column;
            if (q->to_bf16 && isfinite(sum))
                bound += 0x1p-8 * (fabs(sum) + bound);
            check_close(q->to_bf16 ? bf16_as_float(c->u16[at]) : c->at[at], sum, bound, "C against the oracle", row, column);
        }
}

static void test_problem(const sv_kernels *kernels, const problem *q, const char *label) {
    const sv_gemm *g = &kernels->bf16.gemm;
    check_begin("%s %s m=%zu n=%zu k=%zu ldc=%zu%s%s%s %s", kernels->tier, g->name, q->m, q->n, q->k, q->ldc,
                q->gelu ? " gelu" : "", q->with_residual ? " residual" : "", q->to_bf16 ? " to bf16" : "", label);
    matrix packed = pack(g, q), a = convert(g, q), c = c_open(q);
    check_converted(q, &a);
    const sv_gemm_args args = whole(g, q, &a, &packed, &c);
    g->run(&args);
    matrix_check_canaries(&c, "C");
    check_oracle(q, &c);
    matrix pieces = run_in_pieces(g, q, &a, &packed);
    matrix_check_same(&pieces, &c, "C in pieces");
    matrix_close(&packed);
    matrix_close(&a);
    matrix_close(&c);
    matrix_close(&pieces);
}

static void test_shape(const sv_kernels *kernels, size_t m, size_t n, size_t k, pattern p) {
    problem q = problem_open(kernels, m, n, k, p);
    test_problem(kernels, &q, pattern_names[p]);
    problem_close(&q);
}

void test_bf16(const sv_kernels *kernels) {
    if (!kernels->bf16.gemm.name)
        return;
    const size_t mr = kernels->bf16.gemm.mr, nr = kernels->bf16.gemm.nr;
    const size_t ms[] = {0, 1, 2, mr > 1 ? mr - 1 : 3, mr, mr + 1, 2 * mr + 1, 23};
    const size_t ns[] = {0, 1, nr / 2 - 1, nr / 2, nr / 2 + 1, nr - 1, nr, nr + 1, 2 * nr + nr / 2};
    const size_t ks[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 257, 301};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t p = 0; p < PATTERNS; p++)
                test_shape(kernels, ms[i], ns[j], ks[random_below(sizeof ks / sizeof *ks)], (pattern)p);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        test_shape(kernels, mr + 1, nr + 3, ks[i], RANDOM);
    const size_t h = 384, inner = 1536, sizes[][2] = {{3 * h, h}, {h, h}, {inner, h}, {h, inner}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        test_shape(kernels, 3, sizes[i][0], sizes[i][1], RANDOM);
    test_shape(kernels, 97, nr, 1536, RANDOM); /* more rows than any block */
    const float specials[] = {NAN, INFINITY, -INFINITY, 0x1p-149f, -0x1.fffffcp-127f, 0x1.ffp127f, 0x1.01p0f, 0x1.03p0f, -0.0f};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        problem q = problem_open(kernels, 3, 19, 1 + random_below(40), RANDOM);
        q.x.at[q.x.ld + random_below(q.k)] = specials[i];
        q.w.at[q.w.ld + random_below(q.k)] = specials[i];
        char label[40];
        snprintf(label, sizeof label, "with %g in row 1 of A and W", specials[i]);
        test_problem(kernels, &q, label);
        problem_close(&q);
    }
}

/* ----------------------------------------------------------------- bench */

typedef struct bf16_product {
    const sv_gemm *gemm;
    uint16_t *a;     /* (BENCH_ROWS, BENCH_INNER) */
    float *bias, *c; /* (BENCH_INNER), (BENCH_ROWS, BENCH_INNER) */
    void *packed[BENCH_LAYERS][BENCH_SHAPES];
} bf16_product;

static void run_product(void *context, size_t layer, size_t shape, size_t m) {
    const bf16_product *p = context;
    const bench_shape *s = &bench_shapes[shape];
    p->gemm->run(&(sv_gemm_args){.a = p->a,
                                 .lda = p->gemm->stride(s->k),
                                 .w = p->packed[layer][shape],
                                 .panel = p->gemm->packed_size(p->gemm->nr, s->k),
                                 .bias = p->bias,
                                 .c = p->c,
                                 .ldc = s->n,
                                 .m = m,
                                 .n = s->n,
                                 .k = s->k,
                                 .output = s->gelu ? SV_GEMM_GELU : SV_GEMM_FLOAT});
}

static bf16_product product_open(const sv_gemm *g) {
    const size_t rows = BENCH_ROWS, inner = BENCH_INNER;
    bf16_product p = {.gemm = g,
                      .a = bench_alloc(rows * inner * sizeof *p.a),
                      .bias = bench_alloc(inner * sizeof(float)),
                      .c = bench_alloc(rows * inner * sizeof(float))};
    float *w = bench_alloc(inner * inner * sizeof *w);
    for (size_t i = 0; i < inner * inner; i++)
        w[i] = random_float(RANDOM);
    for (size_t i = 0; i < rows * inner; i++)
        p.c[i] = random_float(RANDOM);
    for (size_t i = 0; i < inner; i++)
        p.bias[i] = random_float(RANDOM);
    g->prepare(p.a, g->stride(inner), NULL, p.c, inner, NULL, rows, inner);
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++) {
            const size_t n = bench_shapes[i].n, k = bench_shapes[i].k;
            p.packed[layer][i] = bench_alloc(g->packed_size(n, k));
            g->pack(p.packed[layer][i], w, k, n, k);
        }
    free(w);
    return p;
}

static void product_close(bf16_product *p) {
    free(p->a);
    free(p->bias);
    free(p->c);
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++)
            free(p->packed[layer][i]);
}

void bench_bf16(const sv_kernels *kernels, double peak_gmacs) {
    if (!kernels->bf16.gemm.name)
        return;
    const size_t ms[] = {12, 48, 96, 256};
    bf16_product p = product_open(&kernels->bf16.gemm), ref = product_open(&check_ref()->bf16.gemm);
    const bench_product both[2] = {{&p, run_product}, {&ref, run_product}};
    bench_linear(&both[kernels == check_ref()], &both[1], ms, sizeof ms / sizeof *ms, peak_gmacs);
    product_close(&p);
    product_close(&ref);
}
