/* The table of connections: who is connected, in which phase, since when. A thread of its own looks at them many times a
 * second. It closes connections that took too long, so that slow or silent clients can't keep their places, and reports waiting
 * clients that have left. If there are more connections than places, a new one takes the place of an idle one of the address
 * that has most connections. If there is no idle one, the new connection is surplus and may only use routes that cost nothing
 * (/health). Inside of the server.
 */
#ifndef SV_SERVER_LINKS_H
#define SV_SERVER_LINKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "server/lingering.h"

struct sv_exchange;

#define SV_LINK_SHARES 1024
/* Connections over the number of places that are taken: they are answered at once, by 503 or because they cost nothing. */
#define SV_SURPLUS_LINKS 64

typedef enum sv_phase {
    SV_PHASE_IDLE,    /* no request line yet */
    SV_PHASE_READING, /* headers and body */
    SV_PHASE_WAITING, /* for vectors */
    SV_PHASE_WRITING, /* the answer */
} sv_phase;

typedef struct sv_link {
    struct sv_link *previous, *next;
    int socket;
    uint64_t address; /* a number that identifies the address */
    bool surplus;     /* it has no place */
    sv_phase phase;
    uint64_t since;
    bool watched;                 /* the kernel tells when the client leaves */
    bool broken;                  /* the connection has ended */
    uint64_t left_since;          /* the client has ended its side; 0: not seen */
    uint64_t next_look;           /* for such an end, while idle or reading */
    uint64_t received;            /* bytes, when the last request was complete */
    uint64_t begun;               /* while idle: there is a part of a request line since then; 0: not seen */
    bool ended;                   /* it took too long; its HTTP thread hasn't closed it yet */
    bool lingers;                 /* the client may still be sending when the socket is closed; the HTTP thread's */
    struct sv_exchange *exchange; /* while waiting */
} sv_link;

typedef struct sv_links_options {
    uint64_t idle_ns, read_ns, write_ns;
    size_t places; /* 0: any number */
    /* A waiting client has left. Called with the table locked, so that the exchange stays; it must not call back. */
    void (*on_left)(struct sv_exchange *exchange);
} sv_links_options;

typedef struct sv_links {
    sv_links_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sv_link first;                 /* of a ring */
    size_t count, busy;            /* all; those that aren't idle */
    size_t placed, surplus;        /* those with a place and without one; in neither those that were ended here */
    size_t shares[SV_LINK_SHARES]; /* connections by address; two that fall together share one */
    uint64_t timed_out;            /* closed for taking too long */
    uint64_t displaced;            /* closed for others */
    bool draining, stopping, started;
    int watcher; /* an epoll; -1: none */
    sv_lingering lingering;
    pthread_t thread;
} sv_links;

/* Errors: SYSTEM. */
senvec_status sv_links_open(sv_links *links, const sv_links_options *options, senvec_error *err);
/* Before the connections themselves are closed; a zeroed table is accepted. */
void sv_links_stop(sv_links *links);
void sv_links_close(sv_links *links);

/* A new connection; NULL: no memory. Another one may be ended for it. */
sv_link *sv_links_add(sv_links *links, int socket, uint64_t address);
/* Whether the connection has a place now. */
bool sv_links_has_place(sv_links *links, sv_link *link);
/* Before its socket is closed. Where `lingers` is set, the connection goes on to lingering.h. */
void sv_links_remove(sv_links *links, sv_link *link);
/* `exchange` is for WAITING, else NULL. When this returns, on_left isn't called for an earlier exchange any more. */
void sv_links_enter(sv_links *links, sv_link *link, sv_phase phase, struct sv_exchange *exchange);
/* From now on, idle connections are closed at once. Returns when all are idle, or false at `until` (sv_clock_ns). */
bool sv_links_drain(sv_links *links, uint64_t until);

#endif
