/* The batcher's decisions, without clock, thread or engine: which texts are computed next, and which requests are refused.
 *
 * Time comes in as `now` (nanoseconds, never going back), so a test drives it with a clock of its own, and the same calls give
 * the same decisions. Not thread safe.
 *
 * Life of a job: sv_queue_admit takes it in; sv_queue_take hands out its texts, a few in each batch; sv_queue_return takes the
 * batch back and hands out the jobs that are complete. sv_queue_cancel and sv_queue_expire end it earlier. A job belongs to the
 * caller, who keeps it until it was handed back or refused. */
#ifndef SV_BATCHER_REQUEST_QUEUE_H
#define SV_BATCHER_REQUEST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batcher/cost_model.h"
#include "common/limits.h"
#include "common/status.h"

typedef enum sv_policy {
    SV_POLICY_SLO,    /* two classes, small requests first; batches as large as the latency target allows */
    SV_POLICY_GREEDY, /* all that waits, in order of arrival; never waits */
    SV_POLICY_FIXED,  /* the classic: up to 32 texts, waits up to 50 ms for them, in order of arrival */
} sv_policy;

extern const char *const sv_policy_names[]; /* by sv_policy: "slo", "greedy", "fixed", NULL */

#define SV_FIXED_TEXTS 32
#define SV_FIXED_WAIT_NS UINT64_C(50000000)

/* Due times and promises allow a request this many times the time that it would take on an idle machine. */
#define SV_STRETCH 4.0

/* The classes of requests in the policy slo. */
typedef enum sv_class {
    SV_CLASS_INTERACTIVE, /* one text, or a few that go into one small batch: somebody waits for the answer */
    SV_CLASS_BULK,        /* all larger requests: throughput counts */
    SV_CLASSES,
} sv_class;

extern const char *const sv_class_names[]; /* by sv_class: "interactive", "bulk", NULL */

#define SV_INTERACTIVE_TEXTS 8 /* at most, of an interactive request */

/* A bulk request may take this many times as long as an interactive one before it is refused for the time: ten minutes where
 * that is ten seconds, and after ten minutes most clients have given up. */
#define SV_BULK_PATIENCE 60

typedef enum sv_admission {
    SV_ADMITTED,
    SV_REFUSED_WAIT,     /* it would be answered too late; try again later, as with the next two */
    SV_REFUSED_REQUESTS, /* the queue holds as many requests as it may, or nearly and most are of this client */
    SV_REFUSED_TEXTS,    /* or texts */
    SV_REFUSED_DEADLINE, /* it can't be done before its own deadline */
    SV_REFUSED_SIZE,     /* more texts than the queue ever holds */
    SV_REFUSED_CLOSING,  /* the batcher is being drained */
    SV_ADMISSIONS,
} sv_admission;

/* Work of one text of `tokens` tokens; `square_cost` is the work of one token-squared of attention. */
static inline double sv_work_of_text(double square_cost, uint32_t tokens) {
    return (double)tokens + square_cost * (double)tokens * (double)tokens;
}

typedef struct sv_job {
    /* From the caller, before sv_queue_admit. */
    const uint32_t *lengths; /* (count) tokens of each text */
    size_t count;            /* at least 1 */
    uint64_t client;         /* who asks; clients share the machine fairly */
    uint64_t deadline;       /* nobody wants the answer after this time; 0: no such time */
    uint64_t outside_ns; /* of the target is spent outside of the queue: before admission and after the job is handed back */
    double scale;        /* work of one of its tokens, in that of the options' model; 0: of that model */
    double square_cost;  /* of its own model, where there is a scale */

    /* To be read by the caller once it was handed back. */
    bool cancelled, expired; /* either way some texts may not have been computed */
    uint64_t arrival, start; /* `now` of its admission, and of the first batch with a text of it (0: none) */
    sv_class class;

    /* The queue's own. */
    struct sv_job *next; /* in a list of jobs that are handed back */
    uint64_t key;        /* when it is due; the heap's order */
    uint64_t after;      /* when the client's next one begins, by the same reckoning */
    uint64_t sequence;   /* breaks ties */
    uint64_t predicted;  /* when it was expected to be complete */
    double work, taken_work;
    size_t taken, returned; /* texts */
    size_t place;           /* in the heap; SIZE_MAX: not there */
    bool large;             /* more work than goes into one small batch */
    bool inside;            /* admitted and not yet handed back */
} sv_job;

/* A batch: texts of jobs. */
typedef struct sv_batch_item {
    sv_job *job;
    size_t text;
} sv_batch_item;

typedef struct sv_batch {
    sv_batch_item items[SV_MAX_BATCH_TEXTS];
    size_t count;
    double work; /* the caller may set it to that which was really done, 0: none that tells anything */
    uint64_t start, expected_end;
    uint64_t beside_ns; /* the caller may set it: part of its time that wasn't spent on that work */
    size_t slot;        /* the queue's own */
} sv_batch;

