/* Real-time priority for the load generator's thread, so that it sends on time. */
#ifndef SV_LOADGEN_REALTIME_H
#define SV_LOADGEN_REALTIME_H

/* The generator needs little of a CPU, but that at once: beside a server that computes on all CPUs it would be sent for
 * milliseconds after a request was due. Where the system allows it (CAP_SYS_NICE), the calling thread goes first until
 * sv_realtime_end; where not, the verdict tells what that cost. Children of the thread are ordinary. */
void sv_realtime_begin(void);
void sv_realtime_end(void);

#endif
