/* The time that a study may take (--budget): what is left of it after the rounds goes into further ones. */
#ifndef SV_STUDY_BUDGET_H
#define SV_STUDY_BUDGET_H

#include "results/results.h"

typedef struct sv_budget {
    sv_results *results; /* whose "stages" keep the time, for a study that goes on */
    double seconds;      /* 0: no budget */
    double before;       /* what interrupted runs of the study took */
    uint64_t begun_ns;
    double later; /* how long the stages after the timed ones take, as a part of the time of those */
} sv_budget;

/* The study begins, or goes on. `results` must outlive the budget. */
void sv_budget_begin(sv_budget *budget, double seconds, sv_results *results, bool go_on);
/* Seconds that the study took until now. */
double sv_budget_spent(const sv_budget *budget);
/* Puts them into the results; nothing without a budget. */
void sv_budget_keep(const sv_budget *budget);
/* sv_measuring.more: is there time for a block of `seconds`? The stages that come later get for their weight what the timed
 * stages took for theirs until the rounds were done, which is when this is first asked. `context` is an sv_budget. */
bool sv_budget_has_time(void *context, double seconds);

#endif
