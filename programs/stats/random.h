/* Pseudo-random numbers of the measurements: the same seed gives the same order of blocks, sample of texts, arrivals and
 * bootstrap on every machine. Not for secrets. */
#ifndef SV_STATS_RANDOM_H
#define SV_STATS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct sv_random {
    uint64_t state[4];
} sv_random;

/* Any seed is fine, 0 too. */
void sv_random_seed(sv_random *random, uint64_t seed);
/* 64 uniform bits. */
uint64_t sv_random_next(sv_random *random);
/* Uniform in [0, bound), without bias; bound at least 1. */
uint64_t sv_random_below(sv_random *random, uint64_t bound);
/* Uniform in (0, 1): never 0, never 1. */
double sv_random_unit(sv_random *random);
/* Puts order[0 .. count) into a uniformly random order. */
void sv_random_shuffle(sv_random *random, size_t *order, size_t count);

#endif
