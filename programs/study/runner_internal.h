/* Inside of the runner: runner.c has the workers, measure.c and validate.c the stages. */
#ifndef SV_STUDY_RUNNER_INTERNAL_H
#define SV_STUDY_RUNNER_INTERNAL_H

#include "common/cpu/isa.h"
#include "common/cpu/machine.h"
#include "study/runner.h"
#include "study/worker.h"

struct sv_runner {
    sv_results *results;
    const sv_runner_options *options;
    sv_worker **workers; /* [row_count]; NULL: the row doesn't run */
    sv_isa_flags isa;
    sv_machine machine;
    uint64_t kept_ns; /* when the last checkpoint was */
};

/* "stage: what", to the progress callback. */
void sv_runner_progress(const sv_runner *runner, double fraction, const char *stage, const char *what);
bool sv_runner_cancelled(const sv_runner *runner);
senvec_status sv_runner_fail_cancelled(senvec_error *err);

/* Sends a request to the worker of row `index`, which runs. On failure the row is given up (marked, its worker ended) and
 * *reply is NULL; the status is an error only if the study must end. `wall_s` (may be NULL) gets the time that it took. */
senvec_status sv_runner_ask(sv_runner *runner, size_t index, json_t *request, json_t **reply, double *wall_s,
                            senvec_error *err);

/* The vectors of a set of `count` texts by row `index`, which runs: *out (malloc'ed) [count, *dimensions]; NULL if the row was
 * given up. Errors: IO, OUT_OF_MEMORY. */
senvec_status sv_runner_fetch_vectors(sv_runner *runner, size_t index, const char *set, size_t count, float **out,
                                      size_t *dimensions, senvec_error *err);
/* The row whose vectors count as right: PyTorch's, else the first in fp32, else the first. SIZE_MAX: none runs. */
size_t sv_runner_reference(const sv_runner *runner);

/* Keeps what is known by now, if the last time was some seconds ago. Errors: those of the checkpoint. */
senvec_status sv_runner_checkpoint(sv_runner *runner, senvec_error *err);

/* Gives the row up: its worker's answer to `op` can't be true. */
senvec_status sv_runner_implausible(sv_runner *runner, size_t index, const char *op, const char *why, senvec_error *err);

/* Warns of what makes the measured rows doubtful: noise, stolen CPU time, busy idlers, a governor that saves power. */
void sv_runner_judge(sv_runner *runner);

/* Makes texts[pick[0 .. count)] (the first `count` if `pick` is NULL) known to all workers as `set`, in place of what they knew
 * by that name. *tokens (may be NULL) gets their number, as the first worker counts; others that count differently are warned
 * of. Errors: IO, OUT_OF_MEMORY. */
senvec_status sv_runner_teach(sv_runner *runner, const char *set, const sv_texts *texts, const size_t *pick, size_t count,
                              uint64_t *tokens, senvec_error *err);

#endif
