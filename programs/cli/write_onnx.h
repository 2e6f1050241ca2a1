/* The part that `export` and `quantize` share. */
#ifndef SV_CLI_WRITE_ONNX_H
#define SV_CLI_WRITE_ONNX_H

#include <stdbool.h>

#include "onnx/onnx_export.h"

#define SV_ONNX_NOTES                                                                                                          \
    "DIR gets model.onnx, the tokenizer's files and those of sentence-transformers, which\n"                                   \
    "opens it by SentenceTransformer(DIR, backend=\"onnx\"). Inputs are input_ids,\n"                                          \
    "attention_mask and, where the model has token types, token_type_ids (int64, batch x\n"                                    \
    "sequence, both dynamic). Output is last_hidden_state; logits of a reranker, a classifier\n"                               \
    "and a masked language model. ONNX Runtime, OpenVINO, transformers and optimum read it, too."

/* Finds the model by name, writes DIR, and says what it took unless quiet. Returns an exit code. */
int sv_cli_write_onnx(const char *model, const char *directory, sv_onnx_options options, bool quiet);

#endif
