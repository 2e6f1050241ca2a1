/* What the study and the load generator say about their samples.
 *
 * Percentiles are nearest-rank: the p-th percentile of n samples is the smallest sample that at least p percent of the samples
 * do not exceed, that is the ceil(p / 100 * n)-th smallest. It is always a value that was measured; nothing is interpolated.
 *
 * Intervals are 95 % bootstrap intervals over rounds: n rounds are drawn with replacement, the figure is computed anew from the
 * drawn ones, and the 2.5th and 97.5th percentile of the results are taken. With few rounds these lie too close together: drawn
 * rounds vary by (n - 1) / n of what they ought to, and their own spread, from which all is inferred, is known from n values
 * only. So the distance of the percentiles, as logarithms, is stretched by sqrt(n / (n - 1)) * t / z, where t and z are the
 * quantiles of Student's t with n - 1 degrees of freedom and of the normal distribution, and half of it goes to either side of
 * the value (with four rounds the percentiles themselves jump too much to say more). For figures of lognormal rounds 95 % of
 * the intervals then hold the truth, from four rounds on; of rounds that a stall now and then makes slow, about 90 %.
 *
 * That takes rounds for independent, and a machine that gets slower for minutes makes neighbours alike. sv_drift says how far
 * off the mean of all rounds may be for that. The larger one of the drift of the figure itself and of the `drift` that the
 * caller knows of is added to either side, as the root of the sum of squares. Independent rounds look alike by chance too: of
 * their intervals 96 to 97 % hold the truth. */
#ifndef SV_STATS_STATISTICS_H
#define SV_STATS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

#define SV_BOOTSTRAP_RESAMPLES 10000

/* `sorted`: `count` samples, ascending. NaN if there are none. percent in (0, 100]. */
double sv_percentile(const double *sorted, size_t count, double percent);

/* NaN where there are too few samples to say: mean, min, max and the median need one, p1, p95 and p99 a hundred, p999 a
 * thousand; p95 as an exception is given from twenty. */
typedef struct sv_summary {
    size_t count;
    double mean, min, max;
    double deviation; /* sample standard deviation; NaN below two samples */
    double p1, p50, p95, p99, p999;
} sv_summary;

/* Error: OUT_OF_MEMORY. */
senvec_status sv_summarize(const double *samples, size_t count, sv_summary *out, senvec_error *err);

/* Work done in a time: texts in a block. */
typedef struct sv_rate {
    double work;
    double seconds;
} sv_rate;

typedef struct sv_estimate {
    double value;
    double low, high; /* the 95 % interval; equal to the value if there is only one round */
} sv_estimate;

/* The 97.5th percentile of Student's t distribution. freedom > 0. */
double sv_student_quantile(size_t freedom);

/* What neighbouring rounds' likeness adds to the standard error of the mean of all; levels[i] is the logarithm of how fast the
 * machine was in round i. The rounds count for fewer independent ones, n (1 - r) / (1 + r), at least one; r is their
 * correlation with the next round, corrected for its bias in short series (Kendall 1954). 0 below SV_DRIFT_ROUNDS rounds, which
 * can't tell, and where neighbours are no more alike than others. */
#define SV_DRIFT_ROUNDS 8
double sv_drift(const double *levels, size_t count);

/* All work over all time of `count` rounds, which is above 0. NaN without rounds. Error: OUT_OF_MEMORY. */
senvec_status sv_estimate_rate(const sv_rate *rounds, size_t count, double drift, uint64_t seed, sv_estimate *out,
                               senvec_error *err);

/* The rate of `rounds` over the rate of `baseline`, where rounds[i] and baseline[i] were measured one soon after the other and
 * are drawn together, so that a slow minute of the machine, or its drift, which both have, doesn't widen the interval. Error:
 * OUT_OF_MEMORY. */
senvec_status sv_estimate_ratio(const sv_rate *rounds, const sv_rate *baseline, size_t count, uint64_t seed, sv_estimate *out,
                                senvec_error *err);

/* The median of samples above 0, of which the first counts[0] were taken in the first round, and so on. NaN without rounds.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_estimate_median(const double *samples, const size_t *counts, size_t rounds, double drift, uint64_t seed,
                                 sv_estimate *out, senvec_error *err);

/* Spearman's rank correlation of x[0 .. count) and y[0 .. count), ties by average ranks. NaN if either is constant or count is
 * below 2. Error: OUT_OF_MEMORY. */
senvec_status sv_spearman(const double *x, const double *y, size_t count, double *out, senvec_error *err);

#endif
