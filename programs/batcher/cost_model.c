/* The fit: least squares of the relative error, so that small batches count as much as large ones, with exponential forgetting.
 *
 * Robust in two ways. A sample is cut to within some spreads of its prediction, so that one batch during which the machine was
 * away moves the line a little and not for minutes; a lasting change still gets through, since the spread grows with it. And
 * the current line takes part as two weak observations, which keeps the fit determined where all batches have the same size. */
#include "batcher/cost_model.h"

#include <math.h>

#define FORGET 0.98      /* weight of a sample after each later one: a memory of some 50 batches */
#define SPREAD_RATE 0.05 /* of its moving average */
#define CUT_SPREADS 3.0  /* a sample counts as at most this far off */
#define CUT_FLOOR 0.05
#define ANCHOR_SMALL 8.0 /* work of the two weak observations */
#define ANCHOR_LARGE 512.0
#define ANCHOR_WEIGHT 0.2
#define LEAST_PER_WORK 1.0 /* ns: no CPU is a thousand times faster than that */

void sv_cost_init(sv_cost_model *model, double fixed_ns, double per_work_ns) {
    *model = (sv_cost_model){.fixed_ns = fixed_ns, .per_work_ns = fmax(per_work_ns, LEAST_PER_WORK), .spread = 0.3};
}

typedef struct sums {
    double w, wx, wy, wxx, wxy;
} sums;

static void add(sums *s, double weight, double x, double y) {
    s->w += weight;
    s->wx += weight * x;
    s->wy += weight * y;
    s->wxx += weight * x * x;
    s->wxy += weight * x * y;
}

void sv_cost_learn(sv_cost_model *model, double work, double ns) {
    double expected = sv_cost_predict(model, work);
    double off = ns / expected - 1;
    double most = CUT_SPREADS * model->spread + CUT_FLOOR;
    double counted = expected * (1 + fmax(-most, fmin(most, off)));
    model->spread += SPREAD_RATE * (fmin(fabs(off), 1) - model->spread);

    sums s = {FORGET * model->w, FORGET * model->wx, FORGET * model->wy, FORGET * model->wxx, FORGET * model->wxy};
    add(&s, 1 / (expected * expected), work, counted);
    model->w = s.w, model->wx = s.wx, model->wy = s.wy, model->wxx = s.wxx, model->wxy = s.wxy;

    const double anchors[] = {ANCHOR_SMALL, ANCHOR_LARGE};
    for (int i = 0; i < 2; i++) {
        double held = sv_cost_predict(model, anchors[i]);
        add(&s, ANCHOR_WEIGHT / (held * held), anchors[i], held);
    }
    double determinant = s.w * s.wxx - s.wx * s.wx;
    double per_work = (s.w * s.wxy - s.wx * s.wy) / determinant;
    if (!(per_work > LEAST_PER_WORK))
        per_work = LEAST_PER_WORK;
    double fixed = (s.wy - per_work * s.wx) / s.w;
    if (!(fixed > 0)) { /* the best line through the origin */
        fixed = 0;
        per_work = s.wxy / s.wxx;
    }
    model->fixed_ns = fixed;
    model->per_work_ns = per_work;
}
