/* The generator's thread sends on time. */
#ifndef SV_LOADGEN_PROMPT_H
#define SV_LOADGEN_PROMPT_H

/* The generator needs little of a CPU, but that at once: beside a server that computes on all CPUs it would be sent for
 * milliseconds after a request was due. Where the system allows it (CAP_SYS_NICE), the calling thread goes first until
 * sv_prompt_end; where not, the verdict tells what that cost. Children of the thread are ordinary. */
void sv_prompt_begin(void);
void sv_prompt_end(void);

#endif
