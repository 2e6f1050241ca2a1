/* Words for loops whose trip count is known when they are compiled and that must not remain loops: arrays of vectors then stay
 * in registers. */
#ifndef SV_KERNELS_UNROLL_H
#define SV_KERNELS_UNROLL_H

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_2 _Pragma("clang loop unroll_count(2)")
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_2 _Pragma("GCC unroll 2")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

#endif
