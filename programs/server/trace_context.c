/* VERSION-TRACE_ID-PARENT_ID-FLAGS, of 2, 32, 16 and 2 lowercase hexadecimal digits. Later versions may go on after another
 * dash. */
#include "server/trace_context.h"

#include <stddef.h>
#include <string.h>

#define DIGITS "0123456789abcdef"

/* Exactly `length` digits. */
static bool is_hexadecimal(const char *text, size_t length) {
    return strnlen(text, length) == length && strspn(text, DIGITS) >= length;
}

static bool is_zero(const char *text, size_t length) {
    return strspn(text, "0") >= length;
}

bool sv_trace_context_read(const char *value, sv_trace_context *out) {
    if (!is_hexadecimal(value, 2) || value[2] != '-' || memcmp(value, "ff", 2) == 0)
        return false;
    const char *trace = value + 3;
    if (!is_hexadecimal(trace, SV_TRACE_ID_LENGTH) || is_zero(trace, SV_TRACE_ID_LENGTH) || trace[SV_TRACE_ID_LENGTH] != '-')
        return false;
    const char *parent = trace + SV_TRACE_ID_LENGTH + 1;
    if (!is_hexadecimal(parent, SV_SPAN_ID_LENGTH) || is_zero(parent, SV_SPAN_ID_LENGTH) || parent[SV_SPAN_ID_LENGTH] != '-')
        return false;
    const char *flags = parent + SV_SPAN_ID_LENGTH + 1;
    bool later = !is_zero(value, 2);
    if (!is_hexadecimal(flags, 2) || (flags[2] && (!later || flags[2] != '-')))
        return false;
    *out = (sv_trace_context){0};
    memcpy(out->trace_id, trace, SV_TRACE_ID_LENGTH);
    memcpy(out->parent_id, parent, SV_SPAN_ID_LENGTH);
    memcpy(out->flags, flags, 2);
    if (later) /* what the other bits mean there isn't known */
        memcpy(out->flags, sv_trace_context_is_recorded(out) ? "01" : "00", 2);
    return true;
}

bool sv_trace_context_is_recorded(const sv_trace_context *trace) {
    return trace->trace_id[0] && (strchr(DIGITS, trace->flags[1]) - DIGITS) & 1;
}
