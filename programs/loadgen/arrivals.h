/* The times at which requests are due in an open loop, whatever the server does. */
#ifndef SV_LOADGEN_ARRIVALS_H
#define SV_LOADGEN_ARRIVALS_H

#include <stdbool.h>

#include "stats/random.h"

typedef struct sv_arrivals {
    sv_random random;
    bool poisson;
    double gap_ns; /* mean */
    double at_ns;  /* of the next */
} sv_arrivals;

/* `rate` a second, above 0. Poisson: independent, exponentially distributed gaps, as many independent users make them;
 * else equal gaps, the first arrival one gap after the start. */
void sv_arrivals_init(sv_arrivals *arrivals, bool poisson, double rate, uint64_t seed);
/* Nanoseconds from the start to the next arrival, which stays the next until it is taken. */
uint64_t sv_arrivals_peek(const sv_arrivals *arrivals);
void sv_arrivals_take(sv_arrivals *arrivals);

#endif
