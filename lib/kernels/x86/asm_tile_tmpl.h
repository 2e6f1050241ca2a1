/* The tile that the int8 and the bf16 products share: up to MR rows times two vectors of output columns (wide) or one (narrow).
 * All of K is done in one go and the sums never leave their registers meanwhile. A unit is 4 bytes along k: 4 bytes or 2
 * bfloat16 of A, which are broadcast, times one unit of each lane of W, by one instruction:
 *     sums[row][lane] += unit(row, i) . w[i][lane]
 *
 * Parameters:
 *   DOT           that instruction, as text ("vpdpbusd", ...)
 *   DOT_EMULATED  its intrinsic, for SENVEC_SIMDE
 *   WIDE_TILES, NARROW_TILES  defined where a file needs tables of tiles without an epilogue of their own
 * Defines MR, NR, UNIT and K_STEP.
 *
 * Why inline assembly: 28 of 32 registers are sums, and gcc 12 spills some of them in the inner loop when the same is written
 * with intrinsics, which costs a quarter of the speed. Here the compiler sees one opaque block: register names are fixed, and
 * the sums go through a small buffer to an epilogue in C. Each height is a block of its own, made by the preprocessor:
 * EACH_ROW_n(X) lists rows 0 to n - 1 as
 *     X(where the row's unit is, register for the broadcast, first and second register of its sums, their offsets as wide and
 * as narrow) and KIND names macros that are such an X. A row's address is one of four pointers plus 0 to 3 strides. Between two
 * steps zmm28 to zmm31 are free.
 *
 * Panels of W are the outer loop, since they come from far away, and equal chunks of at most MR rows the inner one.
 *
 * A step of 14 rows is 28 multiply-adds, 16 loads and 3 prefetches. W comes from L2 or beyond: prefetcht0 brings the lines that
 * are wanted 8 steps later, prefetcht1 those of the next panel, an even share by each chunk of rows.
 *
 * With SENVEC_SIMDE the blocks become a loop over DOT_EMULATED, an intrinsic that SIMDe emulates: so the packing, the indexing
 * and the epilogues are tested anywhere, and the assembly where the instructions are. */
#ifndef SV_KERNELS_ASM_TILE_TMPL_H
#define SV_KERNELS_ASM_TILE_TMPL_H

#if !defined(DOT) || !defined(DOT_EMULATED)
#error "asm_tile_tmpl.h: DOT and DOT_EMULATED, the instruction, come before it"
#endif

#include <string.h>

#include "kernels/x86/product.h"
#include "kernels/x86/words_avx512.h"

#define MR 14
#define NR (2 * LANES)
#define UNIT 4        /* bytes */
#define K_STEP UNIT   /* bytes of k that a row of W is filled up to */
#define ROW_BLOCK 280 /* rows of A that stay near while W passes by */

#include "kernels/tile_tmpl.h"

typedef struct tile_args {
    const char *a;    /* unit (r, i) of A is at a + r * row + i * step */
    size_t row, step; /* bytes */
    const char *w;    /* (steps, 1 or 2 vectors), packed */
    size_t steps;
    void *end; /* where the sums go: (rows, 1 or 2 vectors) of 32 bits a lane */
    const char *prefetch;
    size_t prefetch_step; /* bytes of it for each step */
} tile_args;

typedef void tile_fn(const tile_args *);

#if !defined(SENVEC_SIMDE)

