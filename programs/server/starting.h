/* The server while its model is being opened. Opening takes a tenth of a second, or a minute if int8 has to be calibrated
 * first. A server that doesn't listen meanwhile looks dead to a health check, so it listens at once and answers each request
 * with 503 until the model is open. */
#ifndef SV_SERVER_STARTING_H
#define SV_SERVER_STARTING_H

#include <signal.h>

#include "server/server.h"

typedef struct sv_starting sv_starting;

/* Ends the program, in the thread that answers; mustn't return. */
typedef void sv_starting_leave(const sv_server_options *options);

/* Listens as the options say and answers with 503 in a thread of its own. With TLS nothing is answered: connections wait. When
 * one of the signals in `ending`, which every thread has to block, is pending, `leave` is called; the signal isn't taken.
 * `options` must live until the end. Errors: as sv_server_open for its address; OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_starting_open(const sv_server_options *options, const sigset_t *ending, sv_starting_leave *leave,
                               sv_starting **out, senvec_error *err);

/* Stops answering and calls `leave` no more. `options`, unless it is NULL, gets the socket, on which nothing was missed
 * meanwhile. Otherwise it is closed. Frees *starting, which may be NULL. */
void sv_starting_end(sv_starting *starting, sv_server_options *options);

#endif
