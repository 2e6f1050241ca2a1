/* All pairs are compared, a row of cosines at a time: count x count x dimensions multiplications and memory for a few rows. */
#include "study/compare.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/memory.h"
#include "stats/cosine.h"
#include "stats/statistics.h"

/* out[i] = 1 / length of vector i, 0 for a zero vector. */
static void inverse_lengths(const float *vectors, size_t count, size_t dimensions, double *out) {
    for (size_t i = 0; i < count; i++) {
        double square = sv_dot(vectors + i * dimensions, vectors + i * dimensions, dimensions);
        out[i] = square > 0 ? 1 / sqrt(square) : 0;
    }
}

/* row[j] = cosine of vectors `i` and j. */
static void cosine_row(const float *vectors, const double *inverse, size_t i, size_t count, size_t dimensions, double *row) {
    for (size_t j = 0; j < count; j++)
        row[j] = sv_dot(vectors + i * dimensions, vectors + j * dimensions, dimensions) * inverse[i] * inverse[j];
}

/* The `k` largest of row[0 .. count), without `self`, as indices; ties go to the smaller index. k < count. */
static void nearest(const double *row, size_t self, size_t count, size_t k, size_t *out) {
    size_t found = 0;
    for (size_t j = 0; j < count; j++) {
        if (j == self || (found == k && row[j] <= row[out[k - 1]]))
            continue;
        size_t place = found < k ? found++ : k - 1;
        for (; place > 0 && row[out[place - 1]] < row[j]; place--)
            out[place] = out[place - 1];
        out[place] = j;
    }
}

static size_t common(const size_t *left, const size_t *right, size_t k) {
    size_t count = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++)
            count += left[i] == right[j];
    return count;
}

/* How many neighbours each of `count` texts has. */
static size_t neighbours_of(size_t count) {
    return count > SV_NEIGHBOURS ? SV_NEIGHBOURS : count ? count - 1 : 0;
}

senvec_status sv_compare_vectors(const float *vectors, const float *reference, size_t count, size_t dimensions, double *cosines,
                                 sv_comparison *out, senvec_error *err) {
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    void *block[4];
    for (size_t i = 0; i < 4; i++) {
        senvec_status status = sv_arena_alloc(&arena, count, sizeof(double), "a row of cosines", &block[i], err);
        if (status != SENVEC_OK) {
            sv_arena_release(&arena);
            return status;
        }
    }
    double *inverse = block[0], *reference_inverse = block[1], *row = block[2], *reference_row = block[3];
    inverse_lengths(vectors, count, dimensions, inverse);
    inverse_lengths(reference, count, dimensions, reference_inverse);

    size_t k = neighbours_of(count);
    double largest = 0, sum = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t here[SV_NEIGHBOURS], there[SV_NEIGHBOURS];
        cosines[i] =
            sv_dot(vectors + i * dimensions, reference + i * dimensions, dimensions) * inverse[i] * reference_inverse[i];
        cosine_row(vectors, inverse, i, count, dimensions, row);
        cosine_row(reference, reference_inverse, i, count, dimensions, reference_row);
        for (size_t j = 0; j < i; j++) {
            double error = fabs(row[j] - reference_row[j]);
            largest = fmax(largest, error);
            sum += error;
        }
        nearest(row, i, count, k, here);
        nearest(reference_row, i, count, k, there);
        kept += (double)common(here, there, k);
    }
    double pairs = (double)count * (double)(count - (count > 0)) / 2;
    *out = count > 1 ? (sv_comparison){largest, sum / pairs, kept / (double)(count * k)} : (sv_comparison){NAN, NAN, NAN};
    sv_arena_release(&arena);
    return SENVEC_OK;
}

senvec_status sv_find_neighbours(const float *vectors, size_t count, size_t dimensions, size_t *out, senvec_error *err) {
    void *block;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, 2 * count, sizeof(double), "rows of cosines", &block, err));
    double *inverse = block, *row = inverse + count;
    const size_t k = neighbours_of(count);
    inverse_lengths(vectors, count, dimensions, inverse);
    for (size_t i = 0; i < count; i++) {
        cosine_row(vectors, inverse, i, count, dimensions, row);
        nearest(row, i, count, k, out + i * SV_NEIGHBOURS);
    }
    sv_free(&sv_default_allocator, block, 2 * count, sizeof(double));
    return SENVEC_OK;
}

double sv_common_neighbours(const size_t *left, const size_t *right, size_t count) {
    const size_t k = neighbours_of(count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += common(left + i * SV_NEIGHBOURS, right + i * SV_NEIGHBOURS, k);
    return count > 1 ? (double)kept / (double)(count * k) : NAN;
}

senvec_status sv_score_pairs(const float *vectors, const double *labels, size_t pairs, size_t dimensions, double *out,
                             senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, pairs, sizeof(double), "cosines of pairs", &memory, err));
    double *cosines = memory;
    for (size_t i = 0; i < pairs; i++) {
        const float *pair = vectors + 2 * i * dimensions;
        double inverse[2];
        inverse_lengths(pair, 2, dimensions, inverse);
        cosines[i] = sv_dot(pair, pair + dimensions, dimensions) * inverse[0] * inverse[1];
    }
    senvec_status status = sv_spearman(cosines, labels, pairs, out, err);
    sv_free(&sv_default_allocator, cosines, pairs, sizeof(double));
    return status;
}
