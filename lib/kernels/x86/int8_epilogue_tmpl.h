/* The epilogues, in C, of the int8 products of AVX-512 and AMX, whose tiles leave their sums in memory. They keep the order of
 * operations that the contract gives.
 *
 * Parameters: MR, NR, UNIT, K_STEP (a tile template defines them). */
#ifndef SV_KERNELS_INT8_EPILOGUE_TMPL_H
#define SV_KERNELS_INT8_EPILOGUE_TMPL_H

#if !defined(MR) || !defined(NR) || !defined(UNIT) || !defined(K_STEP)
#error "int8_epilogue_tmpl.h: include a tile template before, which defines MR, NR, UNIT and K_STEP"
#endif

#include "kernels/x86/words_avx512.h"

#define INT8_ELEMENT 1
#define v_store_integers v_store_uint8
#define vs_store_integers vs_store_uint8
#include "kernels/int8_tmpl.h"

#include "kernels/x86/product.h"
#include "kernels/x86/waiting_tile_tmpl.h"

/* The vectors that the epilogues of a panel read. gemm_int8_avx512vnni.c depends on their places. */
typedef struct panel_vectors {
    vf bias[2], w_sum[2], w_scale[2];
    gelu_constants gelu;
    vs up, down, order; /* its shifts, and pack_order */
    size_t column;      /* the panel's first */
} panel_vectors;

static output output_of(const sv_gemm_args *g) {
    return g->output == SV_GEMM_GELU_FIXED ? GELU : g->output == SV_GEMM_BF16 ? BFLOATS : g->residual ? SUMS : FLOATS;
}

/* Needs AVX-512 BF16, so it runs only on a CPU that has it. */
static inline __m512i v_to_bf16(vf low, vf high) {
#if defined(SENVEC_SIMDE)
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
#else
    __m512i both;
    __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
    return both;
#endif
}

/* Row r of a waiting tile, whose vectors are v; `whole`: it has all NR columns. */
ALWAYS_INLINE void finish_row(const waiting_tile *tile, const panel_vectors *v, size_t r, const output kind, const bool whole) {
    const size_t columns = whole ? NR : tile->columns;
    const sv_row_range *range = tile->range;
    const vf scale = v_set(range[r].scale), low = v_set(range[r].low);
    char *c = tile->c + r * tile->ldc;
    vf y[2];
    UNROLL
    for (size_t j = 0; j < 2; j++)
        y[j] = scale_sums(v_from_int32(tile->sums + r * NR + j * LANES), v->w_scale[j], v->w_sum[j], v->bias[j], scale, low);
    if (kind == SUMS)
        add_row(y, (const float *)(const void *)(c + tile->residual), 2, columns);
    if (kind == BFLOATS || kind == GELU) {
        const vs z = kind == GELU ? vs_gelu(vs_from_floats(y[0], y[1]), &v->gelu) : v_to_bf16(y[0], y[1]);
        memcpy(c, &z, columns * sizeof(int16_t));
    } else
        store_row((float *)(void *)c, y, 2, columns);
}

static void finish(waiting_tile *tile, output kind) {
    for (size_t r = 0; r < tile->rows; r++)
        if (kind == GELU)
            finish_row(tile, tile->vectors, r, GELU, false);
        else if (kind == BFLOATS)
            finish_row(tile, tile->vectors, r, BFLOATS, false);
        else if (kind == SUMS)
            finish_row(tile, tile->vectors, r, SUMS, false);
        else
            finish_row(tile, tile->vectors, r, FLOATS, false);
    tile->rows = 0;
}

/* One product's. */
typedef struct epilogue {
    const sv_gemm_args *args;
    char *c;
    size_t element; /* bytes of one of C */
    output kind;
    waiting_tile *last;
    panel_vectors *vectors; /* of two panels: a tile waits for its epilogue while the next panel begins */
} epilogue;

static epilogue epilogue_of(const sv_gemm_args *g, waiting_tile *last, panel_vectors vectors[2]) {
    epilogue e = {.args = g, .kind = output_of(g), .last = last, .vectors = vectors};
    vectors[0] = vectors[1] = (panel_vectors){.column = SIZE_MAX};
    last->vectors = vectors;
    for (size_t i = 0; e.kind == GELU && i < 2; i++) {
        vectors[i].gelu = gelu_constants_of(g->gelu_exponent);
        vectors[i].up = vs_set((int16_t)vectors[i].gelu.up);
        vectors[i].down = vs_set((int16_t)vectors[i].gelu.down);
        vectors[i].order = pack_order();
    }
    e.c = g->c;
    e.element = e.kind == FLOATS || e.kind == SUMS ? sizeof(float) : sizeof(int16_t);
    last->rows = last->columns = 0;
    last->residual = e.kind == SUMS ? (intptr_t)g->residual - (intptr_t)g->c : 0;
    last->ldc = g->ldc * e.element;
    return e;
}

/* Sets the vectors of the panel that begins with `column`. The vectors that a waiting tile reads aren't touched. */
static const panel_vectors *vectors_of(const epilogue *e, size_t column) {
    const sv_gemm_args *g = e->args;
    const panel_vectors *waiting = e->last->vectors;
    if (waiting->column == column)
        return waiting;
    panel_vectors *vectors = &e->vectors[waiting == e->vectors];
    const size_t columns = smaller(g->n - column, NR);
    load_row(vectors->w_scale, g->w_scale + column, 2, columns);
    load_row(vectors->w_sum, g->w_sum + column, 2, columns);
    load_row(vectors->bias, g->bias + column, 2, columns);
    vectors->column = column;
    return vectors;
}

/* The tile of `rows` rows at `row` and `column` is done. */
static void wait_for_epilogue(const epilogue *e, const panel_vectors *vectors, size_t row, size_t rows, size_t column) {
    waiting_tile *last = e->last;
    last->vectors = vectors;
    last->range = e->args->range + row;
    last->c = e->c + (row * e->args->ldc + column) * e->element;
    last->rows = rows;
    last->columns = smaller(e->args->n - column, NR);
}

#endif
