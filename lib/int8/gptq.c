/* GPTQ (Frantar et al. 2022, https://arxiv.org/abs/2210.17323): round one weight after the other and let those that aren't
 * rounded yet make up for the error, as well as the correlation of their inputs allows.
 *
 * For a row w of the matrix and inputs X the error of its output is |X (w - v)|^2 = |R (w - v)|^2 with R'R = X'X, R upper
 * triangular. Its row j is R[j][j] (w[j] - v[j]) + the sum over i > j of R[j][i] (w[i] - v[i]); going from the last weight to
 * the first everything in it but v[j] is known, so the best v[j] is
 *
 *     w[j] + the sum over i > j of R[j][i] / R[j][j] * (w[i] - v[i]),   rounded to the row's grid.
 *
 * That is Babai's nearest plane, and the same as GPTQ from back to front (Chen et al. 2025, https://arxiv.org/abs/2507.18553);
 * written so, it needs the Cholesky factor of X'X alone and no inverse, which is both faster and better conditioned.
 *
 * Weights that are rounded first have the most others to make up for them, so inputs are sorted by their sum of squares and the
 * largest is taken first. A hundredth of the mean of the diagonal is added to it ("damping"): directions that the sample texts
 * hardly used must not be free to go anywhere.
 *
 * X'X and the bulk of the factorisation go through the float GEMM; the sums have a fixed order, so a team of any size gives the
 * same bits. */
#include "int8/gptq.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "int8/quantize.h"

#define DAMPING 0.01f
#define FACTOR_BLOCK 64 /* rows of R that are found before the rest of the matrix is brought up to date */
#define BLOCK_COLUMNS 96

typedef float lanes __attribute__((vector_size(SV_GPTQ_LANES * sizeof(float))));

static size_t round_up(size_t value, size_t step) {
    return (value + step - 1) / step * step;
}

senvec_status sv_gptq_init(sv_gptq *gptq, size_t capacity, sv_team *team, const sv_gemm *gemm,
                           const senvec_allocator *allocator, senvec_error *err) {
    *gptq = (sv_gptq){.team = team, .gemm = *gemm, .capacity = capacity};
    sv_arena_init(&gptq->arena, allocator);
    const struct {
        float **block;
        size_t rows, columns;
    } wanted[] = {
        {&gptq->gram, capacity, capacity},
        {&gptq->factor, capacity, capacity},
        {&gptq->slab, capacity, SV_GPTQ_CHUNK},
        {&gptq->packed, 1, gemm->packed_size(capacity, SV_GPTQ_CHUNK) / sizeof(float)},
        {&gptq->errors, sv_team_size(team) * capacity, SV_GPTQ_LANES},
    };
    void *memory;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        SENVEC_TRY(
            sv_arena_alloc(&gptq->arena, wanted[i].rows, wanted[i].columns * sizeof(float), "calibration", &memory, err));
        *wanted[i].block = memory;
    }
    SENVEC_TRY(sv_arena_alloc(&gptq->arena, capacity, sizeof(size_t), "calibration", &memory, err));
    gptq->order = memory;
    return SENVEC_OK;
}

void sv_gptq_release(sv_gptq *gptq) {
    sv_arena_release(&gptq->arena);
    *gptq = (sv_gptq){0};
}

/* ------------------------------------------------------------------------------------------------ C += A A', upper triangle */

/* The symmetric product of a slab with itself, added to or taken from the upper triangle of a matrix; a block of columns of the
 * slab's source is an item. */
typedef struct product {
    sv_gptq *gptq;
    const float *source; /* (depth, columns) */
    size_t ld, depth, columns, block;
    float *target; /* (columns, columns) */
    size_t ld_target;
    bool subtract;
} product;

static size_t block_end(const product *p, size_t item) {
    size_t end = (item + 1) * p->block;
    return end < p->columns ? end : p->columns;
}

static void transpose_block(void *context, size_t item, size_t member) {
    (void)member;
    const product *p = context;
    const sv_gemm *gemm = &p->gptq->gemm;
    size_t first = item * p->block, end = block_end(p, item);
    float *slab = p->gptq->slab;
    for (size_t row = 0; row < p->depth; row++)
        for (size_t c = first; c < end; c++)
            slab[c * SV_GPTQ_CHUNK + row] = p->source[row * p->ld + c];
    gemm->pack(p->gptq->packed + first * p->depth, slab + first * SV_GPTQ_CHUNK, SV_GPTQ_CHUNK, end - first, p->depth);
    if (p->subtract)
        for (size_t c = first; c < end; c++)
            for (size_t row = 0; row < p->depth; row++)
                slab[c * SV_GPTQ_CHUNK + row] = -slab[c * SV_GPTQ_CHUNK + row];
}

static void multiply_block(void *context, size_t item, size_t member) {
    (void)member;
    const product *p = context;
    const sv_gemm *gemm = &p->gptq->gemm;
    size_t first = item * p->block;
    gemm->run(&(sv_gemm_args){
        .a = p->gptq->slab + first * SV_GPTQ_CHUNK,
        .lda = SV_GPTQ_CHUNK,
        .w = p->gptq->packed + first * p->depth,
        .panel = gemm->packed_size(gemm->nr, p->depth),
        .c = p->target + first * p->ld_target + first,
        .ldc = p->ld_target,
        .m = block_end(p, item) - first,
        .n = p->columns - first,
        .k = p->depth,
        .accumulate = true,
    });
}

/* target +-= source' source. */
static void add_product(sv_gptq *gptq, const float *source, size_t ld, size_t depth, size_t columns, float *target,
                        size_t ld_target, bool subtract) {
    assert(depth <= SV_GPTQ_CHUNK);
    product p = {gptq, source, ld, depth, columns, round_up(BLOCK_COLUMNS, gptq->gemm.nr), target, ld_target, subtract};
    size_t items = (columns + p.block - 1) / p.block;
    sv_team_each(gptq->team, items, transpose_block, &p);
    sv_team_each(gptq->team, items, multiply_block, &p);
}

