/* The tile that the AMX products share. A tile register holds 16 rows of 64 bytes, and one instruction multiplies two of them:
 * with units of 4 bytes along k as in asm_tile_tmpl.h (4 bytes, or 2 bfloat16), sums[r][c] += unit(r, i) . w[i][c]      for 16
 * rows of A, 16 units i, 16 columns of W in 16 cycles whatever the number of rows is, which is 1,024 products of bytes a cycle.
 * So a tile of C is two by two registers: 32 rows x 32 columns, four loads for four multiplications. W is packed as in
 * asm_tile_tmpl.h, where each half of its 128-byte rows of units is a register, k rounded up to whole registers.
 *
 * The first pass goes through whole tiles of 32 rows, the second one through what is left, as registers of fewer rows need
 * another configuration, which takes some 200 cycles to load. Panels are the outer loop, rows the inner one. The epilogue of a
 * tile runs between the multiplications of the next one, which leave nearly all of the core to it.
 *
 * With SENVEC_SIMDE a loop over DOT_EMULATED, unit by unit, takes the place of DOT: so packing, indexing and epilogues are
 * tested on any CPU.
 *
 * Parameters:
 *   DOT           the instruction, as text ("tdpbusd", ...)
 *   DOT_EMULATED  a function that does the same for one unit
 * Defines MR, NR, UNIT and K_STEP. */
#ifndef SV_KERNELS_AMX_TILE_TMPL_H
#define SV_KERNELS_AMX_TILE_TMPL_H

#if !defined(DOT) || !defined(DOT_EMULATED)
#error "amx_tile_tmpl.h: DOT and DOT_EMULATED, the instruction, come before it"
#endif

#include <stdbool.h>
#include <string.h>

#include "kernels/x86/product.h"
#include "kernels/x86/words_avx512.h"

#define MR 32
#define NR (2 * LANES)
#define UNIT 4
#define K_STEP 64       /* bytes of a row of A that are multiplied together */
#define ROW_BLOCK 256   /* rows of A that stay near while W passes by */
#define TILE_ROWS 16    /* of a register */
#define UNITS_ROW 128   /* bytes from a unit of W to the next one along k */
#define PANEL_STEP 2048 /* bytes of W in a step: two registers */

#include "kernels/tile_tmpl.h"

/* ------------------------------------------------------------------------------------------------------------ instructions */

/* As ldtilecfg reads it (Intel SDM, LDTILECFG). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} tile_config;

_Static_assert(sizeof(tile_config) == 64, "by definition");

#if !defined(SENVEC_SIMDE)

#define TILE_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" : : "m"(config))
#define TILE_RELEASE() __asm__ volatile("tilerelease")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
#define TILE_LOAD(t, p, stride) LOAD_TILE(t, p, stride, "memory")
/* The same for memory that was written before the product was called. The compiler isn't told about it, so it can keep what an
 * epilogue reads in registers. */
#define TILE_LOAD_INPUT(t, p, stride) LOAD_TILE(t, p, stride, )
#define LOAD_TILE(t, p, stride, clobbered)                                                                                     \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((size_t)(stride)) : clobbered)
#define TILE_STORE(t, p, stride)                                                                                               \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((size_t)(stride)) : "memory")
#define TILE_DOT(c, a, b) __asm__ volatile(DOT " %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#else

static _Thread_local tile_config emulated_config;
static _Thread_local uint32_t emulated_tile[8][TILE_ROWS][16];

static void emulated_load(int t, const void *p, size_t stride) {
    memset(emulated_tile[t], 0, sizeof emulated_tile[t]);
    for (size_t r = 0; r < emulated_config.rows[t]; r++)
        memcpy(emulated_tile[t][r], (const char *)p + r * stride, emulated_config.bytes[t]);
}

static void emulated_store(int t, void *p, size_t stride) {
    for (size_t r = 0; r < emulated_config.rows[t]; r++)
        memcpy((char *)p + r * stride, emulated_tile[t][r], emulated_config.bytes[t]);
}

static inline void emulated_tdpbusd(uint32_t *sum, uint32_t a, uint32_t w) {
    for (int i = 0; i < 32; i += 8)
        *sum += (uint32_t)((int32_t)(a >> i & 255) * (int8_t)(w >> i & 255));
}

/* tdpbf16ps rounds less often: it sums up 16 units by themselves. */
static inline void emulated_tdpbf16ps(uint32_t *sum, uint32_t a, uint32_t w) {
    const uint32_t bits[5] = {*sum, a << 16, w << 16, a & 0xffff0000, w & 0xffff0000};
    float x[5];
    memcpy(x, bits, sizeof x);
    x[0] += x[1] * x[2] + x[3] * x[4];
    memcpy(sum, x, sizeof *sum);
}

static void emulated_dot(int c, int a, int b) {
    for (size_t r = 0; r < emulated_config.rows[c]; r++)
        for (size_t i = 0; i < emulated_config.bytes[a] / 4u; i++)
            for (size_t j = 0; j < emulated_config.bytes[c] / 4u; j++)
                DOT_EMULATED(&emulated_tile[c][r][j], emulated_tile[a][r][i], emulated_tile[b][i][j]);
}

#define TILE_CONFIGURE(config) emulated_config = (config)
#define TILE_RELEASE()                                                                                                         \
    emulated_config = (tile_config) {                                                                                          \
        0                                                                                                                      \
    }
