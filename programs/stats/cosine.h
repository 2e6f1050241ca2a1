/* Scalar products and cosines of vectors of float, computed in double. */
#ifndef SV_STATS_COSINE_H
#define SV_STATS_COSINE_H

#include <stddef.h>

/* The scalar product of a[0 .. n) and b[0 .. n). */
double sv_dot(const float *a, const float *b, size_t n);

#endif
