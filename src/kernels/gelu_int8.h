/* The GELU of the int8 product. With z = min(3.8, |x|),
 *     gelu_int8(x) = max(0, x) + P(z), |gelu_int8(x) - gelu(x)| <= 1.4e-4
 * where P, a minimax polynomial of degree 7 without constant term, stands for gelu(x) - max(0, x) = -|x| / 2 erfc(|x| / sqrt
 * 2). That is a hundredth of a step of the bytes that GELU's output becomes, for a third of the exact one's work, which runs on
 * the same units as the product. By steps, each rounded: p = c[0]; p = fmaf(p, z, c[i]) for i = 1 .. 6; fmaf(p, z, max(0, x)),
 * 0 and |x| being the ones that a NaN loses to. tools/fit_kernels.py computes the coefficients. */
#ifndef SV_KERNELS_GELU_INT8_H
#define SV_KERNELS_GELU_INT8_H

#define GELU_INT8_LIMIT 3.8f

/* By falling power, from z^7 to z^1. */
static const float gelu_int8_coefficients[7] = {7.34563298e-04f, -1.11063268e-02f, 6.35702669e-02f, -1.55031203e-01f,
                                                6.21324350e-02f, 3.79160646e-01f,  -4.98038760e-01f};

#endif
