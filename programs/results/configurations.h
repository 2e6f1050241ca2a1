/* The rows of the study: the configurations that are measured, step by step from the baseline to the fastest. */
#ifndef SV_RESULTS_CONFIGURATIONS_H
#define SV_RESULTS_CONFIGURATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

/* The batch of the "batch" rows, as the classic study had it. */
#define SV_STUDY_BATCH 32

/* Folders of the results that hold models made from the model's directory. */
#define SV_STUDY_ONNX "onnx_model"              /* `senvec export` */
#define SV_STUDY_ONNX_INT8 "onnx_model_int8"    /* `senvec quantize` */
#define SV_STUDY_OPENVINO "openvino_model_int8" /* from SV_STUDY_ONNX, by the peer's worker */
/* A file: `senvec pack`. */
#define SV_STUDY_NATIVE_INT8 "senvec_int8.safetensors"

/* The runtime of a row that no worker measures: the engine behind the batcher, in the study's own process (batching.h). */
#define SV_STUDY_BATCHER "batcher"

typedef struct sv_configuration {
    const char *name;      /* "PyTorch (batch=32)"; unique: the key in every result file */
    const char *runtime;   /* as in --peers: "torch", ...; "senvec" is the native engine, or SV_STUDY_BATCHER */
    const char *precision; /* "fp32", "bf16" or "int8" */
    const char *step;      /* the step of the pipeline that this row adds, for the reader */
    const char *files;     /* folder or file of the results that is its model; "": the model's own directory */
    size_t batch;          /* texts a call, or a request */
} sv_configuration;

/* All of them, the baseline first. */
extern const sv_configuration sv_configurations[];
extern const size_t sv_configuration_count;

/* The runtimes that run in a peer's worker, NULL-terminated: the words of --peers. */
extern const char *const sv_peer_names[];

/* Which peers to run: `list` is comma-separated names of sv_peer_names, "none" or "all". Checked only; error: INVALID_ARGUMENT
 * (an unknown name; the message lists the known). */
senvec_status sv_peers_check(const char *list, senvec_error *err);
/* Is `runtime` in the (checked) list? The native engine always is, the batcher in front of it too. */
bool sv_peers_include(const char *list, const char *runtime);

#endif
