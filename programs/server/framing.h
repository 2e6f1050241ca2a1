/* Where a request ends, and for whom it is, must be beyond doubt: if a proxy in front and this server understood it
 * differently, the rest of one client's bytes would become another's request (request smuggling). Inside of the server. */
#ifndef SV_SERVER_FRAMING_H
#define SV_SERVER_FRAMING_H

#include <microhttpd.h>

/* What is wrong with a request's headers, as a sentence for its sender, static; NULL: nothing. After such a request nothing on
 * the connection can be trusted. `version` is the request line's. */
const char *sv_framing_fault(struct MHD_Connection *connection, const char *version);

#endif
