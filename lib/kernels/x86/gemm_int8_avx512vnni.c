/* The avx512vnni tier: the int8 product by vpdpbusd, which adds 4 products of an unsigned and a signed byte to each of 16 sums.
 * They are exact: no sum overflows below SV_GEMM_INT8_MAX_K columns.
 *
 * Packed W is [ceil(n / 32)][ceil(k / 4)][32][4] bytes, and asm_tile_tmpl.h has the tile of 14 x 32. The epilogues keep to the
 * contract's order of operations. */
#define DOT "vpdpbusd"
#define DOT_EMULATED _mm512_dpbusd_epi32
#include "kernels/x86/overlapped_tile_tmpl.h"

#include "kernels/x86/int8_epilogue_tmpl.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_gemm_int8_avx512vnni
#endif

#if !defined(SENVEC_SIMDE)

_Static_assert(offsetof(panel_vectors, gelu.limit) == 384 && offsetof(panel_vectors, gelu.terms) == 448 &&
                   offsetof(panel_vectors, up) == 704 && offsetof(panel_vectors, order) == 832,
               "GELU_ROW has these numbers");

/* y of the waiting row in zmm30 and zmm31: sum * w_scale * scale + (low * w_sum + bias) */
#define Y_ROW                                                                                                                  \
    "vbroadcastss 4(%[range]), %%zmm30\n\t"                                                                                    \
    "vmovaps (%[vectors]), %%zmm28\n\t"                                                                                        \
    "vmovaps 64(%[vectors]), %%zmm29\n\t"                                                                                      \
    "vfmadd231ps 128(%[vectors]), %%zmm30, %%zmm28\n\t"                                                                        \
    "vfmadd231ps 192(%[vectors]), %%zmm30, %%zmm29\n\t"                                                                        \
    "vcvtdq2ps (%[end]), %%zmm30\n\t"                                                                                          \
    "vcvtdq2ps 64(%[end]), %%zmm31\n\t"                                                                                        \
    "vmulps 256(%[vectors]), %%zmm30, %%zmm30\n\t"                                                                             \
    "vmulps 320(%[vectors]), %%zmm31, %%zmm31\n\t"                                                                             \
    "vfmadd132ps (%[range])%{1to16%}, %%zmm28, %%zmm30\n\t"                                                                    \
    "vfmadd132ps (%[range])%{1to16%}, %%zmm29, %%zmm31\n\t"                                                                    \
    "add $128, %[end]\n\t"                                                                                                     \
    "add $8, %[range]\n\t"

#define FLOAT_ROW                                                                                                              \
    Y_ROW                                                                                                                      \
    "vmovups %%zmm30, (%[c])\n\t"                                                                                              \
    "vmovups %%zmm31, 64(%[c])\n\t"                                                                                            \
    "add %[ldc], %[c]\n\t"

/* There is no register for the way from C to the residual but the count of steps, which isn't in use here. */
#define SUM_ROW                                                                                                                \
    Y_ROW                                                                                                                      \
    "mov %[residual], %[steps]\n\t"                                                                                            \
    "vaddps (%[c],%[steps]), %%zmm30, %%zmm30\n\t"                                                                             \
    "vaddps 64(%[c],%[steps]), %%zmm31, %%zmm31\n\t"                                                                           \
    "vmovups %%zmm30, (%[c])\n\t"                                                                                              \
    "vmovups %%zmm31, 64(%[c])\n\t"                                                                                            \
    "add %[ldc], %[c]\n\t"

#define BFLOAT_ROW                                                                                                             \
    Y_ROW                                                                                                                      \
    "vcvtne2ps2bf16 %%zmm30, %%zmm31, %%zmm30\n\t"                                                                             \
    "vmovdqu64 %%zmm30, (%[c])\n\t"                                                                                            \
    "add %[ldc], %[c]\n\t"

