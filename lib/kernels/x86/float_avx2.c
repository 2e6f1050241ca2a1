/* The avx2 tier: 16 registers of 8 floats. The GEMM tile of 6 x 16 takes 12 of them for sums, 2 for a row of W and 1 for the
 * broadcast of A. A step of k is 12 multiply-adds on two pipes, 6 cycles, which hides their latency of 4, and 8 loads, which
 * two load ports do in 4. */
#include "kernels/x86/words_avx2.h"

#define MR 6
#define TILE_NAME "gemm_f32_avx2_6x16"
#define TABLE sv_kernels_avx2
#define TIER "avx2"

#include "kernels/float_tmpl.h"
