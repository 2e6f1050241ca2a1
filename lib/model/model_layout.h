/* Where a model's files are, and what the model is called. */
#ifndef SV_MODEL_MODEL_LAYOUT_H
#define SV_MODEL_MODEL_LAYOUT_H

#include "common/limits.h"
#include "common/status.h"

/* What the model at `path` is called:
 *
 *     .../models--ORG--NAME/snapshots/COMMIT    ORG/NAME (Hugging Face's cache)
 *     .../ORG--NAME                             ORG/NAME (senvec's cache)
 *     anything else                             its last component, without ".safetensors"
 */
void sv_model_name(const char *path, char out[SV_MAX_PATH]);

#endif
