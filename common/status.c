/* The one place that writes a senvec_error. */
#include "common/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/utf8.h"

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
        snprintf(err->message, sizeof err->message, "error %d", (int)code);
    /* An error is one line of UTF-8, whatever a file name or a file's content held, and wherever it was cut. */
    sv_utf8_clean(err->message);
    for (char *c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return code;
}
