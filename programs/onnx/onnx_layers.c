/* The layers that every part of the graph is made of; onnx_encoder.c has the whole.
 *
 * Runtimes look for patterns of nodes that they have one kernel for, so the patterns are written as they look for them:
 * - GELU as x / sqrt(2), Erf, + 1, * x, * 0.5: ONNX Runtime makes (Bias)Gelu of it, OpenVINO Gelu. (The Gelu operator would
 *   need opset 20 and gains nothing.)
 * - DynamicQuantizeLinear, MatMulInteger, Cast, Mul by (scale of x * scale of W), Add bias becomes DynamicQuantizeMatMul, or
 *   MatMulIntegerToFloat where several layers read one quantized x. */
#include <math.h>

#include "onnx/onnx_builder.h"
#include "onnx/onnx_int8.h"

bool sv_onnx_is_int8(const sv_onnx_builder *b) {
    return b->options.precision != SV_ONNX_FP32;
}

void sv_onnx_constants(sv_onnx_builder *b) {
    sv_onnx_graph *graph = b->graph;
    static const int8_t zero = 0;
    int64_t heads = (int64_t)b->config->heads, hidden = (int64_t)b->config->hidden;
    b->one = sv_onnx_scalar(graph, "one", 1);
    b->sqrt_d = sv_onnx_scalar(graph, "sqrt_head_size", sqrtf((float)(hidden / heads)));
    b->split_shape = sv_onnx_integers(graph, "split_heads", 4, (int64_t[]){0, 0, heads, hidden / heads});
    b->merge_shape = sv_onnx_integers(graph, "merge_heads", 3, (int64_t[]){0, 0, hidden});
    if (sv_onnx_is_int8(b))
        b->zero = sv_onnx_tensor(graph, "zero_point", SV_ONNX_I8, 0, NULL, &zero);
}

const char *sv_onnx_axis(sv_onnx_builder *b, size_t axis) {
    static const char *const names[] = {"axis_0", "axis_1", "axis_2"};
    if (!b->axes[axis])
        b->axes[axis] = sv_onnx_integers(b->graph, names[axis], 1, &(int64_t){(int64_t)axis});
    return b->axes[axis];
}

const char *sv_onnx_vector(sv_onnx_builder *b, const char *name, size_t size, const float *values) {
    return sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, name), SV_ONNX_F32, 1, &(int64_t){(int64_t)size}, values);
}

const char *sv_onnx_to_float(sv_onnx_builder *b, const char *x) {
    const char *result = SV_ONNX_OP(b->graph, "Cast", x);
    sv_onnx_set_integer(b->graph, "to", SV_ONNX_F32);
    return result;
}

/* ---------------------------------------------------------------------------------------------------------- linear layers */

sv_onnx_operand sv_onnx_float_operand(const char *x) {
    return (sv_onnx_operand){.value = x};
}

bool sv_onnx_all_finite(sv_onnx_builder *b, const float *values, size_t count) {
    sv_onnx_graph *graph = b->graph;
    for (size_t i = 0; graph->status == SENVEC_OK && i < count; i++)
        if (!isfinite(values[i]))
            graph->status =
                sv_fail(&graph->error, SENVEC_FORMAT, 0,
                        "the weights of %s overflow in int8; export the model in fp32 or take another one", graph->scope);
    return graph->status == SENVEC_OK;
}

sv_onnx_operand sv_onnx_quantize_operand(sv_onnx_builder *b, const char *x, const float *smooth, size_t size) {
    if (!sv_onnx_is_int8(b))
        return sv_onnx_float_operand(x);
    if (smooth) {
        float *inverse = sv_onnx_memory(b->graph, size, sizeof *inverse);
        for (size_t i = 0; inverse && i < size; i++)
            inverse[i] = 1 / smooth[i];
        x = SV_ONNX_OP(b->graph, "Mul", x, sv_onnx_vector(b, "input_scale", size, inverse));
    }
    const char *results[3];
    sv_onnx_node(b->graph, "DynamicQuantizeLinear", (const char *const[]){x, NULL}, 3, results);
    return (sv_onnx_operand){.value = results[0], .scale = results[1], .zero_point = results[2], .smooth = smooth};
}

