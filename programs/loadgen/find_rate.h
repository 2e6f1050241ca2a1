/* The highest rate of an open loop at which a target keeps p99 within a bound. */
#ifndef SV_LOADGEN_FIND_RATE_H
#define SV_LOADGEN_FIND_RATE_H

#include "loadgen/verdict.h"

/* One run that was made: at which rate, and what came of it. Both live until the call returns. */
typedef void sv_load_step_fn(void *context, double rate, const sv_load_log *log, const sv_load_figures *figures);

typedef struct sv_load_goal {
    double bound_ms;
    double most_rate;
    double passed_rate, failed_rate; /* known to be sustained, and to be too high; 0: none */
    size_t most_runs;                /* the search ends after so many; 0: no limit */
    double most_seconds;             /* no run begins that would end later than this; 0: no limit */
    double tolerance;                /* the answer is within this part of the lowest rate that failed: 0.03 */
    size_t samples;                  /* of each run, as in sv_load_judge; runs are as long as that takes */
    sv_load_step_fn *step;           /* NULL: nobody looks */
    void *step_context;
} sv_load_goal;

/* Runs `plan` (an open loop) at rates from plan->rate on; *rate is the highest that was sustained (sv_load_sustained), 0 if not
 * even one request a second, or plan->rate if that is less, was. A run that can't succeed any more ends early, and the target
 * is given up to SV_LOAD_SETTLE_S to work off what it still has. Errors: those of sv_load_run; CANCELLED. */
#define SV_LOAD_SETTLE_S 30
senvec_status sv_load_find_rate(const sv_load_plan *plan, const sv_load_goal *goal, const sv_workload *workload,
                                const sv_load_target *target, double *rate, senvec_error *err);

/* One client asks, for up to SV_LOAD_SETTLE_S, until it is answered within twice `idle_ms`, its latency on the idle target:
 * what a failed run has left in the target's queue belongs to that run and not to the next one. A target that lets lone
 * requests wait for company is slow when idle. Errors: those of sv_load_run. */
senvec_status sv_load_settle(const sv_load_plan *plan, double idle_ms, const sv_workload *workload,
                             const sv_load_target *target, senvec_error *err);

#endif
