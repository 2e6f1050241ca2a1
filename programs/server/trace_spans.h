/* The spans of traced requests as OTLP's JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Inside of the
 * server. */
#ifndef SV_SERVER_TRACE_SPANS_H
#define SV_SERVER_TRACE_SPANS_H

#include "server/bytes.h"
#include "server/trace_context.h"

struct sv_exchange;

/* What its spans say of a request. Times are of sv_clock_ns. */
typedef struct sv_trace_record {
    sv_trace_context parent; /* the caller's span */
    uint64_t spans;          /* a random number that the spans' own ids are made of: the same ones if they are sent again */
    uint64_t begin_ns, end_ns;
    uint64_t submitted_ns;                      /* its tokens were counted; 0: it has no texts to compute, or none was read */
    uint64_t finished_ns;                       /* the vectors were there; 0: they never were */
    uint64_t tokenize_ns, queue_ns, compute_ns; /* lengths */
    const char *route, *model;                  /* the server's; NULL: no route has this path */
    char method[8], request_id[72];
    unsigned status; /* 0: no answer */
    size_t texts, cached;
    uint64_t tokens;
} sv_trace_record;

/* Of a request that is over; `spans` is any random number. */
sv_trace_record sv_trace_record_of(const struct sv_exchange *exchange, uint64_t spans, uint64_t end_ns);

/* Writes the body of a POST to /v1/traces: for each record the server's span, "METHOD ROUTE", whose parent is the caller's, and
 * within it tokenize, queue, compute and write, as far as the request got. `service` is their service.name. `wall_offset_ns` is
 * the time since 1970 at which sv_clock_ns was 0. */
void sv_trace_spans_write(const sv_trace_record *records, size_t count, const char *service, uint64_t wall_offset_ns,
                          sv_bytes *out);

#endif
