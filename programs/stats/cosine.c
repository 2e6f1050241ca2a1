#include "stats/cosine.h"

/* The sum in parts, so that it needn't wait for each addition. */
double sv_dot(const float *a, const float *b, size_t n) {
    double lanes[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++)
            lanes[l] += (double)a[i + l] * (double)b[i + l];
    for (size_t l = 0; l < 8; l++)
        sum += lanes[l];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}
