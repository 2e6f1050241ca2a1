/* The parts that the attentions of AVX-512 and AMX share: reading q, k and v, which are bfloat16; the packed form of the
 * values; and 2^x. Include it after words_avx512.h and tile_tmpl.h. */
#ifndef SV_KERNELS_ATTENTION_LINES_H
#define SV_KERNELS_ATTENTION_LINES_H

#include <string.h>

#include "kernels/kernels.h"

/* In whole lines: a head's columns, and with AMX keys. */
static inline size_t padded(size_t count) {
    return (count + LINE - 1) / LINE * LINE;
}

/* Pairs of keys. */
static inline size_t pairs_of(size_t n) {
    return (n + 1) / 2;
}

/* The first `count` at x, at most a line of them, and zeros. */
ALWAYS_INLINE __m512i load_line(const uint16_t *x, size_t count) {
    if (count >= LINE)
        return _mm512_loadu_si512(x);
    __m512i line = _mm512_setzero_si512();
    memcpy(&line, x, count * sizeof *x);
    return line;
}

/* v (padded d / 32, pairs, 32) from (n, d), ld from row to row: pairs of keys, `pairs` of them, zeros where there are none. */
static void pack_values(uint32_t *v, size_t pairs, const uint16_t *from, size_t ld, size_t n, size_t d) {
    static const uint16_t take_turns[2][LINE] = {
        {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
        {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
         24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
    const __m512i first = _mm512_loadu_si512(take_turns[0]), second = _mm512_loadu_si512(take_turns[1]);
    for (size_t i = 0; i < d; i += LINE) {
        for (size_t key = 0; key < n; key += 2, v += LINE) {
            const uint16_t *row = from + key * ld + i;
            const __m512i even = load_line(row, d - i);
            const __m512i odd = key + 1 < n ? load_line(row + ld, d - i) : _mm512_setzero_si512();
            _mm512_storeu_si512(v, _mm512_permutex2var_epi16(even, first, odd));
            _mm512_storeu_si512(v + LANES, _mm512_permutex2var_epi16(even, second, odd));
        }
        for (size_t pair = pairs_of(n); pair < pairs; pair++, v += LINE) {
            _mm512_storeu_si512(v, _mm512_setzero_si512());
            _mm512_storeu_si512(v + LANES, _mm512_setzero_si512());
        }
    }
}

/* Of up to 16 rows at `from` the first `columns` columns, at most a line, as pairs: r[pair] has each row's in its lane. */
ALWAYS_INLINE void load_pairs(vf r[LANES], const uint16_t *from, size_t ld, size_t rows, size_t columns) {
    UNROLL
    for (size_t lane = 0; lane < LANES; lane++)
        r[lane] = lane < rows ? _mm512_castsi512_ps(load_line(from + lane * ld, columns)) : v_zero();
    v_transpose(r);
}

/* 2^x for x <= 0, to a relative error of 8.6e-5 (tools/fit_kernels.py); 0 for -infinity, and a NaN passes. vreduceps is x minus
 * the integer below it, vscalefps takes that integer by itself. */
ALWAYS_INLINE vf exp2_coarse(vf x) {
    const vf f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    vf p = v_fma(v_set(7.70670500e-02f), f, v_set(2.27644977e-01f));
    p = v_fma(p, f, v_set(6.95116792e-01f));
    return _mm512_scalef_ps(v_fma(p, f, v_set(1.0f)), x);
}

#endif
