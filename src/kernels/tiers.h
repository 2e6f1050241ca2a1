/* The tables of the tiers, for the ladder in kernels.c. */
#ifndef SV_KERNELS_TIERS_H
#define SV_KERNELS_TIERS_H

#include "kernels/kernels.h"

extern const sv_kernels sv_kernels_ref;
#if defined(__x86_64__)
extern const sv_kernels sv_kernels_avx2;
extern const sv_kernels sv_kernels_avx512;
#endif

#endif
