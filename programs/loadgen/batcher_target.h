/* A target of load that is a batcher in this process, without HTTP, under the same schedules and with the same statistics as a
 * server. */
#ifndef SV_LOADGEN_BATCHER_TARGET_H
#define SV_LOADGEN_BATCHER_TARGET_H

#include "batcher/batcher.h"
#include "loadgen/target.h"

typedef struct sv_batcher_target sv_batcher_target;

/* At most `requests` at a time, vectors of `dimensions`. The batcher and the workload must outlive the target. The calling
 * thread, which also counts the texts' tokens, has real-time priority where it may until the close. A request that the batcher
 * refuses counts as refused. Errors: OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_batcher_target_open(sv_batcher *batcher, size_t dimensions, const sv_workload *workload, size_t requests,
                                     sv_batcher_target **out, senvec_error *err);
/* Waits for what was cancelled. NULL is accepted. */
void sv_batcher_target_close(sv_batcher_target *target);

/* The target's functions for a run. The clock is sv_clock_ns. */
sv_load_target sv_batcher_target_driver(sv_batcher_target *target);

#endif
