/* The choice of a table: a ladder per architecture, where each rung is built on the one below and the last one reached wins.
 * Nothing is remembered, so tables for different masks can be used side by side. */
#include "kernels/kernels.h"

#include "kernels/tiers.h"

const sv_kernels *sv_kernels_choose(sv_isa_flags flags) {
    (void)flags;
    return &sv_kernels_ref;
}
