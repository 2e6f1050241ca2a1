#include "stats/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "stats/random.h"

static const double NORMAL_QUANTILE = 1.959963984540054; /* the 97.5th percentile of the normal distribution */

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

/* ---------------------------------------------------------------- intervals */

/* P(-t < T < t) by the finite series in the angle atan(t / sqrt(freedom)): exact for whole degrees of freedom. */
static double student_inner(double t, size_t freedom) {
    double root = sqrt((double)freedom), angle = atan2(t, root), cosine = cos(angle);
    bool odd = freedom % 2;
    double term = odd ? cosine : 1, sum = 0;
    for (size_t k = odd ? 1 : 0; k + 2 <= freedom; k += 2) {
        sum += term;
        term *= cosine * cosine * (double)(k + 1) / (double)(k + 2);
    }
    return odd ? (angle + sin(angle) * sum) / M_PI_2 : sin(angle) * sum;
}

double sv_student_quantile(size_t freedom) {
    double low = NORMAL_QUANTILE, high = 13; /* 12.7 for one degree */
    for (size_t i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        *(student_inner(middle, freedom) < 0.95 ? &low : &high) = middle;
    }
    return low;
}

double sv_drift(const double *levels, size_t count) {
    double n = (double)count, mean = 0, squares = 0, products = 0;
    if (count < SV_DRIFT_ROUNDS)
        return 0;
    for (size_t i = 0; i < count; i++)
        mean += levels[i] / n;
    for (size_t i = 0; i < count; i++) {
        double difference = levels[i] - mean;
        squares += difference * difference;
        products += i ? difference * (levels[i - 1] - mean) : 0;
    }
    if (!(squares > 0))
        return 0;
    double correlation = (n * products / squares + 1) / (n - 3);
    double most = (n - 1) / (n + 1); /* where one independent round is left */
    double r = fmin(fmax(correlation, 0), most), inflation = (1 + r) / (1 - r);
    return sqrt((inflation - 1) * squares / (n - 1) / n);
}

/* A figure of the rounds that `pick` names. */
typedef double figure_fn(const void *data, const size_t *pick);

/* The drift of the figure itself, from what it is in each round; `pick` and `levels` have room for `count`. */
static double own_drift(figure_fn *figure, const void *data, size_t count, size_t *pick, double *levels) {
    for (size_t round = 0; round < count; round++) {
        for (size_t i = 0; i < count; i++)
            pick[i] = round;
        levels[round] = log(figure(data, pick));
    }
    return sv_drift(levels, count);
}

/* The half width of the interval as a logarithm; `figures` has room for all resamples. */
static double half_width(figure_fn *figure, const void *data, size_t count, double drift, uint64_t seed, size_t *pick,
                         double *figures) {
    sv_random random;
    sv_random_seed(&random, seed);
    for (size_t r = 0; r < SV_BOOTSTRAP_RESAMPLES; r++) {
        for (size_t i = 0; i < count; i++)
            pick[i] = (size_t)sv_random_below(&random, count);
        figures[r] = figure(data, pick);
    }
    qsort(figures, SV_BOOTSTRAP_RESAMPLES, sizeof(double), compare_doubles);
    double n = (double)count, t = sv_student_quantile(count - 1), stretch = sqrt(n / (n - 1)) * t / NORMAL_QUANTILE;
    double low = sv_percentile(figures, SV_BOOTSTRAP_RESAMPLES, 2.5);
    double high = sv_percentile(figures, SV_BOOTSTRAP_RESAMPLES, 97.5);
    return hypot(stretch * log(high / low) / 2, t * drift);
}

static senvec_status bootstrap(figure_fn *figure, const void *data, size_t count, double drift, uint64_t seed, sv_estimate *out,
                               senvec_error *err) {
    *out = (sv_estimate){NAN, NAN, NAN};
    if (count == 0)
        return SENVEC_OK;
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *picks, *levels, *figures;
    senvec_status status = sv_arena_alloc(&arena, count, sizeof(size_t), "the bootstrap", &picks, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, count, sizeof(double), "the bootstrap", &levels, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, SV_BOOTSTRAP_RESAMPLES, sizeof(double), "the bootstrap", &figures, err);
    if (status == SENVEC_OK) {
        size_t *pick = picks;
        for (size_t i = 0; i < count; i++)
            pick[i] = i;
        double value = figure(data, pick), half = 0;
        drift = fmax(drift, own_drift(figure, data, count, pick, levels));
        if (count > 1)
            half = half_width(figure, data, count, drift, seed, pick, figures);
        *out = (sv_estimate){value, value * exp(-half), value * exp(half)};
    }
    sv_arena_release(&arena);
    return status;
}

