/* A run's figures as files. */
#ifndef SV_LOADGEN_LOAD_FILES_H
#define SV_LOADGEN_LOAD_FILES_H

#include <jansson.h>
#include <stdio.h>

#include "loadgen/verdict.h"

/* A number; null if it isn't finite. */
json_t *sv_load_number_json(double value);

/* {"offered_per_s": ..., "latency_ms": {...}, "outcomes": {...}, "valid": true, ...}; NULL without memory. A figure that
 * doesn't exist is null. */
json_t *sv_load_figures_json(const sv_load_figures *figures, const sv_workload *workload);

/* {"count": ..., "mean": ..., "min": ..., "p50": ..., "p95": ..., "p99": ..., "p99.9": ..., "max": ...}, the same. */
json_t *sv_load_summary_json(const sv_summary *summary);

/* One line a run, made for plots; the first line names the columns. */
void sv_load_csv_header(FILE *file);
void sv_load_csv_line(FILE *file, double rate, const sv_load_figures *figures);

/* One line a request: due, sent and done in seconds from the start, latency in ms, texts, outcome, status. */
void sv_load_requests_csv(FILE *file, const sv_load_log *log);

#endif
