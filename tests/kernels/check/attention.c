/* attention_f32, attention_bf16 and attention_int8. The oracle is softmax(Q K' scale + B) V in double.
 *
 * The bound: a score is a chain of d fused multiply-adds, so off by at most d U sum |q k| scale; that and the rounding of the
 * exponent (relative, to a magnitude of |score| + |largest score|) enter e^x as a relative error of each weight, twice, since
 * the sum of weights has it too. The chains over n keys add n U each.
 *
 * Where q, k and v are bfloat16, weights are rounded to it too. It has 8 significant bits: neighbours between 2^e and 2^(e+1)
 * are 2^(e-7) apart, so the nearer one is at most 2^(e-8) away, which is 2^-8 of a weight just above 2^e. Before that, e^x is
 * off by 8.6e-5. So a weight w becomes w (1 + r), |r| <= R = 2^-8 + 2^-12, and of sum(w v) / sum(w) the numerator is off by at
 * most R sum(w |v|), the denominator by R sum(w): the quotient by 2 R / (1 - R) < 2.01 R of sum(w |v|) / sum(w). Two keys come
 * near it: one has nearly all of the weight and a value near 0, the other a small weight, rounded the other way, and a large
 * value.
 *
 * In int8 a key's column i is off by half of 1/255 of its range, and q[i] times that range by half of 1/127 of the largest such
 * product of the text; from which the scores of a query differ by what the keys are away from the middle of their ranges. What
 * scales them has 15 bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* One of the two, of a tier. */
typedef struct subject {
    const char *tier, *test;
    const sv_attention *attention;
    size_t nr;     /* of the tier's tiles */
    double weight; /* relative error of a softmax's weight */
    bool bytes;    /* q and k as integers of 8 bits */
} subject;

typedef struct text {
    size_t n, heads, d, queries;
    matrix q, k, v; /* (n, heads * d) with one ld */
    matrix bias;    /* (heads, n - 1 + queries) by distance; no rows: none */
    bool bf16;      /* they are rounded to it */
    float scale;
} text;

static uint16_t bf16_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Some bfloat16 next to each value. */
static void make_bf16(matrix *m) {
    for (size_t row = 0; row < m->rows; row++)
        for (size_t i = 0; i < m->columns; i++) {
            const uint32_t bits = (uint32_t)bf16_of(m->at[row * m->ld + i]) << 16;
            memcpy(&m->at[row * m->ld + i], &bits, sizeof bits);
        }
}

static text text_open(const subject *s, size_t n, size_t heads, size_t d, pattern p) {
    const size_t width = heads * d, ld = width + random_below(3);
    text t = {
        .n = n,
        .heads = heads,
        .d = d,
        .queries = n,
        .q = matrix_open(n, width, ld),
        .k = matrix_open(n, width, ld),
        .v = matrix_open(n, width, ld),
        .scale = 1 / sqrtf((float)d),
    };
    matrix_fill(&t.q, p);
    matrix_fill(&t.k, p);
    matrix_fill(&t.v, p);
    t.bf16 = s->attention->bf16;
    if (t.bf16) {
        make_bf16(&t.q);
        make_bf16(&t.k);
        make_bf16(&t.v);
    }
    return t;
}

static void text_close(text *t) {
    matrix_close(&t->q);
    matrix_close(&t->k);
    matrix_close(&t->v);
    matrix_close(&t->bias);
}

/* Gives a text a bias of -4 .. 4, and leaves it so many queries. */
static void add_bias(text *t, size_t queries) {
    t->queries = queries;
    matrix_close(&t->bias);
    t->bias = matrix_open(t->heads, t->n - 1 + queries, t->n - 1 + queries + random_below(3));
    matrix_fill(&t->bias, RANDOM);
    for (size_t head = 0; head < t->heads; head++)
        for (size_t i = 0; i < t->bias.columns; i++)
            t->bias.at[head * t->bias.ld + i] *= 4;
}

