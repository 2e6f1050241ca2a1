/* Weights as 8-bit integers for ONNX: w = scale * q, q in -127 .. 127, no zero point. Pure functions of their arguments.
 * Weights are finite; scales and smooth[] aren't where products of them overflow. */
#ifndef SV_ONNX_ONNX_INT8_H
#define SV_ONNX_ONNX_INT8_H

#include <stddef.h>
#include <stdint.h>

/* One scale for all `count` weights, from the largest. Returns the scale. */
float sv_int8_tensor(const float *weights, size_t count, int8_t *out);

/* For tables of many short rows, whose scales would weigh as much as an integer column each four: row i has the scale
 * step * steps[i], steps in 1 .. 127, rounded up so that no weight is cut. Returns step. */
float sv_int8_rows(const float *weights, size_t rows, size_t columns, int8_t *out, int8_t *steps);

/* For a linear layer's (out, in) matrix: one scale for each row. Column j is first multiplied by smooth[j] (NULL: 1), and the
 * scales are such that no CPU's multiplication saturates: two weights that are multiplied together with unsigned bytes in one
 * 16-bit sum (columns 2j and 2j + 1) never give more than it holds. */
void sv_int8_linear(const float *weights, size_t out_size, size_t in_size, const float *smooth, int8_t *out, float *scales);

/* smooth[i], by which the GELU of a linear layer's output i is divided before it is quantized, and column i of the layer that
 * reads it is multiplied. `up` (out_size, in_size) reads a LayerNorm (gamma, beta: in_size). */
void sv_smooth_gelu(const float *gamma, const float *beta, const float *up, const float *up_bias, size_t out_size,
                    size_t in_size, float *smooth);

#endif
