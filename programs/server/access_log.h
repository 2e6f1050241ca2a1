/* The access log: one JSON line for each request. */
#ifndef SV_SERVER_ACCESS_LOG_H
#define SV_SERVER_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct sv_exchange;

/* Nothing where the server has no log. A line that can't be written is lost. */
void sv_access_log_write(const struct sv_exchange *exchange, bool taken, uint64_t now);

#endif