static double bias_of(const text *t, size_t head, size_t query, size_t key) {
    return t->bias.rows ? t->bias.at[head * t->bias.ld + t->n - 1 + query - key] : 0;
}

/* q, k or v as attention reads it. */
static matrix input(const text *t, const matrix *m) {
    matrix copy = matrix_open_typed(t->bf16 ? sizeof(uint16_t) : sizeof(float), m->rows, m->columns, m->ld, false);
    for (size_t row = 0; row < m->rows; row++)
        for (size_t i = 0; i < m->columns; i++)
            if (t->bf16)
                copy.u16[row * m->ld + i] = bf16_of(m->at[row * m->ld + i]);
            else
                copy.at[row * m->ld + i] = m->at[row * m->ld + i];
    return copy;
}

/* Heads [first, last) into their columns of `out`, in one call. */
static void run_heads(const subject *s, const text *t, size_t first, size_t last, const matrix *out) {
    matrix q = input(t, &t->q), k = input(t, &t->k), v = input(t, &t->v);
    const size_t at = first * t->d * q.element;
    matrix scratch = matrix_open_aligned(s->attention->scratch_size(t->n, t->d) / sizeof(float));
    s->attention->run(&(sv_attention_args){
        .q = q.u8 + at,
        .k = k.u8 + at,
        .v = v.u8 + at,
        .ld = t->q.ld,
        .out = out->at + first * t->d,
        .ld_out = out->ld,
        .n = t->n,
        .heads = last - first,
        .d = t->d,
        .queries = t->queries,
        .scale = t->scale,
        .bias = t->bias.rows ? t->bias.at + first * t->bias.ld + t->n - 1 : NULL,
        .ld_bias = t->bias.ld,
        .scratch = scratch.at,
    });
    matrix_check_canaries(&scratch, "scratch");
    matrix_check_canaries(out, "out");
    matrix_close(&scratch);
    matrix_close(&q);
    matrix_close(&k);
    matrix_close(&v);
}

/* What the score of a query may be off by, relative to those of the other keys, as its q and k are rounded to 8 bits. */
static double bytes_error(const text *t, size_t query, size_t at) {
    double total = 0, largest = 0;
    for (size_t i = 0; i < t->d; i++) {
        double low = INFINITY, high = -INFINITY, most = 0;
        for (size_t row = 0; row < t->n; row++) {
            low = fmin(low, t->k.at[row * t->k.ld + at + i]);
            high = fmax(high, t->k.at[row * t->k.ld + at + i]);
            most = fmax(most, fabs(t->q.at[row * t->q.ld + at + i]));
        }
        total += fabs((double)t->q.at[query * t->q.ld + at + i]) * (high - low);
        largest = fmax(largest, most * (high - low));
    }
    return 1.01 * t->scale * (total / 510 + (double)t->d * largest / 254 / 2);
}

static void check_oracle(const subject *s, const text *t, const matrix *out) {
    double *score = malloc((t->n + 1) * sizeof *score), *size = malloc((t->n + 1) * sizeof *size);
    for (size_t head = 0; head < t->heads; head++)
        for (size_t query = 0; query < t->queries; query++) {
            const size_t at = head * t->d;
            double highest = -INFINITY, reach = 0, magnitude = 0;
            for (size_t key = 0; key < t->n; key++) {
                score[key] = bias_of(t, head, query, key);
                size[key] = fabs(score[key]);
                for (size_t i = 0; i < t->d; i++) {
                    const double product = (double)t->q.at[query * t->q.ld + at + i] * t->k.at[key * t->k.ld + at + i];
                    score[key] += product * t->scale;
                    size[key] += fabs(product * t->scale);
                }
                highest = score[key] > highest ? score[key] : highest;
                reach = fmax(reach, fabs(score[key]));
                magnitude = fmax(magnitude, size[key]);
            }
            const double exponent_error = (double)(t->d + 1) * U * magnitude + 6 * U * reach + (double)t->d * 0x1p-125 +
                                          (s->bytes ? bytes_error(t, query, at) + 0x1p-14 * magnitude : 0);
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
                const double relative = 2 * expm1(2 * exponent_error) + (double)(2 * t->n + 16) * U + 2.01 * s->weight;
                double bound = relative * weight + (double)t->n * (0x1p-125 * largest + 0x1p-125);
                /* Scores so large that their errors decide which key wins: an average of V is all that can be asked. */
                if (!(exponent_error < 0.5))
                    bound = 2.01 * largest;
                check_close(out->at[query * out->ld + at + i], sum, bound, "out against the oracle", query, at + i);
            }
        }
    free(score);
    free(size);
}

