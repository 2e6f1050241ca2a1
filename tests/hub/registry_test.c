/* The registry's table, and comparing with published vectors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/registry.h"

static void test_entries(void **state) {
    (void)state;
    size_t count;
    const sv_registry_entry *entries = sv_registry_entries(&count);
    assert_true(count > 20);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(sv_registry_find(entries[i].name), &entries[i]); /* so no name is there twice */
        const sv_hub_known *files = &entries[i].files;
        for (size_t j = 0; files->pins[j].file; j++) {
            assert_int_equal(strlen(files->pins[j].sha256), 64);
            assert_int_equal(strspn(files->pins[j].sha256, "0123456789abcdef"), 64);
        }
        for (size_t j = 0; j < entries[i].reference_count; j++) {
            const sv_reference *reference = &entries[i].references[j];
            assert_in_range(reference->count, 1, SV_REFERENCE_VALUES);
            assert_true(!reference->passage == (entries[i].task == SENVEC_TASK_EMBEDDING));
            assert_true(reference->passage || reference->count >= 5);
            assert_true(sv_reference_judge(reference, reference->values, reference->count, SENVEC_PRECISION_FP32).passed);
            assert_true(sv_reference_judge(reference, reference->values, reference->count, SENVEC_PRECISION_INT8).passed);
        }
    }
    assert_ptr_equal(sv_registry_find("sentence-transformers/all-MiniLM-L6-v2"), sv_registry_find("all-MiniLM-L6-v2"));
    assert_null(sv_registry_find("org/tiny"));
    assert_null(sv_registry_find(""));
}

static void test_vectors(void **state) {
    (void)state;
    const sv_reference reference = {.tolerance = 1e-3, .values = {0.1F, -0.2F, 0.3F}, .count = 3};
    const float near[] = {0.1009F, -0.2F, 0.3F, 9}, off[] = {0.1F, -0.2F, 0.3011F, 0}, other[] = {0.1F, 0.2F, 0.3F, 0};
    const float broken[] = {NAN, -0.2F, 0.3F}, later[] = {0.1F, NAN, 0.3F}, nothing[] = {0, 0, 0};
    assert_true(sv_reference_judge(&reference, near, 4, SENVEC_PRECISION_FP32).passed);
    sv_verdict verdict = sv_reference_judge(&reference, off, 4, SENVEC_PRECISION_FP32);
    assert_false(verdict.passed || verdict.by_cosine);
    assert_true(fabs(verdict.value - 0.0011) < 1e-6);
    verdict = sv_reference_judge(&reference, off, 4, SENVEC_PRECISION_INT8);
    assert_true(verdict.passed && verdict.by_cosine && verdict.value > 0.999);
    assert_false(sv_reference_judge(&reference, other, 4, SENVEC_PRECISION_BF16).passed);
    assert_false(sv_reference_judge(&reference, near, 2, SENVEC_PRECISION_FP32).passed); /* too few */
    const senvec_precision precisions[] = {SENVEC_PRECISION_FP32, SENVEC_PRECISION_INT8};
    for (size_t i = 0; i < 2; i++) {
        assert_false(sv_reference_judge(&reference, broken, 3, precisions[i]).passed);
        assert_false(sv_reference_judge(&reference, later, 3, precisions[i]).passed);
        assert_false(sv_reference_judge(&reference, nothing, 3, precisions[i]).passed);
    }
}

static void test_scores(void **state) {
    (void)state;
    const sv_reference reference = {.passage = "p", .tolerance = 1e-3, .values = {8.5F}, .count = 1};
    const float near = 8.5005F, off = 8.6F, other = 9.1F, negative = -8.5F;
    assert_true(sv_reference_judge(&reference, &near, 1, SENVEC_PRECISION_FP32).passed);
    assert_false(sv_reference_judge(&reference, &off, 1, SENVEC_PRECISION_FP32).passed);
    assert_true(sv_reference_judge(&reference, &off, 1, SENVEC_PRECISION_INT8).passed);
    assert_false(sv_reference_judge(&reference, &other, 1, SENVEC_PRECISION_INT8).passed);
    assert_false(sv_reference_judge(&reference, &negative, 1, SENVEC_PRECISION_INT8).passed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
