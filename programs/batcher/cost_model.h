/* The cost of a batch: T(work) = fixed + per_work * work nanoseconds, learned from the batches that were run.
 *
 * Work is counted in tokens' worth of linear layers: a text of n tokens is n + q * n * n units, q being the model's share of
 * attention (sv_work_of_text). `fixed` is the cost of a call of any size: reading the weights, waking threads. A straight line
 * is enough, because it is refitted continuously and the batches of an hour are alike.
 *
 * Not thread safe: the queue that owns it is used under its owner's lock. */
#ifndef SV_BATCHER_COST_MODEL_H
#define SV_BATCHER_COST_MODEL_H

#include <stdint.h>

typedef struct sv_cost_model {
    double fixed_ns;
    double per_work_ns;
    double spread;              /* mean of |measured / predicted - 1|, outliers cut */
    double w, wx, wy, wxx, wxy; /* sums of the fit, older samples fading */
} sv_cost_model;

/* Starts from a guess. Both at least 0, per_work_ns above. */
void sv_cost_init(sv_cost_model *model, double fixed_ns, double per_work_ns);

/* Predicted nanoseconds of one batch. */
static inline double sv_cost_predict(const sv_cost_model *model, double work) {
    return model->fixed_ns + model->per_work_ns * work;
}

/* A batch of `work` (above 0) took `ns`. */
void sv_cost_learn(sv_cost_model *model, double work, double ns);

#endif
