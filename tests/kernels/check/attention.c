/* attention_f32. The oracle is softmax(Q K' scale) V in double.
 *
 * The bound: a score is a chain of d fused multiply-adds, so off by at most d U sum |q k| scale; that and the rounding of the
 * exponent (relative, to a magnitude of |score| + |largest score|) enter e^x as a relative error of each weight, twice, since
 * the sum of weights has it too. The chains over n keys add n U each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct text {
    size_t n, heads, d;
    matrix q, k, v; /* (n, heads * d) with one ld */
    float scale;
} text;

static text text_open(size_t n, size_t heads, size_t d, pattern p) {
    const size_t width = heads * d, ld = width + random_below(3);
    text t = {
        .n = n,
        .heads = heads,
        .d = d,
        .q = matrix_open(n, width, ld),
        .k = matrix_open(n, width, ld),
        .v = matrix_open(n, width, ld),
        .scale = 1 / sqrtf((float)d),
    };
    matrix_fill(&t.q, p);
    matrix_fill(&t.k, p);
    matrix_fill(&t.v, p);
    return t;
}

static void text_close(text *t) {
    matrix_close(&t->q);
    matrix_close(&t->k);
    matrix_close(&t->v);
}

/* Heads [first, last) into their columns of `out`, in one call. */
static void run_heads(const sv_kernels *kernels, const text *t, size_t first, size_t last, const matrix *out) {
    matrix scratch = matrix_open_aligned(kernels->attention_f32_scratch(t->n, t->d));
    kernels->attention_f32(&(sv_attention_f32_args){
        .q = t->q.at + first * t->d,
        .k = t->k.at + first * t->d,
        .v = t->v.at + first * t->d,
        .ld = t->q.ld,
        .out = out->at + first * t->d,
        .ld_out = out->ld,
        .n = t->n,
        .heads = last - first,
        .d = t->d,
        .scale = t->scale,
        .scratch = scratch.at,
    });
    matrix_check_canaries(&scratch, "scratch");
    matrix_check_canaries(out, "out");
    matrix_close(&scratch);
}

static void check_oracle(const text *t, const matrix *out) {
    double *score = malloc((t->n + 1) * sizeof *score), *size = malloc((t->n + 1) * sizeof *size);
    for (size_t head = 0; head < t->heads; head++)
        for (size_t query = 0; query < t->n; query++) {
            const size_t at = head * t->d;
            double highest = -INFINITY, reach = 0, magnitude = 0;
            for (size_t key = 0; key < t->n; key++) {
                score[key] = size[key] = 0;
                for (size_t i = 0; i < t->d; i++) {
                    const double product = (double)t->q.at[query * t->q.ld + at + i] * t->k.at[key * t->k.ld + at + i];
                    score[key] += product * t->scale;
                    size[key] += fabs(product * t->scale);
                }
                highest = score[key] > highest ? score[key] : highest;
                reach = fmax(reach, fabs(score[key]));
                magnitude = fmax(magnitude, size[key]);
            }
            const double exponent_error = (double)(t->d + 1) * U * magnitude + 6 * U * reach + (double)t->d * 0x1p-149;
            double total = 0;
            for (size_t key = 0; key < t->n; key++)
                total += score[key] = exp(score[key] - highest);
            for (size_t i = 0; i < t->d; i++) {
                double sum = 0, weight = 0, largest = 0;
                for (size_t key = 0; key < t->n; key++) {
                    const double value = t->v.at[key * t->v.ld + at + i];
                    sum += score[key] / total * value;
                    weight += score[key] / total * fabs(value);
                    largest = fmax(largest, fabs(value));
                }
                const double relative = 2 * expm1(2 * exponent_error) + (double)(2 * t->n + 16) * U;
                double bound = relative * weight + (double)t->n * (0x1p-126 * largest + 0x1p-149);
                /* Scores so large that their errors decide which key wins: an average of V is all that can be asked. */
                if (!(exponent_error < 0.5))
                    bound = 2.001 * largest;
                check_close(out->at[query * out->ld + at + i], sum, bound, "out against the oracle", query, at + i);
            }
        }
    free(score);
    free(size);
}

static void test_text(const sv_kernels *kernels, const text *t, const char *label) {
    check_begin("%s attention_f32 n=%zu heads=%zu d=%zu ld=%zu %s", kernels->tier, t->n, t->heads, t->d, t->q.ld, label);
    matrix out = matrix_open(t->n, t->heads * t->d, t->heads * t->d + random_below(3));
    run_heads(kernels, t, 0, t->heads, &out);
    check_oracle(t, &out);

    matrix one_by_one = matrix_open(t->n, t->heads * t->d, out.ld);
    for (size_t head = 0; head < t->heads; head++)
        run_heads(kernels, t, head, head + 1, &one_by_one);
    matrix_check_same(&one_by_one, &out, "each head alone");
    matrix_close(&one_by_one);
    matrix_close(&out);
}

