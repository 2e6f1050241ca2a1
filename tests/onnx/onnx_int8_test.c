/* Weights as integers: scales, rounding, what the pair rule promises, and that smoothing only moves factors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "onnx/onnx_int8.h"

enum { ROWS = 16, COLUMNS = 48 };

static float uniform(float limit) {
    return limit * (2.0f * (float)rand() / (float)RAND_MAX - 1);
}

static void test_tensor_uses_the_whole_range(void **state) {
    (void)state;
    const float weights[] = {-2.54f, 1.27f, 0.0f, 0.014f, 2.54f};
    int8_t q[5];
    float scale = sv_int8_tensor(weights, 5, q);
    assert_float_equal(scale, 0.02f, 1e-6f);
    const int8_t expected[] = {-127, 64, 0, 1, 127}; /* 63.5 rounds to even */
    assert_int_equal(q[0], expected[0]);
    assert_true(q[1] == 63 || q[1] == 64);
    for (size_t i = 2; i < 5; i++)
        assert_int_equal(q[i], expected[i]);
}

static void test_zeros_stay_zeros(void **state) {
    (void)state;
    const float weights[8] = {0};
    int8_t q[8], steps[2];
    float scales[2];
    assert_true(sv_int8_tensor(weights, 8, q) > 0);
    assert_true(sv_int8_rows(weights, 2, 4, q, steps) > 0);
    assert_true(steps[0] > 0 && steps[1] > 0);
    sv_int8_linear(weights, 2, 4, NULL, q, scales);
    assert_true(scales[0] > 0 && scales[1] > 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(q[i], 0);
}

/* 1e-45 is the smallest float: a 127th of it is 0. */
static void test_tiny_weights_have_a_scale(void **state) {
    (void)state;
    const float weights[8] = {1e-45f, 0, -1e-45f, 1e-38f};
    int8_t q[8], steps[2];
    float scales[2];
    for (size_t count = 1; count <= 8; count++)
        assert_true(isnormal(sv_int8_tensor(weights, count, q)));
    assert_true(isnormal(sv_int8_rows(weights, 2, 4, q, steps)));
    assert_int_equal(q[4], 0);
    sv_int8_linear(weights, 2, 4, NULL, q, scales);
    assert_true(isnormal(scales[0]));
    assert_int_equal(q[1], 0);
}

/* A row's steps are rounded up, so its largest weight isn't cut and no error is over half a scale. */
static void test_rows_lose_at_most_half_a_step(void **state) {
    (void)state;
    float weights[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        weights[i] = uniform(1.0f / (float)(1 + i / COLUMNS));
    int8_t q[ROWS * COLUMNS], steps[ROWS];
    float step = sv_int8_rows(weights, ROWS, COLUMNS, q, steps);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        float scale = step * steps[i / COLUMNS];
        assert_true(fabsf(q[i] * scale - weights[i]) <= scale * 0.5001f);
    }
    assert_true(steps[ROWS - 1] < steps[0] / 8);
}

/* What two products of unsigned bytes with neighbouring weights add up to fits 16 bits, whatever the weights. */
static void test_pairs_never_saturate(void **state) {
    (void)state;
    float weights[ROWS * COLUMNS], smooth[COLUMNS], scales[ROWS];
    int8_t q[ROWS * COLUMNS];
    for (size_t trial = 0; trial < 200; trial++) {
        for (size_t i = 0; i < ROWS * COLUMNS; i++)
            weights[i] = trial % 2 ? uniform(1) : copysignf(1 - 0.01f * fabsf(uniform(1)), trial % 4 ? 1.0f : -1.0f);
        for (size_t j = 0; j < COLUMNS; j++)
            smooth[j] = trial % 3 ? 1 + fabsf(uniform(2)) : 1;
        sv_int8_linear(weights, ROWS, COLUMNS, trial % 3 ? smooth : NULL, q, scales);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            float weight = trial % 3 ? weights[i] * smooth[i % COLUMNS] : weights[i];
            assert_true(fabsf(q[i] * scales[i / COLUMNS] - weight) <= scales[i / COLUMNS] * 0.5001f);
            if (i % 2 == 0)
                assert_in_range(abs(255 * (q[i] + q[i + 1])), 0, INT16_MAX);
        }
    }
}

/* A row with one large weight among small ones keeps all 8 bits. */
static void test_lonely_weights_keep_their_range(void **state) {
    (void)state;
    float weights[COLUMNS] = {0}, scale;
    int8_t q[COLUMNS];
    weights[6] = 1;
    weights[7] = -1;
    sv_int8_linear(weights, 1, COLUMNS, NULL, q, &scale);
    assert_int_equal(q[6], 127);
    assert_int_equal(q[7], -127);
}

static void test_smoothing_evens_out_channels(void **state) {
    (void)state;
    float gamma[COLUMNS], beta[COLUMNS] = {0}, weights[ROWS * COLUMNS], bias[ROWS] = {0}, smooth[ROWS];
    for (size_t j = 0; j < COLUMNS; j++)
        gamma[j] = 1;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        weights[i] = i % 2 ? 0.5f : -0.5f;
    bias[3] = 40;
    sv_smooth_gelu(gamma, beta, weights, bias, ROWS, COLUMNS, smooth);
    double product = 0;
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(isfinite(smooth[i]) && smooth[i] > 0);
        product += log(smooth[i]);
    }
    assert_true(fabs(product) < 1e-3);
    assert_true(smooth[3] > 3 * smooth[0]);

    /* Nothing but zeros: no division by zero. */
    memset(weights, 0, sizeof weights);
    memset(bias, 0, sizeof bias);
    sv_smooth_gelu(gamma, beta, weights, bias, ROWS, COLUMNS, smooth);
    for (size_t i = 0; i < ROWS; i++)
        assert_float_equal(smooth[i], 1, 1e-6f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor_uses_the_whole_range),  cmocka_unit_test(test_zeros_stay_zeros),
        cmocka_unit_test(test_tiny_weights_have_a_scale),    cmocka_unit_test(test_rows_lose_at_most_half_a_step),
        cmocka_unit_test(test_pairs_never_saturate),         cmocka_unit_test(test_lonely_weights_keep_their_range),
        cmocka_unit_test(test_smoothing_evens_out_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
