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

ALWAYS_INLINE void finish_as(const sv_gemm_int8_args *g, size_t row, size_t rows, size_t column, const int32_t *sums,
                             const bool whole, const bool gelu) {
    const size_t columns = whole ? NR : g->n - column;
    vf w_scale[2], w_sum[2], bias[2];
    load_row(w_scale, g->w_scale + column, 2, columns);
    load_row(w_sum, g->w_sum + column, 2, columns);
    load_row(bias, g->bias + column, 2, columns);
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
        store_row(g->c + (row + r) * g->ldc + column, y, 2, columns);
    }
}

static void finish(const void *args, size_t row, size_t rows, size_t column, const void *sums) {
    const sv_gemm_int8_args *g = args;
    if (g->n - column < NR)
        g->gelu ? finish_as(g, row, rows, column, sums, false, true) : finish_as(g, row, rows, column, sums, false, false);
    else
        g->gelu ? finish_as(g, row, rows, column, sums, true, true) : finish_as(g, row, rows, column, sums, true, false);
}

static void run(const sv_gemm_int8_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    const product p = {g->a, g->lda, g->w, g->panel, g->m, g->n, (g->k + UNIT - 1) / UNIT};
    multiply(&p, finish, g);
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
