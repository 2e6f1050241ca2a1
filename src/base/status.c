/* Names and texts of what senvec.h lists, and the one place that writes a senvec_error. */
#include "base/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

senvec_status sv_fail(senvec_error *err, senvec_status code, uint64_t offset, const char *format, ...) {
    assert(code != SENVEC_OK);
    if (!err)
        return code;
    err->code = code;
    err->offset = offset;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (length < 0)
        snprintf(err->message, sizeof err->message, "%s", senvec_status_text(code));
    /* An error is one line, whatever a file name or a file's content held. */
    for (char *c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return code;
}

const char *senvec_status_name(senvec_status status) {
    switch (status) {
#define STATUS_NAME(name, value, text)                                                                                         \
    case name:                                                                                                                 \
        return #name;
        SENVEC_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    }
    return "unknown status";
}

const char *senvec_status_text(senvec_status status) {
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                                                         \
    case name:                                                                                                                 \
        return text;
        SENVEC_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *senvec_precision_name(senvec_precision precision) {
    switch (precision) {
#define PRECISION_TEXT(name, value, text)                                                                                      \
    case name:                                                                                                                 \
        return text;
        SENVEC_PRECISION_MAP(PRECISION_TEXT)
#undef PRECISION_TEXT
    }
    return "unknown precision";
}

const char *senvec_version(void) {
    return SENVEC_VERSION;
}
