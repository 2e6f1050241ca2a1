#!/usr/bin/env python3
"""The coefficients of exp2_each and v_gelu in src/kernels/kernels_vec.h and of gelu_int8 in src/kernels/gelu_int8.h: fits them
again and prints them with their errors.

Needs numpy and mpmath. All fits minimise the largest error (relative, for gelu_int8 absolute) by weighted linear least squares
whose weights grow where the error is large (Lawson), on Chebyshev nodes. Errors are those of the exact formula, before any
rounding to float.
"""
import mpmath
import numpy
from numpy.polynomial import chebyshev, polynomial

LIMIT = 5.4  # beyond it GELU is x or 0 to within half an ulp of x
LIMIT_INT8 = 3.8  # the one with the smallest error for degree 7


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


def fit_exp2(degree=5, nodes=1000):
    """2^f on [-1/2, 1/2], with 2^0 = 1 exactly."""
    f = -numpy.cos(numpy.pi * (numpy.arange(nodes) + 0.5) / nodes) / 2
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


def fit_gelu_int8(degree=7, nodes=1500):
    """gelu(x) - max(x, 0) = -|x| / 2 erfc(|x| / sqrt 2) as a polynomial in min(|x|, LIMIT_INT8) that is 0 at 0."""
    z = LIMIT_INT8 / 2 * (1 - numpy.cos(numpy.pi * (numpy.arange(nodes) + 0.5) / nodes))
    x = numpy.r_[z, LIMIT_INT8, 10]
    want = numpy.array([float(-v / 2 * mpmath.erfc(v / mpmath.sqrt(2))) for v in x])
    powers = numpy.vander(numpy.minimum(x, LIMIT_INT8) / LIMIT_INT8, degree + 1, increasing=True)[:, 1:]

    def solve(weights):
        row = numpy.sqrt(weights)
        c = numpy.linalg.lstsq(powers * row[:, None], want * row, rcond=None)[0]
        return powers @ c - want, numpy.r_[0, c / LIMIT_INT8 ** numpy.arange(1, degree + 1)]

    return lawson(solve, nodes + 2, 300)


def show(name, coefficients):
    print(name, ", ".join(f"{c:.8e}f" for c in coefficients))


if __name__ == "__main__":
    error, c = fit_exp2()
    print(f"exp2: largest relative error {error:.2e}")
    show("  by rising power:", c)
    error, (p, q) = fit_erf()
    print(f"erf(x / sqrt 2) / 2: largest relative error {error:.2e}")
    show("  P:", p)
    show("  Q:", q)
    error, c = fit_gelu_int8()
    print(f"gelu_int8: largest error {error:.2e}")
    show("  by rising power:", c)
