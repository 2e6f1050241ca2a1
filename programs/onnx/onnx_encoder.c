/* The graph of a BERT encoder. Sizes: B batch, S sequence, H hidden, I inner, A heads, D = H / A.
 *
 *     word + token type + position -> LayerNorm -> x (B, S, H)            then for each layer:
 *     q, k, v = x W + b, as (B, A, S, D)
 *     x = LayerNorm(x + (softmax(q k' / sqrt(D) + mask) v) Wo + bo)
 *     x = LayerNorm(x + gelu(x Wu + bu) Wd + bd)
 *
 * Runtimes look for patterns of nodes that they have one kernel for, so the patterns are written as they look for them:
 * - GELU as x / sqrt(2), Erf, + 1, * x, * 0.5: ONNX Runtime makes (Bias)Gelu of it, OpenVINO Gelu. (The Gelu operator would
 * need opset 20 and gains nothing.)
 * - Add then LayerNormalization becomes SkipLayerNormalization if the shapes of both summands are known to be equal. Shape
 *   inference loses the sequence axis at the Slice of the positions; sv_onnx_shape brings it back.
 * - DynamicQuantizeLinear, MatMulInteger, Cast, Mul by (scale of x * scale of W), Add bias becomes DynamicQuantizeMatMul, or
 *   MatMulIntegerToFloat where several layers read one quantized x.
 * Heads are split by Reshape to (0, 0, A, D), where 0 copies an axis, so no node computes shapes.
 *
 * Parameters are named as in PyTorch; ".T" is a matrix stored transposed, as MatMul wants it, and ".int8" and ".scale" are its
 * quantized form. */
#include "onnx/onnx_encoder.h"

#include <math.h>

#include "onnx/onnx_int8.h"

static const sv_onnx_dim batch = {.name = "batch"}, sequence = {.name = "sequence"};

/* What the mask adds to the scores of padding: exp() makes it 0, whatever the score. */
#define MASKED (-10000.0f)

typedef struct builder {
    sv_onnx_graph *graph;
    const sv_config *config;
    const sv_weights *weights;
    sv_onnx_options options;
    const char *ids, *mask, *types;                 /* inputs (B, S) */
    const char *bias;                               /* (B, 1, 1, S): 0, or MASKED at padding */
    const char *one, *half, *sqrt2, *sqrt_d, *zero; /* constants; `zero` is an int8 */
    const char *axis0, *axis1, *axis2;
    const char *split_shape, *merge_shape; /* of Reshape: (0, 0, A, D) and (0, 0, H) */
} builder;

static bool is_int8(const builder *b) {
    return b->options.precision != SV_ONNX_FP32;
}

static void add_constants(builder *b) {
    sv_onnx_graph *graph = b->graph;
    static const int8_t zero = 0;
    int64_t heads = (int64_t)b->config->heads, hidden = (int64_t)b->config->hidden;
    b->one = sv_onnx_scalar(graph, "one", 1);
    b->half = sv_onnx_scalar(graph, "half", 0.5f);
    b->sqrt2 = sv_onnx_scalar(graph, "sqrt_2", sqrtf(2));
    b->sqrt_d = sv_onnx_scalar(graph, "sqrt_head_size", sqrtf((float)(hidden / heads)));
    b->axis0 = sv_onnx_integers(graph, "axis_0", 1, (int64_t[]){0});
    b->axis1 = sv_onnx_integers(graph, "axis_1", 1, (int64_t[]){1});
    b->axis2 = sv_onnx_integers(graph, "axis_2", 1, (int64_t[]){2});
    b->split_shape = sv_onnx_integers(graph, "split_heads", 4, (int64_t[]){0, 0, heads, hidden / heads});
    b->merge_shape = sv_onnx_integers(graph, "merge_heads", 3, (int64_t[]){0, 0, hidden});
    if (is_int8(b))
        b->zero = sv_onnx_tensor(graph, "zero_point", SV_ONNX_I8, 0, NULL, &zero);
}

static const char *vector(builder *b, const char *name, size_t size, const float *values) {
    return sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, name), SV_ONNX_F32, 1, &(int64_t){(int64_t)size}, values);
}

static const char *cast_to_float(builder *b, const char *x) {
    const char *result = SV_ONNX_OP(b->graph, "Cast", x);
    sv_onnx_set_integer(b->graph, "to", SV_ONNX_F32);
    return result;
}

