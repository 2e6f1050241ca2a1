/* What follows the encoder: for an embedder its last hidden states, and pooling if that is wanted; for a classifier and a
 * masked language model the logits, under the name by which optimum's classes look for them. Between a head's two layers is
 * what lib/model/heads.c has there. */
#include "onnx/onnx_builder.h"

static const sv_onnx_dim batch = {.name = "batch"}, sequence = {.name = "sequence"};

/* ----------------------------------------------------------------------------------------------------------------- pooling */

/* (B, S, 1): the attention mask as numbers. */
static const char *mask_column(sv_onnx_builder *b) {
    return SV_ONNX_OP(b->graph, "Unsqueeze", sv_onnx_to_float(b, b->mask), sv_onnx_axis(b, 2));
}

static const char *sum_over_sequence(sv_onnx_builder *b, const char *x) {
    const char *sum = SV_ONNX_OP(b->graph, "ReduceSum", x, sv_onnx_axis(b, 1));
    sv_onnx_set_integer(b->graph, "keepdims", 0);
    return sum;
}

static const char *mean(sv_onnx_builder *b, const char *x) {
    const char *mask = mask_column(b);
    const char *masked = SV_ONNX_OP(b->graph, "Mul", x, mask);
    const char *sum = sum_over_sequence(b, masked), *count = sum_over_sequence(b, mask);
    return SV_ONNX_OP(b->graph, "Div", sum, SV_ONNX_OP(b->graph, "Max", count, sv_onnx_scalar(b->graph, "least_count", 1e-9f)));
}

/* sentence-transformers sets padding to -1e9. Adding it does the same, as long as values are small beside it. */
static const char *maximum(sv_onnx_builder *b, const char *x) {
    const char *padding = SV_ONNX_OP(b->graph, "Sub", b->one, mask_column(b));
    const char *offset = SV_ONNX_OP(b->graph, "Mul", padding, sv_onnx_scalar(b->graph, "padding_value", -1e9f));
    const char *largest = SV_ONNX_OP(b->graph, "ReduceMax", SV_ONNX_OP(b->graph, "Add", x, offset));
    sv_onnx_set_integers(b->graph, "axes", 1, (int64_t[]){1});
    sv_onnx_set_integer(b->graph, "keepdims", 0);
    return largest;
}

static const char *pool(sv_onnx_builder *b, const char *x) {
    switch (b->config->poolings[0]) {
    case SV_POOLING_CLS:
        return sv_onnx_first(b, x);
    case SV_POOLING_MAX:
        return maximum(b, x);
    default:
        return mean(b, x);
    }
}

static void normalize(sv_onnx_builder *b, const char *x) {
    const char *norm = SV_ONNX_OP(b->graph, "ReduceL2", x);
    sv_onnx_set_integers(b->graph, "axes", 1, (int64_t[]){-1});
    SV_ONNX_OP(b->graph, "Div", x, SV_ONNX_OP(b->graph, "Max", norm, sv_onnx_scalar(b->graph, "least_norm", 1e-12f)));
}

static void add_embedder(sv_onnx_builder *b) {
    const sv_onnx_dim hidden = {.size = (int64_t)b->config->hidden};
    const char *x = sv_onnx_output(b->graph, "last_hidden_state", SV_ONNX_F32, 3, (sv_onnx_dim[]){batch, sequence, hidden});
    if (!b->options.pooling)
        return;
    sv_onnx_scope(b->graph, "pooling");
    const char *vector = pool(b, x);
    if (b->config->normalize)
        normalize(b, vector);
    sv_onnx_output(b->graph, "sentence_embedding", SV_ONNX_F32, 2, (sv_onnx_dim[]){batch, hidden});
}

/* ------------------------------------------------------------------------------------------------------------------- heads */

static const char *between_classifier(sv_onnx_builder *b, const char *x) {
    switch (b->config->family) {
    case SV_FAMILY_DISTILBERT:
        return sv_onnx_activation(b, SV_ACTIVATION_RELU, x);
    case SV_FAMILY_ELECTRA:
        return sv_onnx_activation(b, SV_ACTIVATION_GELU, x);
    default:
        return SV_ONNX_OP(b->graph, "Tanh", x);
    }
}

/* Two small layers on one token of a text: they stay in fp32. */
static void add_classifier(sv_onnx_builder *b, const char *x) {
    const sv_head_weights *head = &b->weights->head;
    const size_t hidden = b->config->hidden, labels = b->config->labels;
    sv_onnx_scope(b->graph, "classifier.dense");
    const char *first = sv_onnx_first(b, x);
    const char *dense = sv_onnx_linear(b, sv_onnx_float_operand(first), head->dense, head->dense_bias, hidden, hidden);
    const char *between = between_classifier(b, dense);
    sv_onnx_scope(b->graph, "classifier.out_proj");
    sv_onnx_linear(b, sv_onnx_float_operand(between), head->out, head->out_bias, labels, hidden);
    sv_onnx_output(b->graph, "logits", SV_ONNX_F32, 2, (sv_onnx_dim[]){batch, {.size = (int64_t)labels}});
}

/* x times the word table, which is in the graph already. */
static void score_words(sv_onnx_builder *b, const char *x) {
    const char *table = SV_ONNX_OP(b->graph, "Transpose", "embeddings.word_embeddings.weight");
    sv_onnx_set_integers(b->graph, "perm", 2, (int64_t[]){1, 0});
    const char *product = SV_ONNX_OP(b->graph, "MatMul", x, table);
    SV_ONNX_OP(b->graph, "Add", product, sv_onnx_vector(b, "bias", b->config->vocabulary, b->weights->head.out_bias));
}

static void add_masked_model(sv_onnx_builder *b, const char *x) {
    const sv_config *config = b->config;
    const sv_head_weights *head = &b->weights->head;
    const size_t hidden = config->hidden, words = config->vocabulary;
    const bool as_layers = config->family == SV_FAMILY_BERT || config->family == SV_FAMILY_DISTILBERT;
    sv_onnx_scope(b->graph, "cls.predictions.transform.dense");
    const char *dense =
        sv_onnx_linear(b, sv_onnx_quantize_operand(b, x, NULL, 0), head->dense, head->dense_bias, hidden, hidden);
    const char *active = sv_onnx_activation(b, as_layers ? config->activation : SV_ACTIVATION_GELU, dense);
    sv_onnx_scope(b->graph, "cls.predictions.transform.LayerNorm");
    const char *normal = sv_onnx_layernorm(b, active, head->gamma, head->beta, hidden);
    sv_onnx_scope(b->graph, "cls.predictions.decoder");
    if (head->out == b->weights->word && !sv_onnx_is_int8(b))
        score_words(b, normal);
    else
        sv_onnx_linear(b, sv_onnx_quantize_operand(b, normal, NULL, 0), head->out, head->out_bias, words, hidden);
    sv_onnx_output(b->graph, "logits", SV_ONNX_F32, 3, (sv_onnx_dim[]){batch, sequence, {.size = (int64_t)words}});
}

void sv_onnx_head(sv_onnx_builder *b, const char *x) {
    switch (b->config->task) {
    case SENVEC_TASK_EMBEDDING:
        add_embedder(b);
        break;
    case SENVEC_TASK_RERANKER:
    case SENVEC_TASK_CLASSIFIER:
        add_classifier(b, x);
        break;
    case SENVEC_TASK_SPARSE:
        add_masked_model(b, x);
        break;
    }
}
