/* Which kernels a mask gives, by name: choosing needs no CPU that has them. */
#include <string.h>

#include "check.h"

static const struct {
    const char *mask, *tier, *int8, *attention_int8;
} rungs[] = {
    {"ref", "ref", "gemm_int8_ref_1x8", "attention_f32_ref"},
#if defined(__x86_64__)
    {"avx2", "avx2", "gemm_int8_avx2_6x16", "attention_f32_avx2"},
    {"avxvnni", "avxvnni", "gemm_int8_avxvnni_6x16", "attention_f32_avx2"},
    {"avx512", "avx512", "gemm_int8_avx2_6x16", "attention_f32_avx512"},
    {"avxvnni,avx512", "avx512", "gemm_int8_avxvnni_6x16", "attention_f32_avx512"},
    {"avx512vnni", "avx512vnni", "gemm_int8_avx512vnni_14x32", "attention_f32_avx512"},
    {"avxvnni,avx512vnni", "avx512vnni", "gemm_int8_avx512vnni_14x32", "attention_f32_avx512"},
    {"avxvnni,avx512bf16", "avx512bf16", "gemm_int8_avxvnni_6x16", "attention_f32_avx512"},
    {"avx512vnni,avx512bf16", "avx512bf16", "gemm_int8_avx512vnni_14x32", "attention_int8_avx512vnni"},
    {"all", "amx", "gemm_int8_amx_32x32", "attention_bf16_amx"},
#endif
};

void test_ladder(void) {
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        check_begin("ladder %s", rungs[i].mask);
        sv_isa_flags flags = 0;
        if (sv_isa_parse(rungs[i].mask, &flags, NULL) != SENVEC_OK)
            check_fail("no such mask");
        const sv_kernels kernels = sv_kernels_choose(flags);
        if (strcmp(kernels.tier, rungs[i].tier))
            check_fail("the tier is %s, should be %s", kernels.tier, rungs[i].tier);
        if (strcmp(kernels.gemm_int8.name, rungs[i].int8))
            check_fail("the int8 product is %s, should be %s", kernels.gemm_int8.name, rungs[i].int8);
        if (strcmp(kernels.attention_int8.name, rungs[i].attention_int8))
            check_fail("int8's attention is %s, should be %s", kernels.attention_int8.name, rungs[i].attention_int8);
    }
}
