/* Pooling as sentence-transformers does it (models/Pooling.py, torch.nn.functional.normalize with eps 1e-12). Its share of the
 * time is far below a percent, so it is plain C for every tier, vectorised by the
 * compiler (see CMakeLists.txt). */
#include "model/pooling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void mean(const float *x, size_t n, size_t h, float *out) {
    memcpy(out, x, h * sizeof *out);
    for (size_t t = 1; t < n; t++)
        for (size_t j = 0; j < h; j++)
            out[j] += x[t * h + j];
    for (size_t j = 0; j < h; j++)
        out[j] /= (float)n;
}

static void maximum(const float *x, size_t n, size_t h, float *out) {
    memcpy(out, x, h * sizeof *out);
    for (size_t t = 1; t < n; t++)
        for (size_t j = 0; j < h; j++)
            out[j] = x[t * h + j] > out[j] ? x[t * h + j] : out[j];
}

static void divide_by_length(float *out, size_t h) {
    double squares[4] = {0}; /* one sum would be a chain of h additions */
    for (size_t j = 0; j < h; j++)
        squares[j % 4] += (double)out[j] * out[j];
    double length = sqrt((squares[0] + squares[1]) + (squares[2] + squares[3]));
    double scale = 1 / (length > 1e-12 ? length : 1e-12);
    for (size_t j = 0; j < h; j++)
        out[j] = (float)(out[j] * scale);
}

void sv_pool(sv_pooling pooling, bool normalize, const float *x, size_t n, size_t h, float *out) {
    assert(n > 0);
    switch (pooling) {
    case SV_POOLING_MEAN:
        mean(x, n, h, out);
        break;
    case SV_POOLING_CLS:
        memcpy(out, x, h * sizeof *out);
        break;
    case SV_POOLING_MAX:
        maximum(x, n, h, out);
        break;
    }
    if (normalize)
        divide_by_length(out, h);
}