/* --------------------------------------------------------------------------------------------------------------- the factor */

typedef struct importance {
    float sum;
    size_t input;
} importance;

static int by_importance(const void *a, const void *b) {
    const importance *x = a, *y = b;
    if (x->sum != y->sum)
        return x->sum < y->sum ? -1 : 1;
    return x->input < y->input ? -1 : x->input > y->input;
}

/* Fills `order`; the errors' memory serves for sorting. */
static void sort_inputs(sv_gptq *gptq) {
    importance *list = (importance *)(void *)gptq->errors;
    _Static_assert(sizeof(importance) <= sizeof(lanes), "the list fits");
    for (size_t i = 0; i < gptq->k; i++)
        list[i] = (importance){gptq->gram[i * gptq->k + i], i};
    qsort(list, gptq->k, sizeof *list, by_importance);
    for (size_t i = 0; i < gptq->k; i++)
        gptq->order[i] = list[i].input;
}

static void gather_row(void *context, size_t item, size_t member) {
    (void)member;
    sv_gptq *gptq = context;
    size_t k = gptq->k, from = gptq->order[item];
    for (size_t j = item; j < k; j++) {
        size_t to = gptq->order[j];
        gptq->factor[item * k + j] = from < to ? gptq->gram[from * k + to] : gptq->gram[to * k + from];
    }
}

/* Cholesky, by blocks of rows: R[j] = A[j] / sqrt(A[j][j]), then A[i] -= R[j][i] R[j] for all i > j. */
static void factorize(sv_gptq *gptq) {
    size_t k = gptq->k;
    float *a = gptq->factor;
    double trace = 0;
    for (size_t i = 0; i < k; i++)
        trace += gptq->gram[i * k + i];
    float damping = fmaxf(DAMPING * (float)(trace / (double)k), 0x1p-60f);
    sv_team_each(gptq->team, k, gather_row, gptq);
    for (size_t i = 0; i < k; i++)
        a[i * k + i] += damping;
    for (size_t first = 0; first < k; first += FACTOR_BLOCK) {
        size_t end = first + FACTOR_BLOCK < k ? first + FACTOR_BLOCK : k;
        for (size_t j = first; j < end; j++) {
            float *row = a + j * k;
            float pivot = sqrtf(fmaxf(row[j], damping)); /* rounding may have eaten a part of it */
            for (size_t c = j; c < k; c++)
                row[c] /= pivot;
            for (size_t i = j + 1; i < end; i++) {
                float factor = row[i], *other = a + i * k;
                for (size_t c = i; c < k; c++)
                    other[c] -= factor * row[c];
            }
        }
        if (end < k)
            add_product(gptq, a + first * k + end, k, end - first, k - end, a + end * k + end, k, true);
    }
    /* What rounding needs is R[j][i] / R[j][j]. */
    for (size_t j = 0; j < k; j++) {
        float *row = a + j * k, inverse = 1 / row[j];
        for (size_t c = j; c < k; c++)
            row[c] *= inverse;
    }
}

void sv_gptq_prepare(sv_gptq *gptq, const float *x, size_t rows, size_t k) {
    assert(k <= gptq->capacity);
    gptq->k = k;
    memset(gptq->gram, 0, k * k * sizeof(float));
    for (size_t first = 0; first < rows; first += SV_GPTQ_CHUNK) {
        size_t count = rows - first < SV_GPTQ_CHUNK ? rows - first : SV_GPTQ_CHUNK;
        add_product(gptq, x + first * k, k, count, k, gptq->gram, k, false);
    }
    sort_inputs(gptq);
    factorize(gptq);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * rounding */

typedef struct rounding {
    sv_gptq *gptq;
    const float *w;
    size_t n;
    int8_t *out;
    float *scale;
} rounding;

/* SV_GPTQ_LANES rows of the matrix, side by side. */
static void round_rows(void *context, size_t item, size_t member) {
    const rounding *r = context;
    const sv_gptq *gptq = r->gptq;
    size_t k = gptq->k, first = item * SV_GPTQ_LANES;
    size_t rows = r->n - first < SV_GPTQ_LANES ? r->n - first : SV_GPTQ_LANES;
    lanes *errors = (lanes *)(void *)gptq->errors + member * gptq->capacity;
    for (size_t l = 0; l < rows; l++)
        r->scale[first + l] = sv_quantized_scale(r->w + (first + l) * k, k);
    for (size_t j = k; j-- > 0;) {
        const float *factors = gptq->factor + j * k;
        size_t input = gptq->order[j];
        lanes sum = {0};
        for (size_t i = j + 1; i < k; i++)
            sum += factors[i] * errors[i];
        errors[j] = (lanes){0};
        for (size_t l = 0; l < rows; l++) {
            size_t row = first + l;
            float weight = r->w[row * k + input], scale = r->scale[row];
            float q = rintf((weight + sum[l]) / scale);
            q = q > SV_INT8_LIMIT ? SV_INT8_LIMIT : q < -SV_INT8_LIMIT ? -SV_INT8_LIMIT : q;
            r->out[row * k + input] = (int8_t)q;
            errors[j][l] = weight - scale * q;
        }
    }
}

void sv_gptq_round(sv_gptq *gptq, const float *w, size_t n, int8_t *out, float *scale) {
    rounding r = {gptq, w, n, out, scale};
    sv_team_each(gptq->team, (n + SV_GPTQ_LANES - 1) / SV_GPTQ_LANES, round_rows, &r);
}
