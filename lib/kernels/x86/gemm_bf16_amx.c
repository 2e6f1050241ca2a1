/* The amx tier: the bfloat16 product by tdpbf16ps. Of the 16 pairs of a step, the products of the even columns and those of the
 * odd ones are summed up by themselves, k ascending, then added to each other, and that to the sum of the steps before (Intel
 * SDM, TDPBF16PS); denormals are zeros.
 *
 * Packed W is that of avx512bf16, [ceil(n / 32)][ceil(k / 32) * 16][32][2]. */
#define DOT "tdpbf16ps"
#define DOT_EMULATED emulated_tdpbf16ps
#include "kernels/x86/amx_tile_tmpl.h"

#include "kernels/x86/bf16_epilogue_tmpl.h"

#if !defined(RECORD) /* the emulated copy has a name of its own */
#define RECORD sv_gemm_bf16_amx
#endif

/* A tile whose sums wait for their epilogue. */
typedef struct waiting {
    _Alignas(64) float sums[MR * NR];
    const sv_gemm_args *args;
    size_t row, rows, column;
    size_t done; /* rows */
} waiting;

static void finish_until(waiting *last, size_t row) {
    finish(last->args, last->row + last->done, row - last->done, last->column, last->sums + last->done * NR);
    last->done = row;
}

static void run_tile(const void *context, const tile_args *t, size_t row, size_t rows, size_t column) {
    waiting *last = *(waiting *const *)context;
    if (!t->steps)
        finish_until(last, last->rows);
#define FINISH_PART(step, steps) finish_until(last, last->rows *(step) / (steps))
    MULTIPLY_TILE(t, last->sums, rows > TILE_ROWS, FINISH_PART);
#undef FINISH_PART
    last->row = row;
    last->rows = rows;
    last->column = column;
    last->done = 0;
}

static void run(const sv_gemm_args *g) {
    assert(g->panel >= packed_size(NR, g->k) && g->lda >= stride(g->k));
    const product p = {g->a, g->lda * sizeof(uint16_t), g->w, g->panel, g->m, g->n, (2 * g->k + K_STEP - 1) / K_STEP};
    waiting last;
    last.args = g;
    last.row = last.rows = last.column = last.done = 0;
    multiply(&p, run_tile, &(waiting *){&last});
    finish_until(&last, last.rows);
}

const sv_gemm RECORD = BF16_RECORD("gemm_bf16_amx_32x32", 128);
