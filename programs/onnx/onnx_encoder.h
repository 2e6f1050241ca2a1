/* An encoder and its head as an ONNX graph. Inputs: input_ids, attention_mask, and token_type_ids if the model has more than
 * one token type (int64, batch x sequence). Output of an embedder: last_hidden_state (batch x sequence x H), and
 * sentence_embedding (batch x H) with pooling; of a classifier: logits (batch x labels); of a masked language model: logits
 * (batch x sequence x V). */
#ifndef SV_ONNX_ONNX_ENCODER_H
#define SV_ONNX_ONNX_ENCODER_H

#include "model/weights.h"
#include "onnx/onnx_export.h"
#include "onnx/onnx_graph.h"

/* Adds the whole encoder to an empty graph. The weights must live until it is written. */
void sv_onnx_encoder(sv_onnx_graph *graph, const sv_config *config, const sv_weights *weights, sv_onnx_options options);

#endif