typedef struct sv_queue_options {
    sv_policy policy;
    uint64_t target_ns;   /* 99 % of the interactive requests are to be complete within this; shapes batches */
    uint64_t max_wait_ns; /* slo: an interactive request that would take longer is refused; bulk: SV_BULK_PATIENCE times */
    size_t workers;       /* batches that run at a time, 1 .. SV_MAX_THREADS */
    size_t max_jobs;      /* admitted and not yet handed back: at least 1 */
    size_t max_texts;     /* of those */
    double square_cost;   /* see sv_work_of_text */
    double fixed_ns, per_work_ns; /* first guess of the cost of a batch on one worker */
    uint64_t seed;                /* of the jitter in retry_ns */
    /* Called with `context` in sv_queue_take before the first text of a job is taken. False: not now; it is asked again. NULL:
     * always. A job that was begun always goes on. */
    bool (*may_start)(void *context, sv_job *job);
    void *context;
} sv_queue_options;

#define SV_QUEUE_CLIENTS 4096 /* clients are told apart by a hash of this many values */

typedef struct sv_queue_counts {
    uint64_t admitted, answered, cancelled, expired; /* admitted = answered + cancelled + expired + jobs */
    uint64_t refused[SV_ADMISSIONS];                 /* by reason, those of sv_queue_is_full included */
    uint64_t batches, batch_texts;
    size_t jobs, texts;              /* admitted and not yet handed back; texts not yet taken */
    size_t running;                  /* batches */
    size_t clients;                  /* with jobs */
    size_t waiting_jobs[SV_CLASSES]; /* with texts not yet taken */
    double waiting_work[SV_CLASSES]; /* of those texts */
    double late_ns;                  /* the 99th percentile of how much later than predicted interactive jobs are complete */
    sv_cost_model cost;
} sv_queue_counts;

typedef struct sv_queue {
    sv_queue_options options;
    sv_queue_counts counts;
    /* (max_jobs) each, the job that is due first at [0]; jobs with nothing left to take aren't in them. Their sizes are
     * counts.waiting_jobs. Without the policy slo there is one class, the first. */
    sv_job **heaps[SV_CLASSES];
    double owed_ns; /* to bulk, for interactive batches that were taken while it waited */
    uint64_t sequence;
    uint64_t next_expiry;                   /* no waiting job's deadline is before it */
    uint64_t appointed;                     /* refused requests were told to come back until this time */
    uint64_t random;                        /* state of the jitter */
    uint64_t running_until[SV_MAX_THREADS]; /* (workers) of each running batch: expected end; 0: slot is free */
    struct {
        double waiting_work[SV_CLASSES];
        uint64_t after[SV_CLASSES]; /* that work would be done by then, if the client had the machine for itself */
        size_t jobs;
    } clients[SV_QUEUE_CLIENTS];
} sv_queue;

/* Moves *tracked to the 99th percentile of the values that it is given one after the other, by stochastic approximation: up by
 * 99 steps for a value over it, else down by one. It stays between 0 and `most`. */
void sv_track_quantile(double *tracked, double value, double step, double most);

/* Errors: OUT_OF_MEMORY. */
senvec_status sv_queue_init(sv_queue *queue, const sv_queue_options *options, senvec_error *err);
/* A zeroed queue is accepted. Jobs that are still in it are forgotten. */
void sv_queue_release(sv_queue *queue);

/* Takes a job in, or says why not; *retry_ns is then how long to wait before trying again (0: there is no point). What is
 * refused one after the other gets times one after the other, as fast as the work would be done, and a little jitter. */
sv_admission sv_queue_admit(sv_queue *queue, sv_job *job, uint64_t now, uint64_t *retry_ns);
/* Is there no room for any job of the client? SV_ADMITTED: there is some. Costs little; for refusing a request before reading
 * it. */
sv_admission sv_queue_is_full(sv_queue *queue, uint64_t client, uint64_t now, uint64_t *retry_ns);
/* When to try again what the caller refuses for a reason of its own, `room_ns` being the least that this takes. */
uint64_t sv_queue_retry_ns(sv_queue *queue, double room_ns, uint64_t now);

/* How long the smallest job of a new client would wait now. */
uint64_t sv_queue_wait_ns(const sv_queue *queue, uint64_t now);

/* Work of one text of a job. */
double sv_queue_work_of(const sv_queue *queue, const sv_job *job, size_t text);

/* The next batch for a worker that is free; false if there is nothing to do before *look_again (UINT64_MAX: before another job
 * is admitted). Each batch must come back by sv_queue_return. */
bool sv_queue_take(sv_queue *queue, uint64_t now, sv_batch *batch, uint64_t *look_again);
/* The batch is computed. Returns the list (by `next`) of jobs that are complete with it; NULL: none. */
sv_job *sv_queue_return(sv_queue *queue, const sv_batch *batch, uint64_t now);

/* The job isn't wanted any more. True: it is handed back by this call. False: some of its texts are being computed, and
 * sv_queue_return will hand it back, or it was handed back before. */
bool sv_queue_cancel(sv_queue *queue, sv_job *job);
/* Cancels all jobs whose deadline is over; returns the list (by `next`) of those that are handed back by this. */
sv_job *sv_queue_expire(sv_queue *queue, uint64_t now);

#endif
