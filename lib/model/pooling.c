/* Pooling as sentence-transformers does it (sentence_transformer/modules/pooling.py, torch.nn.functional.normalize with eps
 * 1e-12). Its share of the time is far below a percent, so it is plain C for every tier, vectorised by the compiler (see
 * CMakeLists.txt). */
#include "model/pooling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void sum(const float *x, size_t n, size_t skip, size_t h, float *out) {
    memcpy(out, x + skip * h, h * sizeof *out);
    for (size_t t = skip + 1; t < n; t++)
        for (size_t j = 0; j < h; j++)
            out[j] += x[t * h + j];
}

static void divide(float *out, size_t h, float by) {
    for (size_t j = 0; j < h; j++)
        out[j] /= by;
}

/* A token's weight is its position in the whole text, from 1. */
static void weighted_mean(const float *x, size_t n, size_t skip, size_t h, float *out) {
    float total = 0;
    memset(out, 0, h * sizeof *out);
    for (size_t t = skip; t < n; t++) {
        float weight = (float)(t + 1);
        total += weight;
        for (size_t j = 0; j < h; j++)
            out[j] += x[t * h + j] * weight;
    }
    divide(out, h, total);
}

static void maximum(const float *x, size_t n, size_t skip, size_t h, float *out) {
    memcpy(out, x + skip * h, h * sizeof *out);
    for (size_t t = skip + 1; t < n; t++)
        for (size_t j = 0; j < h; j++)
            out[j] = x[t * h + j] > out[j] ? x[t * h + j] : out[j];
}

static void pool(sv_pooling pooling, const float *x, size_t n, size_t skip, size_t h, float *out) {
    switch (pooling) {
    case SV_POOLING_CLS:
        memcpy(out, x + skip * h, h * sizeof *out);
        break;
    case SV_POOLING_MAX:
        maximum(x, n, skip, h, out);
        break;
    case SV_POOLING_MEAN:
        sum(x, n, skip, h, out);
        divide(out, h, (float)(n - skip));
        break;
    case SV_POOLING_MEAN_SQRT:
        sum(x, n, skip, h, out);
        divide(out, h, sqrtf((float)(n - skip)));
        break;
    case SV_POOLING_WEIGHTED:
        weighted_mean(x, n, skip, h, out);
        break;
    case SV_POOLING_LAST:
        memcpy(out, x + (n - 1) * h, h * sizeof *out);
        break;
    case SV_POOLINGS:
        break;
    }
}

void sv_pool(const sv_config *config, const float *x, size_t n, size_t skip, size_t h, float *out) {
    assert(skip < n);
    for (size_t i = 0; i < config->pooling_count; i++)
        pool(config->poolings[i], x, n, skip, h, out + i * h);
}

void sv_divide_by_length(float *x, size_t count) {
    double squares[4] = {0}; /* one sum would be a chain of `count` additions */
    for (size_t j = 0; j < count; j++)
        squares[j % 4] += (double)x[j] * x[j];
    double length = sqrt((squares[0] + squares[1]) + (squares[2] + squares[3]));
    double scale = 1 / (length > 1e-12 ? length : 1e-12);
    for (size_t j = 0; j < count; j++)
        x[j] = (float)(x[j] * scale);
}
