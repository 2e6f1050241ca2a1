/* The cost model finds a line, stays with it when a sample is absurd, and follows the machine when that changes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batcher/cost_model.h"

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void near(double value, double expected, double share) {
    if (!(fabs(value - expected) <= share * expected))
        fail_msg("%g isn't within %g %% of %g", value, 100 * share, expected);
}

/* `count` batches of 3 to 300 units on a machine with the given line, each up to 10 % off. */
static void run(sv_cost_model *model, int count, double fixed, double per_work, uint64_t *seed) {
    for (int i = 0; i < count; i++) {
        double work = 3 + (double)(next_random(seed) % 298);
        double off = 0.9 + 0.2 * (double)(next_random(seed) % 1000) / 1000;
        sv_cost_learn(model, work, off * (fixed + per_work * work));
    }
}

static void finds_the_line(void **state) {
    (void)state;
    sv_cost_model model;
    uint64_t seed = 1;
    sv_cost_init(&model, 1e5, 1e4);
    run(&model, 400, 5e5, 6e4, &seed);
    near(sv_cost_predict(&model, 10), 5e5 + 6e5, 0.1);
    near(sv_cost_predict(&model, 300), 5e5 + 18e6, 0.05);
    run(&model, 400, 1e5, 2e4, &seed); /* the other cores went idle: everything is faster */
    near(sv_cost_predict(&model, 10), 3e5, 0.1);
    near(sv_cost_predict(&model, 300), 6.1e6, 0.05);
}

static void one_size_keeps_the_rest(void **state) {
    (void)state;
    sv_cost_model model;
    sv_cost_init(&model, 5e5, 5e4);
    for (int i = 0; i < 1000; i++)
        sv_cost_learn(&model, 100, 11e6); /* twice the guess */
    near(sv_cost_predict(&model, 100), 11e6, 0.01);
    near(sv_cost_predict(&model, 10), 2e6, 0.5);
    assert_true(model.fixed_ns >= 0 && model.per_work_ns > 0);
}

static void outliers_move_it_little(void **state) {
    (void)state;
    sv_cost_model model;
    uint64_t seed = 2;
    sv_cost_init(&model, 5e5, 6e4);
    run(&model, 400, 5e5, 6e4, &seed);
    sv_cost_learn(&model, 20, 1e9); /* the machine was away for a second */
    near(sv_cost_predict(&model, 20), 17e5, 0.15);
    near(sv_cost_predict(&model, 200), 125e5, 0.15);
}

static void stays_sane(void **state) {
    (void)state;
    sv_cost_model model;
    uint64_t seed = 3;
    sv_cost_init(&model, 0, 0);
    for (int i = 0; i < 100000; i++) {
        sv_cost_learn(&model, 1 + (double)(next_random(&seed) % 5000), (double)(next_random(&seed) % 1000000000));
        assert_true(isfinite(model.fixed_ns) && model.fixed_ns >= 0);
        assert_true(isfinite(model.per_work_ns) && model.per_work_ns > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_line),
        cmocka_unit_test(one_size_keeps_the_rest),
        cmocka_unit_test(outliers_move_it_little),
        cmocka_unit_test(stays_sane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
