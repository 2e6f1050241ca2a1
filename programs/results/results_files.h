/* The writers of the results' files. */
#ifndef SV_RESULTS_RESULTS_FILES_H
#define SV_RESULTS_RESULTS_FILES_H

#include "results/fields.h"

/* study.json, latency_data.json, environment.json. Errors: IO, OUT_OF_MEMORY. */
senvec_status sv_write_json(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err);
/* The tables. Error: IO. */
senvec_status sv_write_csv(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err);

#endif
