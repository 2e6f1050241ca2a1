/* The instruction sets that may be used: those that the CPU has and whose registers the operating system saves, limited by a
 * mask.
 *
 * A tier is a set that kernels are written for, not a CPUID bit: AVX512 is the Skylake-X set (F, BW, DQ, VL, CD) as one. Each
 * tier implies the ones it is built on. */
#ifndef SV_CPU_ISA_H
#define SV_CPU_ISA_H

#include <stddef.h>

#include "common/status.h"

typedef unsigned sv_isa_flags;

/* flag, bit, name in --cpu and SENVEC_CPU, and what it implies. "ref" is the empty set. */
#define SV_ISA_AVX2 (1u << 0)       /* "avx2": AVX2, FMA, F16C, BMI2 */
#define SV_ISA_AVXVNNI (1u << 1)    /* "avxvnni": VEX-coded VNNI, 256 bits */
#define SV_ISA_AVX512 (1u << 2)     /* "avx512": F, BW, DQ, VL, CD */
#define SV_ISA_AVX512VNNI (1u << 3) /* "avx512vnni" */
#define SV_ISA_AVX512BF16 (1u << 4) /* "avx512bf16": BF16 and VBMI, which but for one CPU (Cooper Lake) come together */
#define SV_ISA_AMX (1u << 5)        /* "amx": AMX-TILE, INT8, BF16; the kernel granted the tile state */
#define SV_ISA_NEON (1u << 8)       /* "neon" */
#define SV_ISA_NEONDOT (1u << 9)    /* "neondot" */
#define SV_ISA_NEONI8MM (1u << 10)  /* "neoni8mm" */

/* The instruction sets of this machine, detected once and then cached. Thread safe. */
sv_isa_flags sv_isa_detect(void);

/* Parses a mask: a comma-separated list of tier names, each of which stands for itself and everything it implies; "ref" or
 * "none" is the empty set, "all" and "native" the full one. Upper and lower case are the same. Error: INVALID_ARGUMENT, which
 * lists the names.
 */
senvec_status sv_isa_parse(const char *mask, sv_isa_flags *out, senvec_error *err);

/* detected & mask, where the mask is `mask` if that isn't NULL, else $SENVEC_CPU if set and not empty, else everything.
 * Error: INVALID_ARGUMENT (says whether the option or the variable was wrong). */
senvec_status sv_isa_choose(const char *mask, sv_isa_flags *out, senvec_error *err);

/* The name of a single flag, or NULL. */
const char *sv_isa_name(sv_isa_flags flag);

/* All known tiers in ladder order, from index 0; 0 past the end. */
sv_isa_flags sv_isa_at(size_t index);

#endif
