#include "stats/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "stats/random.h"
#include "stats/statistics.h"

enum { CUT = 10, RESAMPLES = 2000, SPEARMAN_RESAMPLES = 500 };

/* ------------------------------------------------------------------- search */

/* The rank of document `index`, from 1. */
static size_t rank_of(const float *scores, const char *const *names, size_t count, size_t index) {
    size_t rank = 1;
    for (size_t i = 0; i < count; i++)
        rank += scores[i] > scores[index] || (scores[i] == scores[index] && i != index && strcmp(names[i], names[index]) > 0);
    return rank;
}

static double discounted(double gain, size_t rank) {
    return gain / log2((double)rank + 1);
}

/* The best that ten documents can give: the judged ones by descending relevance. */
static double ideal_gain(const sv_judgement *judged, size_t count) {
    double best[CUT] = {0}, sum = 0;
    for (size_t j = 0; j < count; j++)
        for (size_t place = 0; place < CUT; place++)
            if (judged[j].relevance > best[place]) {
                memmove(best + place + 1, best + place, (CUT - 1 - place) * sizeof *best);
                best[place] = judged[j].relevance;
                break;
            }
    for (size_t place = 0; place < CUT; place++)
        sum += discounted(best[place], place + 1);
    return sum;
}

sv_search_scores sv_score_search(const float *scores, const char *const *names, size_t count, const sv_judgement *judged,
                                 size_t judged_count) {
    double gain = 0;
    size_t relevant = 0, found = 0, first = 0;
    for (size_t j = 0; j < judged_count; j++) {
        if (!(judged[j].relevance > 0))
            continue;
        size_t rank = rank_of(scores, names, count, judged[j].document);
        relevant++;
        if (first == 0 || rank < first)
            first = rank;
        if (rank <= CUT) {
            found++;
            gain += discounted(judged[j].relevance, rank);
        }
    }
    if (!relevant)
        return (sv_search_scores){0, 0, 0};
    return (sv_search_scores){gain / ideal_gain(judged, judged_count), (double)found / (double)relevant, 1 / (double)first};
}

/* ----------------------------------------------------------- classification */

