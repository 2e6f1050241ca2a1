/* Child processes: starting one with the descriptors it needs, keeping the end of what it says, waiting for it. */
#ifndef SV_SYSTEM_PROCESS_H
#define SV_SYSTEM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/limits.h"
#include "common/status.h"

typedef struct sv_process_options {
    const char *const *arguments;   /* NULL-terminated; the first is a path, or a name that is looked for in $PATH */
    const char *const *environment; /* NULL-terminated list of NAME=VALUE to add or replace; NULL: none. The rest is
                                       the parent's, but for what is named as a key, token or password */
    const char *directory;          /* working directory; NULL: the parent's */
    const int *descriptors;         /* (descriptor_count) what the child gets as 0, 1, 2, ...; -1: /dev/null */
    size_t descriptor_count;        /* at least 3 */
    bool own_group;                 /* leads a process group, so that its own children can be ended with it */
    bool ignores_signals;           /* SIGINT, SIGTERM and SIGHUP: the parent ends it itself, in order */
    int death_signal;               /* what it gets when the thread that started it ends; 0: nothing */
} sv_process_options;

/* The program of that name in $PATH, or `name` itself if it is a path; false: it isn't there or can't be executed. */
bool sv_process_find(const char *name, char out[SV_MAX_PATH]);

/* Starts a process; *out is its id. Returns once the program runs. The caller's descriptors stay open; all but those of the
 * list should be close-on-exec. Errors: NOT_FOUND (no such program), SYSTEM, OUT_OF_MEMORY. */
senvec_status sv_process_start(const sv_process_options *options, pid_t *out, senvec_error *err);

/* Waits for the end; returns the wait status (waitpid), or -1 where the process isn't a child. */
int sv_process_wait(pid_t process);
/* Waits for at most `seconds`. False: it still runs. */
bool sv_process_wait_for(pid_t process, double seconds, int *wait_status);
/* Kills it, and its group if it leads one, and waits. Returns the wait status. */
int sv_process_kill(pid_t process);
/* Its peak resident set in bytes (VmHWM); 0 for one that has ended, and for process 0. */
uint64_t sv_process_peak_rss(pid_t process);
/* "ended with exit code 3" or "was killed by signal 11 (Segmentation fault)". */
void sv_process_describe_end(int wait_status, char *out, size_t size);

/* The end of what a process wrote, of however much. Zeroed: nothing yet. */
typedef struct sv_tail {
    char text[4096]; /* NUL-terminated */
    size_t length;
} sv_tail;

void sv_tail_append(sv_tail *tail, const char *bytes, size_t count);
/* Reads once from a descriptor that has something, or has ended. False: it has ended, or can't be read. */
bool sv_tail_read(sv_tail *tail, int descriptor);
/* The last line that isn't blank, cut to fit; "" if there is none. A carriage return ends a line as well (progress bars). */
void sv_tail_last_line(const sv_tail *tail, char *out, size_t size);

#endif
