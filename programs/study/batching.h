/* The study's last step: single texts from many callers, brought together by the batcher, under open-loop load.
 *
 * The batcher runs in this process, without HTTP, with the engine in int8. Measured are, for each policy (slo, greedy, fixed):
 * latency against the rate of Poisson arrivals, in rounds over rates that are parts of the capacity, the policies in turn;
 * latency by length of text for a mix of lengths; and the highest rate with p99 within SV_BATCHING_BOUND_MS, which a search
 * finds and another, longer run confirms. The one of the default policy is the study's row. load/verdict.h says which runs are
 * valid. */
#ifndef SV_STUDY_BATCHING_H
#define SV_STUDY_BATCHING_H

#include "study/runner.h"
#include "study/study.h"

#define SV_BATCHING_BOUND_MS 50.0

/* Fills the row of runtime SV_STUDY_BATCHER, and results->batching, also with what was measured before an interruption, where
 * options->go_on takes it up; options->checkpoint is called after each run:
 *   name, precision, tier, threads, bound_ms, callers, fixed_texts, fixed_wait_ms (of that policy), capacity_per_s
 *           (closed loop, so many callers), mixed_capacity_per_s, seconds, samples
 *           (of a run)
 *   runs    [{policy, set ("corpus" or "mixed"), part (of the capacity), rate, and what sv_load_figures_json gives}]
 *   best    [{policy, rate, and the figures of the run at that rate}]; rate 0 where none was within the bound
 * The model is the row's file in options->out. Errors: those of senvec_model_open and sv_batcher_open; FORMAT (a study without
 * such a row), CANCELLED, OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_study_batching(sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                sv_runner_progress_fn *progress, void *progress_context, senvec_error *err);

#endif
