/* Planning. Two forces: slices should be large enough to share the weights' way through the caches, and there should be a
 * multiple of `threads` of them, all about equal, so that no thread waits at the end. When that can't be had (a single text;
 * one long text among few short ones), all threads work on each slice together, which costs barriers (about 5 %) but no
 * waiting. */
#include "engine/plan.h"

#include <assert.h>

/* Working together is chosen if it is expected to win by more than the barriers cost. */
#define TOGETHER_COST 1.08

size_t sv_plan_capacity(const sv_planning *planning) {
    /* A slice is closed once it holds its aim, so it overshoots by less than one text. */
    return planning->slice_tokens + planning->longest;
}

static double cost(size_t length, double square_cost) {
    return (double)length + square_cost * (double)length * (double)length;
}

/* Cuts the texts into slices of about equal cost, `wanted` of them if every text is small. */
static void cut(sv_plan *plan, const sv_planning *planning, const size_t *lengths, size_t count, size_t wanted, double total) {
    plan->count = 0;
    double done = 0;
    size_t tokens = 0;
    sv_slice slice = {0, 0};
    for (size_t i = 0; i < count; i++) {
        double next = cost(lengths[i], planning->square_cost);
        double aim = total * (double)(plan->count + 1) / (double)wanted;
        /* Close before this text if that leaves the cut nearer to where it should be. */
        bool nearer = slice.count && done + next / 2 > aim;
        if (nearer || tokens + lengths[i] > sv_plan_capacity(planning)) {
            plan->slices[plan->count++] = slice;
            slice = (sv_slice){i, 0};
            tokens = 0;
        }
        slice.count++;
        tokens += lengths[i];
        done += next;
    }
    plan->slices[plan->count++] = slice;
}

/* When the last thread ends, if each takes the next slice as soon as it is free. */
static double makespan(const sv_plan *plan, const sv_planning *planning, const size_t *lengths) {
    double free_at[SV_WINDOW_TEXTS] = {0};
    const size_t threads = planning->threads < SV_WINDOW_TEXTS ? planning->threads : SV_WINDOW_TEXTS;
    double end = 0;
    for (size_t p = 0; p < plan->count; p++) {
        size_t first = 0;
        for (size_t m = 1; m < threads; m++)
            if (free_at[m] < free_at[first])
                first = m;
        for (size_t i = 0; i < plan->slices[p].count; i++)
            free_at[first] += cost(lengths[plan->slices[p].first + i], planning->square_cost);
        if (free_at[first] > end)
            end = free_at[first];
    }
    return end;
}

void sv_plan_make(sv_plan *plan, const sv_planning *planning, const size_t *lengths, size_t count) {
    const size_t threads = planning->threads, aim = planning->slice_tokens;
    assert(count >= 1 && count <= SV_WINDOW_TEXTS && threads >= 1);
    size_t tokens = 0;
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        tokens += lengths[i];
        total += cost(lengths[i], planning->square_cost);
    }
    size_t wanted = (tokens + aim - 1) / aim;
    wanted = (wanted + threads - 1) / threads * threads;
    cut(plan, planning, lengths, count, wanted, total);
    plan->together = threads > 1 && makespan(plan, planning, lengths) > TOGETHER_COST * total / (double)threads;
}
