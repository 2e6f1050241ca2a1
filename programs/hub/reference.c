/* Comparing with published vectors. Only the first floats of a vector are published. An int8 vector of cosine 0.998 with the
 * true one, the worst that is measured, is off by 0.003 in an element of 384, so the cosine over five floats can fall to 0.99:
 * the limit leaves room below that. The cosine of five floats of unrelated vectors exceeds it once in some thousand times. */
#include <math.h>

#include "hub/registry.h"

#define LEAST_COSINE 0.98
#define MOST_SCORE_DIFFERENCE 0.5

static double largest_difference(const float *a, const float *b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= largest)) /* NaN stays */
            largest = difference;
        if (isnan(largest))
            break;
    }
    return largest;
}

static double cosine(const float *a, const float *b, size_t count) {
    double product = 0, a_square = 0, b_square = 0;
    for (size_t i = 0; i < count; i++) {
        product += (double)a[i] * (double)b[i];
        a_square += (double)a[i] * (double)a[i];
        b_square += (double)b[i] * (double)b[i];
    }
    return product / sqrt(a_square * b_square);
}

sv_verdict sv_reference_judge(const sv_reference *reference, const float *values, size_t count, senvec_precision precision) {
    sv_verdict verdict = {.by_cosine = precision != SENVEC_PRECISION_FP32 && !reference->passage};
    verdict.limit = verdict.by_cosine                    ? LEAST_COSINE
                    : precision != SENVEC_PRECISION_FP32 ? MOST_SCORE_DIFFERENCE
                                                         : reference->tolerance;
    if (count < reference->count) {
        verdict.value = NAN;
        return verdict;
    }
    verdict.value = verdict.by_cosine ? cosine(values, reference->values, reference->count)
                                      : largest_difference(values, reference->values, reference->count);
    /* Comparisons with NaN are false. */
    verdict.passed = verdict.by_cosine ? verdict.value >= verdict.limit : verdict.value <= verdict.limit;
    return verdict;
}
