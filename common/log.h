/* The log callback: a library has nobody to print to, so its owner brings a function. */
#ifndef SV_COMMON_LOG_H
#define SV_COMMON_LOG_H

#include "senvec.h"

typedef struct sv_log {
    senvec_log_fn *function; /* NULL: silent */
    void *context;
} sv_log;

/* Formats one line and hands it to the callback; cut at 1000 bytes. */
__attribute__((format(printf, 3, 4))) void sv_log_line(const sv_log *log, senvec_log_level level, const char *format, ...);

#endif
