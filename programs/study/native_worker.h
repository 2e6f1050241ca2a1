/* The worker that runs the native engine: the other side of worker.h's protocol, on top of senvec.h alone. */
#ifndef SV_STUDY_NATIVE_WORKER_H
#define SV_STUDY_NATIVE_WORKER_H

#include <stdio.h>

/* Answers requests from `requests` on `replies` until "quit" or the end of the input. Returns 0, or 1 if a line wasn't a
 * request or a reply couldn't be written. */
int sv_native_worker(FILE *requests, FILE *replies);

#endif
