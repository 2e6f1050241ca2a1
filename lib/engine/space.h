/* The space id of a model (senvec_model_space_id): how it is computed and where it is remembered. */
#ifndef SV_ENGINE_SPACE_H
#define SV_ENGINE_SPACE_H

#include "engine/model.h"

/* For a model from a folder: takes the id from the cache if it was computed before. Needs microseconds. */
void sv_space_look(senvec_model *model);

/* For a model from a native file: takes the base that the file holds; "" or NULL: it holds none. */
void sv_space_take(senvec_model *model, const char *base);

/* The base of the id, which a native file keeps: the SHA-256 of everything that the id depends on except max_seq_length.
 * Errors: as senvec_model_space_id. */
senvec_status sv_space_base(senvec_model *model, char out[SV_SHA256_TEXT], senvec_error *err);

#endif
