/* The writers of the results' files. */
#ifndef SV_RESULTS_RESULTS_FILES_H
#define SV_RESULTS_RESULTS_FILES_H

#include "results/fields.h"

/* study.json, latency_data.json, environment.json. Errors: IO, OUT_OF_MEMORY. */
senvec_status sv_write_json(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err);
/* The tables. Error: IO. */
senvec_status sv_write_csv(const sv_results *results, const sv_figures *figures, const char *directory, senvec_error *err);

/* A field of a table. It is quoted where it must be. Texts, names and reasons come from corpora and other programs, and people
 * open these tables in a spreadsheet, which computes a field that begins as a formula does: an apostrophe before it makes it
 * text. */
void sv_csv_put_text(FILE *file, const char *text);
/* Nothing for NaN. */
void sv_csv_put_number(FILE *file, double value, int decimals);

#endif
