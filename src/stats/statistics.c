#include "stats/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "stats/random.h"

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double sv_percentile(const double *sorted, size_t count, double percent) {
    if (count == 0)
        return NAN;
    /* The small subtraction keeps 95 / 100 * 200, which is 190.00000000000003 in binary, from becoming rank 191. */
    double rank = ceil(percent * (double)count / 100.0 - 1e-9);
    if (rank < 1)
        rank = 1;
    return sorted[rank < (double)count ? (size_t)rank - 1 : count - 1];
}

senvec_status sv_summarize(const double *samples, size_t count, sv_summary *out, senvec_error *err) {
    *out = (sv_summary){count, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (count == 0)
        return SENVEC_OK;
    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, count, sizeof(double), "sorted samples", &memory, err));
    double *sorted = memory;
    memcpy(sorted, samples, count * sizeof(double));
    qsort(sorted, count, sizeof(double), compare_doubles);

    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += sorted[i];
    out->mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (sorted[i] - out->mean) * (sorted[i] - out->mean);
    if (count > 1)
        out->deviation = sqrt(squares / (double)(count - 1));
    out->min = sorted[0];
    out->max = sorted[count - 1];
    out->p50 = sv_percentile(sorted, count, 50);
    if (count >= 20)
        out->p95 = sv_percentile(sorted, count, 95);
    if (count >= 100) {
        out->p1 = sv_percentile(sorted, count, 1);
        out->p99 = sv_percentile(sorted, count, 99);
    }
    if (count >= 1000)
        out->p999 = sv_percentile(sorted, count, 99.9);
    sv_free(&sv_default_allocator, sorted, count, sizeof(double));
    return SENVEC_OK;
}

/* The rate of the blocks that `pick` names, or of all in order if `pick` is NULL. */
static double rate_of(const sv_rate *blocks, size_t count, const size_t *pick) {
    double work = 0, seconds = 0;
    for (size_t i = 0; i < count; i++) {
        const sv_rate *block = &blocks[pick ? pick[i] : i];
        work += block->work;
        seconds += block->seconds;
    }
    return work / seconds;
}

/* `baseline` NULL: the rate itself. */
static senvec_status estimate(const sv_rate *blocks, const sv_rate *baseline, size_t count, uint64_t seed, sv_estimate *out,
                              senvec_error *err) {
    if (count == 0) {
        *out = (sv_estimate){NAN, NAN, NAN};
        return SENVEC_OK;
    }
    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, SV_BOOTSTRAP_RESAMPLES, sizeof(double), "the bootstrap", &memory, err));
    double *figures = memory;
    senvec_status status = sv_alloc(&sv_default_allocator, count, sizeof(size_t), "the bootstrap", &memory, err);
    if (status == SENVEC_OK) {
        size_t *pick = memory;
        sv_random random;
        sv_random_seed(&random, seed);
        for (size_t r = 0; r < SV_BOOTSTRAP_RESAMPLES; r++) {
            for (size_t i = 0; i < count; i++)
                pick[i] = (size_t)sv_random_below(&random, count);
            figures[r] = rate_of(blocks, count, pick) / (baseline ? rate_of(baseline, count, pick) : 1);
        }
        qsort(figures, SV_BOOTSTRAP_RESAMPLES, sizeof(double), compare_doubles);
        out->value = rate_of(blocks, count, NULL) / (baseline ? rate_of(baseline, count, NULL) : 1);
        out->low = sv_percentile(figures, SV_BOOTSTRAP_RESAMPLES, 2.5);
        out->high = sv_percentile(figures, SV_BOOTSTRAP_RESAMPLES, 97.5);
        sv_free(&sv_default_allocator, pick, count, sizeof(size_t));
    }
    sv_free(&sv_default_allocator, figures, SV_BOOTSTRAP_RESAMPLES, sizeof(double));
    return status;
}

senvec_status sv_estimate_rate(const sv_rate *blocks, size_t count, uint64_t seed, sv_estimate *out, senvec_error *err) {
    return estimate(blocks, NULL, count, seed, out, err);
}

senvec_status sv_estimate_ratio(const sv_rate *blocks, const sv_rate *baseline, size_t count, uint64_t seed, sv_estimate *out,
                                senvec_error *err) {
    return estimate(blocks, baseline, count, seed, out, err);
}

typedef struct ranked {
    double value;
    size_t index;
} ranked;

static int compare_ranked(const void *left, const void *right) {
    return compare_doubles(&((const ranked *)left)->value, &((const ranked *)right)->value);
}

/* ranks[i] = the rank of values[i] from 1; equal values share the mean of their ranks. */
static void rank(const double *values, size_t count, ranked *order, double *ranks) {
    for (size_t i = 0; i < count; i++)
        order[i] = (ranked){values[i], i};
    qsort(order, count, sizeof(ranked), compare_ranked);
    for (size_t first = 0, last; first < count; first = last) {
        for (last = first + 1; last < count && order[last].value == order[first].value; last++)
            ;
        for (size_t i = first; i < last; i++)
            ranks[order[i].index] = (double)(first + 1 + last) / 2;
    }
}

senvec_status sv_spearman(const double *x, const double *y, size_t count, double *out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *order, *x_ranks, *y_ranks;
    senvec_status status = sv_arena_alloc(&arena, count, sizeof(ranked), "ranks", &order, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, count, sizeof(double), "ranks", &x_ranks, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, count, sizeof(double), "ranks", &y_ranks, err);
    if (status == SENVEC_OK) {
        rank(x, count, order, x_ranks);
        rank(y, count, order, y_ranks);
        double mean = (double)(count + 1) / 2, xy = 0, xx = 0, yy = 0;
        for (size_t i = 0; i < count; i++) {
            double dx = ((double *)x_ranks)[i] - mean, dy = ((double *)y_ranks)[i] - mean;
            xy += dx * dy;
            xx += dx * dx;
            yy += dy * dy;
        }
        *out = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
    }
    sv_arena_release(&arena);
    return status;
}
