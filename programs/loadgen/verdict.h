/* What a run says, and whether it may be believed. */
#ifndef SV_LOADGEN_VERDICT_H
#define SV_LOADGEN_VERDICT_H

#include "loadgen/run.h"
#include "stats/statistics.h"

enum { SV_VERDICT_MAX_REASONS = 8, SV_VERDICT_REASON = 200 };

/* Figures of the requests of one kind: due inside of the window. */
typedef struct sv_load_part {
    uint64_t requests, answered;
    sv_summary latency_ms; /* of the answered ones, from the moment at which each was due */
} sv_load_part;

typedef struct sv_load_figures {
    double seconds;                      /* of the window */
    uint64_t requests;                   /* due in it */
    uint64_t outcomes[SV_LOAD_OUTCOMES]; /* of these */
    uint64_t statuses[600];              /* of these, by HTTP status */
    double offered_per_s;                /* requests due */
    double answered_per_s, texts_per_s;  /* answers, and texts in them, that came inside of the window */
    sv_load_part all;
    sv_load_part kinds[SV_MIX_MAX * SV_MIX_MAX]; /* by sv_load_request.kind */
    double lag_p99_ms, lag_max_ms;               /* sent later than due; 0 in a closed loop */
    uint64_t held;
    double first_third_ms, last_third_ms; /* median latency: the steady state */
    bool valid;
    size_t reason_count;
    char reasons[SV_VERDICT_MAX_REASONS][SV_VERDICT_REASON]; /* why it isn't valid */
} sv_load_figures;

/* Requests that failed, refusals not counted, as a part of all: above this a run isn't valid. Refusals are an answer: a server
 * that refuses what is too much for it does right; but no rate at which more than this part is refused is sustained. */
#define SV_LOAD_MOST_FAILED 0.001

/* `samples`: answers that there must be for p99 to mean something. A run is not valid if there are fewer; if it was cut short;
 * if requests failed; if the generator fell behind (1 % of the requests were sent late by more than 1 ms and by more than a
 * tenth of p99); if latency grew from the first third of the window to the last (medians: more than doubled, and by 1 ms), for
 * then it depends on how long one waits. Error: OUT_OF_MEMORY. */
senvec_status sv_load_judge(const sv_load_log *log, size_t samples, sv_load_figures *out, senvec_error *err);

/* Whether the rate of a valid run is one that the target sustains with p99 within the bound. */
bool sv_load_sustained(const sv_load_figures *figures, double bound_ms);
/* Failed requests, refusals and those that were abandoned not counted. */
uint64_t sv_load_failures(const sv_load_figures *figures);

#endif
