/* The avx512 tier: 32 registers of 16 floats. The GEMM tile of 12 x 32 takes 24 of them for sums, 2 for a row of W and leaves
 * room for broadcasts of A to run ahead. A step of k is 24 multiply-adds, 12 cycles where there are two pipes, and 14 loads,
 * which two load ports do in 7. */
#include "kernels/x86/words_avx512.h"

#define MR 12
#define TILE_NAME "gemm_f32_avx512_12x32"
#if !defined(TABLE) /* the emulated copy has a name of its own */
#define TABLE sv_kernels_avx512
#endif
#define TIER "avx512"

#include "kernels/float_tmpl.h"
