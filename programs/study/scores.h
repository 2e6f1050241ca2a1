/* Scores by the reader's own labels: the quality of each configuration's vectors at the reader's tasks, in every form in which
 * an index may store them, against the reference's float32 vectors. */
#ifndef SV_STUDY_SCORES_H
#define SV_STUDY_SCORES_H

#include "io/labels.h"
#include "io/pairs.h"
#include "study/runner.h"

/* NULL or empty where it isn't given. */
typedef struct sv_labels {
    const sv_pairs *pairs;
    const sv_search_task *search;
    const sv_class_task *classes;
    double tolerance; /* the loss of a metric that nobody minds */
} sv_labels;

/* Fills results->labels, an object:
 *   baseline, tolerance, tasks [{task, items, files}]
 *   scores [{configuration, form ("float32", "int8", "binary", "half": the first half of the numbers), dimensions, bytes (of a
 *          vector), task, metric, main (decides the recommendation), value, difference, low, high (95 % interval of the
 *          difference to the baseline's float32 vectors)}]
 * and the rows' sts_spearman. What an interrupted study has of it is kept. Errors: those of sv_runner_validate. */
senvec_status sv_study_labels(sv_runner *runner, const sv_labels *labels, senvec_error *err);

#endif
