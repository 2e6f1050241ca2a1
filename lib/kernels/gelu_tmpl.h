/* The exact GELU over the words of a vector header. Parameters: a words_*.h header that is included before. */
#ifndef SV_KERNELS_GELU_TMPL_H
#define SV_KERNELS_GELU_TMPL_H

#if !defined(LANES)
#error "gelu_tmpl.h: a words_*.h header comes before it"
#endif

/* x/2 (1 + erf(x/sqrt 2)) as x E + x/2, E = erf(x/sqrt 2)/2 = x P(x^2)/Q(x^2) on [-5.4, 5.4]. */
static inline vf v_gelu(vf x) {
    const vf z = v_max(v_set(-5.4f), v_min(v_set(5.4f), x));
    const vf t = v_mul(z, z);
    vf p = v_set(2.35909972e-08f), q = v_set(1.21982403e-06f);
    p = v_fma(p, t, v_set(6.32372255e-06f));
    q = v_fma(q, t, v_set(7.11730310e-05f));
    p = v_fma(p, t, v_set(1.60695407e-04f));
    q = v_fma(q, t, v_set(1.83865716e-03f));
    p = v_fma(p, t, v_set(4.62896650e-03f));
    q = v_fma(q, t, v_set(2.81801200e-02f));
    p = v_fma(p, t, v_set(3.30294106e-02f));
    q = v_fma(q, t, v_set(2.49458918e-01f));
    p = v_fma(p, t, v_set(3.98942275e-01f));
    q = v_fma(q, t, v_set(1.0f));
    return v_fma(x, v_div(v_mul(z, p), q), v_mul(x, v_set(0.5f)));
}

#endif
