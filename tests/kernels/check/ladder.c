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

bool check_rung(sv_isa_flags flags, sv_isa_flags available, sv_kernels *out) {
    const sv_kernels kernels = sv_kernels_choose(flags & available);
    if (strcmp(kernels.tier, sv_kernels_choose(flags).tier))
        return false;
    *out = kernels;
    return true;
}

#if defined(__x86_64__)
/* What CPUs of several kinds run on a rung of the ladder, where each rung has the flags of those below. */
static const struct {
    const char *cpu, *rung, *int8; /* int8 NULL: the rung's tier isn't there */
} cpus[] = {
    {"avx2", "avx2", "gemm_int8_avx2_6x16"},
    {"avx2", "avxvnni", NULL},
    {"avx512", "avxvnni", NULL}, /* Skylake-X */
    {"avx512", "avxvnni,avx512", "gemm_int8_avx2_6x16"},
    {"avx512,avx512vnni,avx512bf16", "avxvnni,avx512", "gemm_int8_avx2_6x16"}, /* Zen 4 */
    {"avx512,avx512vnni,avx512bf16", "avxvnni,avx512vnni", "gemm_int8_avx512vnni_14x32"},
    {"avx512,avx512bf16", "avxvnni,avx512bf16", "gemm_int8_avx2_6x16"},
    {"avxvnni", "avxvnni", "gemm_int8_avxvnni_6x16"},
    {"avxvnni", "avxvnni,avx512", NULL},
    {"avxvnni,avx512vnni,avx512bf16", "avxvnni,avx512", "gemm_int8_avxvnni_6x16"}, /* Zen 5 */
    {"all", "all", "gemm_int8_amx_32x32"},
};

static void test_rungs(void) {
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        check_begin("rung %s of a CPU with %s", cpus[i].rung, cpus[i].cpu);
        sv_isa_flags available = 0, flags = 0;
        if (sv_isa_parse(cpus[i].cpu, &available, NULL) != SENVEC_OK || sv_isa_parse(cpus[i].rung, &flags, NULL) != SENVEC_OK)
            check_fail("no such mask");
        sv_kernels kernels;
        const char *int8 = check_rung(flags, available, &kernels) ? kernels.int8.gemm.name : NULL;
        if (int8 != cpus[i].int8 && (!int8 || !cpus[i].int8 || strcmp(int8, cpus[i].int8)))
            check_fail("the int8 product is %s, should be %s", int8 ? int8 : "none", cpus[i].int8 ? cpus[i].int8 : "none");
    }
}
#endif

void test_ladder(void) {
#if defined(__x86_64__)
    test_rungs();
#endif
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        check_begin("ladder %s", rungs[i].mask);
        sv_isa_flags flags = 0;
        if (sv_isa_parse(rungs[i].mask, &flags, NULL) != SENVEC_OK)
            check_fail("no such mask");
        const sv_kernels kernels = sv_kernels_choose(flags);
        if (strcmp(kernels.tier, rungs[i].tier))
            check_fail("the tier is %s, should be %s", kernels.tier, rungs[i].tier);
        if (strcmp(kernels.int8.gemm.name, rungs[i].int8))
            check_fail("the int8 product is %s, should be %s", kernels.int8.gemm.name, rungs[i].int8);
        if (strcmp(kernels.int8.attention.name, rungs[i].attention_int8))
            check_fail("int8's attention is %s, should be %s", kernels.int8.attention.name, rungs[i].attention_int8);
    }
}