static double dot(const float *a, const float *b, size_t n) {
    float lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++)
            lanes[l] += a[i + l] * b[i + l];
    double sum = 0;
    for (size_t l = 0; l < 8; l++)
        sum += (double)lanes[l];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static size_t largest(const double *values, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

senvec_status sv_score_neighbours(const float *train, const size_t *train_classes, size_t train_count, const float *test,
                                  const size_t *test_classes, size_t test_count, size_t dimensions, size_t classes, size_t k,
                                  double *right, senvec_error *err) {
    sv_arena arena;
    void *votes_memory, *near_memory, *cosines_memory;
    sv_arena_init(&arena, NULL);
    senvec_status status = sv_arena_alloc(&arena, classes, sizeof(double), "votes", &votes_memory, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, k, sizeof(size_t), "neighbours", &near_memory, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, k, sizeof(double), "neighbours", &cosines_memory, err);
    for (size_t t = 0; status == SENVEC_OK && t < test_count; t++) {
        double *votes = votes_memory, *cosines = cosines_memory;
        size_t *near = near_memory, found = 0;
        memset(votes, 0, classes * sizeof *votes);
        for (size_t i = 0; i < train_count; i++) {
            double cosine = dot(test + t * dimensions, train + i * dimensions, dimensions);
            if (found == k && cosine <= cosines[k - 1])
                continue;
            size_t place = found < k ? found++ : k - 1;
            for (; place > 0 && cosines[place - 1] < cosine; place--) {
                cosines[place] = cosines[place - 1];
                near[place] = near[place - 1];
            }
            cosines[place] = cosine;
            near[place] = i;
        }
        for (size_t n = 0; n < found; n++)
            votes[train_classes[near[n]]]++;
        right[t] = largest(votes, classes) == test_classes[t];
    }
    sv_arena_release(&arena);
    return status;
}

/* What the probe is fitted to. Weights are [classes, dimensions + 1], the intercept last. */
typedef struct probe {
    const float *vectors;
    const size_t *labels;
    size_t count, dimensions, classes, width;
    double *chances; /* [classes]: of one vector, scratch */
} probe;

/* chances[c] = the probability of class c for a vector; returns the logarithm of their sum before they were divided by it. */
static double predict(const probe *p, const double *weights, const float *vector, double *chances) {
    double most = -INFINITY, sum = 0;
    for (size_t c = 0; c < p->classes; c++) {
        const double *w = weights + c * p->width;
        double logit = w[p->dimensions];
        for (size_t d = 0; d < p->dimensions; d++)
            logit += w[d] * (double)vector[d];
        chances[c] = logit;
        most = fmax(most, logit);
    }
    for (size_t c = 0; c < p->classes; c++)
        sum += chances[c] = exp(chances[c] - most);
    for (size_t c = 0; c < p->classes; c++)
        chances[c] /= sum;
    return most + log(sum);
}

/* The objective at `weights` and its gradient. */
static double objective(const probe *p, const double *weights, double *gradient) {
    double loss = 0;
    for (size_t c = 0; c < p->classes; c++)
        for (size_t d = 0; d < p->width; d++) {
            double w = d < p->dimensions ? weights[c * p->width + d] : 0;
            gradient[c * p->width + d] = w;
            loss += w * w / 2;
        }
    for (size_t i = 0; i < p->count; i++) {
        const float *vector = p->vectors + i * p->dimensions;
        predict(p, weights, vector, p->chances);
        loss -= log(fmax(p->chances[p->labels[i]], 1e-300));
        for (size_t c = 0; c < p->classes; c++) {
            double error = p->chances[c] - (c == p->labels[i]);
            double *g = gradient + c * p->width;
            for (size_t d = 0; d < p->dimensions; d++)
                g[d] += error * (double)vector[d];
            g[p->dimensions] += error;
        }
    }
    return loss;
}

static double inner(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

enum { HISTORY = 10, MOST_STEPS = 1000 };

/* Limited-memory BFGS (Nocedal and Wright, algorithm 7.5) with halved steps until the loss falls enough. `room` holds
 * (2 * HISTORY + 4) * n numbers; the first n are the weights, zero at first. */
static void fit(const probe *p, double *room, size_t n) {
    double *weights = room, *gradient = room + n, *direction = room + 2 * n, *next = room + 3 * n, *s = room + 4 * n,
           *y = s + HISTORY * n, rho[HISTORY], alpha[HISTORY];
    size_t stored = 0;
    double loss = objective(p, weights, gradient);
    for (size_t step = 0; step < MOST_STEPS; step++) {
        double steepest = 0;
        for (size_t i = 0; i < n; i++) {
            direction[i] = -gradient[i];
            steepest = fmax(steepest, fabs(gradient[i]));
        }
        if (steepest < 1e-6)
            return;
        size_t used = stored < HISTORY ? stored : HISTORY;
        for (size_t back = 1; back <= used; back++) {
            size_t h = (stored - back) % HISTORY;
            alpha[h] = rho[h] * inner(s + h * n, direction, n);
            for (size_t i = 0; i < n; i++)
                direction[i] -= alpha[h] * y[h * n + i];
        }
        if (used) {
            size_t h = (stored - 1) % HISTORY;
            double scale = 1 / (rho[h] * inner(y + h * n, y + h * n, n));
            for (size_t i = 0; i < n; i++)
                direction[i] *= scale;
        }
        for (size_t back = used; back >= 1; back--) {
            size_t h = (stored - back) % HISTORY;
            double beta = rho[h] * inner(y + h * n, direction, n);
            for (size_t i = 0; i < n; i++)
                direction[i] += (alpha[h] - beta) * s[h * n + i];
        }
        size_t h = stored % HISTORY;
        double slope = inner(gradient, direction, n), length = used ? 1 : fmin(1, 1 / steepest), moved = 0;
        for (size_t i = 0; i < n; i++) {
            s[h * n + i] = weights[i];
            y[h * n + i] = gradient[i];
        }
        bool falls = false;
        for (int attempt = 0; attempt < 40 && !falls; attempt++, length /= 2) {
            for (size_t i = 0; i < n; i++)
                next[i] = s[h * n + i] + length * direction[i];
            moved = objective(p, next, gradient);
            falls = moved <= loss + 1e-4 * length * slope;
        }
        if (!falls)
            return; /* as low as doubles can tell */
        memcpy(weights, next, n * sizeof *weights);
        loss = moved;
        for (size_t i = 0; i < n; i++) {
            s[h * n + i] = weights[i] - s[h * n + i];
            y[h * n + i] = gradient[i] - y[h * n + i];
        }
        double curvature = inner(s + h * n, y + h * n, n);
        if (curvature > 0) {
            rho[h] = 1 / curvature;
            stored++;
        }
    }
}

senvec_status sv_score_probe(const float *train, const size_t *train_classes, size_t train_count, const float *test,
                             const size_t *test_classes, size_t test_count, size_t dimensions, size_t classes, double *right,
                             senvec_error *err) {
    sv_arena arena;
    void *room, *chances;
    probe p = {train, train_classes, train_count, dimensions, classes, dimensions + 1, NULL};
    const size_t n = classes * p.width;
    sv_arena_init(&arena, NULL);
    senvec_status status = sv_arena_alloc(&arena, (2 * HISTORY + 4) * n, sizeof(double), "a logistic regression", &room, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&arena, classes, sizeof(double), "a logistic regression", &chances, err);
    if (status == SENVEC_OK) {
        p.chances = chances;
        fit(&p, room, n);
        for (size_t t = 0; t < test_count; t++) {
            predict(&p, room, test + t * dimensions, p.chances);
            right[t] = largest(p.chances, classes) == test_classes[t];
        }
    }
    sv_arena_release(&arena);
    return status;
}

/* ---------------------------------------------------------------- intervals */

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void take_interval(double *drawn, size_t count, sv_difference *out) {
    qsort(drawn, count, sizeof *drawn, compare_numbers);
    out->low = sv_percentile(drawn, count, 2.5);
    out->high = sv_percentile(drawn, count, 97.5);
}

senvec_status sv_bootstrap_means(const double *a, const double *b, size_t count, uint64_t seed, sv_difference *out,
                                 senvec_error *err) {
    double drawn[RESAMPLES], sum = 0;
    sv_random random;
    (void)err;
    sv_random_seed(&random, seed);
    for (size_t i = 0; i < count; i++)
        sum += a[i] - b[i];
    for (size_t r = 0; r < RESAMPLES; r++) {
        drawn[r] = 0;
        for (size_t i = 0; i < count; i++) {
            size_t item = (size_t)sv_random_below(&random, count);
            drawn[r] += (a[item] - b[item]) / (double)count;
        }
    }
    out->value = sum / (double)count;
    take_interval(drawn, RESAMPLES, out);
    return SENVEC_OK;
}

senvec_status sv_bootstrap_spearman(const double *a, const double *b, const double *labels, size_t count, uint64_t seed,
                                    sv_difference *out, senvec_error *err) {
    double drawn[SPEARMAN_RESAMPLES], with_a = 0, with_b = 0;
    void *memory;
    sv_random random;
    sv_random_seed(&random, seed);
    SENVEC_TRY(sv_alloc(&sv_default_allocator, 3 * count, sizeof(double), "resamples", &memory, err));
    double *x = memory, *y = x + count, *z = y + count;
    size_t kept = 0;
    senvec_status status = sv_spearman(a, labels, count, &with_a, err);
    if (status == SENVEC_OK)
        status = sv_spearman(b, labels, count, &with_b, err);
    out->value = with_a - with_b;
    for (size_t r = 0; status == SENVEC_OK && r < SPEARMAN_RESAMPLES; r++) {
        double here = 0, there = 0;
        for (size_t i = 0; i < count; i++) {
            size_t item = (size_t)sv_random_below(&random, count);
            x[i] = a[item];
            y[i] = b[item];
            z[i] = labels[item];
        }
        status = sv_spearman(x, z, count, &here, err);
        if (status == SENVEC_OK)
            status = sv_spearman(y, z, count, &there, err);
        if (status == SENVEC_OK && isfinite(here - there)) /* else all labels drawn are alike */
            drawn[kept++] = here - there;
    }
    if (status == SENVEC_OK)
        take_interval(drawn, kept, out);
    sv_free(&sv_default_allocator, memory, 3 * count, sizeof(double));
    return status;
}