/* --------------------------------------------------------- linear layers */

/* What linear layers read: a float value, or the three that it was quantized to. */
typedef struct operand {
    const char *value, *scale, *zero_point;
    const float *smooth; /* what the value was divided by, channel by channel; NULL: nothing */
} operand;

/* `smooth` (size) must live until the graph is written; NULL: none. */
static operand quantize_input(builder *b, const char *x, const float *smooth, size_t size) {
    if (!is_int8(b))
        return (operand){.value = x};
    if (smooth) {
        float *inverse = sv_onnx_memory(b->graph, size, sizeof *inverse);
        for (size_t i = 0; inverse && i < size; i++)
            inverse[i] = 1 / smooth[i];
        x = SV_ONNX_OP(b->graph, "Mul", x, vector(b, "input_scale", size, inverse));
    }
    const char *results[3];
    sv_onnx_node(b->graph, "DynamicQuantizeLinear", (const char *const[]){x, NULL}, 3, results);
    return (operand){.value = results[0], .scale = results[1], .zero_point = results[2], .smooth = smooth};
}

static const char *integer_product(builder *b, operand x, const float *weight, size_t out_size, size_t in_size) {
    sv_onnx_graph *graph = b->graph;
    bool per_tensor = b->options.precision == SV_ONNX_INT8_PER_TENSOR;
    size_t scales = per_tensor ? 1 : out_size;
    int8_t *q = sv_onnx_memory(graph, out_size * in_size, sizeof *q);
    float *scale = sv_onnx_memory(graph, scales, sizeof *scale);
    if (!scale)
        return "";
    if (per_tensor)
        *scale = sv_int8_tensor(weight, out_size * in_size, q);
    else
        sv_int8_linear(weight, out_size, in_size, x.smooth, q, scale);
    const char *q_name = sv_onnx_transposed(graph, sv_onnx_parameter(graph, "weight.T.int8"), SV_ONNX_I8, in_size, out_size, q);
    const char *scale_name = sv_onnx_tensor(graph, sv_onnx_parameter(graph, "weight.scale"), SV_ONNX_F32, per_tensor ? 0 : 1,
                                            &(int64_t){(int64_t)scales}, scale);
    const char *product = SV_ONNX_OP(graph, "MatMulInteger", x.value, q_name, x.zero_point, b->zero);
    const char *as_float = cast_to_float(b, product);
    const char *factor = SV_ONNX_OP(graph, "Mul", x.scale, scale_name);
    return SV_ONNX_OP(graph, "Mul", as_float, factor);
}

/* y = x W' + b of the module that the scope names; W is (out, in). */
static const char *linear(builder *b, operand x, const float *weight, const float *bias, size_t out_size, size_t in_size) {
    const char *product;
    if (is_int8(b)) {
        product = integer_product(b, x, weight, out_size, in_size);
    } else {
        const char *name = sv_onnx_parameter(b->graph, "weight.T");
        product =
            SV_ONNX_OP(b->graph, "MatMul", x.value, sv_onnx_transposed(b->graph, name, SV_ONNX_F32, in_size, out_size, weight));
    }
    return SV_ONNX_OP(b->graph, "Add", product, vector(b, "bias", out_size, bias));
}

static const char *layernorm(builder *b, const char *x, const float *gamma, const float *beta) {
    const char *weight = vector(b, "weight", b->config->hidden, gamma), *bias = vector(b, "bias", b->config->hidden, beta);
    const char *result = SV_ONNX_OP(b->graph, "LayerNormalization", x, weight, bias);
    sv_onnx_set_integer(b->graph, "axis", -1);
    sv_onnx_set_real(b->graph, "epsilon", b->config->layernorm_eps);
    return result;
}

/* ------------------------------------------------------------ embeddings */

static const char *embed_float(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    const char *weight = sv_onnx_parameter(b->graph, "weight");
    return SV_ONNX_OP(b->graph, "Gather", sv_onnx_tensor(b->graph, weight, SV_ONNX_F32, 2, shape, table), ids);
}

