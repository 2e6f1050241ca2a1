/* The stages of a study that were planned and those that are done, so that an interrupted study can go on. */
#ifndef SV_STUDY_STAGES_H
#define SV_STUDY_STAGES_H

#include "study/study.h"

/* The set of sv_stage that results->stages has under `key`, "planned" or "done". */
unsigned sv_stages_in(const sv_results *results, const char *key);
/* Error: OUT_OF_MEMORY. */
senvec_status sv_stages_put(sv_results *results, const char *key, unsigned set, senvec_error *err);

#endif
