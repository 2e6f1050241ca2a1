/* What the engine would cost on machines that can be rented: predictions from the peak of a machine's processor and the part of
 * a peak that was reached. */
#ifndef SV_RESULTS_INSTANCES_H
#define SV_RESULTS_INSTANCES_H

#include "results/figures.h"

/* instances.csv of this folder, compiled in; its first line names the columns. */
extern const char sv_instances_csv[];

/* Reads a table with the columns of instances.csv (no quotes; fields without commas): *out, which belongs to the caller, gets
 * an array with an object a line. `name` is for messages. Errors: FORMAT (which line and column), OUT_OF_MEMORY. */
senvec_status sv_instances_parse(const char *text, const char *name, json_t **out, senvec_error *err);

/* A copy of results->instances with predictions, which belongs to the caller; NULL: nothing follows, as on a busy machine, or
 * no memory.
 *
 * "here" and each entry of "types" get "texts_per_s" (of the engine's fastest batch row), "usd_per_1m_texts", "held_per_s"
 * (single texts a second within "p99_ms"), "replicas" and "usd_per_month" for "load_per_s"; null where something isn't known. A
 * type also gets "precision" and "same_isa". Texts/s there are cores x GHz x products a cycle x the part of the peak that is
 * reached, over the products of a text. The part is the one that was reached here if instruction sets and precision are the
 * same, else the table's. */
json_t *sv_instances_predict(const sv_results *results, const sv_figures *figures);

#endif
