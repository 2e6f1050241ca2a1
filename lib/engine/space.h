/* The space id of a model: what it is made of, and how it is remembered. */
#ifndef SV_ENGINE_SPACE_H
#define SV_ENGINE_SPACE_H

#include "engine/model.h"

/* Looks whether the id was computed before, for a model from a folder; takes microseconds. */
void sv_space_look(senvec_model *model);

/* Takes what a native file has; "" or NULL: nothing. */
void sv_space_take(senvec_model *model, const char *base);

/* The SHA-256 of all that the id depends on but max_seq_length, as a native file keeps it. Errors: as senvec_model_space_id. */
senvec_status sv_space_base(senvec_model *model, char out[SV_SHA256_TEXT], senvec_error *err);

#endif