static void test_text(const subject *s, const text *t, const char *label) {
    check_begin("%s %s n=%zu queries=%zu heads=%zu d=%zu ld=%zu %s%s", s->tier, s->test, t->n, t->queries, t->heads, t->d,
                t->q.ld, label, t->bias.rows ? " with a bias" : "");
    matrix out = matrix_open(t->queries, t->heads * t->d, t->heads * t->d + random_below(3));
    run_heads(s, t, 0, t->heads, &out);
    check_oracle(s, t, &out);

    matrix one_by_one = matrix_open(t->queries, t->heads * t->d, out.ld);
    for (size_t head = 0; head < t->heads; head++)
        run_heads(s, t, head, head + 1, &one_by_one);
    matrix_check_same(&one_by_one, &out, "each head alone");
    matrix_close(&one_by_one);
    matrix_close(&out);
}

/* The same text with its tokens turned by one place: out turns too, to within rounding, and a single query of many has the bits
 * that it has when the order of the *queries* alone changes. */
static void test_query_order(const subject *s, size_t n) {
    text t = text_open(s, n, 1, 32, RANDOM);
    check_begin("%s %s n=%zu with its queries reversed", s->tier, s->test, n);
    matrix out = matrix_open(n, t.d, t.d), reversed = matrix_open(n, t.d, t.d), back = matrix_open(n, t.d, t.d);
    run_heads(s, &t, 0, 1, &out);
    matrix q = matrix_open(n, t.d, t.q.ld);
    for (size_t i = 0; i < n; i++)
        memcpy(q.at + i * q.ld, t.q.at + (n - 1 - i) * t.q.ld, t.d * sizeof *q.at);
    matrix_close(&t.q);
    t.q = q;
    run_heads(s, &t, 0, 1, &reversed);
    for (size_t i = 0; i < n; i++)
        memcpy(back.at + i * t.d, reversed.at + (n - 1 - i) * t.d, t.d * sizeof *q.at);
    matrix_check_same(&back, &out, "reversed queries");
    matrix_close(&out);
    matrix_close(&reversed);
    matrix_close(&back);
    text_close(&t);
}

/* With a bias, and with fewer queries than keys: these have the bits that they have among all of them. */
static void test_bias(const subject *s, size_t n, size_t d, pattern p) {
    text t = text_open(s, n, 1 + random_below(3), d, p);
    add_bias(&t, n);
    test_text(s, &t, pattern_names[p]);
    matrix all = matrix_open(n, t.heads * d, t.heads * d);
    run_heads(s, &t, 0, t.heads, &all);
    const size_t fewer[] = {1, n / 2, n - 1};
    for (size_t i = 0; i < sizeof fewer / sizeof *fewer; i++) {
        t.queries = fewer[i];
        matrix out = matrix_open(t.queries, t.heads * d, t.heads * d), first = matrix_open(t.queries, t.heads * d, t.heads * d);
        check_begin("%s %s n=%zu queries=%zu d=%zu", s->tier, s->test, n, t.queries, d);
        run_heads(s, &t, 0, t.heads, &out);
        for (size_t row = 0; row < t.queries; row++)
            memcpy(first.at + row * first.ld, all.at + row * all.ld, t.heads * d * sizeof *all.at);
        matrix_check_same(&out, &first, "the first queries alone");
        matrix_close(&out);
        matrix_close(&first);
    }
    matrix_close(&all);
    add_bias(&t, n > 1 ? n - 1 : 1);
    test_text(s, &t, "some queries");
    matrix_close(&t.bias);
    t.bias = (matrix){0};
    t.queries = 1;
    test_text(s, &t, "the first query");
    text_close(&t);
}

