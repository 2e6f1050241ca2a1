#!/usr/bin/env python3
"""The coefficients of exp2_each and v_gelu in lib/kernels/float_tmpl.h, exp2_coarse in
lib/kernels/x86/attention_bf16_avx512bf16.c, the corrections in lib/kernels/x86/attention_int8_avx512vnni.c, and gelu_int8 in
lib/kernels/gelu_int8.h: fits them again and prints them with their errors.

Needs numpy and mpmath. All fits minimise the largest error (relative, for gelu_int8 absolute) by weighted linear least squares
whose weights grow where the error is large (Lawson), on Chebyshev nodes. Errors are those of the exact formula, before any
rounding to float.
"""
import math

import mpmath
import numpy
from numpy.polynomial import chebyshev, polynomial

LIMIT = 5.4  # beyond it GELU is x or 0 to within half an ulp of x
LIMIT_INT8 = 3.5  # gelu_int8's, beyond which a step of its output is as large as the difference


def lawson(solve, nodes, iterations):
    """solve(weights) -> (relative errors, answer); the answer with the smallest largest error."""
    weights, best = numpy.ones(nodes), None
    for _ in range(iterations):
        error, answer = solve(weights)
        error = numpy.abs(error)
        if best is None or error.max() < best[0]:
            best = (error.max(), answer)
        weights = weights * (error / error.max() + 1e-3)
        weights /= weights.sum()
    return best


def fit_exp2(degree, low, nodes=1000):
    """2^f on [low, low + 1], with 2^0 = 1 exactly."""
    f = low + (1 - numpy.cos(numpy.pi * (numpy.arange(nodes) + 0.5) / nodes)) / 2
    want = 2.0**f
    powers = numpy.vander(f, degree + 1, increasing=True)[:, 1:]

    def solve(weights):
        row = numpy.sqrt(weights) / want
        c = numpy.linalg.lstsq(powers * row[:, None], (want - 1) * row, rcond=None)[0]
        return (1 + powers @ c) / want - 1, numpy.r_[1, c]

    return lawson(solve, nodes, 100)


def fit_erf(degree_p=5, degree_q=5, nodes=2000):
    """erf(x / sqrt 2) / (2 x) = P(t) / Q(t), t = x^2 on [0, LIMIT^2], with Q(0) = 1."""
    mpmath.mp.dps = 40
    u = -numpy.cos(numpy.pi * (numpy.arange(nodes) + 0.5) / nodes)
    roots = [mpmath.sqrt(v) for v in (u + 1) / 2 * LIMIT**2]
    want = numpy.array([float(mpmath.erf(x / mpmath.sqrt(2)) / x / 2) for x in roots])
    p_terms, q_terms = chebyshev.chebvander(u, degree_p), chebyshev.chebvander(u, degree_q)[:, 1:]
    q = numpy.ones(nodes)  # of the step before: makes the linear problem's error that of the quotient

    def solve(weights):
        nonlocal q
        row = numpy.sqrt(weights) / (q * want)
        terms = numpy.hstack([p_terms, -want[:, None] * q_terms]) * row[:, None]
        c = numpy.linalg.lstsq(terms, want * row, rcond=1e-15)[0]
        p_c, q_c = c[: degree_p + 1], numpy.r_[1, c[degree_p + 1 :]]
        q = chebyshev.chebval(u, q_c)
        return chebyshev.chebval(u, p_c) / q / want - 1, (p_c, q_c)

    def in_t(c):
        """Chebyshev series in u = 2 t / LIMIT^2 - 1 to powers of t."""
        total, power = numpy.zeros(1), numpy.ones(1)
        for a in chebyshev.cheb2poly(c):
            total, power = polynomial.polyadd(total, a * power), polynomial.polymul(power, [-1, 2 / LIMIT**2])
        return total

    error, (p, q_c) = lawson(solve, nodes, 200)
    p, q_c = in_t(p), in_t(q_c)
    return error, (p / q_c[0], q_c / q_c[0])


def fit_gelu_int8(segments=16, degree=2, nodes=200):
    """By segment of |v| = LIMIT_INT8 (i + f) / segments the integers c[i][k], by rising power of f, of 128 SV_GELU_UNIT times
    gelu(v) - max(v, 0) = -|v| / 2 erfc(|v| / sqrt 2). Beyond the last segment its end has to do, where 0 would be better."""
    unit = 128 * 4096 / LIMIT_INT8
    rows, largest = [], 0
    for i in range(segments):
        f = (1 - numpy.cos(numpy.pi * (numpy.arange(nodes) + 0.5) / nodes)) / 2
        want = numpy.array([float(-v / 2 * mpmath.erfc(v / mpmath.sqrt(2))) for v in LIMIT_INT8 * (i + f) / segments])
        if i == segments - 1:
            f, want = numpy.r_[f, 1], numpy.r_[want, 0]
        terms = numpy.vander(f, degree + 1, increasing=True)

        def solve(weights):
            row = numpy.sqrt(weights)
            c = numpy.linalg.lstsq(terms * row[:, None], want * row, rcond=None)[0]
            return terms @ c - want, c

        error, c = lawson(solve, len(f), 400)
        largest = max(largest, error)
        rows.append([int(round(x * unit)) for x in c])
    return largest, rows


def gelu_int8_error(coefficients, exponent):
    """The largest error of gelu_int8.h's integers over every int16."""

    def mulhrs(x, y):
        return (x * y + 2**14) >> 15

    h = numpy.arange(-(2**15), 2**15)
    unit = 4096 / LIMIT_INT8 / 2**exponent
    t = numpy.minimum(abs(h), (4096 >> exponent) - 1) << (3 + exponent)
    c = numpy.array(coefficients)[t >> 11].T
    f = (t & 2047) << 4
    p = c[0] + mulhrs(c[1] + mulhrs(c[2], f), f)
    assert abs(p).max() < 2**15 - 2**(6 + exponent)
    got = numpy.maximum(h, 0) + ((p + 2**(6 + exponent)) >> (7 + exponent))
    want = [v / 2 * math.erfc(-v / math.sqrt(2)) for v in h / unit]
    return numpy.abs(got / unit - want).max(), got.min()


def show(name, coefficients):
    print(name, ", ".join(f"{c:.8e}f" for c in coefficients))


if __name__ == "__main__":
    for name, degree, low in ("exp2", 5, -0.5), ("exp2_coarse", 3, 0):
        error, c = fit_exp2(degree, low)
        print(f"{name}: largest relative error {error:.2e}")
        show("  by rising power:", c)
    error, (p, q) = fit_erf()
    print(f"erf(x / sqrt 2) / 2: largest relative error {error:.2e}")
    show("  P:", p)
    show("  Q:", q)
    error, rows = fit_gelu_int8()
    print(f"gelu_int8: largest error {error:.2e}")
    for k, row in enumerate(zip(*rows)):
        print(f"  of f^{k}:", ", ".join(map(str, row)))
    corrections = [round(f - 128 * (2 ** (f / 128) - 1)) for f in range(128)]
    print("corrections:", ", ".join(map(str, corrections)))
    for e in range(5):
        print("  exponent {}: largest error {:.2e}, least {}".format(e, *gelu_int8_error(rows, e)))
