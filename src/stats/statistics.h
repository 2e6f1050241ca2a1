/* What the study and the load generator say about their samples.
 *
 * Percentiles are nearest-rank: the p-th percentile of n samples is the smallest sample that at least p percent of the samples
 * do not exceed, that is the ceil(p / 100 * n)-th smallest. It is always a value that was measured; nothing is interpolated.
 *
 * Intervals are 95 % percentile bootstrap intervals over blocks: blocks are drawn with replacement, the figure is computed anew
 * from the drawn ones, and the interval runs from the 2.5th to the 97.5th percentile of the results. */
#ifndef SV_STATS_STATISTICS_H
#define SV_STATS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

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
    double low, high; /* the 95 % interval; equal to the value if there is only one block */
} sv_estimate;

/* All work over all time of `count` blocks. NaN without blocks. Error: OUT_OF_MEMORY. */
senvec_status sv_estimate_rate(const sv_rate *blocks, size_t count, uint64_t seed, sv_estimate *out, senvec_error *err);

/* The rate of `blocks` over the rate of `baseline`, where blocks[i] and baseline[i] were measured in the same round and are
 * drawn together, so that a slow minute of the machine doesn't widen the interval. Error: OUT_OF_MEMORY. */
senvec_status sv_estimate_ratio(const sv_rate *blocks, const sv_rate *baseline, size_t count, uint64_t seed, sv_estimate *out,
                                senvec_error *err);

/* Spearman's rank correlation of x[0 .. count) and y[0 .. count), ties by average ranks. NaN if either is constant or count is
 * below 2. Error: OUT_OF_MEMORY. */
senvec_status sv_spearman(const double *x, const double *y, size_t count, double *out, senvec_error *err);

#endif
