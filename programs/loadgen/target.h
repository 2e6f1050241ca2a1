/* What requests are sent to: a server over HTTP, the batcher in this process, a simulation. One thread drives it. */
#ifndef SV_LOADGEN_TARGET_H
#define SV_LOADGEN_TARGET_H

#include "loadgen/workload.h"

/* X(name, text in the files): what became of a request. */
#define SV_LOAD_OUTCOME_MAP(X)                                                                                                 \
    X(SV_LOAD_PENDING, "pending")            /* not answered yet */                                                            \
    X(SV_LOAD_ANSWERED, "answered")          /* as it should be */                                                             \
    X(SV_LOAD_REFUSED, "refused")            /* the server said that it has too much to do: 429 or 503 */                      \
    X(SV_LOAD_STATUS, "error_status")        /* another status than 200 */                                                     \
    X(SV_LOAD_UNCONNECTED, "no_connection")  /* refused, reset or impossible */                                                \
    X(SV_LOAD_CLOSED, "connection_closed")   /* before the whole answer was there */                                           \
    X(SV_LOAD_MALFORMED, "malformed_answer") /* no HTTP */                                                                     \
    X(SV_LOAD_WRONG, "wrong_answer")         /* HTTP, but not the vectors that were asked for */                               \
    X(SV_LOAD_TIMEOUT, "timeout")                                                                                              \
    X(SV_LOAD_ABANDONED, "abandoned") /* the run ended first */

typedef enum sv_load_outcome {
#define SV_LOAD_OUTCOME_ENUM(name, text) name,
    SV_LOAD_OUTCOME_MAP(SV_LOAD_OUTCOME_ENUM)
#undef SV_LOAD_OUTCOME_ENUM
        SV_LOAD_OUTCOMES
} sv_load_outcome;

const char *sv_load_outcome_text(sv_load_outcome outcome);

/* A request that is over. */
typedef struct sv_load_done {
    size_t ticket;
    sv_load_outcome outcome;
    unsigned status; /* HTTP's; 0 where there is none */
    uint64_t at_ns;  /* by the target's clock */
} sv_load_done;

typedef enum sv_load_sent {
    SV_LOAD_SENT,   /* under way; wait will report it */
    SV_LOAD_BUSY,   /* as many requests as can be are under way; try again after one is done */
    SV_LOAD_FAILED, /* no connection could be made; wait will not report it */
} sv_load_sent;

typedef struct sv_load_target {
    void *context;
    /* A clock that never goes back. */
    uint64_t (*now)(void *context);
    /* Begins a request; never blocks. `ticket` is the caller's name for it. */
    sv_load_sent (*send)(void *context, size_t ticket, const sv_load_request *request);
    /* Returns as soon as requests are over, at most `capacity` of them, or it is `until_ns`. Error: SYSTEM. */
    senvec_status (*wait)(void *context, uint64_t until_ns, sv_load_done *done, size_t capacity, size_t *count,
                          senvec_error *err);
    /* Gives up a request that is under way: wait will not report it any more. */
    void (*cancel)(void *context, size_t ticket);
} sv_load_target;

#endif