/* clang-format off */
#define EACH_ROW_1(X) X("(%[a0])", "28", "0", "1", "0", "0")
#define EACH_ROW_2(X) EACH_ROW_1(X) X("(%[a0],%[row])", "29", "2", "3", "128", "64")
#define EACH_ROW_3(X) EACH_ROW_2(X) X("(%[a0],%[row],2)", "28", "4", "5", "256", "128")
#define EACH_ROW_4(X) EACH_ROW_3(X) X("(%[a0],%[row3])", "29", "6", "7", "384", "192")
#define EACH_ROW_5(X) EACH_ROW_4(X) X("(%[a4])", "28", "8", "9", "512", "256")
#define EACH_ROW_6(X) EACH_ROW_5(X) X("(%[a4],%[row])", "29", "10", "11", "640", "320")
#define EACH_ROW_7(X) EACH_ROW_6(X) X("(%[a4],%[row],2)", "28", "12", "13", "768", "384")
#define EACH_ROW_8(X) EACH_ROW_7(X) X("(%[a4],%[row3])", "29", "14", "15", "896", "448")
#define EACH_ROW_9(X) EACH_ROW_8(X) X("(%[a8])", "28", "16", "17", "1024", "512")
#define EACH_ROW_10(X) EACH_ROW_9(X) X("(%[a8],%[row])", "29", "18", "19", "1152", "576")
#define EACH_ROW_11(X) EACH_ROW_10(X) X("(%[a8],%[row],2)", "28", "20", "21", "1280", "640")
#define EACH_ROW_12(X) EACH_ROW_11(X) X("(%[a8],%[row3])", "29", "22", "23", "1408", "704")
#define EACH_ROW_13(X) EACH_ROW_12(X) X("(%[a12])", "28", "24", "25", "1536", "768")
#define EACH_ROW_14(X) EACH_ROW_13(X) X("(%[a12],%[row])", "29", "26", "27", "1664", "832")
/* clang-format on */

#define CLEAR_WIDE(address, x, first, second, wide, narrow)                                                                    \
    "vpxord %%zmm" first ", %%zmm" first ", %%zmm" first "\n\t"                                                                \
    "vpxord %%zmm" second ", %%zmm" second ", %%zmm" second "\n\t"
#define STEP_BY(INSTRUCTION, address, x, first, second)                                                                        \
    "vpbroadcastd " address ", %%zmm" x "\n\t" INSTRUCTION " %%zmm30, %%zmm" x ", %%zmm" first "\n\t" INSTRUCTION              \
    " %%zmm31, %%zmm" x ", %%zmm" second "\n\t"
#define STEP_WIDE(address, x, first, second, wide, narrow) STEP_BY(DOT, address, x, first, second)
#define STORE_WIDE(address, x, first, second, wide, narrow)                                                                    \
    "vmovups %%zmm" first ", " wide "(%[end])\n\t"                                                                             \
    "vmovups %%zmm" second ", 64+" wide "(%[end])\n\t"

#define CLEAR_NARROW(address, x, first, second, wide, narrow) "vpxord %%zmm" first ", %%zmm" first ", %%zmm" first "\n\t"
#define STEP_NARROW(address, x, first, second, wide, narrow)                                                                   \
    "vpbroadcastd " address ", %%zmm" x "\n\t" DOT " %%zmm30, %%zmm" x ", %%zmm" first "\n\t"
#define STORE_NARROW(address, x, first, second, wide, narrow) "vmovups %%zmm" first ", " narrow "(%[end])\n\t"

#define LOAD_WIDE                                                                                                              \
    "vmovups (%[w]), %%zmm30\n\t"                                                                                              \
    "vmovups 64(%[w]), %%zmm31\n\t"                                                                                            \
    "prefetcht0 1024(%[w])\n\t"                                                                                                \
    "prefetcht0 1088(%[w])\n\t"                                                                                                \
    "prefetcht1 (%[prefetch])\n\t"                                                                                             \
    "add %[prefetch_step], %[prefetch]\n\t"                                                                                    \
    "sub $-128, %[w]\n\t"
#define LOAD_NARROW                                                                                                            \
    "vmovups (%[w]), %%zmm30\n\t"                                                                                              \
    "add $64, %[w]\n\t"

/* The addresses of the rows: a pointer for every four. */
#define ROW_POINTERS(rows)                                                                                                     \
    const char *a0 = t->a, *a4 = rows > 4 ? a0 + 4 * t->row : a0, *a8 = rows > 8 ? a0 + 8 * t->row : a0,                       \
               *a12 = rows > 12 ? a0 + 12 * t->row : a0

/* All of a step, counted down in `steps`, up to the branch back. `bytes`: of A, an operand of the block or a number. */
#define ONE_STEP(rows, KIND, bytes)                                                                                            \
    LOAD_##KIND EACH_ROW_##rows(STEP_##KIND) "add " bytes ", %[a0]\n\t"                                                        \
                                             "add " bytes ", %[a4]\n\t"                                                        \
                                             "add " bytes ", %[a8]\n\t"                                                        \
                                             "add " bytes ", %[a12]\n\t"                                                       \
                                             "dec %[steps]\n\t"

