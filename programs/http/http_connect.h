/* Connections of an HTTP client. Thread safe. */
#ifndef SV_HTTP_HTTP_CONNECT_H
#define SV_HTTP_HTTP_CONNECT_H

#include "http/url.h"

/* Connects to the first of the host's addresses at which somebody listens, and waits at most `timeout_s` for each of them. *out
 * is a non-blocking socket, which is the caller's to close. Errors: NETWORK (no such host, or nobody listens there: says so).
 */
senvec_status sv_http_connect(const sv_url *url, double timeout_s, int *out, senvec_error *err);

#endif
