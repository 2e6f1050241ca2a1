/* What the attentions of AVX-512 have in common: how they read q, k and v, which are bfloat16, and the second product,
 *     O (queries, d) = P (queries, n) x V
 * P is there by columns: pairs of keys, each query's in its lane, which is a unit of tile_asm.h's A; V is packed like its W.
 * A .c file includes tile_asm.h with vdpbf16ps as DOT and WIDE_TILES, and then this file. */
#ifndef SV_KERNELS_ATTENTION_VALUES_H
#define SV_KERNELS_ATTENTION_VALUES_H

#include <string.h>

#include "kernels/kernels.h"

#define LINE 32    /* bfloat16 in a register */
#define QUERIES NR /* of a block */

/* Heads are done in columns of whole lines. */
static size_t padded(size_t d) {
    return (d + LINE - 1) / LINE * LINE;
}

/* Pairs of keys. */
static size_t pairs_of(size_t n) {
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

/* v (padded d / 32, pairs of keys, 32) from (n, d), ld from row to row. */
static void pack_values(uint32_t *v, const uint16_t *from, size_t ld, size_t n, size_t d) {
    static const uint16_t take_turns[2][LINE] = {
        {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
        {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
         24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
    const __m512i first = _mm512_loadu_si512(take_turns[0]), second = _mm512_loadu_si512(take_turns[1]);
    for (size_t i = 0; i < d; i += LINE)
        for (size_t key = 0; key < n; key += 2, v += NR) {
            const uint16_t *row = from + key * ld + i;
            const __m512i even = load_line(row, d - i);
            const __m512i odd = key + 1 < n ? load_line(row + ld, d - i) : _mm512_setzero_si512();
            _mm512_storeu_si512(v, _mm512_permutex2var_epi16(even, first, odd));
            _mm512_storeu_si512(v + LANES, _mm512_permutex2var_epi16(even, second, odd));
        }
}

/* out (queries, d) <- P x V, each row times inverse[query]. p (pairs of keys, `row` queries); sums (MR, NR) is scratch. */
static void weigh_values(const sv_attention_args *g, float *out, const uint32_t *p, size_t row, const uint32_t *v,
                         const float *inverse, float *sums, size_t queries) {
    for (size_t first = 0; first < g->d; first += NR, v += pairs_of(g->n) * NR)
        for (size_t chunk = 0; chunk < chunks_of(queries); chunk++) {
            const size_t query = chunk_begin(queries, chunk), rows = chunk_begin(queries, chunk + 1) - query;
            wide[rows - 1](&(tile_args){.a = (const char *)(p + query),
                                        .row = UNIT,
                                        .step = row * UNIT,
                                        .w = (const char *)v,
                                        .steps = pairs_of(g->n),
                                        .end = sums,
                                        .prefetch = (const char *)v});
            for (size_t r = 0; r < rows; r++) {
                vf y[2];
                UNROLL
                for (size_t j = 0; j < 2; j++)
                    y[j] = v_mul(v_load(sums + r * NR + j * LANES), v_set(inverse[query + r]));
                store_row(out + (query + r) * g->ld_out + first, y, 2, g->d - first);
            }
        }
}

#endif
