/* study.ipynb: the study's story as a notebook with its outputs, made by a Python with matplotlib. */
#ifndef SV_REPORT_NOTEBOOK_H
#define SV_REPORT_NOTEBOOK_H

#include <stddef.h>

#include "common/status.h"

/* Runs the notebook's cells over the result files in the folders `directories` (at most SV_MAX_REPORT_STUDIES; several are set
 * side by side) and writes it to `path`, whole or not at all. Errors: NOT_FOUND (no Python: `python` is "" or can't be
 * started), SYSTEM (a cell fails; the last line that Python said). */
senvec_status sv_notebook_write(const char *python, const char *const *directories, size_t count, const char *path,
                                senvec_error *err);

#endif
