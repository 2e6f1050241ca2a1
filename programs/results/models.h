/* Studies of several models on the same texts and labels, beside each other. */
#ifndef SV_RESULTS_MODELS_H
#define SV_RESULTS_MODELS_H

#include <stdio.h>

#include "common/status.h"

/* Reads the study in each of directories[count] and writes `out`/models.csv: what each configuration of each model costs, and
 * with labels how good its vectors are in each form, with the frontier over all models marked; whole or not at all. `stream`
 * gets a summary of 80 columns: of each model the recommended configuration, or the one with the most texts/s. Errors: those of
 * sv_results_read, IO, OUT_OF_MEMORY. */
senvec_status sv_models_write(const char *const *directories, size_t count, const char *out, FILE *stream, senvec_error *err);

#endif
