#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

void sv_log_line(const sv_log *log, senvec_log_level level, const char *format, ...) {
    if (!log->function)
        return;
    char line[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    log->function(log->context, level, line);
}
