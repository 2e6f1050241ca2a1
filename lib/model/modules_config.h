/* What the readers of sentence-transformers' files share. */
#ifndef SV_MODEL_MODULES_CONFIG_H
#define SV_MODEL_MODULES_CONFIG_H

#include "model/config.h"
#include "model/document.h"

/* The class at the end of a module's type, if sentence-transformers is its home: "sentence_transformers.models.Pooling" and
 * "sentence_transformers.sentence_transformer.modules.pooling.Pooling" are both "Pooling". "" for a module of somebody else's.
 */
const char *sv_module_class(const char *type);

/* Copies the folder of a module of modules.json; it has to lie inside the model's. Errors: FORMAT, TOO_LARGE. */
senvec_status sv_module_folder(const sv_document *modules, sv_json module, char out[64], senvec_error *err);

/* Reads the Transformer module's options in directory/folder, which only a model with modules.json has, into max_seq_length.
 * `task` and `output` are what its transformer_task and module_output_name have to say, if anything. Errors: as sv_config_load.
 */
senvec_status sv_length_read(const char *directory, const char *folder, bool has_modules, const char *task, const char *output,
                             sv_config *out, senvec_error *err);

#endif
