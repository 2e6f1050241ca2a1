/* The server's own threads, beside the batcher's. Inside of the server. */
#ifndef SV_SERVER_HELPER_THREAD_H
#define SV_SERVER_HELPER_THREAD_H

#include <pthread.h>

/* Starts `run(context)` on a thread with a stack of 2 MiB, whatever `ulimit -s` says: 300 KB are used. 0, or an errno. */
int sv_helper_thread_start(pthread_t *thread, void *(*run)(void *), void *context);

#endif