/* One scale for the table. */
static const char *embed_per_tensor(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    size_t count = (size_t)(shape[0] * shape[1]);
    int8_t *q = sv_onnx_memory(b->graph, count, sizeof *q);
    if (!q)
        return "";
    const char *scale = sv_onnx_scalar(b->graph, sv_onnx_parameter(b->graph, "weight.scale"), sv_int8_tensor(table, count, q));
    const char *weight = sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.int8"), SV_ONNX_I8, 2, shape, q);
    return SV_ONNX_OP(b->graph, "DequantizeLinear", SV_ONNX_OP(b->graph, "Gather", weight, ids), scale, b->zero);
}

/* A scale for each row: steps, which are gathered as the row is, times a step. */
static const char *embed_per_row(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    size_t rows = (size_t)shape[0], hidden = (size_t)shape[1];
    int8_t *q = sv_onnx_memory(b->graph, rows * hidden, sizeof *q);
    int8_t *steps = sv_onnx_memory(b->graph, rows, sizeof *steps);
    if (!steps)
        return "";
    const char *step =
        sv_onnx_scalar(b->graph, sv_onnx_parameter(b->graph, "weight.step"), sv_int8_rows(table, rows, hidden, q, steps));
    const char *weight = sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.int8"), SV_ONNX_I8, 2, shape, q);
    const char *column =
        sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.steps"), SV_ONNX_I8, 2, (int64_t[]){shape[0], 1}, steps);
    const char *row = SV_ONNX_OP(b->graph, "DequantizeLinear", SV_ONNX_OP(b->graph, "Gather", weight, ids), step, b->zero);
    return SV_ONNX_OP(b->graph, "Mul", row, cast_to_float(b, SV_ONNX_OP(b->graph, "Gather", column, ids)));
}

/* A table that isn't worth quantizing: a few KB, against a node more in every call. */
#define FEW_ROWS 16

/* The rows of a table (rows, H) that `ids` names. */
static const char *embed(builder *b, const char *ids, const float *table, size_t rows) {
    int64_t shape[] = {(int64_t)rows, (int64_t)b->config->hidden};
    bool per_tensor = b->options.precision == SV_ONNX_INT8_PER_TENSOR;
    if (!is_int8(b) || (rows <= FEW_ROWS && !per_tensor))
        return embed_float(b, ids, table, shape);
    if (per_tensor)
        return embed_per_tensor(b, ids, table, shape);
    return embed_per_row(b, ids, table, shape);
}

/* (1, S): 0, 1, 2, ... */
static const char *position_ids(builder *b) {
    sv_onnx_graph *graph = b->graph;
    size_t positions = b->config->positions;
    int64_t *numbers = sv_onnx_memory(graph, positions, sizeof *numbers);
    for (size_t i = 0; numbers && i < positions; i++)
        numbers[i] = (int64_t)i;
    const char *all =
        sv_onnx_tensor(graph, "embeddings.position_ids", SV_ONNX_I64, 2, (int64_t[]){1, (int64_t)positions}, numbers);
    const char *shape = SV_ONNX_OP(graph, "Shape", b->ids);
    const char *length = SV_ONNX_OP(graph, "Gather", shape, b->axis1);
    return SV_ONNX_OP(graph, "Slice", all, b->axis0, length, b->axis1);
}

static const char *embeddings(builder *b) {
    sv_onnx_graph *graph = b->graph;
    const sv_config *config = b->config;
    const sv_weights *w = b->weights;
    sv_onnx_scope(graph, "embeddings.word_embeddings");
    const char *word = embed(b, b->ids, w->word, config->vocabulary);
    sv_onnx_scope(graph, "embeddings.token_type_embeddings");
    const char *type = embed(b, b->types, w->token_type, config->token_types);
    sv_onnx_scope(graph, "embeddings.position_embeddings");
    const char *position = embed(b, position_ids(b), w->position, config->positions);
    sv_onnx_shape(graph, position, SV_ONNX_F32, 3, (sv_onnx_dim[]){{.size = 1}, sequence, {.size = (int64_t)config->hidden}});
    sv_onnx_scope(graph, "embeddings.LayerNorm");
    const char *with_type = SV_ONNX_OP(graph, "Add", word, type);
    const char *sum = SV_ONNX_OP(graph, "Add", with_type, position);
    return layernorm(b, sum, w->embedding_gamma, w->embedding_beta);
}

/* ---------------------------------------------------------------- layers */

