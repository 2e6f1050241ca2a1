/* Inside of the study: study.c runs the stages. */
#ifndef SV_STUDY_STUDY_INTERNAL_H
#define SV_STUDY_STUDY_INTERNAL_H

#include "study/study.h"

/* For stages that go on from `results`: the study's options where none are given; their texts point into it. Error:
 * INVALID_ARGUMENT (one that decides what is compared is given otherwise). */
senvec_status sv_study_options_take(sv_study_options *options, sv_results *results, senvec_error *err);
/* Whether what is given is what the interrupted study of `results` was made with. Error: INVALID_ARGUMENT: what isn't. */
senvec_status sv_study_options_check(const sv_study_options *given, const sv_results *results, senvec_error *err);

/* Writes the models that rows and services need: in a second, so always anew, and never of another model. Where one can't be
 * made, the rows that need it are marked. Error: OUT_OF_MEMORY. */
senvec_status sv_study_export_models(const sv_study_options *options, sv_results *results, const char *model,
                                     senvec_error *err);

/* The machines that could be rented, into results->instances: those of options->instances, else those that the study has, else
 * the public ones; and the load that they are counted for. Errors: of the file, FORMAT, OUT_OF_MEMORY. */
senvec_status sv_study_choose_instances(const sv_study_options *options, sv_results *results, senvec_error *err);

/* What a run needs besides the model and the texts. */
typedef struct sv_study_places {
    char program[SV_MAX_PATH];
    char worker_script[SV_MAX_PATH]; /* "": not found */
    char serve_script[SV_MAX_PATH];  /* the same */
    char python[SV_MAX_PATH];        /* "": not found */
    char missing[SV_MAX_PATH + 200]; /* what isn't there, and what to do */
} sv_study_places;
void sv_study_find_places(const sv_study_options *options, sv_study_places *out);

#endif
