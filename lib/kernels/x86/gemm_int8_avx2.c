/* The avx2 tier's int8 product: 12 of 16 registers hold sums, 2 a row of W, 2 a pair's products. A step of k, 2 columns of it,
 * is 12 multiplications on two pipes, 12 additions, and 8 loads. */
#include "kernels/x86/words_avx2.h"

#define MR 6
#define UNIT 2
#define NAME "gemm_int8_avx2_6x16"
#define RECORD sv_gemm_int8_avx2
#define vi_add_units vi_add_pairs
#define v_store_integers v_store_uint16
#define vs_store_integers vs_store_uint16

#include "kernels/gemm_int8_tmpl.h"
