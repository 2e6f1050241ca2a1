/* Plans: every text in exactly one slice, in order, none over the capacity; balanced where that can be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/plan.h"

#define LONGEST 256

/* all-MiniLM-L6-v2: 2 * 384 * 6 / 10.6 M. */
static sv_planning planning_for(size_t threads) {
    return (sv_planning){.slice_tokens = 48, .longest = LONGEST, .threads = threads, .square_cost = 0.000434};
}

static size_t slice_tokens(const sv_plan *plan, size_t slice, const size_t *lengths) {
    size_t tokens = 0;
    for (size_t i = 0; i < plan->slices[slice].count; i++)
        tokens += lengths[plan->slices[slice].first + i];
    return tokens;
}

static void check(const sv_plan *plan, const size_t *lengths, size_t count) {
    const sv_planning planning = planning_for(1);
    const size_t capacity = sv_plan_capacity(&planning);
    size_t next = 0;
    assert_in_range(plan->count, 1, count);
    for (size_t p = 0; p < plan->count; p++) {
        assert_int_equal(plan->slices[p].first, next);
        assert_in_range(plan->slices[p].count, 1, count);
        assert_in_range(slice_tokens(plan, p, lengths), 1, capacity);
        next += plan->slices[p].count;
    }
    assert_int_equal(next, count);
}

static void make(sv_plan *plan, const size_t *lengths, size_t count, size_t threads) {
    const sv_planning planning = planning_for(threads);
    sv_plan_make(plan, &planning, lengths, count);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void random_lengths(void **state) {
    (void)state;
    uint64_t seed = 7;
    static sv_plan plan;
    for (int round = 0; round < 2000; round++) {
        size_t lengths[SV_WINDOW_TEXTS];
        size_t count = 1 + next_random(&seed) % SV_WINDOW_TEXTS;
        size_t top = 1 + next_random(&seed) % LONGEST;
        for (size_t i = 0; i < count; i++)
            lengths[i] = 1 + next_random(&seed) % top;
        make(&plan, lengths, count, 1 + next_random(&seed) % 9);
        check(&plan, lengths, count);
    }
}

static void one_text_is_worked_on_together(void **state) {
    (void)state;
    static sv_plan plan;
    size_t length = 11;
    make(&plan, &length, 1, 2);
    check(&plan, &length, 1);
    assert_true(plan.together);
    make(&plan, &length, 1, 1);
    assert_false(plan.together);
}

static void equal_texts_are_dealt_evenly(void **state) {
    (void)state;
    static sv_plan plan;
    size_t lengths[SV_WINDOW_TEXTS];
    for (size_t i = 0; i < SV_WINDOW_TEXTS; i++)
        lengths[i] = 11;
    for (size_t threads = 2; threads <= 4; threads++) {
        make(&plan, lengths, 32 * threads, threads);
        check(&plan, lengths, 32 * threads);
        assert_false(plan.together);
        assert_int_equal(plan.count % threads, 0);
    }
}

static void a_long_text_among_few_short_ones(void **state) {
    (void)state;
    static sv_plan plan;
    size_t lengths[3] = {256, 5, 5};
    make(&plan, lengths, 3, 2);
    check(&plan, lengths, 3);
    assert_true(plan.together);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lengths),
        cmocka_unit_test(one_text_is_worked_on_together),
        cmocka_unit_test(equal_texts_are_dealt_evenly),
        cmocka_unit_test(a_long_text_among_few_short_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
