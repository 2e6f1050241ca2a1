/* A team of threads that works for one caller, and a barrier among them.
 *
 * The caller is member 0 and works too; the others sleep between calls, after a short spin, so that a warm call starts in
 * microseconds and an idle team costs nothing. */
#ifndef SV_COMMON_THREAD_H
#define SV_COMMON_THREAD_H

#include <stdatomic.h>
#include <stddef.h>

#include "common/memory.h"
#include "common/status.h"

typedef struct sv_team sv_team;

/* The work of one member: 0 <= member < size of the team. */
typedef void sv_team_fn(void *context, size_t member);

/* Starts size - 1 threads (size at least 1), which take no signals: those are the program's. Errors: OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_team_open(size_t size, const senvec_allocator *allocator, sv_team **out, senvec_error *err);
void sv_team_close(sv_team *team);
size_t sv_team_size(const sv_team *team);

/* Runs function(context, member) once on every member at the same time and returns when all have returned. One call at a time.
 */
void sv_team_run(sv_team *team, sv_team_fn *function, void *context);

/* Does one of a number of independent pieces of work. */
typedef void sv_team_item_fn(void *context, size_t item, size_t member);

/* Runs function(context, item, member) once for each item below `count`, each on whichever member is free. */
void sv_team_each(sv_team *team, size_t count, sv_team_item_fn *function, void *context);

/* Called by every member inside a run: waits until all members have called it. Everything that a member wrote before the
 * barrier is visible to all members after it. Spins for some microseconds, then gives up the CPU, so it also behaves when there
 * are more threads than CPUs. */
void sv_team_barrier(sv_team *team);

#endif
