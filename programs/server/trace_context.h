/* W3C Trace Context (https://www.w3.org/TR/trace-context/): the header by which a request's callers tell which trace it is of.
 */
#ifndef SV_SERVER_TRACE_CONTEXT_H
#define SV_SERVER_TRACE_CONTEXT_H

#include <stdbool.h>

#define SV_TRACE_ID_LENGTH 32 /* hexadecimal digits */
#define SV_SPAN_ID_LENGTH 16

typedef struct sv_trace_context {
    char trace_id[SV_TRACE_ID_LENGTH + 1];
    char parent_id[SV_SPAN_ID_LENGTH + 1]; /* of the caller's span */
    char flags[3];                         /* two digits; the last bit: the caller records the trace */
} sv_trace_context;

/* Reads the value of a `traceparent` header. Of a version above 00 only what it shares with 00 is kept. False: it isn't well
 * formed, and is to be ignored, as the standard says; *out is untouched. */
bool sv_trace_context_read(const char *value, sv_trace_context *out);
/* Whether there is a trace and its caller records it. */
bool sv_trace_context_is_recorded(const sv_trace_context *trace);

#endif
