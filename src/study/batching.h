/* The study's last step: single texts from many callers, brought together by the batcher, under open-loop load.
 *
 * The batcher runs in this process, without HTTP, with the precision that was fastest in the study so far. Measured are, for
 * each policy (slo, greedy, fixed): latency against the rate of Poisson arrivals, in rounds over rates that are parts of the
 * capacity, the policies in turn; the highest rate with p99 within SV_BATCHING_BOUND_MS; and latency by length of text for a
 * mix of lengths. load/verdict.h says which runs are valid. */
#ifndef SV_STUDY_BATCHING_H
#define SV_STUDY_BATCHING_H

#include "study/runner.h"
#include "study/study.h"

#define SV_BATCHING_BOUND_MS 50.0

/* Fills results->batching, also with what was measured before an interruption:
 *   name, precision, tier, threads, bound_ms, target_ms, capacity_per_s (closed loop, 64 callers), seconds (of a run)
 *   runs    [{policy, set ("corpus" or "mixed"), part (of the capacity), rate, and what sv_load_figures_json gives}]
 *   best    [{policy, rate, and the figures of the run at that rate}]; rate 0 where none was within the bound
 * `model` is the model's directory. Errors: those of senvec_model_open and sv_batcher_open; CANCELLED, OUT_OF_MEMORY, SYSTEM.
 */
senvec_status sv_study_batching(sv_results *results, const sv_study_options *options, const char *model, const sv_texts *texts,
                                sv_runner_progress_fn *progress, void *progress_context, senvec_error *err);

#endif
