/* Dynamic quantization reads a whole batch of activations with one scale: 255 steps from the smallest value to the largest. A
 * channel that is ten times wider than the others leaves them 25 steps. Smoothing (Xiao et al. 2022,
 * https://arxiv.org/abs/2211.10438) divides wide channels and multiplies the weights that read them, which have a scale for
 * each row and can bear it.
 *
 * How wide a channel is needs no sample texts here. The input of LayerNorm's last step has mean 0 and variance 1, so its output
 * is gamma * z + beta; and a sum of hundreds of those is close to a normal distribution whose mean and deviation follow from
 * the weights, which gives the width after the GELU. The constants were chosen by cosine against fp32 on held out texts:
 * docs/ONNX.md.
 *
 * Pairs: x86 CPUs without VNNI multiply unsigned by signed bytes with vpmaddubsw, which adds two products in 16 bits and
 * saturates: 255 * (w0 + w1) has to stay below 32768, so w0 + w1 <= 128. Giving up a bit of every weight is the usual remedy;
 * choosing each row's scale such that none of its pairs is too large costs next to nothing, since large weights rarely are
 * neighbours with the same sign. */
#include "onnx/onnx_int8.h"

#include <float.h>
#include <math.h>

#define LIMIT 127.0f
#define PAIR_LIMIT 127.5f /* rounding adds at most 1/2 twice, and integers over 128 would be needed to exceed it */

#define GELU_WIDTH 5.0f  /* deviations from the mean that are still expected */
#define GELU_LEAST 0.17f /* |minimum of the GELU| */

static int8_t quantize(float weight, float scale) {
    float q = nearbyintf(weight / scale);
    return (int8_t)(q > LIMIT     ? LIMIT
                    : q >= -LIMIT ? q
                                  : -LIMIT); /* a NaN, where a scale is infinite, converts to no integer */
}

/* An all-zero row has any scale, and none is so small that dividing by it is infinite. */
static float scale_of(float largest, float limit) {
    return largest > 0 ? fmaxf(largest / limit, FLT_MIN) : 1.0f;
}

static float absolute_maximum(const float *values, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    return largest;
}

float sv_int8_tensor(const float *weights, size_t count, int8_t *out) {
    float scale = scale_of(absolute_maximum(weights, count), LIMIT);
    for (size_t i = 0; i < count; i++)
        out[i] = quantize(weights[i], scale);
    return scale;
}

float sv_int8_rows(const float *weights, size_t rows, size_t columns, int8_t *out, int8_t *steps) {
    float step = fmaxf(scale_of(absolute_maximum(weights, rows * columns), LIMIT) / LIMIT, FLT_MIN);
    for (size_t row = 0; row < rows; row++, weights += columns, out += columns) {
        float needed = ceilf(absolute_maximum(weights, columns) / LIMIT / step);
        steps[row] = (int8_t)fminf(fmaxf(needed, 1), LIMIT);
        for (size_t j = 0; j < columns; j++)
            out[j] = quantize(weights[j], step * steps[row]);
    }
    return step;
}

void sv_int8_linear(const float *weights, size_t out_size, size_t in_size, const float *smooth, int8_t *out, float *scales) {
    for (size_t row = 0; row < out_size; row++, weights += in_size, out += in_size) {
        float largest = 0, largest_pair = 0, previous = 0;
        for (size_t j = 0; j < in_size; j++) {
            float weight = smooth ? weights[j] * smooth[j] : weights[j];
            largest = fmaxf(largest, fabsf(weight));
            if (j % 2 && weight * previous > 0)
                largest_pair = fmaxf(largest_pair, fabsf(weight + previous));
            previous = weight;
        }
        scales[row] = fmaxf(scale_of(largest, LIMIT), largest_pair / PAIR_LIMIT);
        for (size_t j = 0; j < in_size; j++)
            out[j] = quantize(smooth ? weights[j] * smooth[j] : weights[j], scales[row]);
    }
}

/* Divides by the geometric mean, so that smoothing as a whole neither widens nor narrows. Values far below the largest would
 * make scales explode: a channel that never moves needs no care. */
static void normalize(float *values, size_t count) {
    float least = absolute_maximum(values, count) * 1e-4f;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        values[i] = least > 0 ? fmaxf(values[i], least) : 1.0f;
        sum += log(values[i]);
    }
    float mean = (float)exp(sum / (double)count);
    for (size_t i = 0; i < count; i++)
        values[i] /= mean;
}

void sv_smooth_gelu(const float *gamma, const float *beta, const float *up, const float *up_bias, size_t out_size,
                    size_t in_size, float *smooth) {
    for (size_t row = 0; row < out_size; row++, up += in_size) {
        float mean = up_bias[row], variance = 0;
        for (size_t j = 0; j < in_size; j++) {
            mean += up[j] * beta[j];
            variance += up[j] * gamma[j] * up[j] * gamma[j];
        }
        float largest = mean + GELU_WIDTH * sqrtf(variance);
        smooth[row] = fmaxf(0.5f * largest * (1 + erff(largest / sqrtf(2))), GELU_LEAST);
    }
    normalize(smooth, out_size);
}
