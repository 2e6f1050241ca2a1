/* What the numbers depend on: machine, software, model, texts, settings. */
#ifndef SV_STUDY_ENVIRONMENT_H
#define SV_STUDY_ENVIRONMENT_H

#include "study/study.h"

/* Fills results->environment. `model` is the model's directory. Errors: OUT_OF_MEMORY, those of reading the model's files. */
senvec_status sv_environment_describe(sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                      const char *model, senvec_error *err);
/* Whether the model and the texts are those that results->environment describes. Errors: INVALID_ARGUMENT (they aren't), those
 * of reading the model's files. */
senvec_status sv_environment_check(const sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                   const char *model, senvec_error *err);

#endif
