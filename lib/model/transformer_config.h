/* The transformer's own config.json: the family of the encoder and its sizes. */
#ifndef SV_MODEL_TRANSFORMER_CONFIG_H
#define SV_MODEL_TRANSFORMER_CONFIG_H

#include "model/config.h"

/* Reads directory/folder/config.json into the encoder's members of *out (`folder` may be ""); the other members aren't touched.
 * Errors: as sv_config_load. */
senvec_status sv_transformer_config_read(const char *directory, const char *folder, sv_config *out, senvec_error *err);

/* The static string of a model type that is supported, or NULL. */
const char *sv_model_type(const char *name);

#endif
