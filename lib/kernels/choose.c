/* The choice of kernels: a ladder per architecture, where each rung takes the place of what it does better than the one below.
 * Nothing is remembered, so kernels for different masks can be used side by side. */
#include "kernels/kernels.h"

#include "kernels/tiers.h"

static sv_kernels climb(sv_isa_flags flags) {
    sv_kernels chosen = sv_kernels_ref;
    chosen.int8.gemm = sv_gemm_int8_ref;
    chosen.bf16.gemm = sv_gemm_bf16_ref;
#if defined(__x86_64__)
    if (!(flags & SV_ISA_AVX2))
        return chosen;
    chosen = sv_kernels_avx2;
    chosen.int8.gemm = sv_gemm_int8_avx2;
    if (flags & SV_ISA_AVXVNNI) {
        chosen.tier = "avxvnni";
        chosen.int8.gemm = sv_gemm_int8_avxvnni;
    }
    if (!(flags & SV_ISA_AVX512))
        return chosen;
    const sv_gemm int8 = chosen.int8.gemm;
    chosen = sv_kernels_avx512;
    chosen.int8.gemm = int8;
    if (flags & SV_ISA_AVX512VNNI) {
        chosen.tier = "avx512vnni";
        chosen.int8.gemm = sv_gemm_int8_avx512vnni;
    }
    if (flags & SV_ISA_AVX512BF16) {
        chosen.tier = "avx512bf16";
        chosen.bf16.gemm = sv_gemm_bf16_avx512bf16;
        chosen.bf16.attention = sv_attention_bf16_avx512bf16;
        if (flags & SV_ISA_AVX512VNNI) /* whose product writes bfloat16 */
            chosen.int8.attention = sv_attention_int8_avx512vnni;
    }
    if (flags & SV_ISA_AMX) {
        chosen.tier = "amx";
        chosen.int8.gemm = sv_gemm_int8_amx;
        chosen.bf16.gemm = sv_gemm_bf16_amx;
        chosen.bf16.attention = sv_attention_bf16_amx;
        chosen.int8.attention = sv_attention_bf16_amx;
    }
#else
    (void)flags;
#endif
    return chosen;
}

sv_kernels sv_kernels_choose(sv_isa_flags flags) {
    sv_kernels chosen = climb(flags);
    chosen.fp32.rowwise = chosen.fp32.attention;
    chosen.bf16.rowwise = chosen.bf16.attention;
    /* int8's may round queries by the largest one of the text. */
    const bool alike = chosen.bf16.attention.bf16 == chosen.int8.attention.bf16;
    chosen.int8.rowwise = alike ? chosen.bf16.attention : chosen.int8.attention;
    return chosen;
}
