/* The layout of a model on disk: which files belong to it, and what it is called. The library, the hub and the study all ask
 * here; what the files say is read in lib/model.
 *
 *     FOLDER/                      from sentence-transformers or transformers, or a snapshot in Hugging Face's cache
 *         modules.json             the modules and their folders; a transformers model has none
 *         config.json, tokenizer.json or vocab.txt, model.safetensors or its index and shards
 *                                  the Transformer module; older models keep these files in 0_Transformer/
 *         1_Pooling/, 2_Dense/     the other modules
 *         senvec-int8.safetensors  a calibration, made by senvec
 *     FILE                         a native file ('senvec pack'), which holds all of the above
 */
#ifndef SV_COMMON_MODEL_FILES_H
#define SV_COMMON_MODEL_FILES_H

#include <stdbool.h>

#include "common/limits.h"

#define SV_MODEL_MODULES "modules.json"
#define SV_MODEL_CONFIG "config.json"
#define SV_MODEL_TOKENIZER "tokenizer.json"
#define SV_MODEL_VOCABULARY "vocab.txt"
#define SV_MODEL_TOKENIZER_CONFIG "tokenizer_config.json"
#define SV_MODEL_WEIGHTS "model.safetensors"
#define SV_MODEL_WEIGHTS_INDEX "model.safetensors.index.json"

typedef enum sv_model_form {
    SV_MODEL_MISSING, /* neither a folder nor a file */
    SV_MODEL_FOLDER,
    SV_MODEL_NATIVE, /* a file; only opening it shows whether it is a native file */
} sv_model_form;

/* The form of the model at `path`. Symbolic links are followed. */
sv_model_form sv_model_form_at(const char *path);

/* Whether the folder at `path` has the description of a model, and whether it has weights too. */
bool sv_model_is_described(const char *path);
bool sv_model_is_complete(const char *path);

/* Whether `name` is how sentence-transformers names the folder of a module: "1_Pooling". */
bool sv_model_is_module_folder(const char *name);

/* Whether a file called `name`, in a model's folder or a module's, decides what the vectors are. */
bool sv_model_file_decides(const char *name);

/* What the model at `path` is called:
 *
 *     .../models--ORG--NAME/snapshots/COMMIT    ORG/NAME (Hugging Face's cache)
 *     .../ORG--NAME                             ORG/NAME (senvec's cache)
 *     anything else                             its last component, without ".safetensors"
 */
void sv_model_name(const char *path, char out[SV_MAX_PATH]);

#endif