/* 0 where attention_mask is 1, MASKED where it is 0. */
static const char *attention_bias(builder *b) {
    sv_onnx_graph *graph = b->graph;
    sv_onnx_scope(graph, "attention_bias");
    const char *rows = SV_ONNX_OP(graph, "Unsqueeze", b->mask, b->axis1);
    const char *heads = SV_ONNX_OP(graph, "Unsqueeze", rows, b->axis2);
    const char *padding = SV_ONNX_OP(graph, "Sub", b->one, cast_to_float(b, heads));
    return SV_ONNX_OP(graph, "Mul", padding, sv_onnx_scalar(graph, "masked_score", MASKED));
}

/* (B, S, H) to (B, A, S, D), or with perm {0, 2, 3, 1} to (B, A, D, S). */
static const char *split_heads(builder *b, const char *x, const int64_t perm[4]) {
    const char *split = SV_ONNX_OP(b->graph, "Reshape", x, b->split_shape);
    const char *turned = SV_ONNX_OP(b->graph, "Transpose", split);
    sv_onnx_set_integers(b->graph, "perm", 4, perm);
    return turned;
}

static const char *self_attention(builder *b, size_t layer, const char *x) {
    sv_onnx_graph *graph = b->graph;
    const sv_layer_weights *w = &b->weights->layers[layer];
    size_t hidden = b->config->hidden;
    static const int64_t by_head[] = {0, 2, 1, 3}, transposed[] = {0, 2, 3, 1};

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self", layer);
    operand input = quantize_input(b, x, NULL, 0);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.query", layer);
    const char *query = split_heads(b, linear(b, input, w->query, w->query_bias, hidden, hidden), by_head);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.key", layer);
    const char *key = split_heads(b, linear(b, input, w->key, w->key_bias, hidden, hidden), transposed);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.value", layer);
    const char *value = split_heads(b, linear(b, input, w->value, w->value_bias, hidden, hidden), by_head);

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.mix", layer);
    const char *products = SV_ONNX_OP(graph, "MatMul", query, key);
    const char *scores = SV_ONNX_OP(graph, "Div", products, b->sqrt_d);
    const char *masked = SV_ONNX_OP(graph, "Add", scores, b->bias);
    const char *shares = SV_ONNX_OP(graph, "Softmax", masked);
    sv_onnx_set_integer(graph, "axis", -1);
    const char *mixed = SV_ONNX_OP(graph, "MatMul", shares, value);
    const char *turned = SV_ONNX_OP(graph, "Transpose", mixed);
    sv_onnx_set_integers(graph, "perm", 4, by_head);
    const char *context = SV_ONNX_OP(graph, "Reshape", turned, b->merge_shape);

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.output.dense", layer);
    const char *y = linear(b, quantize_input(b, context, NULL, 0), w->attention_out, w->attention_out_bias, hidden, hidden);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.output.LayerNorm", layer);
    return layernorm(b, SV_ONNX_OP(graph, "Add", y, x), w->attention_gamma, w->attention_beta);
}

static const char *gelu(builder *b, const char *x) {
    const char *scaled = SV_ONNX_OP(b->graph, "Div", x, b->sqrt2);
    const char *erf = SV_ONNX_OP(b->graph, "Erf", scaled);
    const char *plus_one = SV_ONNX_OP(b->graph, "Add", erf, b->one);
    const char *product = SV_ONNX_OP(b->graph, "Mul", x, plus_one);
    return SV_ONNX_OP(b->graph, "Mul", product, b->half);
}

static const char *feed_forward(builder *b, size_t layer, const char *x) {
    sv_onnx_graph *graph = b->graph;
    const sv_layer_weights *w = &b->weights->layers[layer];
    size_t hidden = b->config->hidden, inner = b->config->inner;
    float *smooth = NULL;
    if (b->options.precision == SV_ONNX_INT8 && (smooth = sv_onnx_memory(graph, inner, sizeof *smooth)))
        sv_smooth_gelu(w->attention_gamma, w->attention_beta, w->up, w->up_bias, inner, hidden, smooth);

    sv_onnx_scope(graph, "encoder.layer.%zu.intermediate.dense", layer);
    operand input = quantize_input(b, x, NULL, 0);
    const char *up = gelu(b, linear(b, input, w->up, w->up_bias, inner, hidden));
    sv_onnx_scope(graph, "encoder.layer.%zu.output.dense", layer);
    const char *down = linear(b, quantize_input(b, up, smooth, inner), w->down, w->down_bias, hidden, inner);
    sv_onnx_scope(graph, "encoder.layer.%zu.output.LayerNorm", layer);
    return layernorm(b, SV_ONNX_OP(graph, "Add", down, x), w->output_gamma, w->output_beta);
}

