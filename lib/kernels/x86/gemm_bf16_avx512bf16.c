/* The avx512bf16 tier: the bfloat16 product by vdpbf16ps, which adds the 2 products of a pair to each of 16 float sums.
 *
 * Packed W is [ceil(n / 32)][ceil(k / 2)][32][2], and asm_tile_tmpl.h has the tile of 14 x 32, the same as for int8. */
#define DOT "vdpbf16ps"
#define DOT_EMULATED emulated_dpbf16
#define WIDE_TILES
#include "kernels/x86/asm_tile_tmpl.h"

#include "kernels/x86/bf16_epilogue_tmpl.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_gemm_bf16_avx512bf16
#endif

static void run_tile(const void *args, tile_args *t, size_t row, size_t rows, size_t column) {
    const sv_gemm_args *g = args;
    _Alignas(64) float sums[MR * NR];
    t->end = sums;
    wide[rows - 1](t);
    finish(g, row, rows, column, sums);
}

static void run(const sv_gemm_args *g) {
    assert(g->panel >= packed_size(NR, g->k) && g->lda >= stride(g->k));
    const product p = {g->a, g->lda * sizeof(uint16_t), g->w, g->panel, g->m, g->n, (g->k + 1) / 2};
    multiply(&p, run_tile, g);
}

const sv_gemm RECORD = BF16_RECORD("gemm_bf16_avx512bf16_14x32", 48);
