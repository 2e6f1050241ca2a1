/* The tables and records of the tiers, for the ladder in choose.c. */
#ifndef SV_KERNELS_TIERS_H
#define SV_KERNELS_TIERS_H

#include "kernels/kernels.h"

/* The float kernels; a table has no products of other types. */
extern const sv_kernels sv_kernels_ref;
#if defined(__x86_64__)
extern const sv_kernels sv_kernels_avx2;
extern const sv_kernels sv_kernels_avx512;
#endif

/* Those products, and attention in such types. */
extern const sv_gemm sv_gemm_int8_ref;
extern const sv_gemm sv_gemm_bf16_ref;
#if defined(__x86_64__)
extern const sv_gemm sv_gemm_int8_avx2;
extern const sv_gemm sv_gemm_int8_avxvnni;
extern const sv_gemm sv_gemm_int8_avx512vnni;
extern const sv_gemm sv_gemm_int8_amx;
extern const sv_gemm sv_gemm_bf16_avx512bf16;
extern const sv_gemm sv_gemm_bf16_amx;
extern const sv_attention sv_attention_bf16_avx512bf16;
extern const sv_attention sv_attention_int8_avx512vnni;
extern const sv_attention sv_attention_bf16_amx;
#endif

#endif
