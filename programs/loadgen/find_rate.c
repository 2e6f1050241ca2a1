#include "loadgen/find_rate.h"

#include <math.h>

#include "common/clock.h"
#include "loadgen/search.h"

#define LEAST_RATE 1.0 /* a run of the 1,000 requests that p99 needs lasts a quarter of an hour at less */

static bool is_cancelled(const sv_load_plan *plan) {
    return plan->cancelled && *plan->cancelled;
}

/* Median latency of one client that asks for a moment; infinity if it has no answer. */
static senvec_status ask_alone(const sv_load_plan *plan, const sv_workload *workload, const sv_load_target *target, double *ms,
                               senvec_error *err) {
    const sv_load_plan one = {.loop = SV_LOAD_CLOSED_LOOP,
                              .clients = 1,
                              .duration_s = 0.1,
                              .timeout_s = SV_LOAD_SETTLE_S,
                              .seed = plan->seed,
                              .cancelled = plan->cancelled};
    sv_load_log log;
    sv_load_figures figures;
    senvec_status status = sv_load_run(&one, workload, target, &log, err);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, 1, &figures, err);
    sv_load_log_release(&log);
    if (status == SENVEC_OK)
        *ms = figures.all.latency_ms.count > 0 ? figures.all.latency_ms.p50 : INFINITY;
    return status;
}

senvec_status sv_load_settle(const sv_load_plan *plan, double idle_ms, const sv_workload *workload,
                             const sv_load_target *target, senvec_error *err) {
    uint64_t deadline = target->now(target->context) + SV_LOAD_SETTLE_S * SV_NS_PER_S;
    double ms = INFINITY;
    while (!(ms <= 2 * idle_ms) && !is_cancelled(plan) && target->now(target->context) < deadline)
        SENVEC_TRY(ask_alone(plan, workload, target, &ms, err));
    return SENVEC_OK;
}

static senvec_status try_rate(const sv_load_plan *plan, const sv_load_goal *goal, const sv_workload *workload,
                              const sv_load_target *target, bool *sustained, senvec_error *err) {
    sv_load_log log;
    sv_load_figures figures;
    senvec_status status = sv_load_run(plan, workload, target, &log, err);
    if (status == SENVEC_OK)
        status = sv_load_judge(&log, goal->samples, &figures, err);
    if (status == SENVEC_OK) {
        *sustained = sv_load_sustained(&figures, goal->bound_ms);
        if (goal->step && !is_cancelled(plan))
            goal->step(goal->step_context, plan->rate, &log, &figures);
    }
    sv_load_log_release(&log);
    return status;
}

senvec_status sv_load_find_rate(const sv_load_plan *plan, const sv_load_goal *goal, const sv_workload *workload,
                                const sv_load_target *target, double *rate, senvec_error *err) {
    sv_search search;
    sv_search_begin(&search, plan->rate, fmin(plan->rate, LEAST_RATE), goal->most_rate, goal->tolerance);
    search.passed = goal->passed_rate;
    search.failed = goal->failed_rate;
    bool sustained;
    size_t runs = 0;
    double idle_ms;
    const uint64_t begin_ns = target->now(target->context);
    SENVEC_TRY(ask_alone(plan, workload, target, &idle_ms, err));
    idle_ms = fmax(idle_ms, goal->bound_ms);
    do {
        sv_load_plan step = *plan;
        step.rate = search.rate;
        step.bound_ms = goal->bound_ms;
        /* A tenth more, since a Poisson process rarely gives the mean. */
        step.duration_s = fmax(plan->duration_s, 1.1 * (double)goal->samples / step.rate);
        const double spent = (double)(target->now(target->context) - begin_ns) / (double)SV_NS_PER_S;
        if (goal->most_seconds > 0 && spent + step.duration_s > goal->most_seconds)
            break;
        SENVEC_TRY(try_rate(&step, goal, workload, target, &sustained, err));
        if (is_cancelled(plan))
            return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted");
        if (!sustained)
            SENVEC_TRY(sv_load_settle(plan, idle_ms, workload, target, err));
    } while (sv_search_next(&search, sustained) && ++runs != goal->most_runs);
    *rate = search.passed;
    return SENVEC_OK;
}
