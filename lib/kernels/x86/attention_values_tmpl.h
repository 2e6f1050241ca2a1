/* The second product of the attentions of AVX-512,
 *     O (queries, d) = P (queries, n) x V
 * P is stored by columns: pairs of keys with one query in each lane, so a pair is a unit of A in asm_tile_tmpl.h. V is packed
 * like W there.
 *
 * Parameters: asm_tile_tmpl.h is included before, with vdpbf16ps as DOT and WIDE_TILES. */
#ifndef SV_KERNELS_ATTENTION_VALUES_TMPL_H
#define SV_KERNELS_ATTENTION_VALUES_TMPL_H

#if !defined(WIDE_TILES)
#error "attention_values_tmpl.h: asm_tile_tmpl.h comes before it, with WIDE_TILES"
#endif

#include "kernels/x86/attention_lines.h"

#define QUERIES NR /* of a block */

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
