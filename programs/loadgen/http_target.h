/* A target of load that is a server, over HTTP/1.1 with keep-alive. */
#ifndef SV_LOADGEN_HTTP_TARGET_H
#define SV_LOADGEN_HTTP_TARGET_H

#include "http/url.h"
#include "loadgen/load_dialect.h"
#include "loadgen/target.h"

typedef struct sv_http_options {
    sv_url url; /* a path of "/" stands for the dialect's own */
    sv_load_dialect dialect;
    const char *model;   /* name to ask for */
    const char *api_key; /* sent as "Authorization: Bearer"; NULL: none */
    size_t connections;  /* at most */
    bool no_keep_alive;  /* a new connection for every request */
    /* Part of the texts that are the workload's and may so have been asked before; the others get a number of their own at
     * their end. Negative: all are the workload's, and the server is asked to compute each (Cache-Control: no-cache). */
    double repeat;
    double connect_timeout_s;
} sv_http_options;

typedef struct sv_http_target sv_http_target;

/* Resolves the host and connects once, so that a server that is down is found here. `options` is copied but for its strings;
 * the workload's texts are taken as they are now, and both must outlive the target. Until the close the calling thread has
 * real-time priority where it may. Errors: NETWORK (no such host, or nobody listens there: says so), INVALID_ARGUMENT (the API
 * key or the model's name holds what can't be sent), OUT_OF_MEMORY, SYSTEM.
 */
senvec_status sv_http_target_open(const sv_http_options *options, const sv_workload *workload, sv_http_target **out,
                                  senvec_error *err);
void sv_http_target_close(sv_http_target *target);

/* Its functions for a run. */
sv_load_target sv_http_target_driver(sv_http_target *target);

/* Asks once, waits up to `timeout_s`, and checks the whole answer. Errors: NETWORK: what the server did instead, with the
 * beginning of what it said. */
senvec_status sv_http_target_probe(sv_http_target *target, double timeout_s, senvec_error *err);

/* Asks once for the vectors of `count` texts of the workload's first set, from `first` on: *out (malloc'ed)
 * [count, *dimensions]. *latency_ns, which may be NULL, is the time until the last byte of the answer. Errors: those of the
 * probe. */
senvec_status sv_http_target_vectors(sv_http_target *target, size_t first, size_t count, double timeout_s, float **out,
                                     size_t *dimensions, uint64_t *latency_ns, senvec_error *err);

#endif
