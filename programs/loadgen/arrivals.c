#include "loadgen/arrivals.h"

#include <math.h>

#include "common/clock.h"

void sv_arrivals_take(sv_arrivals *arrivals) {
    arrivals->at_ns += arrivals->poisson ? -log(sv_random_unit(&arrivals->random)) * arrivals->gap_ns : arrivals->gap_ns;
}

void sv_arrivals_init(sv_arrivals *arrivals, bool poisson, double rate, uint64_t seed) {
    *arrivals = (sv_arrivals){.poisson = poisson, .gap_ns = (double)SV_NS_PER_S / rate};
    sv_random_seed(&arrivals->random, seed);
    sv_arrivals_take(arrivals);
}

uint64_t sv_arrivals_peek(const sv_arrivals *arrivals) {
    return (uint64_t)arrivals->at_ns;
}
