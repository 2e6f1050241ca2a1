/* How the kernels are timed: medians of calibrated repetitions, and the linear layers of a whole model in turn. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"

enum { HIDDEN = 384, ROUNDS = 15 };

const bench_shape bench_shapes[BENCH_SHAPES] = {
    {"qkv", 3 * HIDDEN, HIDDEN, false},
    {"attention out", HIDDEN, HIDDEN, false},
    {"up + gelu", BENCH_INNER, HIDDEN, true},
    {"down", HIDDEN, BENCH_INNER, false},
};

void *bench_alloc(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) {
        perror("kernels_check");
        exit(1);
    }
    return p;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_ns(void (*call)(void *), void *context, unsigned milliseconds) {
    enum { SAMPLES = 25 };
    const uint64_t budget = (uint64_t)milliseconds * 1000000;
    uint64_t start = sv_clock_ns();
    call(context); /* warm up */
    const uint64_t once = sv_clock_ns() - start + 1;
    const size_t repeat = budget / SAMPLES / once + 1;
    double samples[SAMPLES];
    size_t count = 0;
    for (start = sv_clock_ns(); count < SAMPLES && (!count || sv_clock_ns() - start < 2 * budget); count++) {
        const uint64_t from = sv_clock_ns();
        for (size_t i = 0; i < repeat; i++)
            call(context);
        samples[count] = (double)(sv_clock_ns() - from) / (double)repeat;
    }
    qsort(samples, count, sizeof samples[0], by_value);
    return samples[count / 2];
}

void bench_print(const char *name, double ns, double macs, double peak_gmacs, double ref_ns) {
    printf("  %-44s %12.0f ns", name, ns);
    if (macs > 0)
        printf(" %8.2f GMAC/s", macs / ns);
    if (macs > 0 && peak_gmacs > 0)
        printf(" %5.1f %% of peak", 100 * macs / ns / peak_gmacs);
    printf(" %7.1f x ref\n", ref_ns / ns);
    fflush(stdout);
}

static double time_product(const bench_product *product, size_t layer, size_t shape, size_t m) {
    const uint64_t start = sv_clock_ns();
    product->run(product->context, layer, shape, m);
    return (double)(sv_clock_ns() - start);
}

void bench_linear(const bench_product *product, const bench_product *ref, const size_t *ms, size_t count, double peak_gmacs) {
    double ref_ns[BENCH_SHAPES]; /* of one row */
    for (size_t shape = 0; shape < BENCH_SHAPES; shape++)
        ref_ns[shape] = time_product(ref, 0, shape, 4) / 4;
    const size_t rounds = product == ref ? 1 : ROUNDS;
    for (size_t i = 0; i < count && !(product == ref && ms[i] > 14); i++) {
        double times[BENCH_SHAPES][ROUNDS] = {{0}}, total = 0, ref_total = 0, macs = 0;
        for (size_t round = 0; round < rounds; round++)
            for (size_t layer = 0; layer < BENCH_LAYERS; layer++)
                for (size_t shape = 0; shape < BENCH_SHAPES; shape++)
                    times[shape][round] += time_product(product, layer, shape, ms[i]) / BENCH_LAYERS;
        for (size_t shape = 0; shape < BENCH_SHAPES; shape++) {
            const bench_shape *s = &bench_shapes[shape];
            qsort(times[shape], rounds, sizeof(double), by_value);
            const double ns = times[shape][rounds / 2], shape_macs = (double)(ms[i] * s->n * s->k);
            char name[80];
            snprintf(name, sizeof name, "%s m=%zu n=%zu k=%zu", s->name, ms[i], s->n, s->k);
            bench_print(name, ns, shape_macs, peak_gmacs, ref_ns[shape] * (double)ms[i]);
            total += ns;
            ref_total += ref_ns[shape] * (double)ms[i];
            macs += shape_macs;
        }
        char name[80];
        snprintf(name, sizeof name, "a layer m=%zu", ms[i]);
        bench_print(name, total, macs, peak_gmacs, ref_total);
    }
}