static const char *integer_product(sv_onnx_builder *b, sv_onnx_operand x, const float *weight, size_t out_size,
                                   size_t in_size) {
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
    if (!sv_onnx_all_finite(b, scale, scales))
        return "";
    const char *q_name = sv_onnx_transposed(graph, sv_onnx_parameter(graph, "weight.T.int8"), SV_ONNX_I8, in_size, out_size, q);
    const char *scale_name = sv_onnx_tensor(graph, sv_onnx_parameter(graph, "weight.scale"), SV_ONNX_F32, per_tensor ? 0 : 1,
                                            &(int64_t){(int64_t)scales}, scale);
    const char *product = SV_ONNX_OP(graph, "MatMulInteger", x.value, q_name, x.zero_point, b->zero);
    const char *as_float = sv_onnx_to_float(b, product);
    const char *factor = SV_ONNX_OP(graph, "Mul", x.scale, scale_name);
    return SV_ONNX_OP(graph, "Mul", as_float, factor);
}

const char *sv_onnx_linear(sv_onnx_builder *b, sv_onnx_operand x, const float *weight, const float *bias, size_t out_size,
                           size_t in_size) {
    const char *product;
    if (x.scale) {
        product = integer_product(b, x, weight, out_size, in_size);
    } else {
        const char *name = sv_onnx_parameter(b->graph, "weight.T");
        product =
            SV_ONNX_OP(b->graph, "MatMul", x.value, sv_onnx_transposed(b->graph, name, SV_ONNX_F32, in_size, out_size, weight));
    }
    return SV_ONNX_OP(b->graph, "Add", product, sv_onnx_vector(b, "bias", out_size, bias));
}

/* ------------------------------------------------------------------------------------------------------------------ others */

const char *sv_onnx_layernorm(sv_onnx_builder *b, const char *x, const float *gamma, const float *beta, size_t size) {
    const char *weight = sv_onnx_vector(b, "weight", size, gamma), *bias = sv_onnx_vector(b, "bias", size, beta);
    const char *result = SV_ONNX_OP(b->graph, "LayerNormalization", x, weight, bias);
    sv_onnx_set_integer(b->graph, "axis", -1);
    sv_onnx_set_real(b->graph, "epsilon", b->config->layernorm_eps);
    return result;
}

static const char *half(sv_onnx_builder *b) {
    if (!b->half)
        b->half = sv_onnx_scalar(b->graph, "half", 0.5f);
    return b->half;
}

static const char *gelu(sv_onnx_builder *b, const char *x) {
    if (!b->sqrt2)
        b->sqrt2 = sv_onnx_scalar(b->graph, "sqrt_2", sqrtf(2));
    const char *scaled = SV_ONNX_OP(b->graph, "Div", x, b->sqrt2);
    const char *erf = SV_ONNX_OP(b->graph, "Erf", scaled);
    const char *plus_one = SV_ONNX_OP(b->graph, "Add", erf, b->one);
    const char *product = SV_ONNX_OP(b->graph, "Mul", x, plus_one);
    return SV_ONNX_OP(b->graph, "Mul", product, half(b));
}

/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
static const char *gelu_tanh(sv_onnx_builder *b, const char *x) {
    sv_onnx_graph *graph = b->graph;
    const char *cubic = sv_onnx_scalar(graph, sv_onnx_parameter(graph, "gelu_cubic"), 0.044715f);
    const char *outer = sv_onnx_scalar(graph, sv_onnx_parameter(graph, "gelu_outer"), 0.7978845608028654f);
    const char *cube = SV_ONNX_OP(graph, "Mul", SV_ONNX_OP(graph, "Mul", x, x), x);
    const char *sum = SV_ONNX_OP(graph, "Add", x, SV_ONNX_OP(graph, "Mul", cube, cubic));
    const char *tanh = SV_ONNX_OP(graph, "Tanh", SV_ONNX_OP(graph, "Mul", sum, outer));
    const char *product = SV_ONNX_OP(graph, "Mul", x, SV_ONNX_OP(graph, "Add", tanh, b->one));
    return SV_ONNX_OP(graph, "Mul", product, half(b));
}

const char *sv_onnx_activation(sv_onnx_builder *b, sv_activation activation, const char *x) {
    switch (activation) {
    case SV_ACTIVATION_GELU:
        return gelu(b, x);
    case SV_ACTIVATION_GELU_TANH:
        return gelu_tanh(b, x);
    case SV_ACTIVATION_RELU:
        return SV_ONNX_OP(b->graph, "Relu", x);
    }
    return x;
}

const char *sv_onnx_first(sv_onnx_builder *b, const char *x) {
    const char *row = SV_ONNX_OP(b->graph, "Gather", x, sv_onnx_axis(b, 0));
    sv_onnx_set_integer(b->graph, "axis", 1);
    return SV_ONNX_OP(b->graph, "Squeeze", row, sv_onnx_axis(b, 1));
}
