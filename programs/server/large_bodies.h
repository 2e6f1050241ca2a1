/* A thread that reads large bodies, so that no HTTP thread is kept from its other connections by one of them. Inside of the
 * server. */
#ifndef SV_SERVER_LARGE_BODIES_H
#define SV_SERVER_LARGE_BODIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

/* Larger bodies are read by the thread. An HTTP thread reads a body of this size in a millisecond. */
#define SV_LARGE_BODY ((size_t)256 << 10)

struct sv_exchange;

typedef struct sv_large_bodies {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct sv_exchange *first, **last; /* by next_done; `last` is where the next one goes */
    void (*read)(struct sv_exchange *);
    pthread_t thread;
    bool started, stopping;
} sv_large_bodies;

/* Starts the thread, which calls `read` for one exchange after the other. Error: SYSTEM. */
senvec_status sv_large_bodies_open(sv_large_bodies *bodies, void (*read)(struct sv_exchange *), senvec_error *err);
/* Returns when all that were added have been read. A zeroed one is accepted. */
void sv_large_bodies_close(sv_large_bodies *bodies);

void sv_large_bodies_add(sv_large_bodies *bodies, struct sv_exchange *exchange);

#endif
