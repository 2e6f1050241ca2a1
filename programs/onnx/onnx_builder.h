/* The state that the parts of an encoder's graph share (inputs and constants), and the layers that they are made of. Internal
 * to this folder. As with the graph itself, nothing here returns an error: sv_onnx_graph_write reports the first one. */
#ifndef SV_ONNX_ONNX_BUILDER_H
#define SV_ONNX_ONNX_BUILDER_H

#include "model/weights.h"
#include "onnx/onnx_export.h"
#include "onnx/onnx_graph.h"

typedef struct sv_onnx_builder {
    sv_onnx_graph *graph;
    const sv_config *config;
    const sv_weights *weights;
    sv_onnx_options options;
    const char *ids, *mask, *types;        /* inputs (B, S); types NULL: the model has fewer than two */
    const char *bias;                      /* (B, 1, 1, S) or (B, A, S, S): added to the attention scores */
    const char *one, *sqrt_d, *zero;       /* constants; `zero` is an int8 */
    const char *half, *sqrt2, *axes[3];    /* others, NULL until a node needs them: runtimes warn of unused ones */
    const char *split_shape, *merge_shape; /* of Reshape: (0, 0, A, D) and (0, 0, H) */
} sv_onnx_builder;

/* The input of a linear layer: a float value, or the three values that it was quantized to. */
typedef struct sv_onnx_operand {
    const char *value, *scale, *zero_point; /* scale NULL: a float value */
    const float *smooth;                    /* the divisor of each channel; NULL: none */
} sv_onnx_operand;

bool sv_onnx_is_int8(const sv_onnx_builder *b);

/* Sets the constants that every graph needs. */
void sv_onnx_constants(sv_onnx_builder *b);

/* The constant (1) that names an axis, 0 to 2. */
const char *sv_onnx_axis(sv_onnx_builder *b, size_t axis);

/* A parameter of the module that the scope names: values (size), which must live until the graph is written. */
const char *sv_onnx_vector(sv_onnx_builder *b, const char *name, size_t size, const float *values);

const char *sv_onnx_to_float(sv_onnx_builder *b, const char *x);

/* x unchanged, for a layer that is computed in fp32 in every precision. */
sv_onnx_operand sv_onnx_float_operand(const char *x);

/* False: a scale or divisor of the module that the scope names isn't finite, and sv_onnx_graph_write will say so. */
bool sv_onnx_all_finite(sv_onnx_builder *b, const float *values, size_t count);

/* x converted to the graph's precision. `smooth` (size) must live until the graph is written; NULL: none. */
sv_onnx_operand sv_onnx_quantize_operand(sv_onnx_builder *b, const char *x, const float *smooth, size_t size);

/* y = x W' + b of the module that the scope names; W is (out_size, in_size), b (out_size). */
const char *sv_onnx_linear(sv_onnx_builder *b, sv_onnx_operand x, const float *weight, const float *bias, size_t out_size,
                           size_t in_size);

/* Of the module that the scope names; gamma and beta are (size). */
const char *sv_onnx_layernorm(sv_onnx_builder *b, const char *x, const float *gamma, const float *beta, size_t size);

const char *sv_onnx_activation(sv_onnx_builder *b, sv_activation activation, const char *x);

/* (B, S, H) to (B, H): the first token of each text. */
const char *sv_onnx_first(sv_onnx_builder *b, const char *x);

/* Adds the model's outputs after the encoder; the encoder's result x (B, S, H) must be the result of the node added last. */
void sv_onnx_head(sv_onnx_builder *b, const char *x);

#endif