static void test_special(const subject *s) {
    const float specials[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        for (size_t which = 0; which < 3; which++) {
            text t = text_open(s, s->nr + 3, 2, 24, RANDOM);
            matrix *m = which == 0 ? &t.q : which == 1 ? &t.k : &t.v;
            m->at[random_below(t.n) * m->ld + random_below(2 * t.d)] = specials[i];
            char label[64];
            snprintf(label, sizeof label, "%g in %c", specials[i], "QKV"[which]);
            test_text(s, &t, label);
            text_close(&t);
        }
}

/* Every query agrees with its own key, by so many octaves more than with the others: out is that key's value. No precision
 * excuses anything else, however large the scores are. */
static void test_steep(const subject *s) {
    static const double octaves[] = {20, 90, 110, 125, 130, 150, 190, 260, 600, 5000, 1e6};
    for (size_t i = 0; i < sizeof octaves / sizeof *octaves; i++) {
        text t = text_open(s, 61, 1, 64, RANDOM);
        check_begin("%s %s n=%zu, own keys ahead by %g octaves", s->tier, s->test, t.n, octaves[i]);
        float peak = (float)sqrt(octaves[i] * M_LN2 / (double)t.scale / (double)t.d);
        const uint32_t bits = (uint32_t)bf16_of(peak) << 16;
        memcpy(&peak, &bits, sizeof peak);
        for (size_t row = 0; row < t.n; row++) /* of a Hadamard matrix, which are orthogonal */
            for (size_t column = 0; column < t.d; column++) {
                const float x = __builtin_parityl(row & column) ? -peak : peak;
                t.q.at[row * t.q.ld + column] = t.k.at[row * t.k.ld + column] = x;
            }
        matrix out = matrix_open(t.n, t.d, t.d);
        run_heads(s, &t, 0, 1, &out);
        for (size_t row = 0; row < t.n; row++)
            for (size_t column = 0; column < t.d; column++)
                check_close(out.at[row * out.ld + column], t.v.at[row * t.v.ld + column], 0x1p-9,
                            "out against the own key's value", row, column);
        matrix_close(&out);
        text_close(&t);
    }
}

static void test_subject(const subject *s) {
    const size_t nr = s->nr;
    const size_t ns[] = {0, 1, 2, 5, 6, 7, nr / 2 - 1, nr / 2, nr / 2 + 1, nr - 1, nr, nr + 1, 2 * nr + 5, 3 * nr, 101};
    const size_t ds[] = {1, 4, 8, 13, 32, 33, 64, 80};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
        for (size_t j = 0; j < sizeof ds / sizeof *ds; j++)
            for (size_t p = 0; p < PATTERNS; p++) {
                if (p != RANDOM && random_below(3))
                    continue;
                text t = text_open(s, ns[i], 1 + random_below(3), ds[j], (pattern)p);
                test_text(s, &t, pattern_names[p]);
                text_close(&t);
            }
    static const size_t models[][3] = {{14, 12, 32}, {256, 2, 32}, {130, 2, 64}, {9, 4, 8}}; /* n, heads, d */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        text t = text_open(s, models[i][0], models[i][1], models[i][2], RANDOM);
        test_text(s, &t, "random");
        text_close(&t);
    }
    for (size_t i = 1; i < sizeof ns / sizeof *ns; i++)
        for (size_t j = 3; j < sizeof ds / sizeof *ds; j++)
            test_bias(s, ns[i], ds[j], random_below(3) ? RANDOM : MIXED);
    test_query_order(s, nr - 1);
    test_query_order(s, 2 * nr + 3);
    test_special(s);
    test_steep(s);
}

