/* The plan of a window of texts: which texts are computed together, and by which threads.
 *
 * A slice is a run of consecutive texts that goes through all layers as one ragged batch. Vectors don't depend on the plan, so
 * it is free to follow speed alone. */
#ifndef SV_ENGINE_PLAN_H
#define SV_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>

/* The number of texts that are tokenized and planned at a time: enough that the threads finish together, few enough that memory
 * stays small. */
#define SV_WINDOW_TEXTS 512

typedef struct sv_slice {
    size_t first, count; /* texts */
} sv_slice;

typedef struct sv_plan {
    sv_slice slices[SV_WINDOW_TEXTS];
    size_t count;
    bool together; /* every slice by all threads together, one after the other; else each slice by one thread */
} sv_plan;

/* What a plan depends on besides the lengths of the texts. */
typedef struct sv_planning {
    size_t slice_tokens; /* the size of slice to aim at: panel_rows of sv_gemm */
    size_t longest;      /* tokens that a text may have */
    size_t threads;
    double square_cost; /* how many token-squared of attention cost as much as one token of linear layers: H * 2 * L / MACs */
} sv_planning;

/* The most tokens that a slice may have. */
size_t sv_plan_capacity(const sv_planning *planning);

/* Plans `count` (1 .. SV_WINDOW_TEXTS) texts of lengths[i] tokens each. */
void sv_plan_make(sv_plan *plan, const sv_planning *planning, const size_t *lengths, size_t count);

#endif
