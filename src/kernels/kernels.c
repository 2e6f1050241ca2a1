/* The choice of a table: a ladder per architecture, where each rung is built on the one below and the last one reached wins.
 * Nothing is remembered, so tables for different masks can be used side by side. */
#include "kernels/kernels.h"

#include "kernels/tiers.h"

const sv_kernels *sv_kernels_choose(sv_isa_flags flags) {
    const sv_kernels *chosen = &sv_kernels_ref;
#if defined(__x86_64__)
    if (!(flags & SV_ISA_AVX2))
        return chosen;
    chosen = &sv_kernels_avx2;
    if (!(flags & SV_ISA_AVX512))
        return chosen;
    chosen = &sv_kernels_avx512;
#else
    (void)flags;
#endif
    return chosen;
}