typedef struct rates {
    const sv_rate *rounds, *baseline; /* [count]; baseline NULL: the rate itself */
    size_t count;
} rates;

static double rate_of(const sv_rate *rounds, size_t count, const size_t *pick) {
    double work = 0, seconds = 0;
    for (size_t i = 0; i < count; i++) {
        work += rounds[pick[i]].work;
        seconds += rounds[pick[i]].seconds;
    }
    return work / seconds;
}

static double rate_figure(const void *data, const size_t *pick) {
    const rates *r = data;
    return rate_of(r->rounds, r->count, pick) / (r->baseline ? rate_of(r->baseline, r->count, pick) : 1);
}

senvec_status sv_estimate_rate(const sv_rate *rounds, size_t count, double drift, uint64_t seed, sv_estimate *out,
                               senvec_error *err) {
    return bootstrap(rate_figure, &(rates){rounds, NULL, count}, count, drift, seed, out, err);
}

senvec_status sv_estimate_ratio(const sv_rate *rounds, const sv_rate *baseline, size_t count, uint64_t seed, sv_estimate *out,
                                senvec_error *err) {
    return bootstrap(rate_figure, &(rates){rounds, baseline, count}, count, 0, seed, out, err);
}

typedef struct ranked {
    double value;
    size_t index;
} ranked;

static int compare_ranked(const void *left, const void *right) {
    return compare_doubles(&((const ranked *)left)->value, &((const ranked *)right)->value);
}

/* Samples, sorted, with the round of each, and how many of each round lie before every `stride`-th of them: so the median of
 * any choice of rounds is found without sorting again. */
typedef struct medians {
    const ranked *sorted; /* [total], index: the round */
    const size_t *before; /* [steps][rounds] */
    size_t total, rounds, steps, stride;
} medians;

enum { MEDIAN_STEPS = 256 };

static size_t drawn_before(const medians *m, size_t step, const size_t *pick) {
    size_t sum = 0;
    for (size_t i = 0; i < m->rounds; i++)
        sum += m->before[step * m->rounds + pick[i]];
    return sum;
}

static double median_figure(const void *data, const size_t *pick) {
    const medians *m = data;
    size_t rank = (drawn_before(m, m->steps - 1, pick) + 1) / 2, low = 0, high = m->steps - 1, drawn;
    while (high - low > 1) { /* the last step with fewer than `rank` before it */
        size_t middle = (low + high) / 2;
        *(drawn_before(m, middle, pick) < rank ? &low : &high) = middle;
    }
    drawn = drawn_before(m, low, pick);
    for (size_t i = low * m->stride; i < m->total; i++) {
        for (size_t k = 0; k < m->rounds; k++)
            drawn += m->sorted[i].index == pick[k];
        if (drawn >= rank)
            return m->sorted[i].value;
    }
    return NAN; /* not reached: the last step has all of them before it */
}

senvec_status sv_estimate_median(const double *samples, const size_t *counts, size_t rounds, double drift, uint64_t seed,
                                 sv_estimate *out, senvec_error *err) {
    medians m = {.rounds = rounds};
    for (size_t k = 0; k < rounds; k++)
        m.total += counts[k];
    m.stride = m.total / MEDIAN_STEPS + 1;
    m.steps = (m.total + m.stride - 1) / m.stride + 1;
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *memory, *table;
    senvec_status status = sv_arena_alloc(&arena, m.total, sizeof(ranked), "sorted samples", &memory, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, m.steps * rounds, sizeof(size_t), "sorted samples", &table, err);
    if (status == SENVEC_OK) {
        ranked *sorted = memory;
        size_t *before = table;
        for (size_t k = 0, i = 0; k < rounds; k++)
            for (size_t j = 0; j < counts[k]; j++, i++)
                sorted[i] = (ranked){samples[i], k};
        qsort(sorted, m.total, sizeof(ranked), compare_ranked);
        for (size_t i = 0; i < m.total; i++)
            before[(i / m.stride + 1) * rounds + sorted[i].index]++;
        for (size_t i = rounds; i < m.steps * rounds; i++)
            before[i] += before[i - rounds];
        m.sorted = sorted;
        m.before = before;
        status = bootstrap(median_figure, &m, m.total ? rounds : 0, drift, seed, out, err);
    }
    sv_arena_release(&arena);
    return status;
}

/* -------------------------------------------------------- rank correlation */

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
