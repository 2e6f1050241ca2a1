/* The state that all exchanges of a server share. Inside of the server. */
#ifndef SV_SERVER_SERVER_INTERNAL_H
#define SV_SERVER_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/http_loop.h"
#include "server/large_bodies.h"
#include "server/links.h"
#include "server/request_memory.h"
#include "server/served.h"
#include "server/server.h"
#include "server/server_metrics.h"
#include "server/token_table.h"
#include "server/trace_export.h"

struct sv_server {
    sv_served_list served;
    sv_server_options options; /* defaults filled in; strings are the server's */
    char address[SV_MAX_PATH + 8];
    char *tls_certificate, *tls_key; /* the files' text */
    sv_batcher *batcher;
    sv_token_table table;
    sv_http_loop *loops; /* [loop_count] */
    size_t loop_count;
    int listener, metrics_listener; /* -1: none */
    char metrics_address[160];
    sv_links links;
    sv_large_bodies large_bodies;
    sv_server_metrics metrics;
    sv_request_memory memory;
    atomic_ullong refused_memory;
    atomic_size_t results; /* exchanges with memory for vectors and an answer */
    atomic_bool draining;
    atomic_size_t exchanges; /* now */
    atomic_ullong last_used; /* when the last one ended or the last connection came; at first, when it was open */
    atomic_ullong last_id;
    uint64_t opened_ns, id_seed;
    double opened_at; /* seconds since 1970 */
    pthread_mutex_t log_lock;
    atomic_ullong log_lines_lost;
    sv_trace_export *traces; /* NULL: none are sent */
};

#endif
