/* The batcher: requests of many callers become ragged batches for the engine. No HTTP in it: the server, the load generator and
 * the study use it alike.
 *
 *     sv_batcher *batcher;
 *     sv_batcher_options options = {.policy = SV_POLICY_SLO, .max_wait_ns = 10000000000};
 *     sv_batcher_open(model, &options, &batcher, &err);
 *     sv_request request = {.texts = texts, .count = n, .lengths = lengths, .out = out, .stride = 384,
 *                           .done = on_done, .context = mine};
 *     if (sv_batcher_submit(batcher, &request, &retry_ns) == SV_ADMITTED)
 *         ... on_done(&request) is called exactly once, by some thread ...
 *     sv_batcher_close(batcher);
 *
 * Vectors are the same bits as senvec_embed gives for the text alone. All functions may be called from any thread. */
#ifndef SV_BATCHER_BATCHER_H
#define SV_BATCHER_BATCHER_H

#include "batcher/request_queue.h"
#include "batcher/result_cache.h"
#include "senvec.h"

typedef struct sv_batcher sv_batcher;
typedef struct sv_batcher_model sv_batcher_model;
typedef struct sv_request sv_request;

/* Called when a request has ended; its memory belongs to the caller again. Called exactly once for each admitted request, by a
 * thread of the batcher or by the thread that is inside sv_batcher_cancel, without locks held. It should be short and may
 * submit requests. */
typedef void sv_request_done(sv_request *request);

/* Computes the texts which[0 .. count) of a request in the caller's own way, on a thread of the batcher. The request's context
 * says where the results go. */
typedef senvec_status sv_request_run(sv_request *request, senvec_session *session, const uint32_t *which, size_t count);

struct sv_request {
    /* From the caller. The request and all that it points to stay as they are until `done`. */
    sv_batcher_model *model;                  /* from sv_batcher_add_model; NULL: the one of sv_batcher_open */
    const senvec_text *texts;                 /* (count) */
    size_t count;                             /* at least 1 */
    uint32_t *lengths;                        /* (count): gets the tokens of each text that are to be computed */
    sv_text_key *keys;                        /* (count): the batcher's own; NULL: nothing is taken from the cache or kept */
    float *out;                               /* (count, stride): gets the vectors; NULL where `start` will set it */
    size_t stride;                            /* in floats, at least the model's dimensions */
    const senvec_embed_options *options;      /* of all texts, `dimensions` 0; NULL: the defaults */
    const senvec_embed_options *last_options; /* of the last text, where it differs; NULL: as the others */
    uint64_t client;                          /* any number that tells clients apart, for fairness */
    uint64_t deadline_ns;                     /* on sv_clock_ns: the answer is worthless after it; 0: none */
    uint64_t outside_ns; /* of the target is spent by the caller: from the request's arrival to sv_batcher_submit, and
                            from `done` to the answer */
    /* NULL, or: its first text would be computed now. Sets `out` and returns true; or returns false, if there is no memory yet,
     * and is called again later. A true without `out` ends the request with OUT_OF_MEMORY. Not called where the request ends
     * before. With the batcher locked: it must not call it. */
    bool (*start)(sv_request *request);
    sv_request_run *run;        /* NULL: the texts are embedded; else `out` may be any place, and the options aren't used */
    const senvec_text *seconds; /* (count): of pairs, whose firsts are `texts`; NULL: there are none */
    size_t extra_tokens;        /* that each text takes beside its own and its prompt's */
    /* NULL, or: the texts first .. first + count are computed. Called before `done`, by the thread that computed them, without
     * locks held, for different texts perhaps by several threads at the same time and in any order; once for each text of a
     * request that ends with OK, and at most once for each text of another, which may have been cancelled meanwhile. It is for
     * work that each text needs and that other texts needn't wait for. */
    void (*computed)(sv_request *request, size_t first, size_t count);
    sv_request_done *done;
    void *context;

    /* For the caller: `stats` and `tokenize_ns` after sv_batcher_submit, the rest in `done`. */
    senvec_status status; /* OK; CANCELLED, by sv_batcher_cancel or by its deadline, or another error: `out` is undefined */
    bool expired;         /* it was the deadline */
    senvec_embed_stats stats;
    size_t cached;        /* texts that weren't computed for it: the cache had them, or another request was computing them */
    uint64_t tokenize_ns; /* counting the tokens took this long */
    uint64_t queue_ns, compute_ns;      /* to the first batch with a text of it, and from there to the end */
    uint64_t submitted_ns, finished_ns; /* on sv_clock_ns */

    sv_job job; /* the queue's */
};

