/* Sends the spans of traced requests to a collector, as OTLP over HTTP with JSON. Thread safe.
 *
 * A request is traced if its traceparent says that its caller records the trace; the server begins no traces of its own. */
#ifndef SV_SERVER_TRACE_EXPORT_H
#define SV_SERVER_TRACE_EXPORT_H

#include "common/status.h"

struct sv_exchange;

typedef struct sv_trace_export sv_trace_export;

typedef struct sv_trace_counts {
    uint64_t sent;    /* requests whose spans a collector took */
    uint64_t full;    /* whose spans were dropped because too many waited for the collector */
    uint64_t refused; /* whose spans the collector refused for good */
} sv_trace_counts;

/* Whether spans could be sent to `url`. Error: INVALID_ARGUMENT (what is wrong with the address). */
senvec_status sv_trace_export_check(const char *url, senvec_error *err);
/* Starts the thread that sends. Spans go to `url` + "/v1/traces", by the name of `service`; both are copied. Nobody has to
 * listen there yet. Errors: INVALID_ARGUMENT (what is wrong with the address), OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_trace_export_open(const char *url, const char *service, sv_trace_export **out, senvec_error *err);
/* Sends what waits, unless the collector couldn't be reached the last time, and ends. It takes six seconds at most, but for the
 * system's search for the host's name. NULL is accepted. */
void sv_trace_export_close(sv_trace_export *export);

/* A request is over. If it is traced its spans are copied and wait to be sent; this never waits itself. NULL: nothing is done.
 */
void sv_trace_export_add(sv_trace_export *export, const struct sv_exchange *exchange, uint64_t end_ns);
/* NULL: zeros. */
sv_trace_counts sv_trace_export_count(sv_trace_export *export);

#endif
