/* A simulated machine around the queue: a clock of its own, arrivals given beforehand, workers whose batches take what a known
 * line says, give or take some noise. The same seed gives the same run. */
#ifndef TESTS_BATCHER_QUEUE_SIMULATION_H
#define TESTS_BATCHER_QUEUE_SIMULATION_H

#include "batcher/request_queue.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

typedef struct simulated_request {
    sv_job job;
    uint32_t length; /* of each of its texts, unless `lengths` says more */
    const uint32_t *lengths;
    size_t count;
    uint64_t client;
    uint64_t arrival;
    uint64_t leaves;                /* the client goes away at this time; 0: it doesn't */
    struct simulated_request *then; /* what the client sends when this one is answered, or refused for good */
    bool follows;                   /* it is such a one, and has no arrival of its own */
    size_t tries;                   /* more, if it is refused with a time to come back at */
    /* what became of it */
    sv_admission admission;
    uint64_t retry_ns;
    size_t refused; /* times */

    struct simulated_request *next_due; /* the simulation's own */
    bool ended;
    uint64_t finished;
} simulated_request;

typedef struct simulated_machine {
    sv_queue queue;
    double fixed_ns, per_work_ns; /* the truth */
    double noise;                 /* 0.1: batches take up to 10 % more or less */
    uint64_t seed;
    struct {
        bool busy;
        sv_batch batch;
        uint64_t end;
    } workers[4];
    uint64_t until;                     /* clients send nothing more after this time; 0: there is no such time */
    struct simulated_request *due;      /* the simulation's own: what will come, by arrival; ... */
    struct simulated_request *last_due; /* ... its end */
} simulated_machine;

#define SIMULATED_THINKING (MS / 5) /* from an answer to the client's next request */

/* Runs until the last request has ended. `requests` in order of arrival, those that follow others anywhere. */
void simulate(simulated_machine *machine, simulated_request *requests, size_t count);

/* Uniform in (0, 1); the next Poisson gap at a rate a second, in ns. */
double simulated_random(uint64_t *seed);
uint64_t simulated_gap(uint64_t *seed, double rate);

/* The p-th percentile of the latency in ms of ended requests for which `which` holds (NULL: all); *count gets how many those
 * are, if it isn't NULL. */
double simulated_percentile(const simulated_request *requests, size_t count, double percent,
                            bool (*which)(const simulated_request *), size_t *selected);

#endif
