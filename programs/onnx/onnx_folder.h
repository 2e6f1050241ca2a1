/* The files around an exported model.onnx that make its folder one for sentence-transformers, transformers and optimum. */
#ifndef SV_ONNX_ONNX_FOLDER_H
#define SV_ONNX_ONNX_FOLDER_H

#include "model/model_layout.h"

/* Writes into `out`, which exists: config.json and the tokenizer's files as they are in the folder `model`; the modules after
 * the transformer; modules.json, sentence_bert_config.json and config_sentence_transformers.json so that sentence-transformers
 * makes the same vectors or scores, whatever the layout of `model`, whose configuration `config` is. Each appears whole or not
 * at all. Errors: IO, FORMAT (a companion that isn't JSON), TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_onnx_folder_write(const sv_config *config, const sv_model_layout *model, const char *out, senvec_error *err);

#endif
