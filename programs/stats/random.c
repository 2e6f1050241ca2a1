/* xoshiro256** seeded by splitmix64, as their authors recommend (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2018; public domain algorithms, written here from the paper). */
#include "stats/random.h"

static uint64_t rotate_left(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void sv_random_seed(sv_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix64(&seed);
}

uint64_t sv_random_next(sv_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t sv_random_below(sv_random *random, uint64_t bound) {
    /* The first 2^64 mod bound values would make small results likelier: drawn again. */
    uint64_t rejected = -bound % bound;
    for (;;) {
        uint64_t value = sv_random_next(random);
        if (value >= rejected)
            return value % bound;
    }
}

double sv_random_unit(sv_random *random) {
    return ((double)(sv_random_next(random) >> 11) + 0.5) / 9007199254740992.0; /* the middle of one of 2^53 equal parts */
}

void sv_random_shuffle(sv_random *random, size_t *order, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)sv_random_below(random, i);
        size_t other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
}
