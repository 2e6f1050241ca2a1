/* The avxvnni tier: the int8 product by vpdpbusd in its VEX form, for CPUs that have it without AVX-512. It adds 4 products of
 * an unsigned and a signed byte to each of 8 sums, exactly. 12 of 16 registers hold sums, 2 a row of W, 1 the broadcast. A step
 * of k, 4 columns of it, is 12 multiply-adds on two pipes and 8 loads. */
#include "kernels/x86/words_avx2.h"

/* sum[0] += a . w0, sum[1] += a . w1, the 4 bytes of a with each lane's 4 bytes. */
static inline __attribute__((always_inline)) void vi_add_quads(vi sum[2], const char *a, vi w0, vi w1) {
    vi sum0 = sum[0], sum1 = sum[1], x;
    __asm__("vpbroadcastd %3, %2\n\t"
            "%{vex%} vpdpbusd %4, %2, %0\n\t"
            "%{vex%} vpdpbusd %5, %2, %1"
            : "+x"(sum0), "+x"(sum1), "=&x"(x)
            : "m"(*(const char(*)[4])a), "x"(w0), "x"(w1));
    sum[0] = sum0;
    sum[1] = sum1;
}

#define MR 6
#define UNIT 4
#define NAME "gemm_int8_avxvnni_6x16"
#define RECORD sv_gemm_int8_avxvnni
#define vi_add_units vi_add_quads
#define v_store_integers v_store_uint8
#define vs_store_integers vs_store_uint8

#include "kernels/gemm_int8_tmpl.h"
