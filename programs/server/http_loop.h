/* The threads that speak HTTP. Each has a daemon of the HTTP library of its own, which it drives itself, and takes new
 * connections from the same listening socket. Inside of the server.
 *
 * Why not the library's threads: it wakes its thread for every single connection that is resumed, so that the vectors of a
 * batch of 20 texts cost up to 20 wake-ups, each of which interrupts a worker. Here exchanges whose vectors are there are put
 * on a list, and one bell rings for all of a batch. The loop also measures how long requests may have waited for it and how
 * long vectors wait to be sent. The batcher can't see these times but has to count them. */
#ifndef SV_SERVER_HTTP_LOOP_H
#define SV_SERVER_HTTP_LOOP_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/status.h"

struct sv_exchange;
struct sv_server;

typedef enum sv_http_loop_state {
    SV_HTTP_LOOP_SERVES,
    SV_HTTP_LOOP_QUIET, /* takes no new connections */
    SV_HTTP_LOOP_ENDS,
} sv_http_loop_state;

typedef struct sv_http_loop {
    struct sv_server *server;
    int listener; /* the server's */
    bool metrics; /* this loop answers only requests for metrics */
    struct MHD_Daemon *daemon;
    int bell; /* an eventfd; -1: none */
    pthread_t thread;
    bool started;
    _Atomic(sv_http_loop_state) state;
    pthread_mutex_t lock;     /* for the next three */
    struct sv_exchange *done; /* by next_done: to be resumed */
    uint64_t newest_ns;       /* when the body of the last of them was complete */
    bool rung;                /* the bell has been rung for them */

    /* Of the thread itself. */
    size_t suspended;    /* connections that are suspended now */
    uint64_t resumed_ns; /* the last time that some were resumed */
    bool pauses;         /* the bell was heard, and what is done is resumed ... */
    int pause_ms;        /* ... after this time */
    bool again;          /* a connection was closed: the library looks for new ones again only when it is run again */
    uint64_t round_ns;   /* when this round began */
    uint64_t since_ns;   /* what is seen in this round came after this time */
    double delivery_ns;  /* the 99th percentile of the time from vectors to the sent answer */
} sv_http_loop;

/* Starts the server's loops, by its options. On an error those that were started go on. Errors: SYSTEM, OUT_OF_MEMORY. */
senvec_status sv_http_loops_open(struct sv_server *server, senvec_error *err);
/* No more new connections but for metrics. */
void sv_http_loops_quiesce(struct sv_server *server);
/* Ends the threads and closes all connections. No exchange may be in the batcher's hands. */
void sv_http_loops_close(struct sv_server *server);

/* Any thread: the exchange goes on in its loop, once the bells were rung. */
void sv_http_loop_add(sv_http_loop *loop, struct sv_exchange *exchange);
void sv_http_loops_ring(struct sv_server *server);

/* The time that a request which is complete now spends outside the batcher: since it came, and until its answer is sent. */
uint64_t sv_http_loop_outside_ns(const sv_http_loop *loop, uint64_t now);
/* An answer is being sent whose vectors were there at `finished_ns`. */
void sv_http_loop_delivered(sv_http_loop *loop, uint64_t finished_ns, uint64_t now);

#endif
