/* Condition variables whose waits end at a time of sv_clock_ns. */
#ifndef SV_COMMON_CONDITION_H
#define SV_COMMON_CONDITION_H

#include <pthread.h>
#include <stdbool.h>

#include "common/clock.h"

/* Makes a condition variable; pthread_cond_destroy releases it. False: the system lacks the resources. */
static inline bool sv_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    bool made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    return made;
}

/* Waits, as pthread_cond_wait does, until `until_ns` at the latest; UINT64_MAX waits without a limit. False: the time is over.
 * In either case the caller checks whether the event that it waits for has happened. */
static inline bool sv_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until_ns) {
    if (until_ns == UINT64_MAX)
        return pthread_cond_wait(condition, lock) == 0;
    struct timespec until = sv_clock_timespec(until_ns);
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}

#endif
