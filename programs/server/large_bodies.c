/* One thread and a list: who sends several large bodies waits for himself, and small ones never wait behind them. */
#include "server/large_bodies.h"

#include <string.h>
#include <sys/resource.h>

#include "server/exchange.h"
#include "server/helper_thread.h"

#define NICE 5 /* as the batcher's workers: HTTP threads go first */

static void *read_bodies(void *context) {
    sv_large_bodies *bodies = context;
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE); /* on Linux: of this thread */
    pthread_mutex_lock(&bodies->lock);
    for (;;) {
        sv_exchange *exchange = bodies->first;
        if (!exchange && bodies->stopping)
            break;
        if (!exchange) {
            pthread_cond_wait(&bodies->changed, &bodies->lock);
            continue;
        }
        bodies->first = exchange->next_done;
        if (!bodies->first)
            bodies->last = &bodies->first;
        pthread_mutex_unlock(&bodies->lock);
        bodies->read(exchange);
        pthread_mutex_lock(&bodies->lock);
    }
    pthread_mutex_unlock(&bodies->lock);
    return NULL;
}

senvec_status sv_large_bodies_open(sv_large_bodies *bodies, void (*read)(sv_exchange *), senvec_error *err) {
    *bodies = (sv_large_bodies){.read = read};
    bodies->last = &bodies->first;
    pthread_mutex_init(&bodies->lock, NULL);
    pthread_cond_init(&bodies->changed, NULL);
    int error = sv_helper_thread_start(&bodies->thread, read_bodies, bodies);
    if (error)
        return sv_fail(err, SENVEC_SYSTEM, 0, "starting the thread for large bodies failed: %s", strerror(error));
    bodies->started = true;
    return SENVEC_OK;
}

void sv_large_bodies_close(sv_large_bodies *bodies) {
    if (!bodies->read)
        return;
    pthread_mutex_lock(&bodies->lock);
    bodies->stopping = true;
    pthread_cond_signal(&bodies->changed);
    pthread_mutex_unlock(&bodies->lock);
    if (bodies->started)
        pthread_join(bodies->thread, NULL);
    pthread_cond_destroy(&bodies->changed);
    pthread_mutex_destroy(&bodies->lock);
    *bodies = (sv_large_bodies){.started = false};
}

void sv_large_bodies_add(sv_large_bodies *bodies, sv_exchange *exchange) {
    exchange->next_done = NULL;
    pthread_mutex_lock(&bodies->lock);
    *bodies->last = exchange;
    bodies->last = &exchange->next_done;
    pthread_cond_signal(&bodies->changed);
    pthread_mutex_unlock(&bodies->lock);
}
