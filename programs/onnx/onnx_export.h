/* `senvec export` and `senvec quantize`: a model directory as a directory that ONNX Runtime, OpenVINO, sentence-transformers,
 * transformers and optimum read. */
#ifndef SV_ONNX_ONNX_EXPORT_H
#define SV_ONNX_ONNX_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

#define SV_ONNX_FILE "model.onnx"

/* The storage of the linear layers and embeddings. In the int8 forms the activations are quantized while the model runs, a
 * whole batch with one scale. docs/ONNX.md has the accuracy and speed of each. */
typedef enum sv_onnx_precision {
    SV_ONNX_FP32,
    SV_ONNX_INT8,             /* one scale for each output channel, GELU outputs smoothed */
    SV_ONNX_INT8_PER_CHANNEL, /* the same without smoothing: no node more than the per-tensor recipe */
    SV_ONNX_INT8_PER_TENSOR,  /* one scale for each matrix: what quantize_dynamic does unless told otherwise */
} sv_onnx_precision;

typedef struct sv_onnx_options {
    sv_onnx_precision precision;
    bool pooling; /* of an embedder: adds pooling, and normalization if the model has it: output sentence_embedding */
} sv_onnx_options;

/* Writes model.onnx of the model in `directory` into the folder `out`, which is made, then the files around it
 * (onnx_folder.h). Each file appears whole or not at all, and a folder that was made here goes again on failure.
 * *bytes (NULL: not wanted) is the size of model.onnx. Errors: as sv_config_load and sv_weights_open; IO, TOO_LARGE,
 * OUT_OF_MEMORY. */
senvec_status sv_onnx_export(const char *directory, const char *out, sv_onnx_options options, uint64_t *bytes,
                             senvec_error *err);

/* As in the file's metadata: "fp32", "int8", "int8 per channel", "int8 per tensor". */
const char *sv_onnx_precision_name(sv_onnx_precision precision);

#endif
