/* Two embedding services that are asked for the same texts: how far their vectors are apart, and how long each takes.
 *
 * Requests go to one service at a time, one after the other, and the two take turns in who is asked first: whatever the machine
 * or the network does in a minute, it does to both. Each is asked once before, so that what a first request costs doesn't
 * count. */
#ifndef SV_LOADGEN_SERVICE_COMPARISON_H
#define SV_LOADGEN_SERVICE_COMPARISON_H

#include "loadgen/http_target.h"
#include "stats/statistics.h"

#define SV_WORST_TEXTS 5

typedef struct sv_comparison_plan {
    size_t batch; /* texts of a request; the workload's size, too */
    double timeout_s;
    double least_cosine; /* texts below it are counted */
    void (*progress)(void *context, double fraction, size_t texts);
    void *progress_context;
} sv_comparison_plan;

/* Of one service. */
typedef struct sv_compared_service {
    size_t dimensions;
    double length_min, length_max; /* of its vectors */
    sv_summary latency_ms;         /* of whole requests of `batch` texts */
} sv_compared_service;

typedef struct sv_service_comparison {
    sv_compared_service services[2];
    size_t texts;         /* compared: all of the workload's, or 0 where the dimensions differ */
    size_t below;         /* texts whose cosine isn't at least `least_cosine` */
    size_t lengths_apart; /* texts whose two vectors differ in length by more than a thousandth */
    double cosine_mean, cosine_min, cosine_p1, cosine_p5, cosine_p50; /* NaN without texts */
    size_t worst[SV_WORST_TEXTS];                                     /* the texts of the lowest cosines, */
    double worst_cosines[SV_WORST_TEXTS];                             /* the lowest first; equal texts once */
    size_t worst_count;
} sv_service_comparison;

/* Asks both targets, of the same workload, for the vectors of all texts of its first set. Where the dimensions differ it ends
 * with the first request. A vector of length 0, or with a number that isn't finite, has cosine 0. Errors: NETWORK (one didn't
 * answer, or changed its dimensions on the way: which, and what it did), OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_compare_services(sv_http_target *const targets[2], const sv_workload *workload, const sv_comparison_plan *plan,
                                  sv_service_comparison *out, senvec_error *err);

#endif
