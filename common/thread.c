/* The team. Two waits matter, and both first spin, then sleep on a futex:
 * - a worker that waits for the next run (`generation` changes);
 * - a member that waits at the barrier (`phase` changes; a sense-reversing barrier, whose last arriver flips it).
 *
 * Spinning saves the 5 to 50 us of a sleep and wake-up where the other side is busy with the same work on another CPU. Sleeping
 * keeps the loss small when it isn't: with fewer CPUs than threads, or when the hypervisor took a CPU away, the awaited thread
 * needs the CPU that a spinner would burn. A waker makes the system call only if somebody sleeps. */
#include "common/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/limits.h"

/* About 20 to 50 us of pause instructions: longer than a phase of one short text is uneven, far shorter than a time slice. */
#define SPINS 1000

/* A counter that can be waited for. */
typedef struct gate {
    _Alignas(SV_CACHE_LINE) atomic_uint value;
    atomic_uint sleepers;
} gate;

typedef struct member {
    sv_team *team;
    size_t index;
    pthread_t thread;
} member;

struct sv_team {
    gate generation; /* +1 for each run */
    gate phase;      /* +1 for each passed barrier; a run ends with one */
    _Alignas(SV_CACHE_LINE) atomic_uint arrived;
    bool closing;
    size_t size;
    sv_team_fn *function;
    void *context;
    senvec_allocator allocator;
    member members[];
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Returns when the gate's value isn't `seen` any more. */
static void gate_wait(gate *g, unsigned seen) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&g->value, memory_order_acquire) != seen)
            return;
        relax();
    }
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->value) == seen)
        syscall(SYS_futex, &g->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&g->sleepers, 1);
}

static void gate_open(gate *g) {
    atomic_fetch_add(&g->value, 1);
    if (atomic_load(&g->sleepers))
        syscall(SYS_futex, &g->value, FUTEX_WAKE_PRIVATE, SV_MAX_THREADS, NULL, NULL, 0);
}

void sv_team_barrier(sv_team *team) {
    if (team->size == 1)
        return;
    unsigned phase = atomic_load_explicit(&team->phase.value, memory_order_relaxed);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == team->size) {
        atomic_store(&team->arrived, 0);
        gate_open(&team->phase);
    } else {
        gate_wait(&team->phase, phase);
    }
}

static void *work(void *argument) {
    member *self = argument;
    sv_team *team = self->team;
    for (unsigned seen = 0;; seen++) {
        gate_wait(&team->generation, seen);
        if (team->closing)
            return NULL;
        team->function(team->context, self->index);
        sv_team_barrier(team);
    }
}

void sv_team_run(sv_team *team, sv_team_fn *function, void *context) {
    team->function = function;
    team->context = context;
    if (team->size > 1)
        gate_open(&team->generation);
    function(context, 0);
    sv_team_barrier(team);
}

/* A sv_team_each in progress. */
typedef struct each {
    sv_team_item_fn *function;
    void *context;
    size_t count;
    atomic_size_t next;
} each;

static void take_items(void *context, size_t index) {
    each *all = context;
    for (;;) {
        size_t item = atomic_fetch_add_explicit(&all->next, 1, memory_order_relaxed);
        if (item >= all->count)
            return;
        all->function(all->context, item, index);
    }
}

void sv_team_each(sv_team *team, size_t count, sv_team_item_fn *function, void *context) {
    each all = {.function = function, .context = context, .count = count};
    sv_team_run(team, take_items, &all);
}

static size_t team_bytes(size_t size) {
    return sizeof(sv_team) + size * sizeof(member);
}

/* Ends the workers 1 .. started and frees the team. */
static void dissolve(sv_team *team, size_t started) {
    team->closing = true;
    gate_open(&team->generation);
    for (size_t i = 1; i <= started; i++)
        pthread_join(team->members[i].thread, NULL);
    senvec_allocator allocator = team->allocator;
    sv_free(&allocator, team, team_bytes(team->size), 1);
}

senvec_status sv_team_open(size_t size, const senvec_allocator *allocator, sv_team **out, senvec_error *err) {
    if (size < 1 || size > SV_MAX_THREADS)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%zu threads: give 1 to %u", size, SV_MAX_THREADS);
    if (!allocator)
        allocator = &sv_default_allocator;
    void *memory;
    SENVEC_TRY(sv_alloc(allocator, team_bytes(size), 1, "a team of threads", &memory, err));
    memset(memory, 0, team_bytes(size));
    sv_team *team = memory;
    team->size = size;
    team->allocator = *allocator;
    size_t started = 1;
    int failure = 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* as the threads shall have them, which inherit it */
    for (; started < size; started++) {
        member *next = &team->members[started];
        next->team = team;
        next->index = started;
        failure = pthread_create(&next->thread, NULL, work, next);
        if (failure)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        dissolve(team, started - 1);
        return sv_fail(err, SENVEC_SYSTEM, 0, "thread %zu of %zu could not be started: %s; use fewer threads", started + 1,
                       size, strerror(failure));
    }
    *out = team;
    return SENVEC_OK;
}

void sv_team_close(sv_team *team) {
    if (team)
        dissolve(team, team->size - 1);
}

size_t sv_team_size(const sv_team *team) {
    return team->size;
}
