/* One run of load against a target.
 *
 * Open loop: requests are due by the clock, however the target does. Each one's latency counts from the moment at which it was
 * due, not from the moment at which it could be sent, so a target that stalls for a second shows that second in all requests
 * that were due in it (leaving them out is known as coordinated omission). Closed loop: a number of clients, each of which
 * sends its next request when it has the answer to the last one; so a slow target is asked less. */
#ifndef SV_LOADGEN_RUN_H
#define SV_LOADGEN_RUN_H

#include <signal.h>

#include "loadgen/target.h"

typedef enum sv_load_loop { SV_LOAD_POISSON, SV_LOAD_CONSTANT, SV_LOAD_CLOSED_LOOP } sv_load_loop;

/* `fraction` of the run's time, and the requests that are over so far. */
typedef void sv_load_progress_fn(void *context, double fraction, uint64_t done);

typedef struct sv_load_plan {
    sv_load_loop loop;
    double rate;    /* requests a second, of an open loop */
    size_t clients; /* of a closed loop */
    double warmup_s, duration_s;
    double timeout_s; /* from the moment at which a request was due */
    /* Above 0, in an open loop: the run ends as soon as more than one in a hundred of the requests that it would send can't
     * meet this latency any more. */
    double bound_ms;
    size_t most_requests; /* 0: SV_MAX_LOAD_REQUESTS */
    uint64_t seed;
    const volatile sig_atomic_t *cancelled; /* non-zero ends the run; NULL: never */
    sv_load_progress_fn *progress;          /* NULL: none */
    void *progress_context;
} sv_load_plan;

/* Times are nanoseconds since the start of the run. */
typedef struct sv_load_record {
    uint64_t due_ns;
    uint64_t sent_ns; /* UINT64_MAX: never */
    uint64_t done_ns;
    uint32_t texts;
    uint16_t status;
    uint8_t kind;    /* of request (workload.h) */
    uint8_t outcome; /* an sv_load_outcome */
} sv_load_record;

typedef struct sv_load_log {
    sv_load_record *records; /* [count], in the order in which they were due */
    size_t count, capacity;
    uint64_t window_begin_ns, window_end_ns; /* what is due from here to there is measured: without the warm-up */
    uint64_t held;                           /* requests that had to wait because as many as can be were under way */
    bool interrupted;                        /* cancelled, or ended by most_requests */
    bool gave_up;                            /* by bound_ms */
} sv_load_log;

/* Runs the plan; returns when every request is over: answered, failed, timed out or abandoned. *log is to be released by the
 * caller in any case. Errors: OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_load_run(const sv_load_plan *plan, const sv_workload *workload, const sv_load_target *target, sv_load_log *log,
                          senvec_error *err);
/* A zeroed one is accepted. */
void sv_load_log_release(sv_load_log *log);

#endif