/* The same text with its tokens turned by one place: out turns too, to within rounding, and a single query of many has the bits
 * that it has when the order of the *queries* alone changes. */
static void test_query_order(const sv_kernels *kernels, size_t n) {
    text t = text_open(n, 1, 32, RANDOM);
    check_begin("%s attention_f32 n=%zu with its queries reversed", kernels->tier, n);
    matrix out = matrix_open(n, t.d, t.d), reversed = matrix_open(n, t.d, t.d), back = matrix_open(n, t.d, t.d);
    run_heads(kernels, &t, 0, 1, &out);
    matrix q = matrix_open(n, t.d, t.q.ld);
    for (size_t i = 0; i < n; i++)
        memcpy(q.at + i * q.ld, t.q.at + (n - 1 - i) * t.q.ld, t.d * sizeof *q.at);
    matrix_close(&t.q);
    t.q = q;
    run_heads(kernels, &t, 0, 1, &reversed);
    for (size_t i = 0; i < n; i++)
        memcpy(back.at + i * t.d, reversed.at + (n - 1 - i) * t.d, t.d * sizeof *q.at);
    matrix_check_same(&back, &out, "reversed queries");
    matrix_close(&out);
    matrix_close(&reversed);
    matrix_close(&back);
    text_close(&t);
}

static void test_special(const sv_kernels *kernels) {
    const float specials[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        for (size_t which = 0; which < 3; which++) {
            text t = text_open(kernels->gemm_f32.nr + 3, 2, 24, RANDOM);
            matrix *m = which == 0 ? &t.q : which == 1 ? &t.k : &t.v;
            m->at[random_below(t.n) * m->ld + random_below(2 * t.d)] = specials[i];
            char label[64];
            snprintf(label, sizeof label, "%g in %c", specials[i], "QKV"[which]);
            test_text(kernels, &t, label);
            text_close(&t);
        }
}

void test_attention(const sv_kernels *kernels) {
    const size_t nr = kernels->gemm_f32.nr;
    const size_t ns[] = {0, 1, 2, 5, 6, 7, nr / 2 - 1, nr / 2, nr / 2 + 1, nr - 1, nr, nr + 1, 2 * nr + 5, 3 * nr, 101};
    const size_t ds[] = {1, 4, 8, 13, 32, 33, 64, 80};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
        for (size_t j = 0; j < sizeof ds / sizeof *ds; j++)
            for (size_t p = 0; p < PATTERNS; p++) {
                if (p != RANDOM && random_below(3))
                    continue;
                text t = text_open(ns[i], 1 + random_below(3), ds[j], (pattern)p);
                test_text(kernels, &t, pattern_names[p]);
                text_close(&t);
            }
    static const size_t models[][3] = {{14, 12, 32}, {256, 2, 32}, {130, 2, 64}, {9, 4, 8}}; /* n, heads, d */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        text t = text_open(models[i][0], models[i][1], models[i][2], RANDOM);
        test_text(kernels, &t, "random");
        text_close(&t);
    }
    test_query_order(kernels, nr - 1);
    test_query_order(kernels, 2 * nr + 3);
    test_special(kernels);
}

/* ----------------------------------------------------------------- bench */

typedef struct attention_bench {
    void (*attention)(const sv_attention_f32_args *args);
    sv_attention_f32_args args;
} attention_bench;

static void call_attention(void *context) {
    const attention_bench *b = context;
    b->attention(&b->args);
}

static double time_attention(const sv_kernels *kernels, size_t n, unsigned milliseconds) {
    const size_t heads = 12, d = 32, width = heads * d;
    matrix qkv = matrix_open_aligned(n * 3 * width), out = matrix_open_aligned(n * width);
    matrix scratch = matrix_open_aligned(kernels->attention_f32_scratch(n, d));
    matrix_fill(&qkv, RANDOM);
    attention_bench b = {kernels->attention_f32,
                         {.q = qkv.at,
                          .k = qkv.at + width,
                          .v = qkv.at + 2 * width,
                          .ld = 3 * width,
                          .out = out.at,
                          .ld_out = width,
                          .n = n,
                          .heads = heads,
                          .d = d,
                          .scale = 0.176776695f,
                          .scratch = scratch.at}};
    const double ns = bench_ns(call_attention, &b, milliseconds);
    matrix_close(&qkv);
    matrix_close(&out);
    matrix_close(&scratch);
    return ns;
}

void bench_attention(const sv_kernels *kernels, double peak_gmacs) {
    const size_t ns[] = {4, 8, 11, 14, 16, 32, 64, 128, 256};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        char name[80];
        snprintf(name, sizeof name, "12 heads of 32, n=%zu", ns[i]);
        bench_print(name, time_attention(kernels, ns[i], 30), 2.0 * (double)(ns[i] * ns[i] * 384), peak_gmacs,
                    time_attention(check_ref(), ns[i], 10));
    }
}
