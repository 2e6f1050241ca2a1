/* See heads.h. The classifiers are those of transformers' ...ForSequenceClassification: two layers, and between them tanh
 * (BERT's pooler, RoBERTa, MPNet), GELU (ELECTRA) or ReLU (DistilBERT). The masked models are ...ForMaskedLM: a layer, GELU
 * (BERT and DistilBERT: the activation of the feed-forward), LayerNorm, and a score for each word; SPLADE takes the largest
 * over the tokens, of logits here, since log(1 + max(x, 0)) never falls. */
#include "model/heads.h"

#include <math.h>
#include <string.h>

static bool has_classifier(const sv_config *config) {
    return config->task == SENVEC_TASK_RERANKER || config->task == SENVEC_TASK_CLASSIFIER;
}

static sv_activation between(const sv_config *config) {
    if (has_classifier(config))
        return config->family == SV_FAMILY_DISTILBERT ? SV_ACTIVATION_RELU : SV_ACTIVATION_GELU;
    return config->family == SV_FAMILY_BERT || config->family == SV_FAMILY_DISTILBERT ? config->activation : SV_ACTIVATION_GELU;
}

senvec_status sv_head_init(sv_head_layers *head, const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                           sv_arena *arena, senvec_error *err) {
    *head = (sv_head_layers){0};
    if (config->task == SENVEC_TASK_EMBEDDING)
        return SENVEC_OK;
    const sv_head_weights *from = &weights->head;
    const size_t h = config->hidden, n = has_classifier(config) ? config->labels : config->vocabulary;
    const sv_math math = {.kernels = *kernels, .precision = SENVEC_PRECISION_FP32, .activation = between(config)};
    const sv_gemm *gemm = &kernels->fp32.gemm;
    void *dense, *out;
    SENVEC_TRY(sv_arena_alloc(arena, sv_linear_size(gemm, h, h), 1, "a head's weights", &dense, err));
    SENVEC_TRY(sv_arena_alloc(arena, sv_linear_size(gemm, n, h), 1, "a head's weights", &out, err));
    *head = (sv_head_layers){
        .math = math,
        .tanh = has_classifier(config) && config->family != SV_FAMILY_ELECTRA && config->family != SV_FAMILY_DISTILBERT,
        .dense = sv_linear_pack(gemm, from->dense, from->dense_bias, h, h, dense),
        .gamma = from->gamma,
        .beta = from->beta,
        .eps = config->layernorm_eps,
        .out = sv_linear_pack(gemm, from->out, from->out_bias, n, h, out),
        .log_twice = config->log_twice,
    };
    /* Packed now: the file's copies needn't stay resident. */
    sv_weight_files_forget(&weights->files, from->dense, h * h * sizeof(float));
    sv_weight_files_forget(&weights->files, from->out, n * h * sizeof(float));
    return SENVEC_OK;
}

void sv_head_transform(const sv_head_layers *head, const float *x, size_t rows, float *out) {
    const size_t h = head->dense.n;
    sv_linear_run(&head->math, &head->dense, (sv_operand){.rows = x, .ld = h}, rows, 0, h,
                  head->tanh ? SV_LINEAR_FLOAT : SV_LINEAR_ACTIVATED, NULL, out, h);
    for (size_t i = 0; head->tanh && i < rows * h; i++)
        out[i] = tanhf(out[i]);
    if (head->gamma)
        head->math.kernels.layernorm_f32(out, h, out, h, head->gamma, head->beta, head->eps, rows, h);
}

void sv_head_score(const sv_head_layers *head, const float *x, float *scratch, float *out) {
    sv_head_transform(head, x, 1, scratch);
    sv_linear_run(&head->math, &head->out, (sv_operand){.rows = scratch, .ld = head->out.k}, 1, 0, head->out.n, SV_LINEAR_FLOAT,
                  NULL, out, head->out.n);
}

void sv_head_logits(const sv_head_layers *head, const float *t, size_t rows, size_t first, size_t last, float *out) {
    const sv_linear part = sv_linear_part(&head->out, first, last);
    sv_linear_run(&head->math, &part, (sv_operand){.rows = t, .ld = part.k}, rows, 0, part.n, SV_LINEAR_FLOAT, NULL, out,
                  SV_HEAD_WORDS);
}

void sv_head_weigh(const sv_head_layers *head, const float *logits, size_t n, size_t words, float *out) {
    memset(out, 0, words * sizeof *out);
    for (size_t row = 0; row < n; row++, logits += SV_HEAD_WORDS)
        for (size_t c = 0; c < words; c++)
            out[c] = logits[c] > out[c] ? logits[c] : out[c];
    for (size_t c = 0; c < words; c++)
        if (out[c] > 0)
            out[c] = head->log_twice ? log1pf(log1pf(out[c])) : log1pf(out[c]);
}
