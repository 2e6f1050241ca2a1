/* The configuration of models for other tasks than embedding: rerankers, classifiers and sparse embedders. */
#ifndef SV_MODEL_TASK_CONFIG_H
#define SV_MODEL_TASK_CONFIG_H

#include "common/memory.h"
#include "model/config.h"

/* Finds out whether a directory holds a classifier (a cross-encoder) or a sparse embedder, by its modules.json, or without one
 * by the class of its checkpoint, and if so reads all of *out. For everything else *found is false and *out isn't touched.
 * Errors: as sv_config_load. */
senvec_status sv_task_config_load(const char *directory, sv_config *out, bool *found, senvec_error *err);

/* The names of a classifier's labels ("LABEL_0"), config->labels of them, in `arena`. Errors: IO, FORMAT, OUT_OF_MEMORY. */
senvec_status sv_task_labels(const char *directory, const sv_config *config, sv_arena *arena, const char *const **out,
                             senvec_error *err);

#endif
