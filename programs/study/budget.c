#include "study/budget.h"

#include "common/clock.h"

void sv_budget_begin(sv_budget *budget, double seconds, sv_results *results, bool go_on) {
    *budget = (sv_budget){.results = results, .seconds = seconds, .begun_ns = sv_clock_ns()};
    if (go_on)
        budget->before = json_number_value(json_object_get(results->stages, "spent_s"));
}

double sv_budget_spent(const sv_budget *budget) {
    return budget->before + (double)(sv_clock_ns() - budget->begun_ns) / (double)SV_NS_PER_S;
}

void sv_budget_keep(const sv_budget *budget) {
    if (budget->seconds > 0)
        json_object_set_new(budget->results->stages, "spent_s", json_real(sv_budget_spent(budget)));
}

bool sv_budget_has_time(void *context, double seconds) {
    const sv_budget *budget = context;
    json_t *stages = budget->results->stages;
    if (!json_object_get(stages, "rounds_s"))
        json_object_set_new(stages, "rounds_s", json_real(sv_budget_spent(budget)));
    const double later = budget->later * json_number_value(json_object_get(stages, "rounds_s"));
    return sv_budget_spent(budget) + seconds + later <= budget->seconds;
}