/* vs_from_floats, then vs_gelu. max(h, 0) waits where C will be, as there is no register for it. */
#define GELU_ROW                                                                                                               \
    Y_ROW                                                                                                                      \
    "vcvtps2dq %%zmm30, %%zmm30\n\t"                                                                                           \
    "vcvtps2dq %%zmm31, %%zmm31\n\t"                                                                                           \
    "vmovaps 832(%[vectors]), %%zmm29\n\t"                                                                                     \
    "vpackssdw %%zmm31, %%zmm30, %%zmm28\n\t"                                                                                  \
    "vpermq %%zmm28, %%zmm29, %%zmm28\n\t"                                                                                     \
    "vpxord %%zmm30, %%zmm30, %%zmm30\n\t"                                                                                     \
    "vpsubw %%zmm28, %%zmm30, %%zmm29\n\t"                                                                                     \
    "vpmaxsw %%zmm28, %%zmm30, %%zmm30\n\t"                                                                                    \
    "vpmaxsw %%zmm28, %%zmm29, %%zmm29\n\t"                                                                                    \
    "vmovups %%zmm30, (%[c])\n\t"                                                                                              \
    "vpminuw 384(%[vectors]), %%zmm29, %%zmm29\n\t"                                                                            \
    "vpsllvw 704(%[vectors]), %%zmm29, %%zmm29\n\t"                                                                            \
    "vpsrlw $11, %%zmm29, %%zmm30\n\t"                                                                                         \
    "vpsllw $5, %%zmm29, %%zmm29\n\t"                                                                                          \
    "vpermw 576(%[vectors]), %%zmm30, %%zmm31\n\t"                                                                             \
    "vpsrlw $1, %%zmm29, %%zmm29\n\t"                                                                                          \
    "vpermw 512(%[vectors]), %%zmm30, %%zmm28\n\t"                                                                             \
    "vpmulhrsw %%zmm29, %%zmm31, %%zmm31\n\t"                                                                                  \
    "vpermw 448(%[vectors]), %%zmm30, %%zmm30\n\t"                                                                             \
    "vpaddw %%zmm28, %%zmm31, %%zmm31\n\t"                                                                                     \
    "vpmulhrsw %%zmm29, %%zmm31, %%zmm31\n\t"                                                                                  \
    "vpaddw %%zmm30, %%zmm31, %%zmm31\n\t"                                                                                     \
    "vpsravw 768(%[vectors]), %%zmm31, %%zmm31\n\t"                                                                            \
    "vpaddw (%[c]), %%zmm31, %%zmm31\n\t"                                                                                      \
    "vmovups %%zmm31, (%[c])\n\t"                                                                                              \
    "add %[ldc], %[c]\n\t"

#define DEFINE_FLOAT(rows) DEFINE_OVERLAPPED(rows, overlapped_float, WIDE, FLOAT_ROW)
#define DEFINE_SUM(rows) DEFINE_OVERLAPPED(rows, overlapped_sum, WIDE, SUM_ROW)
#define DEFINE_BFLOAT(rows) DEFINE_OVERLAPPED(rows, overlapped_bfloat, WIDE, BFLOAT_ROW)
#define DEFINE_GELU(rows) DEFINE_OVERLAPPED(rows, overlapped_gelu, WIDE, GELU_ROW)
#define FLOAT_TILE(rows) overlapped_float_##rows,
#define SUM_TILE(rows) overlapped_sum_##rows,
#define BFLOAT_TILE(rows) overlapped_bfloat_##rows,
#define GELU_TILE(rows) overlapped_gelu_##rows,
/* clang-format off */
EACH_HEIGHT(DEFINE_FLOAT)
EACH_HEIGHT(DEFINE_SUM)
EACH_HEIGHT(DEFINE_BFLOAT)
EACH_HEIGHT(DEFINE_GELU)
static overlapped_tile_fn *const overlapped_tile[OUTPUTS][MR] = {
    {EACH_HEIGHT(FLOAT_TILE)}, {EACH_HEIGHT(SUM_TILE)}, {EACH_HEIGHT(BFLOAT_TILE)}, {EACH_HEIGHT(GELU_TILE)}};
/* clang-format on */

static void run_overlapped(const tile_args *t, size_t rows, waiting_tile *last, output kind) {
    overlapped_tile[kind][rows - 1](t, last);
}

#else

static void run_overlapped(const tile_args *t, size_t rows, waiting_tile *last, output kind) {
    finish(last, kind);
    emulated_tile(t, rows, 2);
}

#endif

static void run_tile(const void *context, tile_args *t, size_t row, size_t rows, size_t column) {
    const epilogue *e = context;
    waiting_tile *last = e->last;
    const panel_vectors *vectors = vectors_of(e, column);
    if (last->columns < NR || last->rows > t->steps)
        finish(last, e->kind);
    t->end = last->sums;
    run_overlapped(t, rows, last, e->kind);
    wait_for_epilogue(e, vectors, row, rows, column);
}

static void run(const sv_gemm_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    const product p = {g->a, g->lda, g->w, g->panel, g->m, g->n, (g->k + UNIT - 1) / UNIT};
    waiting_tile last;
    panel_vectors vectors[2];
    const epilogue e = epilogue_of(g, &last, vectors);
    multiply(&p, run_tile, &e);
    finish(&last, e.kind);
}

const sv_gemm RECORD = INT8_RECORD("gemm_int8_avx512vnni_14x32", 48);