/* Zero means the default in every field. */
typedef struct sv_batcher_options {
    sv_policy policy;
    uint64_t target_ns;   /* 50 ms: what 99 % of the interactive requests take at most; shapes batches */
    uint64_t max_wait_ns; /* 10 s: what an interactive request that is taken may take; bulk SV_BULK_PATIENCE times */
    size_t threads;       /* in all: what quota and affinity allow */
    size_t sessions;      /* that share the threads evenly; default: one for each thread */
    size_t max_requests;  /* 4096 */
    size_t max_texts;     /* 1048576 */
    size_t cache_bytes;   /* of each model, for vectors of texts that may come again; 0: none are kept */
    /* Called with `context` after one or more calls of `done` by the same thread: where the callers are told by waking a
     * thread, once for a whole batch. No locks are held. */
    void (*some_done)(void *context);
    void *context;
} sv_batcher_options;

#define SV_DEFAULT_TARGET_NS UINT64_C(50000000)
#define SV_DEFAULT_MAX_WAIT_NS UINT64_C(10000000000)
#define SV_DEFAULT_QUEUE_REQUESTS 4096
#define SV_DEFAULT_QUEUE_TEXTS ((size_t)1 << 20)

/* Opens sessions, times a few calls on them for a first idea of their cost, and starts one thread for each. `model` must
 * outlive the batcher. `options` may be NULL. Errors: OUT_OF_MEMORY, SYSTEM, INVALID_ARGUMENT (more sessions than threads). */
senvec_status sv_batcher_open(const senvec_model *model, const sv_batcher_options *options, sv_batcher **out,
                              senvec_error *err);
/* Stops it (sv_batcher_stop) and ends its threads. No other call of the batcher may be in progress, not even a submit whose
 * request has ended. NULL is accepted. */
void sv_batcher_close(sv_batcher *batcher);

/* One more model for the same threads and the same queue: opens a session of it for each worker. `model` must live until it is
 * removed. Errors: OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_batcher_add_model(sv_batcher *batcher, const senvec_model *model, sv_batcher_model **out, senvec_error *err);
/* The model of sv_batcher_open. */
sv_batcher_model *sv_batcher_first_model(sv_batcher *batcher);
/* Frees its sessions and its cache; the senvec_model may then be freed. All its requests must have ended. After the model of
 * sv_batcher_open was removed each request must name its own. */
void sv_batcher_remove_model(sv_batcher *batcher, sv_batcher_model *model);

/* Counts the texts' tokens and takes the request in, or refuses it at once: then `done` isn't called, and *retry_ns says how
 * long to wait before trying again (0: there is no point). */
sv_admission sv_batcher_submit(sv_batcher *batcher, sv_request *request, uint64_t *retry_ns);
/* Tokens that the prompt of these options adds to a text. */
size_t sv_batcher_prompt_tokens(const senvec_model *model, const senvec_embed_options *options);

/* Whether the queue has room for a request of the client (SV_ADMITTED), or why not. For refusing a request before it is parsed.
 */
sv_admission sv_batcher_is_full(sv_batcher *batcher, uint64_t client, uint64_t *retry_ns);

/* The time to wait before trying again, for a request that the caller refuses for its own reasons. */
uint64_t sv_batcher_retry_ns(sv_batcher *batcher);

/* The request isn't wanted any more: `done` follows soon, in most cases with CANCELLED. On a request that has ended it does
 * nothing; its memory must still be there. Not from within a `done`. */
void sv_batcher_cancel(sv_batcher *batcher, sv_request *request);

/* Refuses new requests from now on and waits until those that were admitted have ended, at most `timeout_ns`. True: none is
 * left. */
bool sv_batcher_drain(sv_batcher *batcher, uint64_t timeout_ns);

/* Refuses new requests and cancels what waits; returns when the last `done` has returned. The batcher may still be asked for
 * figures, and refuses everything. */
void sv_batcher_stop(sv_batcher *batcher);

/* The current figures, consistent with each other. */
typedef struct sv_batcher_stats {
    sv_queue_counts queue;
    size_t sessions, threads;
    uint64_t refused_closing;
    uint64_t texts, tokens, truncated, invalid_utf8; /* of admitted requests */
    uint64_t compute_ns;                             /* sessions' time spent computing */
    uint64_t wait_ns;                                /* a small request that came now would wait so long */
    size_t memory_bytes;                             /* of the batcher's own buffers; sessions and cache not counted */
    sv_result_cache_stats cache;                     /* of all models; what is counted stays when one is removed */
} sv_batcher_stats;
void sv_batcher_read_stats(sv_batcher *batcher, sv_batcher_stats *out);

#endif
