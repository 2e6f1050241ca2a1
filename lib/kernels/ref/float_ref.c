/* The ref tier, float kernels: each in the plainest C that meets the contract. It is the definition of right for the other
 * tiers, the only tier where no vector code exists, and the yardstick of --bench. So this file is compiled without contraction
 * (each fused multiply-add is written as fmaf) and without the auto-vectoriser.
 *
 * Sums of a GEMM and of attention are float, k ascending, one fmaf a step, as everywhere. What isn't a long sum is computed in
 * double and rounded once: that is right to half an ulp without having to be clever. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/ref/float_ref.h"
#include "kernels/tiers.h"

enum { MR = 1, NR = 8 };

float sv_gelu_ref(float x) {
    return (float)(0.5 * x * (1.0 + erf(x * M_SQRT1_2)));
}

static void gelu_f32(float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = sv_gelu_ref(x[i]);
}

static void gelu_tanh_f32(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const double at = x[i];
        x[i] = (float)(at / (1.0 + exp(-2 * sqrt(M_2_PI) * (at + 0.044715 * at * at * at))));
    }
}

/* ------------------------------------------------------------------- GEMM */

static size_t gemm_stride(size_t k) {
    return k;
}

static size_t gemm_packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * k * sizeof(float);
}

static void gemm_pack(void *packed, const void *from, size_t ldw, size_t n, size_t k) {
    const float *w = from;
    float *out = packed;
    for (size_t panel = 0; panel < n; panel += NR)
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < NR; j++)
                *out++ = panel + j < n ? w[(panel + j) * ldw + i] : 0.0f;
}

static void gemm_run(const sv_gemm_args *g) {
    assert(g->panel >= gemm_packed_size(NR, g->k));
    for (size_t first = 0; first < g->n; first += NR) {
        const float *w = (const float *)(const void *)((const char *)g->w + first / NR * g->panel); /* (k, NR) */
        const size_t columns = g->n - first < NR ? g->n - first : NR;
        for (size_t row = 0; row < g->m; row++) {
            const float *a = (const float *)g->a + row * g->lda;
            float *c = (float *)g->c + row * g->ldc + first;
            float sum[NR] = {0};
            if (g->accumulate)
                memcpy(sum, c, columns * sizeof *c);
            for (size_t i = 0; i < g->k; i++)
                for (size_t j = 0; j < NR; j++)
                    sum[j] = fmaf(a[i], w[i * NR + j], sum[j]);
            for (size_t j = 0; j < columns; j++) {
                float y = g->bias ? sum[j] + g->bias[first + j] : sum[j];
                if (g->residual)
                    y += g->residual[row * g->ldc + first + j];
                c[j] = g->output == SV_GEMM_GELU ? sv_gelu_ref(y) : y;
            }
        }
    }
}

/* -------------------------------------------------------------- attention */

static size_t attention_scratch_size(size_t n, size_t d) {
    (void)d;
    return n * sizeof(float);
}

static void attention(const sv_attention_args *g) {
    const float *v = g->v;
    float *p = g->scratch; /* (n): a query's scores, then its probabilities */
    for (size_t head = 0; head < g->heads; head++)
        for (size_t query = 0; query < g->queries; query++) {
            const float *q = (const float *)g->q + query * g->ld + head * g->d;
            float *out = g->out + query * g->ld_out + head * g->d;

            float highest = -INFINITY;
            for (size_t key = 0; key < g->n; key++) {
                const float *k = (const float *)g->k + key * g->ld + head * g->d;
                float sum = 0.0f;
                for (size_t i = 0; i < g->d; i++)
                    sum = fmaf(q[i], k[i], sum);
                p[key] = sum * g->scale;
                if (g->bias)
                    p[key] = fmaf(sum, g->scale, g->bias[(ptrdiff_t)(head * g->ld_bias + query) - (ptrdiff_t)key]);
                highest = fmaxf(highest, p[key]);
            }
            float total = 0.0f;
            for (size_t key = 0; key < g->n; key++) {
                p[key] = (float)exp((double)p[key] - highest);
                total += p[key];
            }
            for (size_t i = 0; i < g->d; i++) {
                float sum = 0.0f;
                for (size_t key = 0; key < g->n; key++)
                    sum = fmaf(p[key], v[key * g->ld + head * g->d + i], sum);
                out[i] = sum / total;
            }
        }
}

/* -------------------------------------------------------------- LayerNorm */

static void layernorm(float *out, size_t ld_out, const float *x, size_t ldx, const float *gamma, const float *beta, float eps,
                      size_t rows, size_t h) {
    for (size_t row = 0; row < rows; row++) {
        float *y = out + row * ld_out;
        double sum = 0.0;
        for (size_t i = 0; i < h; i++) {
            y[i] = x[row * ldx + i];
            sum += y[i];
        }
        const double mean = sum / (double)h;
        double squares = 0.0;
        for (size_t i = 0; i < h; i++)
            squares += (y[i] - mean) * (y[i] - mean);
        const double scale = 1.0 / sqrt(squares / (double)h + eps);
        for (size_t i = 0; i < h; i++)
            y[i] = (float)((y[i] - mean) * scale * gamma[i] + beta[i]);
    }
}

#define ATTENTION                                                                                                              \
    { .name = "attention_f32_ref", .scratch_size = attention_scratch_size, .run = attention }

const sv_kernels sv_kernels_ref = {
    .tier = "ref",
    .fp32 = {.gemm = {.name = "gemm_f32_ref_1x8",
                      .mr = MR,
                      .nr = NR,
                      .panel_rows = 48,
                      .element = sizeof(float),
                      .gelu = true,
                      .stride = gemm_stride,
                      .packed_size = gemm_packed_size,
                      .pack = gemm_pack,
                      .run = gemm_run},
             .attention = ATTENTION},
    .bf16.attention = ATTENTION,
    .int8.attention = ATTENTION,
    .layernorm_f32 = layernorm,
    .gelu_f32 = gelu_f32,
    .gelu_tanh_f32 = gelu_tanh_f32,
};
