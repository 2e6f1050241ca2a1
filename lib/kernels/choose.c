/* The choice of kernels: a ladder per architecture, where each rung takes the place of what it does better than the one below.
 * Nothing is remembered, so kernels for different masks can be used side by side. */
#include "kernels/kernels.h"

#include "kernels/tiers.h"

sv_kernels sv_kernels_choose(sv_isa_flags flags) {
    sv_kernels chosen = sv_kernels_ref;
    chosen.gemm_int8 = sv_gemm_int8_ref;
    chosen.gemm_bf16 = sv_gemm_bf16_ref;
#if defined(__x86_64__)
    if (!(flags & SV_ISA_AVX2))
        return chosen;
    chosen = sv_kernels_avx2;
    chosen.gemm_int8 = sv_gemm_int8_avx2;
    if (flags & SV_ISA_AVXVNNI) {
        chosen.tier = "avxvnni";
        chosen.gemm_int8 = sv_gemm_int8_avxvnni;
    }
    if (!(flags & SV_ISA_AVX512))
        return chosen;
    const sv_gemm_int8 int8 = chosen.gemm_int8;
    chosen = sv_kernels_avx512;
    chosen.gemm_int8 = int8;
    if (flags & SV_ISA_AVX512VNNI) {
        chosen.tier = "avx512vnni";
        chosen.gemm_int8 = sv_gemm_int8_avx512vnni;
    }
    if (flags & SV_ISA_AVX512BF16) {
        chosen.tier = "avx512bf16";
        chosen.gemm_bf16 = sv_gemm_bf16_avx512bf16;
        chosen.attention_bf16 = sv_attention_bf16_avx512bf16;
        if (flags & SV_ISA_AVX512VNNI) /* whose product writes bfloat16 */
            chosen.attention_int8 = sv_attention_int8_avx512vnni;
    }
    if (flags & SV_ISA_AMX) {
        chosen.tier = "amx";
        chosen.gemm_int8 = sv_gemm_int8_amx;
        chosen.gemm_bf16 = sv_gemm_bf16_amx;
        chosen.attention_bf16 = sv_attention_bf16_amx;
        chosen.attention_int8 = sv_attention_bf16_amx;
    }
#else
    (void)flags;
#endif
    return chosen;
}
