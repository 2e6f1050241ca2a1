/* The layers that int8 can't hold: measures the loss of a calibrated model and makes layers wide until the loss is small. */
#ifndef SV_INT8_WIDEN_H
#define SV_INT8_WIDEN_H

#include "int8/calibrate.h"

/* Layers of a model become wide if the mean or the least cosine with the vectors of fp32 is below these. */
#define SV_WIDEN_MEAN 0.9995f
#define SV_WIDEN_LEAST 0.998f
/* The mean cosine that layers are then made wide for. It is above SV_WIDEN_MEAN, because texts of a user may lose more than
 * those that are measured. */
#define SV_WIDEN_GOAL 0.99955f

/* Measures the cosines of a calibrated model on `texts`, which calibration must not have used, and stores them in *quantized.
 * If they are too small, layers become wide, those with the greatest loss for their work first, until SV_WIDEN_GOAL and
 * SV_WIDEN_LEAST are reached or a third of the multiply-accumulates are wide. The wide weights are copied into `arena`, as is
 * what else *quantized then points to; the matrices must not have been dropped yet. The result has the same bits for any size
 * of the team. Errors: OUT_OF_MEMORY. */
senvec_status sv_widen(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels, const sv_samples *texts,
                       sv_team *team, sv_arena *arena, sv_quantized *quantized, senvec_error *err);

#endif
