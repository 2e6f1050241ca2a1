/* The progress of a long job, on stderr: a bar on a terminal, a plain line every ten seconds elsewhere, nothing for a job of
 * under a second or under --quiet.
 *
 *     sv_progress progress;
 *     sv_progress_begin(&progress, "embed", quiet);
 *     while (...)
 *         sv_progress_update(&progress, done / total, "%s texts", ...);
 *     sv_progress_end(&progress);
 *
 * One job at a time, called from one thread. Messages (cli.h) clear the bar by themselves. */
#ifndef SV_CLI_PROGRESS_H
#define SV_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sv_progress {
    const char *label; /* must outlive the job */
    bool quiet;
    uint64_t begun_ns, drawn_ns;
    double first_fraction; /* where a resumed job began; below 0: not known yet */
    uint64_t first_ns;     /* when that was */
    bool uneven;           /* set by the caller: what is going on now says nothing about the time to go */
    bool restart;          /* set by the caller: the speed counts from the next update on */
} sv_progress;

void sv_progress_begin(sv_progress *progress, const char *label, bool quiet);

/* `fraction` of the work that is done, from 0 to 1, below 0 where nobody knows; the rest says what is done, at what rate
 * ("12,345 texts  2,512 texts/s"). Call it as often as you like: most calls do no more than read the clock. */
__attribute__((format(printf, 3, 4))) void sv_progress_update(sv_progress *progress, double fraction, const char *format, ...);

/* Clears the bar. */
void sv_progress_end(sv_progress *progress);

/* Seconds since the beginning. */
double sv_progress_seconds(const sv_progress *progress);

/* Clears what stands on the terminal, if anything; the second one is for signal handlers. */
void sv_progress_clear(void);
void sv_progress_clear_in_signal(void);

#endif