void test_attention_f32(const sv_kernels *kernels) {
    test_subject(&(subject){kernels->tier, "attention_f32", &kernels->fp32.attention, kernels->fp32.gemm.nr, 0, false});
}

/* Where it is the same function as attention_f32 there is nothing to test. */
static bool has_bf16(const sv_kernels *kernels) {
    return kernels->bf16.attention.run != kernels->fp32.attention.run;
}

void test_attention_bf16(const sv_kernels *kernels) {
    if (has_bf16(kernels))
        test_subject(&(subject){kernels->tier, "attention_bf16", &kernels->bf16.attention, kernels->bf16.gemm.nr,
                                0x1p-8 + 0x1p-12, false});
}

static bool has_int8(const sv_kernels *kernels) {
    return kernels->int8.attention.run != kernels->bf16.attention.run &&
           kernels->int8.attention.run != kernels->fp32.attention.run;
}

void test_attention_int8(const sv_kernels *kernels) {
    if (has_int8(kernels))
        test_subject(
            &(subject){kernels->tier, "attention_int8", &kernels->int8.attention, kernels->int8.gemm.nr, 0x1p-6, true});
}

/* ----------------------------------------------------------------- bench */

typedef struct attention_bench {
    const sv_attention *attention;
    sv_attention_args args;
} attention_bench;

static void call_attention(void *context) {
    const attention_bench *b = context;
    b->attention->run(&b->args);
}

static double time_attention(const sv_attention *attention, size_t n, unsigned milliseconds) {
    const size_t heads = 12, d = 32, width = heads * d;
    const size_t element = attention->bf16 ? sizeof(uint16_t) : sizeof(float);
    matrix qkv = matrix_open_typed(element, 1, n * 3 * width, n * 3 * width, true), out = matrix_open_aligned(n * width);
    matrix scratch = matrix_open_aligned(attention->scratch_size(n, d) / sizeof(float));
    for (size_t i = 0; i < n * 3 * width; i++)
        if (attention->bf16)
            qkv.u16[i] = bf16_of(random_float(RANDOM));
        else
            qkv.at[i] = random_float(RANDOM);
    attention_bench b = {attention,
                         {.q = qkv.u8,
                          .k = qkv.u8 + width * element,
                          .v = qkv.u8 + 2 * width * element,
                          .ld = 3 * width,
                          .out = out.at,
                          .ld_out = width,
                          .n = n,
                          .heads = heads,
                          .d = d,
                          .queries = n,
                          .scale = 0.176776695f,
                          .scratch = scratch.at}};
    const double ns = bench_ns(call_attention, &b, milliseconds);
    matrix_close(&qkv);
    matrix_close(&out);
    matrix_close(&scratch);
    return ns;
}

static void bench_subject(const sv_attention *attention, double peak_gmacs) {
    const size_t ns[] = {4, 8, 11, 14, 16, 32, 64, 128, 256};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        char name[80];
        snprintf(name, sizeof name, "12 heads of 32, n=%zu", ns[i]);
        bench_print(name, time_attention(attention, ns[i], 30), 2.0 * (double)(ns[i] * ns[i] * 384), peak_gmacs,
                    time_attention(&check_ref()->fp32.attention, ns[i], 10));
    }
}

void bench_attention_f32(const sv_kernels *kernels, double peak_gmacs) {
    bench_subject(&kernels->fp32.attention, peak_gmacs);
}

void bench_attention_bf16(const sv_kernels *kernels, double peak_gmacs) {
    if (has_bf16(kernels))
        bench_subject(&kernels->bf16.attention, peak_gmacs);
}

void bench_attention_int8(const sv_kernels *kernels, double peak_gmacs) {
    if (has_int8(kernels))
        bench_subject(&kernels->int8.attention, peak_gmacs);
}
