#include "loadgen/service_comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/cosine.h"

#define LENGTH_TOLERANCE 1e-3

typedef struct comparing {
    sv_http_target *const *targets;
    const sv_comparison_plan *plan;
    sv_service_comparison *out;
    const sv_load_set *set; /* the texts */
    double *cosines;        /* [set->count] */
    double *latencies[2];   /* [requests] */
    size_t timed;           /* of them */
} comparing;

static bool is_equal(const senvec_text *a, const senvec_text *b) {
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

/* Keeps the texts with the lowest cosines, each once; of equal cosines the first comes first. */
static void keep_worst(comparing *c, size_t text, double cosine) {
    sv_service_comparison *out = c->out;
    if (out->worst_count == SV_WORST_TEXTS && cosine >= out->worst_cosines[SV_WORST_TEXTS - 1])
        return;
    size_t place = 0;
    while (place < out->worst_count && !is_equal(&c->set->texts[text], &c->set->texts[out->worst[place]]))
        place++;
    if (place < out->worst_count && cosine >= out->worst_cosines[place])
        return;
    if (place == SV_WORST_TEXTS)
        place--;
    else if (place == out->worst_count)
        out->worst_count++;
    for (; place > 0 && out->worst_cosines[place - 1] > cosine; place--) {
        out->worst[place] = out->worst[place - 1];
        out->worst_cosines[place] = out->worst_cosines[place - 1];
    }
    out->worst[place] = text;
    out->worst_cosines[place] = cosine;
}

static void take_pair(comparing *c, size_t text, const float *a, const float *b, size_t dimensions) {
    sv_service_comparison *out = c->out;
    const double lengths[2] = {sqrt(sv_dot(a, a, dimensions)), sqrt(sv_dot(b, b, dimensions))};
    double cosine = sv_dot(a, b, dimensions) / (lengths[0] * lengths[1]);
    if (!isfinite(cosine))
        cosine = 0;
    for (size_t i = 0; i < 2; i++) {
        sv_compared_service *service = &out->services[i];
        service->length_min = text == 0 ? lengths[i] : fmin(service->length_min, lengths[i]);
        service->length_max = text == 0 ? lengths[i] : fmax(service->length_max, lengths[i]);
    }
    out->below += cosine < c->plan->least_cosine;
    out->lengths_apart += !(fabs(lengths[0] - lengths[1]) <= LENGTH_TOLERANCE * fmax(lengths[0], lengths[1]));
    c->cosines[text] = cosine;
    keep_worst(c, text, cosine);
}

/* Asks both for texts first .. first + count. */
static senvec_status compare_batch(comparing *c, size_t first, size_t count, senvec_error *err) {
    static const char *const names[] = {"OLD", "NEW"};
    float *vectors[2] = {NULL, NULL};
    uint64_t latency_ns[2];
    const size_t request = first / c->plan->batch;
    senvec_status status = SENVEC_OK;
    for (size_t turn = 0; status == SENVEC_OK && turn < 2; turn++) {
        const size_t i = (turn + request) % 2;
        size_t *own = &c->out->services[i].dimensions, dimensions = 0;
        status = sv_http_target_vectors(c->targets[i], first, count, c->plan->timeout_s, &vectors[i], &dimensions,
                                        &latency_ns[i], err);
        if (status == SENVEC_OK && first > 0 && dimensions != *own)
            status = sv_fail(err, SENVEC_NETWORK, 0, "%s: gave vectors of %zu numbers at first and now of %zu", names[i], *own,
                             dimensions);
        *own = dimensions;
    }
    const size_t dimensions = c->out->services[0].dimensions;
    if (status == SENVEC_OK && dimensions == c->out->services[1].dimensions)
        for (size_t i = 0; i < count; i++)
            take_pair(c, first + i, vectors[0] + i * dimensions, vectors[1] + i * dimensions, dimensions);
    /* A last request of fewer texts takes less time. */
    if (status == SENVEC_OK && (count == c->plan->batch || first == 0)) {
        for (size_t i = 0; i < 2; i++)
            c->latencies[i][c->timed] = (double)latency_ns[i] / 1e6;
        c->timed++;
    }
    free(vectors[0]);
    free(vectors[1]);
    return status;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static senvec_status conclude(comparing *c, senvec_error *err) {
    sv_service_comparison *out = c->out;
    double sum = 0;
    for (size_t i = 0; i < out->texts; i++)
        sum += c->cosines[i];
    out->cosine_mean = sum / (double)out->texts;
    qsort(c->cosines, out->texts, sizeof *c->cosines, ascending);
    out->cosine_min = out->texts ? c->cosines[0] : NAN;
    out->cosine_p1 = sv_percentile(c->cosines, out->texts, 1);
    out->cosine_p5 = sv_percentile(c->cosines, out->texts, 5);
    out->cosine_p50 = sv_percentile(c->cosines, out->texts, 50);
    for (size_t i = 0; i < 2; i++)
        SENVEC_TRY(sv_summarize(c->latencies[i], c->timed, &out->services[i].latency_ms, err));
    return SENVEC_OK;
}

static senvec_status compare_all(comparing *c, senvec_error *err) {
    for (size_t i = 0; i < 2; i++)
        SENVEC_TRY(sv_http_target_probe(c->targets[i], c->plan->timeout_s, err));
    for (size_t first = 0; first < c->set->count; first += c->plan->batch) {
        const size_t left = c->set->count - first, count = left < c->plan->batch ? left : c->plan->batch;
        SENVEC_TRY(compare_batch(c, first, count, err));
        if (c->out->services[0].dimensions != c->out->services[1].dimensions)
            break;
        c->out->texts += count;
        if (c->plan->progress)
            c->plan->progress(c->plan->progress_context, (double)c->out->texts / (double)c->set->count, c->out->texts);
    }
    return conclude(c, err);
}

senvec_status sv_compare_services(sv_http_target *const targets[2], const sv_workload *workload, const sv_comparison_plan *plan,
                                  sv_service_comparison *out, senvec_error *err) {
    sv_arena arena;
    sv_service_comparison found = {0};
    comparing c = {.targets = targets, .plan = plan, .out = &found, .set = &workload->sets[0]};
    sv_arena_init(&arena, NULL);
    void *blocks[3];
    senvec_status status = SENVEC_OK;
    for (size_t i = 0; status == SENVEC_OK && i < 3; i++)
        status = sv_arena_alloc(&arena, c.set->count, sizeof(double), "cosines and latencies", &blocks[i], err);
    if (status == SENVEC_OK) {
        c.cosines = blocks[0];
        c.latencies[0] = blocks[1];
        c.latencies[1] = blocks[2];
        status = compare_all(&c, err);
    }
    if (status == SENVEC_OK)
        *out = found;
    sv_arena_release(&arena);
    return status;
}
