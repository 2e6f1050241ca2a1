/* A worker: a process of its own that runs one configuration of the study, behind one line protocol, so that every runtime is
 * timed, limited and weighed alike.
 *
 * Protocol. One JSON object a line, requests on the worker's standard input, replies on its standard output; standard error is
 * free text. Every request has "op" and "id"; every reply echoes "id" and has "ok": true, or "ok": false and "error" (and
 * "missing": true if something isn't installed). A worker answers one request at a time and leaves at the end of its input.
 *
 *   prepare     {backend, model, files, source, texts, threads} -> {}
 *               Makes the model's files in the folder `files` from the ONNX file in the folder `source`, calibrated on the JSON
 *               array of strings in the file `texts`, unless they are there already. OpenVINO only; a process of its own does
 *               it, so that it doesn't count as memory of the one that is measured.
 *   load        {backend, model, files, source, threads, precision, cpu} -> {versions, settings, model_bytes, dimensions,
 *               max_seq_length}
 *               `model` is the model's directory, `files` the runtime's own form of it, or the same directory; `source` the
 *               folder that `senvec export` made of it, if a peer of that kind is in the study;
 *               `precision` "fp32", "bf16" or "int8"; `cpu` an ISA mask or null. The native worker also gives linear_macs (a
 *               token) and tier.
 *   texts       {path, set} -> {count, tokens}
 *               A JSON array of strings, to be known by the name `set`; tokens with [CLS] and [SEP], after truncation.
 *   latency     {set, batch, warmups, warmup_s, calls, first} -> {samples_ns: [calls numbers]}
 *               Call i embeds the `batch` texts that begin at text first + i * batch, cyclically; warm-ups (which begin at
 *               `first` too) are not timed: `warmups` of them, and more until `warmup_s` seconds have passed.
 *   throughput  {set, batch, seconds, first} -> {calls, texts, tokens, seconds}
 *               The same calls, one after the other, until `seconds` have passed.
 *   embed       {set, batch, path} -> {count, dimensions}
 *               Every text once, in order; float32 vectors, native byte order, to `path`.
 *   quit        {} -> {}
 *
 * Times are of a monotonic clock around the call from strings to vectors, nothing else. */
#ifndef SV_STUDY_WORKER_H
#define SV_STUDY_WORKER_H

#include <jansson.h>
#include <stdint.h>

#include "common/status.h"

typedef struct sv_worker sv_worker;

/* Starts argv[0] (a path) with the arguments argv, NULL-terminated; `environment` is a NULL-terminated list of NAME=VALUE to
 * add or replace, or NULL. `name` is used in messages and must outlive the worker. The process ignores SIGINT, SIGTERM and
 * SIGHUP, so that an interrupt ends a study in order, and is killed if this one dies. Errors: NOT_FOUND (no such program),
 * SYSTEM, OUT_OF_MEMORY.
 */
senvec_status sv_worker_start(const char *name, const char *const *argv, const char *const *environment, sv_worker **out,
                              senvec_error *err);

/* Sends a request and waits for its reply, for at most `timeout_s` seconds. `request` is taken over in any case; NULL is
 * reported as out of memory. *reply belongs to the caller, who gives it to json_decref.
 * Errors: UNSUPPORTED (the worker said "missing"), INVALID_ARGUMENT (it said another "error"; it can be asked again), SYSTEM
 * (it ended, hung or wrote something else; it has been killed, and every later call fails), OUT_OF_MEMORY. */
senvec_status sv_worker_call(sv_worker *worker, json_t *request, double timeout_s, json_t **reply, senvec_error *err);

/* Peak resident set in bytes (VmHWM) and CPU time used so far, as the kernel counts them; 0 if it has ended. */
uint64_t sv_worker_peak_rss(const sv_worker *worker);
/* The same of this process. Where the kernel lets it, sv_own_peak_rss_reset makes the count begin anew. */
uint64_t sv_own_peak_rss(void);
void sv_own_peak_rss_reset(void);
uint64_t sv_worker_cpu_ns(const sv_worker *worker);

/* Asks it to quit, waits a moment, kills it if it must, and frees. NULL is accepted. */
void sv_worker_stop(sv_worker *worker);

#endif
