/* The study over HTTP: `senvec serve`, peers' services and the reader's own, under the same load on the same machine, in turn.
 *
 * All that are started stay loaded; one is asked at a time. Measured are, in rounds in which the services take turns in a
 * shuffled order: one client that asks for a text at a time, many such clients, and clients that ask for many texts at a time;
 * then latency against the rate of Poisson arrivals, at the same rates for all (a service that doesn't hold a rate is not asked
 * for higher ones); and the highest rate with p99 within SV_BATCHING_BOUND_MS, searched and confirmed. Before that each is
 * asked for the vectors of some texts, which are compared with the engine's own in fp32. */
#ifndef SV_STUDY_SERVICES_H
#define SV_STUDY_SERVICES_H

#include "study/runner.h"
#include "study/service_list.h"
#include "study/service_process.h"
#include "study/study.h"

/* Fills results->services, also with what was measured before an interruption, where options->go_on takes it up;
 * options->checkpoint is called after each run:
 *   bound_ms, threads, clients, bulk_texts, bulk_clients, rounds, seconds (of a block), samples (of a run under load),
 * reference, rates (requests/s, of the curves) rows    [{name, kind ("senvec", "torch", "onnx", "llama", "given"), url (as it
 * was asked), dialect, model, state, reason, dimensions, texts, cosine_mean, cosine_min, neighbours (against the reference),
 *           cold_start_s (from the start of the process to the first vector), peak_rss_bytes, pss_bytes and pss_2_bytes (of one
 *           process, and of two that run beside each other): of those that the study started
 *           loads {single, together, bulk: {texts_per_s {value, low, high}, p50_ms, p95_ms, p99_ms (medians of the rounds')}},
 *           best {rate, and the figures of the run at that rate}; rate 0 where none was within the bound}]
 *   runs    [{service, load ("single", "together", "bulk", "curve"), step (of the round, or the rate), rate, and what
 *           sv_load_figures_json gives}]
 * A service that is down, refuses or fails is no error: its row has the reason. Errors: CANCELLED, OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_study_services(sv_results *results, const sv_study_options *options, const sv_service_list *list,
                                const sv_service_places *places, const sv_texts *texts, sv_runner_progress_fn *progress,
                                void *progress_context, senvec_error *err);

#endif
