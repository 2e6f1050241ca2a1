/* Runs the rows of a study: one worker process each, all loaded, one measuring at a time.
 *
 * A round visits everything that is to be measured once: first every row on the corpus, then batch sizes, then text lengths,
 * each in an order shuffled by the seed; a visit is a block of timed calls and then a block of sustained throughput. So
 * whatever the machine does to one row in a minute it does to all, the ratio of two rows is taken round by round, and every
 * figure is of the whole time, not of the few minutes of a stage. A row whose worker dies, hangs or makes no sense is marked
 * with the reason; the others go on. */
#ifndef SV_STUDY_RUNNER_H
#define SV_STUDY_RUNNER_H

#include <signal.h>

#include "common/status.h"
#include "io/texts.h"
#include "results/results.h"

/* Calls that aren't timed, at least, before timed ones of a block: caches and the clock are another row's until then, whose
 * calls may be longer. */
#define SV_REWARM_S 0.025

/* `fraction` of the stage that is done, and what is being done. */
typedef void sv_runner_progress_fn(void *context, double fraction, const char *what);

typedef struct sv_runner_options {
    const char *model;         /* directory */
    const char *files;         /* folder of the results, which holds the models made from it (configurations.h) */
    const char *native;        /* the program whose "worker" command runs the engine */
    const char *python;        /* interpreter of the peers; NULL: not found, which marks their rows missing */
    const char *worker_script; /* peers/worker.py; NULL the same */
    const char *peers_missing; /* why python or worker_script is NULL, and what to do; shown as the rows' reason */
    const char *cpu;           /* ISA mask for the engine and the measured peak; NULL: everything */
    const sv_texts *texts;
    const char *scratch; /* an existing folder for texts and vectors */
    double timeout_s;    /* of one request; a worker that is silent for longer has hung */
    size_t rounds;
    uint64_t seed;                          /* of the order in the rounds */
    const volatile sig_atomic_t *cancelled; /* non-zero: end after the current block; NULL: never */
    sv_runner_progress_fn *progress;        /* NULL: none */
    void *progress_context;
    bool go_on; /* what the results hold of a stage is kept, and the stage goes on where it was interrupted */
    senvec_status (*checkpoint)(void *context, senvec_error *err); /* asked for every few seconds; NULL: never */
    void *checkpoint_context;
} sv_runner_options;

typedef struct sv_runner sv_runner;

/* Starts the workers of all rows, loads the model and the texts in each. A row that can't is marked; that is no error.
 * `options` and `results` must outlive the runner. Errors: IO (scratch), OUT_OF_MEMORY, INVALID_ARGUMENT (the ISA mask),
 * CANCELLED. */
senvec_status sv_runner_open(sv_results *results, const sv_runner_options *options, sv_runner **out, senvec_error *err);

/* What is timed; all of it in the same rounds. */
typedef struct sv_measuring {
    bool bench;            /* every row on the corpus: results->latency_calls and duration_s; fills the rows and the peaks */
    bool sweep;            /* throughput at batch sizes 1 to 64: SV_SERIES_SWEEP */
    double sweep_seconds;  /* for each of them, over all rounds */
    bool lengths;          /* queries, texts of 80 and of 256 tokens: SV_SERIES_LENGTH */
    size_t length_calls;   /* timed calls of each row that takes one text at a time */
    double length_seconds; /* of throughput of the others */
    bool quick;            /* of the lengths neither the others nor the 256 tokens */
    /* May another block of about `seconds` begin? After the rounds, further ones of `bench` follow as long as it may, each of
     * the baseline and of the half of the other rows whose texts/s are known least. NULL: never. */
    bool (*more)(void *context, double seconds);
    void *more_context;
} sv_measuring;

/* Measures that in options->rounds rounds. Errors: CANCELLED (what was measured is in the results), IO, OUT_OF_MEMORY. */
senvec_status sv_runner_measure(sv_runner *runner, const sv_measuring *what, senvec_error *err);

/* Vectors against the reference's (PyTorch where it runs, else the first fp32 row): of `limit` distinct texts of the corpus
 * and of our own wide set, evenly spread. Errors: as above. */
senvec_status sv_runner_validate(sv_runner *runner, size_t limit, senvec_error *err);

/* Ends the workers. NULL is accepted. */
void sv_runner_close(sv_runner *runner);

#endif
