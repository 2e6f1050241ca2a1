/* Random numbers, percentiles, intervals, rank correlation, vector comparison and cost against values computed by hand or,
 * where it says so, by numpy 2.4 and scipy 1.17. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "results/cost.h"
#include "stats/random.h"
#include "stats/statistics.h"
#include "study/compare.h"

static void assert_close(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.12g is not within %g of %.12g", value, tolerance, expected);
}

/* The generator's definition, run by hand in Python. */
static void random_is_xoshiro(void **state) {
    (void)state;
    sv_random random;
    sv_random_seed(&random, 42);
    assert_true(sv_random_next(&random) == UINT64_C(0x15780b2e0c2ec716));
    assert_true(sv_random_next(&random) == UINT64_C(0x6104d9866d113a7e));
    assert_true(sv_random_next(&random) == UINT64_C(0xae17533239e499a1));
    sv_random_seed(&random, 0);
    assert_true(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
}

static void shuffle_is_uniform_and_repeatable(void **state) {
    (void)state;
    sv_random random;
    size_t seen[6] = {0};
    sv_random_seed(&random, 7);
    for (int i = 0; i < 6000; i++) {
        size_t order[3] = {0, 1, 2};
        sv_random_shuffle(&random, order, 3);
        assert_int_equal(order[0] + order[1] + order[2], 3);
        assert_int_not_equal(order[0], order[1]);
        seen[order[0] * 2 + (order[1] > order[2])]++;
    }
    for (size_t i = 0; i < 6; i++)
        assert_in_range(seen[i], 880, 1120); /* 1000 expected, 4 standard deviations are 116 */

    size_t first[10], second[10];
    for (size_t i = 0; i < 10; i++)
        first[i] = second[i] = i;
    sv_random_seed(&random, 9);
    sv_random_shuffle(&random, first, 10);
    sv_random_seed(&random, 9);
    sv_random_shuffle(&random, second, 10);
    assert_memory_equal(first, second, sizeof first);
}

/* numpy.percentile(..., method="inverted_cdf"), scipy-free mean and numpy.std(ddof=1). */
static void percentiles_are_nearest_rank(void **state) {
    (void)state;
    double samples[200];
    for (size_t i = 0; i < 200; i++)
        samples[i] = (double)(i * 37 % 101) + 0.5;
    sv_summary summary;
    assert_int_equal(sv_summarize(samples, 200, &summary, NULL), SENVEC_OK);
    assert_int_equal(summary.count, 200);
    assert_close(summary.mean, 50.545, 1e-12);
    assert_close(summary.deviation, 29.31158165462037, 1e-12);
    assert_close(summary.p1, 0.5, 0);
    assert_close(summary.p50, 50.5, 0);
    assert_close(summary.p95, 95.5, 0);
    assert_close(summary.p99, 99.5, 0);
    assert_close(summary.min, 0.5, 0);
    assert_close(summary.max, 100.5, 0);
    assert_true(isnan(summary.p999)); /* 200 samples can't tell */

    double ranks[1000];
    for (size_t i = 0; i < 1000; i++)
        ranks[i] = (double)(1000 - i);
    assert_int_equal(sv_summarize(ranks, 1000, &summary, NULL), SENVEC_OK);
    assert_close(summary.p50, 500, 0);
    assert_close(summary.p95, 950, 0);
    assert_close(summary.p99, 990, 0);
    assert_close(summary.p999, 999, 0);
}

static void few_samples_say_little(void **state) {
    (void)state;
    sv_summary summary;
    assert_int_equal(sv_summarize(NULL, 0, &summary, NULL), SENVEC_OK);
    assert_true(isnan(summary.mean) && isnan(summary.p50));
    const double one[] = {3};
    assert_int_equal(sv_summarize(one, 1, &summary, NULL), SENVEC_OK);
    assert_close(summary.p50, 3, 0);
    assert_true(isnan(summary.deviation) && isnan(summary.p95) && isnan(summary.p99));
}

/* scipy.stats.t.ppf(0.975, freedom). */
static void student_quantiles_agree_with_scipy(void **state) {
    (void)state;
    static const struct {
        size_t freedom;
        double quantile;
    } known[] = {{1, 12.706204736174694}, {2, 4.302652729749462},   {3, 3.1824463052837078},  {5, 2.5705818356363146},
                 {9, 2.262157162798205},  {30, 2.0422724563012378}, {999, 1.9623414611334493}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_close(sv_student_quantile(known[i].freedom), known[i].quantile, 1e-10);
}

/* The percentiles of scipy.stats.bootstrap(method="percentile", paired=True) with 400,000 resamples, 99.4 and 104.5 for the
 * rate and 1.98630 and 2.01772 for the ratio; half the distance of their logarithms, stretched in numpy by sqrt(10 / 9) *
 * t.ppf(0.975, 9) / norm.ppf(0.975), to either side, with sv_drift's formula in numpy. */
static void intervals_agree_with_scipy(void **state) {
    (void)state;
    const double texts[] = {100, 104, 98, 110, 95, 102, 99, 107, 101, 103}, base[] = {50, 51, 49, 56, 47, 52, 50, 53, 50, 51};
    sv_rate rounds[10], baseline[10];
    for (size_t i = 0; i < 10; i++) {
        rounds[i] = (sv_rate){texts[i], 1};
        baseline[i] = (sv_rate){base[i], 1};
    }
    sv_estimate estimate;
    assert_int_equal(sv_estimate_rate(rounds, 10, 0, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.value, 101.9, 1e-12);
    assert_close(estimate.low, 98.84522884458782, 0.18);
    assert_close(estimate.high, 105.04917760194498, 0.18);
    assert_int_equal(sv_estimate_rate(rounds, 10, 0.01, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.low, 98.10803924638708, 0.18);
    assert_close(estimate.high, 105.83852332348377, 0.18);
    assert_int_equal(sv_estimate_ratio(rounds, baseline, 10, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.value, 2.00196463654224, 1e-12);
    assert_close(estimate.low, 1.982121875133904, 0.001);
    assert_close(estimate.high, 2.022006041225365, 0.001);

    sv_estimate again;
    assert_int_equal(sv_estimate_ratio(rounds, baseline, 10, 1, &again, NULL), SENVEC_OK);
    assert_memory_equal(&estimate, &again, sizeof again);

    /* The same rounds in ascending order: neighbours are alike, as if the machine had become faster all the time. */
    const double ascending[] = {95, 98, 99, 100, 101, 102, 103, 104, 107, 110};
    sv_rate drifting[10];
    for (size_t i = 0; i < 10; i++)
        drifting[i] = (sv_rate){ascending[i], 1};
    assert_int_equal(sv_estimate_rate(drifting, 10, 0.01, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.low, 92.50671649484177, 0.18);
    assert_close(estimate.high, 112.24709289707627, 0.18);

    assert_int_equal(sv_estimate_rate(rounds, 1, 0.01, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.low, 100, 0);
    assert_close(estimate.high, 100, 0);
    assert_int_equal(sv_estimate_rate(NULL, 0, 0, 1, &estimate, NULL), SENVEC_OK);
    assert_true(isnan(estimate.value));
}

/* Six rounds of 3 to 5 samples each, in numpy: 200,000 times the nearest-rank median of six drawn rounds' samples, from 17.25
 * to 26 at the 2.5th and 97.5th percentile, made an interval as above. */
static void medians_agree_with_numpy(void **state) {
    (void)state;
    static const size_t counts[] = {3, 4, 3, 4, 5, 3};
    double samples[22], many[3000];
    size_t count = 0;
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < counts[i]; j++)
            samples[count++] = 10 + 3 * (double)((7 * i + 5 * j) % 11) + 0.25 * (double)i;
    sv_estimate estimate;
    assert_int_equal(sv_estimate_median(samples, counts, 6, 0, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.value, 23, 0);
    assert_close(estimate.low, 17.12879691191418, 1e-9);
    assert_close(estimate.high, 30.883663500735796, 1e-9);

    /* As many that the table of counts has fewer steps than samples; the median is that of all. */
    for (size_t i = 0; i < 3000; i++)
        many[i] = (double)(i * 1237 % 3000 + 1);
    assert_int_equal(sv_estimate_median(many, (const size_t[]){1000, 1999, 1}, 3, 0, 1, &estimate, NULL), SENVEC_OK);
    assert_close(estimate.value, 1500, 0);
    assert_true(estimate.low < 1500 && estimate.high > 1500);
    assert_int_equal(sv_estimate_median(many, (const size_t[]){3000}, 1, 0.1, 1, &estimate, NULL), SENVEC_OK);
    assert_true(estimate.low == 1500 && estimate.high == 1500);
    assert_int_equal(sv_estimate_median(NULL, NULL, 0, 0, 1, &estimate, NULL), SENVEC_OK);
    assert_true(isnan(estimate.value));
}

static double normal(sv_random *random) {
    double radius = sqrt(-2 * log(sv_random_unit(random)));
    return radius * cos(2 * M_PI * sv_random_unit(random));
}

/* Of the intervals of `trials` made-up measurements in `count` rounds of 5 % deviation, how many hold the truth, in percent. A
 * round is a rate, or twenty calls that differ by 10 % among themselves. */
static double coverage(size_t count, size_t trials, bool calls) {
    enum { CALLS = 20 };
    sv_random random;
    sv_random_seed(&random, 11);
    double truth = calls ? 1 : exp(0.05 * 0.05 / 2); /* the median, or the mean, of a lognormal */
    size_t held = 0;
    for (size_t trial = 0; trial < trials; trial++) {
        sv_rate rounds[10];
        double samples[10 * CALLS];
        size_t counts[10];
        sv_estimate estimate;
        for (size_t i = 0; i < count; i++) {
            double level = 0.05 * normal(&random);
            rounds[i] = (sv_rate){exp(level), 1};
            counts[i] = CALLS;
            for (size_t j = 0; j < CALLS && calls; j++)
                samples[i * CALLS + j] = exp(level + 0.1 * normal(&random));
        }
        assert_int_equal(calls ? sv_estimate_median(samples, counts, count, 0, trial, &estimate, NULL)
                               : sv_estimate_rate(rounds, count, 0, trial, &estimate, NULL),
                         SENVEC_OK);
        held += estimate.low <= truth && truth <= estimate.high;
    }
    return 100.0 * (double)held / (double)trials;
}

static void intervals_hold_the_truth(void **state) {
    (void)state;
    static const size_t rounds[] = {4, 6, 10};
    for (size_t i = 0; i < 3; i++) {
        double rates = coverage(rounds[i], 2500, false), medians = coverage(rounds[i], 1000, true);
        print_message("%zu rounds: %.1f %% of the rates' intervals hold the truth, %.1f %% of the medians'\n", rounds[i], rates,
                      medians);
        assert_true(rates >= 93 && rates <= 97);
        assert_true(medians >= 93 && medians <= 97);
    }
}

/* numpy, by sv_drift's formula; the trend is cut off at one independent round, where it is sqrt(0.9) of the deviation. */
static void drift_by_formula(void **state) {
    (void)state;
    double trend[10], zigzag[10];
    static const double wave[] = {0, 0.02, 0.01, 0.03, 0.02, 0.01, -0.01, 0, -0.02, -0.01};
    for (size_t i = 0; i < 10; i++) {
        trend[i] = 0.01 * (double)i;
        zigzag[i] = i % 2 ? 0.01 : -0.01;
    }
    assert_close(sv_drift(trend, 10), 0.02872281323269014, 1e-12);
    assert_close(sv_drift(wave, 10), 0.015, 1e-12);
    assert_close(sv_drift(zigzag, 10), 0, 0);
    assert_close(sv_drift(trend, SV_DRIFT_ROUNDS - 1), 0, 0);
    assert_close(sv_drift((const double[10]){0}, 10), 0, 0);
    assert_close(sv_drift(NULL, 0), 0, 0);
}

/* A machine that slows down by half in one round widens a rate's interval, not a paired ratio's. */
static void pairing_cancels_drift(void **state) {
    (void)state;
    sv_rate blocks[8], baseline[8];
    for (size_t i = 0; i < 8; i++) {
        double speed = i % 2 ? 1 : 0.5;
        blocks[i] = (sv_rate){300 * speed, 1};
        baseline[i] = (sv_rate){100 * speed, 1};
    }
    sv_estimate rate, ratio;
    assert_int_equal(sv_estimate_rate(blocks, 8, 0, 1, &rate, NULL), SENVEC_OK);
    assert_int_equal(sv_estimate_ratio(blocks, baseline, 8, 1, &ratio, NULL), SENVEC_OK);
    assert_true(rate.high - rate.low > 50);
    assert_close(ratio.low, 3, 1e-9);
    assert_close(ratio.high, 3, 1e-9);
}

/* scipy.stats.spearmanr; both lists have ties. */
static void spearman_agrees_with_scipy(void **state) {
    (void)state;
    double x[20], y[20], rho;
    for (size_t i = 0; i < 20; i++) {
        x[i] = (double)(i * 7 % 13);
        y[i] = (double)(i * i * 5 % 11);
    }
    assert_int_equal(sv_spearman(x, y, 20, &rho, NULL), SENVEC_OK);
    assert_close(rho, -0.099854460239581, 1e-12);
    assert_int_equal(sv_spearman(x, x, 20, &rho, NULL), SENVEC_OK);
    assert_close(rho, 1, 1e-12);
    assert_int_equal(sv_spearman(x, (const double[20]){0}, 20, &rho, NULL), SENVEC_OK);
    assert_true(isnan(rho));
}

/* 68 texts/s are 244,800 an hour: 0.05 / 244.8 = 0.000204 USD a thousand. */
static void cost_by_hand(void **state) {
    (void)state;
    assert_close(sv_cost_usd(0.05, 68, 1e3), 0.000204248, 5e-10);
    assert_close(sv_cost_usd(0.05, 68, 1e6), 0.204248, 5e-7);
    assert_close(sv_cost_usd(3.6, 1, 1), 0.001, 1e-15);
    assert_close(sv_cost_usd(0, 68, 1e6), 0, 0);
    assert_true(isnan(sv_cost_usd(0.05, 0, 1e6)));
    assert_true(isnan(sv_cost_usd(-1, 68, 1e6)));
}

/* Vectors in the plane at 0, 60 and 90 degrees; in the copy the second one has turned to 45. */
static void comparison_by_hand(void **state) {
    (void)state;
    const float reference[] = {1, 0, 0.5f, 0.8660254f, 0, 2}, turned[] = {3, 0, 1, 1, 0, 1};
    double cosines[3];
    sv_comparison comparison;
    assert_int_equal(sv_compare_vectors(turned, reference, 3, 2, cosines, &comparison, NULL), SENVEC_OK);
    assert_close(cosines[0], 1, 1e-7);
    assert_close(cosines[1], cos(M_PI / 12), 1e-7);
    double wide = cos(M_PI / 4) - cos(M_PI / 3), narrow = cos(M_PI / 6) - cos(M_PI / 4);
    assert_close(comparison.pairwise_error_max, wide, 1e-7);
    assert_close(comparison.pairwise_error_mean, (wide + narrow) / 3, 1e-7);
    assert_close(comparison.neighbours, 1, 0); /* each has two others, and finds both */

    assert_int_equal(sv_compare_vectors(turned, reference, 1, 2, cosines, &comparison, NULL), SENVEC_OK);
    assert_true(isnan(comparison.neighbours) && isnan(comparison.pairwise_error_max));
    assert_int_equal(sv_compare_vectors((const float[2]){0, 0}, reference, 1, 2, cosines, &comparison, NULL), SENVEC_OK);
    assert_close(cosines[0], 0, 0);
}

/* Points on a line of angles: point i's nearest 10 are those around it. Moving the last one to the front changes some. */
static void neighbours_are_counted(void **state) {
    (void)state;
    enum { N = 40 };
    float reference[N * 2], moved[N * 2];
    double cosines[N];
    for (size_t i = 0; i < N; i++) {
        reference[2 * i] = cosf(0.03f * (float)i);
        reference[2 * i + 1] = sinf(0.03f * (float)i);
    }
    memcpy(moved, reference, sizeof moved);
    sv_comparison comparison;
    assert_int_equal(sv_compare_vectors(moved, reference, N, 2, cosines, &comparison, NULL), SENVEC_OK);
    assert_close(comparison.neighbours, 1, 0);
    memcpy(moved + 2 * (N - 1), moved, 2 * sizeof(float));
    assert_int_equal(sv_compare_vectors(moved, reference, N, 2, cosines, &comparison, NULL), SENVEC_OK);
    assert_true(comparison.neighbours < 1 && comparison.neighbours > 0.8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_is_xoshiro),
        cmocka_unit_test(shuffle_is_uniform_and_repeatable),
        cmocka_unit_test(percentiles_are_nearest_rank),
        cmocka_unit_test(few_samples_say_little),
        cmocka_unit_test(student_quantiles_agree_with_scipy),
        cmocka_unit_test(intervals_agree_with_scipy),
        cmocka_unit_test(medians_agree_with_numpy),
        cmocka_unit_test(intervals_hold_the_truth),
        cmocka_unit_test(drift_by_formula),
        cmocka_unit_test(pairing_cancels_drift),
        cmocka_unit_test(spearman_agrees_with_scipy),
        cmocka_unit_test(cost_by_hand),
        cmocka_unit_test(comparison_by_hand),
        cmocka_unit_test(neighbours_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