/* --------------------------------------------------------------- pooling */

/* (B, S, 1): the attention mask as numbers. */
static const char *mask_column(builder *b) {
    return SV_ONNX_OP(b->graph, "Unsqueeze", cast_to_float(b, b->mask), b->axis2);
}

static const char *sum_over_sequence(builder *b, const char *x) {
    const char *sum = SV_ONNX_OP(b->graph, "ReduceSum", x, b->axis1);
    sv_onnx_set_integer(b->graph, "keepdims", 0);
    return sum;
}

static const char *mean(builder *b, const char *x) {
    const char *mask = mask_column(b);
    const char *masked = SV_ONNX_OP(b->graph, "Mul", x, mask);
    const char *sum = sum_over_sequence(b, masked), *count = sum_over_sequence(b, mask);
    return SV_ONNX_OP(b->graph, "Div", sum, SV_ONNX_OP(b->graph, "Max", count, sv_onnx_scalar(b->graph, "least_count", 1e-9f)));
}

/* sentence-transformers sets padding to -1e9. Adding it does the same, as long as values are small beside it. */
static const char *maximum(builder *b, const char *x) {
    const char *padding = SV_ONNX_OP(b->graph, "Sub", b->one, mask_column(b));
    const char *offset = SV_ONNX_OP(b->graph, "Mul", padding, sv_onnx_scalar(b->graph, "padding_value", -1e9f));
    const char *largest = SV_ONNX_OP(b->graph, "ReduceMax", SV_ONNX_OP(b->graph, "Add", x, offset));
    sv_onnx_set_integers(b->graph, "axes", 1, (int64_t[]){1});
    sv_onnx_set_integer(b->graph, "keepdims", 0);
    return largest;
}

static const char *first(builder *b, const char *x) {
    const char *row = SV_ONNX_OP(b->graph, "Gather", x, b->axis0);
    sv_onnx_set_integer(b->graph, "axis", 1);
    return SV_ONNX_OP(b->graph, "Squeeze", row, b->axis1);
}

static const char *pool(builder *b, const char *x) {
    switch (b->config->poolings[0]) {
    case SV_POOLING_CLS:
        return first(b, x);
    case SV_POOLING_MAX:
        return maximum(b, x);
    default:
        return mean(b, x);
    }
}

static void normalize(builder *b, const char *x) {
    const char *norm = SV_ONNX_OP(b->graph, "ReduceL2", x);
    sv_onnx_set_integers(b->graph, "axes", 1, (int64_t[]){-1});
    SV_ONNX_OP(b->graph, "Div", x, SV_ONNX_OP(b->graph, "Max", norm, sv_onnx_scalar(b->graph, "least_norm", 1e-12f)));
}

/* ---------------------------------------------------------------- encoder */

void sv_onnx_encoder(sv_onnx_graph *graph, const sv_config *config, const sv_weights *weights, sv_onnx_options options) {
    builder b = {.graph = graph, .config = config, .weights = weights, .options = options};
    const sv_onnx_dim hidden = {.size = (int64_t)config->hidden};
    b.ids = sv_onnx_input(graph, "input_ids", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    b.mask = sv_onnx_input(graph, "attention_mask", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    b.types = sv_onnx_input(graph, "token_type_ids", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    add_constants(&b);
    b.bias = attention_bias(&b);

    const char *x = embeddings(&b);
    for (size_t layer = 0; layer < config->layers; layer++) {
        x = self_attention(&b, layer, x);
        x = feed_forward(&b, layer, x);
    }
    x = sv_onnx_output(graph, "last_hidden_state", SV_ONNX_F32, 3, (sv_onnx_dim[]){batch, sequence, hidden});
    if (!options.pooling)
        return;
    sv_onnx_scope(graph, "pooling");
    const char *vector = pool(&b, x);
    if (config->normalize)
        normalize(&b, vector);
    sv_onnx_output(graph, "sentence_embedding", SV_ONNX_F32, 2, (sv_onnx_dim[]){batch, hidden});
}