#define TILE_ZERO(t) memset(emulated_tile[t], 0, sizeof emulated_tile[t])
#define TILE_LOAD(t, p, stride) emulated_load(t, p, stride)
#define TILE_LOAD_INPUT(t, p, stride) emulated_load(t, p, stride)
#define TILE_STORE(t, p, stride) emulated_store(t, p, stride)
#define TILE_DOT(c, a, b) emulated_dot(c, a, b)

#endif

/* Registers 0 to 3 are C, 4 and 5 A, 6 and 7 W: `upper` rows of 0, 1 and 4, `lower` rows, none or some, of 2, 3 and 5. */
static void configure(size_t upper, size_t lower) {
    tile_config config = {.palette = 1};
    const size_t rows[8] = {upper, upper, lower, lower, upper, lower, TILE_ROWS, TILE_ROWS};
    for (size_t t = 0; t < 8; t++) {
        config.rows[t] = (uint8_t)rows[t];
        config.bytes[t] = rows[t] ? 64 : 0;
    }
    TILE_CONFIGURE(config);
}

/* ----------------------------------------------------------------------------------------------------------------- product */

typedef struct tile_args {
    const char *a;
    size_t lda;
    const char *w;
    size_t steps;
    const char *prefetch; /* what will be wanted next */
    size_t prefetch_step; /* lines of it for each step */
} tile_args;

/* The sums of a tile of up to 32 rows, or 16 if it isn't `high`, into `sums` (rows, NR). After each step comes BETWEEN, with
 * the number of steps that are done and that of all. */
#define MULTIPLY_TILE(t, sums, high, BETWEEN)                                                                                  \
    do {                                                                                                                       \
        const char *tile_a = (t)->a, *tile_w = (t)->w, *tile_prefetch = (t)->prefetch;                                         \
        TILE_ZERO(0);                                                                                                          \
        TILE_ZERO(1);                                                                                                          \
        if (high) {                                                                                                            \
            TILE_ZERO(2);                                                                                                      \
            TILE_ZERO(3);                                                                                                      \
        }                                                                                                                      \
        for (size_t step = 0; step < (t)->steps; step++) {                                                                     \
            TILE_LOAD_INPUT(4, tile_a, (t)->lda);                                                                              \
            TILE_LOAD_INPUT(6, tile_w, UNITS_ROW);                                                                             \
            TILE_DOT(0, 4, 6);                                                                                                 \
            TILE_LOAD_INPUT(7, tile_w + 64, UNITS_ROW);                                                                        \
            TILE_DOT(1, 4, 7);                                                                                                 \
            if (high) {                                                                                                        \
                TILE_LOAD_INPUT(5, tile_a + TILE_ROWS * (t)->lda, (t)->lda);                                                   \
                TILE_DOT(2, 5, 6);                                                                                             \
                TILE_DOT(3, 5, 7);                                                                                             \
            }                                                                                                                  \
            for (size_t line = 0; line < (t)->prefetch_step; line++, tile_prefetch += 64)                                      \
                __builtin_prefetch(tile_prefetch, 0, 2);                                                                       \
            tile_a += K_STEP;                                                                                                  \
            tile_w += PANEL_STEP;                                                                                              \
            BETWEEN(step + 1, (t)->steps);                                                                                     \
        }                                                                                                                      \
        TILE_STORE(0, sums, UNITS_ROW);                                                                                        \
        TILE_STORE(1, (char *)(sums) + 64, UNITS_ROW);                                                                         \
        if (high) {                                                                                                            \
            TILE_STORE(2, (char *)(sums) + TILE_ROWS * UNITS_ROW, UNITS_ROW);                                                  \
            TILE_STORE(3, (char *)(sums) + TILE_ROWS * UNITS_ROW + 64, UNITS_ROW);                                             \
        }                                                                                                                      \
    } while (0)

/* Runs the tile `t` and makes C of an earlier one. */
typedef void tile_of_c(const void *args, const tile_args *t, size_t row, size_t rows, size_t column);

/* Tiles of `height` rows: those of [begin, end). */
ALWAYS_INLINE void multiply_rows(const product *p, tile_of_c *run_tile, const void *args, size_t begin, size_t end,
                                 size_t height) {
    const size_t chunks = (end - begin) / height, lines = PANEL_STEP / 64;
    for (size_t column = 0; column < p->n; column += NR) {
        tile_args t = {.lda = p->lda, .w = p->w + column / NR * p->panel, .steps = p->steps, .prefetch_step = lines / chunks};
        t.prefetch = t.w + p->panel;
        for (size_t row = begin; row < end; row += height, t.prefetch += t.steps * t.prefetch_step * 64) {
            t.a = p->a + row * p->lda;
            run_tile(args, &t, row, height, column);
        }
    }
}

ALWAYS_INLINE void multiply(const product *p, tile_of_c *run_tile, const void *args) {
    for (size_t block = 0; block < p->m; block += ROW_BLOCK) {
        const size_t end = block + smaller(p->m - block, ROW_BLOCK), rest = (end - block) % MR, whole = end - rest;
        if (whole > block) {
            configure(TILE_ROWS, TILE_ROWS);
            multiply_rows(p, run_tile, args, block, whole, MR);
        }
        if (rest) {
            configure(smaller(rest, TILE_ROWS), rest > TILE_ROWS ? rest - TILE_ROWS : 0);
            multiply_rows(p, run_tile, args, whole, end, rest);
        }
    }
    TILE_RELEASE();
}

#endif
