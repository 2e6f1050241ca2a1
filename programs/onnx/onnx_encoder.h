/* A BERT encoder as an ONNX graph: inputs input_ids, attention_mask, token_type_ids (int64, batch x sequence), output
 * last_hidden_state (batch x sequence x H). */
#ifndef SV_ONNX_ONNX_ENCODER_H
#define SV_ONNX_ONNX_ENCODER_H

#include "model/weights.h"
#include "onnx/onnx_export.h"
#include "onnx/onnx_graph.h"

/* Adds the whole encoder to an empty graph. The weights must live until it is written. */
void sv_onnx_encoder(sv_onnx_graph *graph, const sv_config *config, const sv_weights *weights, sv_onnx_options options);

#endif
