/* fp32's product: pack and run.
 *
 * The sum of an output is one chain of fused multiply-adds in one order on every tier, so without GELU all tiers agree with ref
 * bit for bit, NaN payloads aside; that is compared first. The oracle then says that the chain itself is right: a chain of k
 * fused multiply-adds is off by at most k U times the sum of the products' magnitudes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct problem {
    size_t m, n, k;
    matrix a, w, bias, residual, c; /* c: what C holds before */
    bool with_bias, with_residual, accumulate, gelu;
} problem;

/* With strides larger than the rows in some cases. */
static problem problem_open(size_t m, size_t n, size_t k, pattern p) {
    const size_t gap = random_below(3);
    problem q = {
        .m = m,
        .n = n,
        .k = k,
        .a = matrix_open(m, k, k + gap),
        .w = matrix_open(n, k, k + random_below(3)),
        .bias = matrix_open(1, n, n),
        .residual = matrix_open(m, n, n + gap),
        .c = matrix_open(m, n, n + gap),
        .with_bias = random_below(4) != 0,
        .accumulate = random_below(3) == 0,
        .gelu = random_below(3) == 0,
    };
    q.with_residual = !q.gelu && random_below(2);
    matrix_fill(&q.a, p);
    matrix_fill(&q.w, p);
    matrix_fill(&q.bias, p);
    matrix_fill(&q.residual, p);
    matrix_fill(&q.c, p);
    return q;
}

static void problem_close(problem *q) {
    matrix_close(&q->a);
    matrix_close(&q->w);
    matrix_close(&q->bias);
    matrix_close(&q->residual);
    matrix_close(&q->c);
}

static matrix pack(const sv_kernels *kernels, const problem *q) {
    const sv_gemm *g = &kernels->fp32.gemm;
    matrix packed = matrix_open_aligned(g->packed_size(q->n, q->k) / sizeof(float));
    g->pack(packed.at, q->w.at, q->w.ld, q->n, q->k);
    matrix_check_canaries(&packed, "packed W");
    return packed;
}

static sv_gemm_args whole(const sv_kernels *kernels, const problem *q, const matrix *packed, const matrix *c) {
    return (sv_gemm_args){
        .a = q->a.at,
        .lda = q->a.ld,
        .w = packed->at,
        .panel = kernels->fp32.gemm.packed_size(kernels->fp32.gemm.nr, q->k),
        .bias = q->with_bias ? q->bias.at : NULL,
        .residual = q->with_residual ? q->residual.at : NULL,
        .c = c->at,
        .ldc = c->ld,
        .m = q->m,
        .n = q->n,
        .k = q->k,
        .accumulate = q->accumulate,
        .output = q->gelu ? SV_GEMM_GELU : SV_GEMM_FLOAT,
    };
}

/* C in one call. */
static matrix run_whole(const sv_kernels *kernels, const problem *q, const matrix *packed) {
    matrix c = matrix_copy(&q->c);
    const sv_gemm_args args = whole(kernels, q, packed, &c);
    kernels->fp32.gemm.run(&args);
    matrix_check_canaries(&c, "C");
    return c;
}

/* C by rows alone, by single panels, and with k cut in three: each call the smallest that is allowed. */
static matrix run_in_pieces(const sv_kernels *kernels, const problem *q, const matrix *packed) {
    matrix c = matrix_copy(&q->c);
    const size_t nr = kernels->fp32.gemm.nr;
    size_t cuts[4] = {0, random_below(q->k + 1), random_below(q->k + 1), q->k};
    if (cuts[1] > cuts[2]) {
        const size_t first = cuts[2];
        cuts[2] = cuts[1];
        cuts[1] = first;
    }
    for (size_t row = 0; row < q->m; row++)
        for (size_t column = 0; column < q->n; column += nr)
            for (size_t piece = 0; piece < 3; piece++) {
                sv_gemm_args args = whole(kernels, q, packed, &c);
                args.a = q->a.at + row * args.lda + cuts[piece];
                args.w = packed->at + column / nr * (args.panel / sizeof(float)) + cuts[piece] * nr;
                args.c = c.at + row * args.ldc + column;
                args.m = 1;
                args.n = q->n - column < nr ? q->n - column : nr;
                args.k = cuts[piece + 1] - cuts[piece];
                args.accumulate = args.accumulate || piece > 0;
                args.bias = args.bias && piece == 2 ? args.bias + column : NULL;
                args.residual = args.residual && piece == 2 ? args.residual + row * args.ldc + column : NULL;
                args.output = piece == 2 ? args.output : SV_GEMM_FLOAT;
                kernels->fp32.gemm.run(&args);
            }
    matrix_check_canaries(&c, "C in pieces");
    return c;
}

static void check_oracle(const problem *q, const matrix *c) {
    for (size_t row = 0; row < q->m; row++)
        for (size_t column = 0; column < q->n; column++) {
            double sum = q->accumulate ? q->c.at[row * q->c.ld + column] : 0, magnitude = fabs(sum);
            for (size_t i = 0; i < q->k; i++) {
                const double product = (double)q->a.at[row * q->a.ld + i] * q->w.at[column * q->w.ld + i];
                sum += product;
                magnitude += fabs(product);
            }
            if (q->with_bias) {
                sum += q->bias.at[column];
                magnitude += fabs(q->bias.at[column]);
            }
            if (q->with_residual) {
                sum += q->residual.at[row * q->residual.ld + column];
                magnitude += fabs(q->residual.at[row * q->residual.ld + column]);
            }
            if (magnitude > 0x1p126) /* a float may have overflowed on the way; the comparison with ref has seen it */
                continue;
            double bound = (double)(q->k + 3) * (U * magnitude + 0x1p-150);
            if (q->gelu) {
                bound = 1.13 * bound + gelu_bound(fabs(sum) + bound); /* the slope of GELU is below 1.13 */
                sum = gelu_oracle(sum);
            }
            check_close(c->at[row * c->ld + column], sum, bound, "C against the oracle", row, column);
        }
}

