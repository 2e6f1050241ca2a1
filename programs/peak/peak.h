/* Measures the limits of the processor: register-only multiply-accumulate loops and a streaming read. A kernel's percentage of
 * peak refers to these figures, taken in the same run. */
#ifndef SV_PEAK_PEAK_H
#define SV_PEAK_PEAK_H

#include <stddef.h>

#include "common/cpu/isa.h"

typedef enum sv_peak_kind { SV_PEAK_FP32, SV_PEAK_BF16, SV_PEAK_INT8 } sv_peak_kind;

/* The best loop of a kind under `flags`: GMAC/s summed over `threads` threads that run at the same time for about
 * `milliseconds`. FP32: fused multiply-add. INT8: u8 x s8 -> s32, exact (vpdpbusd where there is one; on AVX2 the widening
 * sequence that does not saturate). BF16: vdpbf16ps. 0 if the tier has no such instruction. *name (may be NULL) gets the loop's
 * name, e.g. "fp32 fma 256". */
double sv_peak_gmacs(sv_peak_kind kind, sv_isa_flags flags, size_t threads, unsigned milliseconds, const char **name);

/* Read bandwidth in GB/s (1e9) of `threads` threads that each stream their part of `bytes`; a `bytes` above the last-level
 * cache measures memory, a smaller one the cache. 0 if memory can't be had. */
double sv_read_bandwidth(size_t bytes, size_t threads, unsigned milliseconds);

#endif
