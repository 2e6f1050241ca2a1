#include "loadgen/realtime.h"

#include <sched.h>
#include <sys/prctl.h>

void sv_realtime_begin(void) {
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &(struct sched_param){.sched_priority = 1});
    prctl(PR_SET_TIMERSLACK, 1L); /* of an ordinary thread: else every wait may last 50 us longer */
}

void sv_realtime_end(void) {
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    prctl(PR_SET_TIMERSLACK, 0L); /* back to the default */
}
