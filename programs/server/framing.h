/* Checks of a request's framing. Where a request ends must be beyond doubt: if a proxy in front of this server understood it
 * differently, the rest of one client's bytes would become another client's request (request smuggling). Inside of the server.
 */
#ifndef SV_SERVER_FRAMING_H
#define SV_SERVER_FRAMING_H

#include <microhttpd.h>

/* The fault in a request's headers, as a static sentence for its sender; NULL: no fault. After a faulty request nothing on the
 * connection can be trusted. `version` is the request line's. */
const char *sv_framing_fault(struct MHD_Connection *connection, const char *version);

#endif
