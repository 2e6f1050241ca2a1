/* Monotonic time. */
#ifndef SV_COMMON_CLOCK_H
#define SV_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SV_NS_PER_S UINT64_C(1000000000)

/* Nanoseconds since an arbitrary start; never goes back. */
static inline uint64_t sv_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SV_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A time or a duration in nanoseconds as the system's calls take it. */
static inline struct timespec sv_clock_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / SV_NS_PER_S), .tv_nsec = (long)(ns % SV_NS_PER_S)};
}

#endif
