/* The access log: one JSON line for each request. */
#ifndef SV_SERVER_ACCESS_LOG_H
#define SV_SERVER_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct sv_exchange;

/* Writes the line of a request, if the server has a log. A line that can't be written is lost and counted. */
void sv_access_log_write(const struct sv_exchange *exchange, bool taken, uint64_t now);

#endif
