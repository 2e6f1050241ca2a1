/* Runs the rows of a study: one worker process each, all loaded, one measuring at a time.
 *
 * A round visits every row once, in an order shuffled by the seed; a visit is a block of timed calls and then a block of
 * sustained throughput. So whatever the machine does to one row in a minute it does to all, and the ratio of two rows is taken
 * round by round. A row whose worker dies, hangs or makes no sense is marked with the reason; the others go on. */
#ifndef SV_STUDY_RUNNER_H
#define SV_STUDY_RUNNER_H

#include <signal.h>

#include "base/status.h"
#include "study/pairs.h"
#include "study/results.h"
#include "study/texts.h"

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
    const sv_pairs *pairs;                  /* labelled pairs; NULL: none */
    const char *scratch;                    /* an existing folder for texts and vectors */
    double timeout_s;                       /* of one request; a worker that is silent for longer has hung */
    const volatile sig_atomic_t *cancelled; /* non-zero: end after the current block; NULL: never */
    sv_runner_progress_fn *progress;        /* NULL: none */
    void *progress_context;
} sv_runner_options;

typedef struct sv_runner sv_runner;

/* Starts the workers of all rows, loads the model and the texts in each. A row that can't is marked; that is no error.
 * `options` and `results` must outlive the runner. Errors: IO (scratch), OUT_OF_MEMORY, INVALID_ARGUMENT (the ISA mask),
 * CANCELLED. */
senvec_status sv_runner_open(sv_results *results, const sv_runner_options *options, sv_runner **out, senvec_error *err);

/* Latency and throughput of every row on the corpus in results->rounds rounds; fills the rows and the measured peaks. Errors:
 * CANCELLED (what was measured is in the results), OUT_OF_MEMORY. */
senvec_status sv_runner_bench(sv_runner *runner, senvec_error *err);

/* Throughput at batch sizes 1 to 64, `seconds` for each: SV_SERIES_SWEEP. Errors: as above. */
senvec_status sv_runner_sweep(sv_runner *runner, double seconds, senvec_error *err);

/* Queries, texts of 80 and of 256 tokens: `calls` timed calls of each row that takes one text at a time, `seconds` of
 * throughput of the others: SV_SERIES_LENGTH. `quick` leaves out the others and the 256 tokens. Errors: as above, IO. */
#define SV_LENGTH_ROUNDS 4
senvec_status sv_runner_lengths(sv_runner *runner, size_t calls, double seconds, bool quick, senvec_error *err);

/* Vectors against the reference's (PyTorch where it runs, else the first fp32 row): of `limit` distinct texts of the corpus
 * and of our own wide set, evenly spread; and the labelled pairs, if there are any. Errors: as above. */
senvec_status sv_runner_validate(sv_runner *runner, size_t limit, senvec_error *err);

/* Ends the workers. NULL is accepted. */
void sv_runner_close(sv_runner *runner);

#endif
