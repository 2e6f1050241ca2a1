/* The amx tier: the int8 product by tdpbusd, which is vpdpbusd on 16 x 16 sums and 16 units of 4 bytes, exact like it.
 *
 * Packed W is that of avx512vnni, [ceil(n / 32)][ceil(k / 64) * 16][32][4] bytes. The epilogues, too, are those of that tier,
 * written in C: between multiplications of registers there is room for all of their instructions. */
#define DOT "tdpbusd"
#define DOT_EMULATED emulated_tdpbusd
#include "kernels/x86/amx_tile_tmpl.h"

#include "kernels/x86/int8_epilogue_tmpl.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_gemm_int8_amx
#endif

/* Finishes the rows from `row` to `until`, which it returns. */
ALWAYS_INLINE size_t finish_until(const waiting_tile *last, const panel_vectors *vectors, size_t row, size_t until,
                                  const output kind) {
    for (; row < until; row++)
        finish_row(last, vectors, row, kind, true);
    return row;
}

/* What waits is finished row by row while `t` is multiplied. Its vectors stay in registers: the tile's loads leave few to
 * others. */
ALWAYS_INLINE void run_tile_as(waiting_tile *last, const tile_args *t, const bool high, const output kind) {
    const panel_vectors vectors = *(const panel_vectors *)last->vectors;
    const size_t rows = last->rows;
    size_t row = 0;
#define FINISH_PART(step, steps)                                                                                               \
    row = finish_until(last, &vectors, row, smaller(rows, (rows * (step) + (steps)-1) / (steps)), kind)
    MULTIPLY_TILE(t, last->sums, high, FINISH_PART);
#undef FINISH_PART
}

static void run_tile(const void *context, const tile_args *t, size_t row, size_t rows, size_t column) {
    const epilogue *e = context;
    waiting_tile *last = e->last;
    const panel_vectors *vectors = vectors_of(e, column);
    if (last->columns < NR || !t->steps)
        finish(last, e->kind);
    switch (e->kind) {
#define CASE(kind)                                                                                                             \
    case kind:                                                                                                                 \
        if (rows > TILE_ROWS)                                                                                                  \
            run_tile_as(last, t, true, kind);                                                                                  \
        else                                                                                                                   \
            run_tile_as(last, t, false, kind);                                                                                 \
        break
        CASE(FLOATS);
        CASE(SUMS);
        CASE(BFLOATS);
        CASE(GELU);
#undef CASE
    case OUTPUTS:
        break;
    }
    wait_for_epilogue(e, vectors, row, rows, column);
}

static void run(const sv_gemm_args *g) {
    assert(g->k <= SV_GEMM_INT8_MAX_K && g->panel >= packed_size(NR, g->k) && g->lda >= int8_stride(g->k));
    const product p = {g->a, g->lda, g->w, g->panel, g->m, g->n, (g->k + K_STEP - 1) / K_STEP};
    waiting_tile last;
    panel_vectors vectors[2];
    const epilogue e = epilogue_of(g, &last, vectors);
    multiply(&p, run_tile, &e);
    finish(&last, e.kind);
}

const sv_gemm RECORD = INT8_RECORD("gemm_int8_amx_32x32", 128);
