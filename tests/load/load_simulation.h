/* A target in simulated time, for tests: its clock moves when somebody waits, so a minute of load takes milliseconds and gives
 * the same numbers every time. */
#ifndef LOAD_SIMULATION_H
#define LOAD_SIMULATION_H

#include "loadgen/target.h"

enum { SIMULATION_MAX = 1 << 16 };

typedef struct simulation {
    uint64_t now_ns;
    uint64_t service_ns;                   /* of a request */
    bool one_server;                       /* requests are served one after the other; else all at once */
    size_t connections;                    /* requests that can be under way; 0: any number */
    uint64_t send_ns;                      /* that a send takes of the generator's time */
    uint64_t stall_begin_ns, stall_end_ns; /* nothing is answered in between */
    size_t fail_every;                     /* of so many requests one fails; 0: none */
    sv_load_outcome failure;
    bool silent; /* never answers */
    /* State. */
    uint64_t busy_until_ns;
    size_t sent, cancelled;
    struct {
        size_t ticket;
        uint64_t at_ns;
        sv_load_outcome outcome;
    } pending[SIMULATION_MAX]; /* in no order */
    size_t pending_count;
} simulation;

sv_load_target simulation_target(simulation *s);

#endif