#define CLOBBERED                                                                                                              \
    "memory", "cc", "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", "zmm11", "zmm12", \
        "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22", "zmm23", "zmm24", "zmm25",   \
        "zmm26", "zmm27", "zmm28", "zmm29", "zmm30", "zmm31"

#define BLOCK(rows, KIND)                                                                                                      \
    ROW_POINTERS(rows);                                                                                                        \
    const char *w = t->w, *prefetch = t->prefetch;                                                                             \
    size_t steps = t->steps;                                                                                                   \
    __asm__ volatile(                                                                                                          \
        EACH_ROW_##rows(CLEAR_##KIND) "test %[steps], %[steps]\n\t"                                                            \
                                      "jz 2f\n\t"                                                                              \
                                      ".p2align 4\n"                                                                           \
                                      "1:\n\t" ONE_STEP(rows, KIND, "%[step]") "jnz 1b\n"                                      \
                                                                               "2:\n\t" EACH_ROW_##rows(STORE_##KIND)          \
        : [a0] "+r"(a0), [a4] "+r"(a4), [a8] "+r"(a8), [a12] "+r"(a12), [w] "+r"(w), [steps] "+r"(steps),                      \
          [prefetch] "+r"(prefetch)                                                                                            \
        : [row] "r"(t->row), [row3] "r"(3 * t->row), [step] "r"(t->step), [end] "r"(t->end),                                   \
          [prefetch_step] "r"(t->prefetch_step)                                                                                \
        : CLOBBERED)

#else

static void emulated_tile(const tile_args *t, size_t rows, size_t nv) {
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < nv; j++) {
            __m512i sum = _mm512_setzero_si512();
            for (size_t i = 0; i < t->steps; i++) {
                int32_t unit;
                memcpy(&unit, t->a + r * t->row + i * t->step, sizeof unit);
                sum = DOT_EMULATED(sum, _mm512_set1_epi32(unit), _mm512_loadu_si512(t->w + (i * nv + j) * 64));
            }
            memcpy((char *)t->end + (r * nv + j) * 64, &sum, sizeof sum);
        }
}

enum { WIDE = 2, NARROW = 1 };
#define BLOCK(rows, KIND) emulated_tile(t, rows, KIND)

#endif

#if defined(WIDE_TILES) /* for a file that needs them */
#define DEFINE_WIDE(rows)                                                                                                      \
    static void wide_##rows(const tile_args *t) {                                                                              \
        BLOCK(rows, WIDE);                                                                                                     \
    }
#define WIDE_TILE(rows) wide_##rows,
/* clang-format off */
EACH_HEIGHT(DEFINE_WIDE)
/* By height - 1. */
static tile_fn *const wide[MR] = {EACH_HEIGHT(WIDE_TILE)};
/* clang-format on */
#endif

#if defined(NARROW_TILES)
#define DEFINE_NARROW(rows)                                                                                                    \
    static void narrow_##rows(const tile_args *t) {                                                                            \
        BLOCK(rows, NARROW);                                                                                                   \
    }
#define NARROW_TILE(rows) narrow_##rows,
/* clang-format off */
EACH_HEIGHT(DEFINE_NARROW)
static tile_fn *const narrow[MR] = {EACH_HEIGHT(NARROW_TILE)};
/* clang-format on */
#endif

/* Runs the tile `t` of `rows` rows and makes C of it, from row `row` and column `column` on. */
typedef void tile_of_c(const void *args, tile_args *t, size_t row, size_t rows, size_t column);

ALWAYS_INLINE void multiply(const product *p, tile_of_c *run_tile, const void *args) {
    for (size_t block = 0; block < p->m; block += ROW_BLOCK) {
        const size_t m = smaller(p->m - block, ROW_BLOCK), chunks = chunks_of(m);
        for (size_t column = 0; column < p->n; column += NR) {
            tile_args t = {.row = p->lda,
                           .step = UNIT,
                           .w = p->w + column / NR * p->panel,
                           .steps = p->steps,
                           .prefetch_step = NR * UNIT / chunks};
            t.prefetch = t.w + p->panel;
            for (size_t chunk = 0; chunk < chunks; chunk++, t.prefetch += t.steps * t.prefetch_step) {
                const size_t row = block + chunk_begin(m, chunk), rows = block + chunk_begin(m, chunk + 1) - row;
                t.a = p->a + row * p->lda;
                run_tile(args, &t, row, rows, column);
            }
        }
    }
}

#endif