static void test_problem(const sv_kernels *kernels, problem *q, bool in_pieces, const char *label) {
    check_begin("%s %s m=%zu n=%zu k=%zu lda=%zu ldc=%zu%s%s%s%s %s", kernels->tier, kernels->fp32.gemm.name, q->m, q->n, q->k,
                q->a.ld, q->c.ld, q->with_bias ? " bias" : "", q->with_residual ? " residual" : "",
                q->accumulate ? " accumulate" : "", q->gelu ? " gelu" : "", label);
    matrix packed = pack(kernels, q);
    matrix c = run_whole(kernels, q, &packed);
    if (in_pieces) {
        matrix pieces = run_in_pieces(kernels, q, &packed);
        matrix_check_same(&pieces, &c, "C in pieces");
        matrix_close(&pieces);
    }
    if (!q->gelu && kernels != check_ref()) {
        matrix ref_packed = pack(check_ref(), q);
        matrix ref = run_whole(check_ref(), q, &ref_packed);
        matrix_check_same(&c, &ref, "C against ref");
        matrix_close(&ref);
        matrix_close(&ref_packed);
    }
    check_oracle(q, &c);
    matrix_close(&c);
    matrix_close(&packed);
}

/* One NaN, infinity or overflow somewhere in A or W must show exactly where the formula says, which the ref tier knows. */
static void test_special(const sv_kernels *kernels) {
    const float specials[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        for (size_t in_w = 0; in_w < 2; in_w++) {
            problem q = problem_open(kernels->fp32.gemm.mr + 2, kernels->fp32.gemm.nr + 3, 37, RANDOM);
            q.gelu = false;
            matrix *m = in_w ? &q.w : &q.a;
            m->at[random_below(m->rows) * m->ld + random_below(m->columns)] = specials[i];
            char label[64];
            snprintf(label, sizeof label, "%g in %s", specials[i], in_w ? "W" : "A");
            test_problem(kernels, &q, true, label);
            problem_close(&q);
        }
}

void test_gemm(const sv_kernels *kernels) {
    const size_t mr = kernels->fp32.gemm.mr, nr = kernels->fp32.gemm.nr;
    const size_t ms[] = {0, 1, 2, mr > 1 ? mr - 1 : 3, mr, mr + 1, 2 * mr, 2 * mr + 1, 23};
    const size_t ns[] = {0, 1, nr / 2 - 1, nr / 2, nr / 2 + 1, nr - 1, nr, nr + 1, 2 * nr + nr / 2, 53};
    const size_t ks[] = {0, 1, 2, 3, 7, 8, 16, 31, 32, 33, 255, 256, 257, 301};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t repeat = 0; repeat < 3; repeat++) {
                const pattern p = random_below(2) ? RANDOM : (pattern)random_below(PATTERNS);
                problem q = problem_open(ms[i], ns[j], ks[random_below(sizeof ks / sizeof *ks)], p);
                test_problem(kernels, &q, true, pattern_names[p]);
                problem_close(&q);
            }
    static const size_t models[][2] = {{384, 1536}, {768, 3072}, {32, 128}}; /* hidden, inner */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const size_t h = models[i][0], inner = models[i][1];
        const size_t shapes[][2] = {{3 * h, h}, {h, h}, {inner, h}, {h, inner}};
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            problem q = problem_open(3, shapes[j][0], shapes[j][1], RANDOM);
            test_problem(kernels, &q, i != 1, "random");
            problem_close(&q);
        }
    }
    test_special(kernels);
}

/* ----------------------------------------------------------------- bench */

typedef struct float_product {
    const sv_gemm *gemm;
    float *a, *c, *bias;                       /* (BENCH_ROWS, BENCH_INNER) twice, (BENCH_INNER) */
    float *packed[BENCH_LAYERS][BENCH_SHAPES]; /* (n, k) */
} float_product;

static void run_product(void *context, size_t layer, size_t shape, size_t m) {
    const float_product *p = context;
    const bench_shape *s = &bench_shapes[shape];
    p->gemm->run(&(sv_gemm_args){.a = p->a,
                                 .lda = s->k,
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

static float *random_floats(size_t count) {
    float *p = bench_alloc(count * sizeof *p);
    for (size_t i = 0; i < count; i++)
        p[i] = random_float(RANDOM);
    return p;
}

void bench_gemm(const sv_kernels *kernels, double peak_gmacs) {
    const size_t ms[] = {1, 14, 28, 42, 48, 128, 256, BENCH_ROWS};
    float_product p = {.gemm = &kernels->fp32.gemm,
                       .a = random_floats((size_t)BENCH_ROWS * BENCH_INNER),
                       .c = random_floats((size_t)BENCH_ROWS * BENCH_INNER),
                       .bias = random_floats(BENCH_INNER)};
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++) /* random floats are a packed matrix too; n is a multiple of every nr */
            p.packed[layer][i] = random_floats(bench_shapes[i].n * bench_shapes[i].k);
    float_product ref = p;
    ref.gemm = &check_ref()->fp32.gemm;
    const bench_product both[2] = {{&p, run_product}, {&ref, run_product}};
    bench_linear(&both[kernels == check_ref()], &both[1], ms, sizeof ms / sizeof *ms, peak_gmacs);
    free(p.a);
    free(p.c);
    free(p.bias);
    for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
        for (size_t i = 0; i < BENCH_SHAPES; i++)
            free(p.packed[layer][i]);
}
