/* Which texts are computed next, and which requests are refused: the batcher's decisions, without clock, thread or engine.
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
    SV_POLICY_SLO,    /* as much as the latency target allows, earliest due first; refuses what would come too late */
    SV_POLICY_GREEDY, /* all that waits, in order of arrival; never waits */
    SV_POLICY_FIXED,  /* the classic: up to 32 texts, waits up to 50 ms for them, in order of arrival */
} sv_policy;

extern const char *const sv_policy_names[]; /* by sv_policy: "slo", "greedy", "fixed", NULL */

#define SV_FIXED_TEXTS 32
#define SV_FIXED_WAIT_NS UINT64_C(50000000)

/* A request with more work than fits the target gets this many times the time that it would take on an idle machine. */
#define SV_STRETCH 4.0

typedef enum sv_admission {
    SV_ADMITTED,
    SV_REFUSED_BUSY,     /* it would come too late, or the queue is full; try again later */
    SV_REFUSED_DEADLINE, /* it can't be done before its own deadline */
    SV_REFUSED_SIZE,     /* more texts than the queue ever holds */
    SV_REFUSED_CLOSING,  /* the batcher is being drained */
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

    /* To be read by the caller once it was handed back. */
    bool cancelled, expired; /* either way some texts may not have been computed */
    uint64_t arrival, start; /* `now` of its admission, and of the first batch with a text of it (0: none) */

    /* The queue's own. */
    struct sv_job *next; /* in a list of jobs that are handed back */
    uint64_t base;       /* arrival; later where its client has much waiting, earlier where the queue is late */
    uint64_t key;        /* when its next text is due; the heap's order */
    uint64_t sequence;   /* breaks ties */
    uint64_t predicted;  /* when it was expected to be complete */
    double pace;         /* ns of due time for one unit of work */
    double work, taken_work;
    size_t taken, returned; /* texts */
    size_t place;           /* in the heap; SIZE_MAX: not there */
    bool large;             /* more work than goes into one batch */
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
    double work;
    uint64_t start, expected_end;
    size_t slot; /* the queue's own */
} sv_batch;

typedef struct sv_queue_options {
    sv_policy policy;
    uint64_t target_ns;           /* 99 % of the small requests are to be complete within this */
    size_t workers;               /* batches that run at a time, 1 .. SV_MAX_THREADS */
    size_t max_jobs;              /* admitted and not yet handed back: at least 1 */
    size_t max_texts;             /* of those */
    double square_cost;           /* see sv_work_of_text */
    double fixed_ns, per_work_ns; /* first guess of the cost of a batch on one worker */
} sv_queue_options;

#define SV_QUEUE_CLIENTS 256 /* clients are told apart by a hash of this many values */

typedef struct sv_queue_counts {
    uint64_t admitted, answered, cancelled, expired; /* admitted = answered + cancelled + expired + jobs */
    uint64_t refused_busy, refused_deadline, refused_size;
    uint64_t batches, batch_texts;
    size_t jobs, texts;  /* admitted and not yet handed back; texts not yet taken */
    size_t running;      /* batches */
    size_t clients;      /* with jobs */
    double waiting_work; /* of texts not yet taken */
    double late_ns;      /* the 99th percentile of how much later than predicted jobs are complete */
    sv_cost_model cost;
} sv_queue_counts;

typedef struct sv_queue {
    sv_queue_options options;
    sv_queue_counts counts;
    sv_job **heap; /* (max_jobs), the job whose next text is due first at [0]; jobs with nothing left to take aren't in it */
    size_t heap_size;
    uint64_t sequence;
    uint64_t running_until[SV_MAX_THREADS]; /* (workers) of each running batch: expected end; 0: slot is free */
    struct {
        double waiting_work[2]; /* of its small and of its large jobs */
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

/* Takes a job in, or says why not; *retry_ns is then how long to wait before trying again (0 unless BUSY). */
sv_admission sv_queue_admit(sv_queue *queue, sv_job *job, uint64_t now, uint64_t *retry_ns);
/* Would the smallest job that there can be be refused as busy? Costs little; for refusing a request before reading it. */
bool sv_queue_is_full(const sv_queue *queue, uint64_t client, uint64_t outside_ns, uint64_t now, uint64_t *retry_ns);

/* How long a small job that came now would wait. */
uint64_t sv_queue_wait_ns(const sv_queue *queue, uint64_t now);

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
