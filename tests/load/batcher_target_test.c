/* The batcher under load in this process: everything is answered, refused or cancelled, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/batcher_target.h"
#include "loadgen/verdict.h"
#include "support/test_models.h"

enum { DIMENSIONS = 32 };

/* Runs the plan against a batcher of the tiny model. */
static void run_plan(const sv_load_plan *plan, const sv_batcher_options *options, size_t requests, sv_load_figures *figures) {
    static const char *const words[] = {"hello world", "the quick brown fox", "a"};
    senvec_text texts[3];
    for (size_t i = 0; i < 3; i++)
        texts[i] = (senvec_text){words[i], strlen(words[i])};
    senvec_error err;
    senvec_model *model;
    sv_batcher *batcher;
    sv_batcher_target *target;
    sv_workload workload;
    sv_mix sizes, lengths;
    sv_load_log log;
    assert_int_equal(sv_mix_parse("1:5,7:1", 10, "size", &sizes, &err), SENVEC_OK);
    assert_int_equal(sv_mix_parse("2,20", 100, "words", &lengths, &err), SENVEC_OK);
    assert_int_equal(sv_workload_make(&workload, texts, 3, &sizes, &lengths, 1, &err), SENVEC_OK);
    assert_int_equal(senvec_model_open(TEST_TINY_MODEL, NULL, &model, &err), SENVEC_OK);
    assert_int_equal(sv_batcher_open(model, options, &batcher, &err), SENVEC_OK);
    assert_int_equal(sv_batcher_target_open(batcher, DIMENSIONS, &workload, requests, &target, &err), SENVEC_OK);
    sv_load_target driver = sv_batcher_target_driver(target);
    assert_int_equal(sv_load_run(plan, &workload, &driver, &log, &err), SENVEC_OK);
    assert_int_equal(sv_load_judge(&log, 10, figures, &err), SENVEC_OK);
    for (size_t i = 0; i < log.count; i++)
        assert_true(log.records[i].done_ns >= log.records[i].due_ns);
    sv_load_log_release(&log);
    sv_batcher_target_close(target);
    sv_batcher_close(batcher);
    senvec_model_free(model);
    sv_workload_release(&workload);
}

static void test_answered(void **state) {
    (void)state;
    for (int policy = SV_POLICY_SLO; policy <= SV_POLICY_FIXED; policy++) {
        const sv_batcher_options options = {.policy = (sv_policy)policy, .target_ns = 60000000000};
        sv_load_plan plan = {.loop = SV_LOAD_POISSON, .rate = 500, .duration_s = 0.3, .timeout_s = 300};
        sv_load_figures f;
        run_plan(&plan, &options, 1000, &f);
        assert_true(f.requests > 50);
        assert_int_equal(f.outcomes[SV_LOAD_ANSWERED], f.requests);
        plan.loop = SV_LOAD_CLOSED_LOOP;
        plan.clients = 8;
        run_plan(&plan, &options, 4, &f); /* fewer slots than clients */
        assert_int_equal(f.outcomes[SV_LOAD_ANSWERED], f.requests);
    }
}

static void test_cancelled(void **state) {
    (void)state;
    /* The fixed policy holds single texts back for 50 ms, so most requests time out while they wait. */
    const sv_batcher_options options = {.policy = SV_POLICY_FIXED};
    sv_load_plan plan = {.loop = SV_LOAD_CONSTANT, .rate = 100, .duration_s = 0.5, .timeout_s = 0.005};
    sv_load_figures f;
    run_plan(&plan, &options, 1000, &f);
    assert_true(f.outcomes[SV_LOAD_TIMEOUT] > 0);
    assert_int_equal(f.outcomes[SV_LOAD_TIMEOUT] + f.outcomes[SV_LOAD_ANSWERED], f.requests);
}

static void test_refused(void **state) {
    (void)state;
    const sv_batcher_options options = {.policy = SV_POLICY_FIXED, .max_requests = 2};
    sv_load_plan plan = {.loop = SV_LOAD_CONSTANT, .rate = 1000, .duration_s = 0.5, .timeout_s = 300};
    sv_load_figures f;
    run_plan(&plan, &options, 1000, &f);
    assert_true(f.outcomes[SV_LOAD_REFUSED] > 0);
    assert_int_equal(f.outcomes[SV_LOAD_REFUSED] + f.outcomes[SV_LOAD_ANSWERED], f.requests);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answered),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
