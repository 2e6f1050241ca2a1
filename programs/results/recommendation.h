/* The recommendation of a configuration to deploy, by the reader's own labels. */
#ifndef SV_RESULTS_RECOMMENDATION_H
#define SV_RESULTS_RECOMMENDATION_H

#include "results/figures.h"

typedef struct sv_recommendation {
    const sv_row *row; /* NULL: none, and `reason` says why */
    char form[16];     /* the smallest form of its vectors that loses no more than the tolerance either */
    char reason[700];  /* two sentences */
} sv_recommendation;

/* The cheapest configuration whose float32 vectors, at every task, exclude a loss of more than the tolerance: the 95 % interval
 * of the difference lies above it. False if the study has no labels. */
bool sv_recommend(const sv_results *results, const sv_figures *figures, sv_recommendation *out);

#endif
