/* The avx512vnni tier: the int8 product by vpdpbusd, which adds 4 products of an unsigned and a signed byte to each of 16 sums.
 * They are exact: no sum overflows below SV_GEMM_INT8_MAX_K columns.
 *
 * Packed W is [ceil(n / 32)][ceil(k / 4)][32][4] bytes, and tile_asm.h has the tile of 14 x 32. The epilogue keeps to the
 * contract's order of operations and is compiled for each case by itself. */
#include <stdbool.h>

#define DOT "vpdpbusd"
#define DOT_EMULATED _mm512_dpbusd_epi32
#include "kernels/x86/tile_asm.h"

#define INT8_ELEMENT 1
#define v_store_integers v_store_uint8
#include "kernels/int8_vec.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_gemm_int8_avx512vnni
#endif

#define ROW_BLOCK 280 /* rows of A that stay near while W passes by */

static size_t packed_size(size_t n, size_t k) {
    return (n + NR - 1) / NR * NR * ((k + UNIT - 1) / UNIT * UNIT);
}

static void pack(void *packed, const int8_t *w, size_t ldw, size_t n, size_t k) {
    int8_t *out = packed;
    for (size_t first = 0; first < n; first += NR)
        for (size_t i = 0; i < k; i += UNIT)
            for (size_t j = 0; j < NR; j++, out += UNIT) {
                memset(out, 0, UNIT);
                if (first + j < n)
                    memcpy(out, w + (first + j) * ldw + i, smaller(k - i, UNIT));
            }
}

/* C from the sums of a tile whose first row and column are `row` and `first`. */
ALWAYS_INLINE void finish(const sv_gemm_int8_args *g, size_t row, size_t rows, size_t first, const int32_t *sums,
                          const bool whole, const bool gelu) {
    const size_t columns = whole ? NR : g->n - first;
    vf w_scale[2], w_sum[2], bias[2];
    load_row(w_scale, g->w_scale + first, 2, columns);
    load_row(w_sum, g->w_sum + first, 2, columns);
    load_row(bias, g->bias + first, 2, columns);
    for (size_t r = 0; r < rows; r++, sums += NR) {
        const vf scale = v_set(g->range[row + r].scale), low = v_set(g->range[row + r].low);
        vf y[2];
        UNROLL
        for (size_t j = 0; j < 2; j++) {
            const vf offset = v_fma(low, w_sum[j], bias[j]);
            y[j] = v_fma(v_mul(v_from_int32(sums + j * LANES), w_scale[j]), scale, offset);
            if (gelu)
                y[j] = v_gelu_int8(y[j]);
        }
        store_row(g->c + (row + r) * g->ldc + first, y, 2, columns);
    }
}

static void run(const sv_gemm_int8_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    _Alignas(64) int32_t sums[MR * NR];
    for (size_t block = 0; block < g->m; block += ROW_BLOCK) {
        const size_t m = smaller(g->m - block, ROW_BLOCK), chunks = (m + MR - 1) / MR;
        for (size_t first = 0; first < g->n; first += NR) {
            tile_args t = {.row = g->lda,
                           .step = UNIT,
                           .w = (const char *)g->w + first / NR * g->panel,
                           .steps = (g->k + UNIT - 1) / UNIT,
                           .sums = sums,
                           .prefetch_step = NR * UNIT / chunks};
            t.prefetch = t.w + g->panel;
            for (size_t chunk = 0; chunk < chunks; chunk++, t.prefetch += t.steps * t.prefetch_step) {
                const size_t row = block + m * chunk / chunks, rows = block + m * (chunk + 1) / chunks - row;
                t.a = (const char *)g->a + row * g->lda;
                wide[rows - 1](&t);
                if (g->n - first < NR)
                    g->gelu ? finish(g, row, rows, first, sums, false, true) : finish(g, row, rows, first, sums, false, false);
                else
                    g->gelu ? finish(g, row, rows, first, sums, true, true) : finish(g, row, rows, first, sums, true, false);
            }
        }
    }
}

const sv_gemm_int8 RECORD = {
    .name = "gemm_int8_avx512vnni_14x32",
    .mr = MR,
    .nr = NR,
    .element = INT8_ELEMENT,
    .stride = int8_stride,
    .packed_size = packed_size,
    .pack = pack,
    .quantize = quantize,
    .run = run,
};
