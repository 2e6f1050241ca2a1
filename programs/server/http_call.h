/* One request of a client and its answer, for those that wait for it. Thread safe. */
#ifndef SV_SERVER_HTTP_CALL_H
#define SV_SERVER_HTTP_CALL_H

#include "http/http_answer.h"
#include "server/bytes.h"

/* Sends `request` and reads the answer into `in`, whose bytes are replaced; *answer says where its parts are. False: the answer
 * wasn't complete at `until_ns` (sv_clock_ns), isn't HTTP, or there is no memory; the connection is of no use any more. */
bool sv_http_call(int socket, const sv_bytes *request, sv_bytes *in, sv_http_answer *answer, uint64_t until_ns);

#endif
