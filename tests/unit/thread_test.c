/* The team: every member runs once, barriers hold, also with more members than CPUs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/thread.h"

#define STEPS 200
#define MEMBERS 9

typedef struct work {
    sv_team *team;
    size_t size;
    unsigned counts[MEMBERS]; /* written by their member only, read by all after a barrier */
    atomic_uint wrong;
} work;

static void step_together(void *context, size_t member) {
    work *w = context;
    for (unsigned step = 1; step <= STEPS; step++) {
        w->counts[member]++;
        sv_team_barrier(w->team);
        for (size_t i = 0; i < w->size; i++)
            if (w->counts[i] != step)
                atomic_fetch_add(&w->wrong, 1);
        sv_team_barrier(w->team);
    }
}

static void barriers_hold(void **state) {
    (void)state;
    for (size_t size = 1; size <= MEMBERS; size += 2) {
        work w = {.size = size};
        assert_int_equal(sv_team_open(size, NULL, &w.team, NULL), SENVEC_OK);
        assert_int_equal(sv_team_size(w.team), size);
        for (int run = 0; run < 3; run++) {
            memset(w.counts, 0, sizeof w.counts);
            sv_team_run(w.team, step_together, &w);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(w.counts[i], STEPS);
        }
        assert_int_equal(w.wrong, 0);
        sv_team_close(w.team);
    }
}

static void count_once(void *context, size_t member) {
    ((unsigned *)context)[member]++;
}

static void many_short_runs(void **state) {
    (void)state;
    sv_team *team;
    unsigned counts[3] = {0};
    assert_int_equal(sv_team_open(3, NULL, &team, NULL), SENVEC_OK);
    for (int run = 0; run < 5000; run++)
        sv_team_run(team, count_once, counts);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(counts[i], 5000);
    sv_team_close(team);
}

static void look_for_signals(void *context, size_t member) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ((int *)context)[member] = sigismember(&mask, SIGINT);
}

static void signals_stay_with_the_caller(void **state) {
    (void)state;
    sv_team *team;
    int blocked[2] = {-1, -1};
    assert_int_equal(sv_team_open(2, NULL, &team, NULL), SENVEC_OK);
    sv_team_run(team, look_for_signals, blocked);
    assert_int_equal(blocked[0], 0);
    assert_int_equal(blocked[1], 1);
    sv_team_close(team);
}

static void bad_sizes(void **state) {
    (void)state;
    sv_team *team = NULL;
    assert_int_equal(sv_team_open(0, NULL, &team, NULL), SENVEC_INVALID_ARGUMENT);
    assert_int_equal(sv_team_open(SV_MAX_THREADS + 1, NULL, &team, NULL), SENVEC_INVALID_ARGUMENT);
    assert_null(team);
    sv_team_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_hold),
        cmocka_unit_test(many_short_runs),
        cmocka_unit_test(signals_stay_with_the_caller),
        cmocka_unit_test(bad_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
