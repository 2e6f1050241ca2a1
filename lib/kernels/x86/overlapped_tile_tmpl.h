/* A tile of asm_tile_tmpl.h (with its parameters) that is overlapped with the epilogue of the tile before: a row of that
 * epilogue follows every few steps. While the multiply-adds keep two of the CPU's vector pipes busy, the others idle, and so
 * does half of the decoder; so additions, conversions, shifts and shuffles are free there, and only multiplications count. An
 * epilogue behind its own tile stops the multiply-adds for as long as its instructions fill the reorder buffer. On a Zen 5 this
 * took a layer of 48 rows from 92.1 to 94.9 % of the peak (docs/SPEED.md). */
#ifndef SV_KERNELS_OVERLAPPED_TILE_TMPL_H
#define SV_KERNELS_OVERLAPPED_TILE_TMPL_H

#include "kernels/x86/asm_tile_tmpl.h"

#include "kernels/x86/waiting_tile_tmpl.h"

typedef void overlapped_tile_fn(const tile_args *, waiting_tile *);

#if !defined(SENVEC_SIMDE)

/* NAME_height: KIND says how sums begin and W is loaded, and ROW is the epilogue of a row in assembly. It may use zmm28 to
 * zmm31 and k1, and moves `end`, where the waiting row's sums are, `range` and `c` on to the next one. */
#define BEGIN_WIDE
_Static_assert(UNIT == 4, "DEFINE_OVERLAPPED has this number, as gcc allows no more operands");
#define DEFINE_OVERLAPPED(height, NAME, KIND, ROW)                                                                             \
    static void NAME##_##height(const tile_args *t, waiting_tile *last) {                                                      \
        ROW_POINTERS(height);                                                                                                  \
        const char *w = t->w, *prefetch = t->prefetch, *c = last->c, *range = last->range;                                     \
        const int32_t *end = last->sums;                                                                                       \
        const size_t few = last->rows ? t->steps / last->rows : t->steps, rest = t->steps - few * last->rows;                  \
        const size_t ldc = last->ldc, residual = (size_t)last->residual, prefetch_step = t->prefetch_step;                     \
        const int32_t *const sums = last->sums;                                                                                \
        size_t left = last->rows, steps;                                                                                       \
        __asm__ volatile(                                                                                                      \
            BEGIN_##KIND EACH_ROW_##height(                                                                                    \
                CLEAR_##KIND) "cmpq $0, %[few]\n\t"                                                                            \
                              "je 3f\n"                                                                                        \
                              "1:\n\t"                                                                                         \
                              "mov %[few], %[steps]\n\t"                                                                       \
                              ".p2align 4\n"                                                                                   \
                              "2:\n\t" ONE_STEP(height, KIND, "$4") "jnz 2b\n\t"                                               \
                                                                    "cmpq $0, %[left]\n\t"                                     \
                                                                    "je 3f\n\t" ROW "decq %[left]\n\t"                         \
                                                                    "jnz 1b\n\t"                                               \
                                                                    "mov %[rest], %[steps]\n\t"                                \
                                                                    "test %[steps], %[steps]\n\t"                              \
                                                                    "jnz 2b\n"                                                 \
                                                                    "3:\n\t"                                                   \
                                                                    "mov %[sums], %[end]\n\t" EACH_ROW_##height(STORE_WIDE)    \
            : [a0] "+&r"(a0), [a4] "+&r"(a4), [a8] "+&r"(a8), [a12] "+&r"(a12), [w] "+&r"(w), [steps] "=&r"(steps),            \
              [prefetch] "+&r"(prefetch), [end] "+&r"(end), [range] "+&r"(range), [c] "+&r"(c), [left] "+m"(left)              \
            : [row] "r"(t->row), [row3] "r"(3 * t->row), [vectors] "r"(last->vectors), [few] "m"(few), [rest] "m"(rest),       \
              [sums] "m"(sums), [ldc] "m"(ldc), [residual] "m"(residual), [prefetch_step] "m"(prefetch_step)                   \
            : CLOBBERED, "k1");                                                                                                \
    }

#endif

#endif
