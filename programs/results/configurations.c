#include "results/configurations.h"

#include <string.h>

#include "io/word_list.h"

#define BASELINE "baseline: sentence-transformers as documented"
#define EXPORT "ONNX export: the same model in another runtime"
#define DYNAMIC "dynamic int8 quantization, a scale for each channel"
#define STATIC "static int8 quantization, calibrated by NNCF"
#define NATIVE "native engine: own kernels, no padding"
#define NATIVE_BF16 "native engine: bf16 weights and activations"
#define NATIVE_INT8 "native engine: int8 with a scale for each token and channel"
#define BATCHER "adaptive batching: single texts of many callers under load"

const sv_configuration sv_configurations[] = {
    {"PyTorch (single)", "torch", "fp32", BASELINE, "", 1},
    {"PyTorch (batch=32)", "torch", "fp32", BASELINE, "", SV_STUDY_BATCH},
    {"ONNX Runtime (single)", "onnxruntime", "fp32", EXPORT, SV_STUDY_ONNX, 1},
    {"ONNX Runtime (batch=32)", "onnxruntime", "fp32", EXPORT, SV_STUDY_ONNX, SV_STUDY_BATCH},
    {"ONNX + INT8 (single)", "onnxruntime", "int8", DYNAMIC, SV_STUDY_ONNX_INT8, 1},
    {"ONNX + INT8 (batch=32)", "onnxruntime", "int8", DYNAMIC, SV_STUDY_ONNX_INT8, SV_STUDY_BATCH},
    {"OpenVINO INT8 (single)", "openvino", "int8", STATIC, SV_STUDY_OPENVINO, 1},
    {"OpenVINO INT8 (batch=32)", "openvino", "int8", STATIC, SV_STUDY_OPENVINO, SV_STUDY_BATCH},
    {"senvec fp32 (single)", "senvec", "fp32", NATIVE, "", 1},
    {"senvec fp32 (batch=32)", "senvec", "fp32", NATIVE, "", SV_STUDY_BATCH},
    {"senvec bf16 (single)", "senvec", "bf16", NATIVE_BF16, "", 1},
    {"senvec bf16 (batch=32)", "senvec", "bf16", NATIVE_BF16, "", SV_STUDY_BATCH},
    {"senvec int8 (single)", "senvec", "int8", NATIVE_INT8, SV_STUDY_NATIVE_INT8, 1},
    {"senvec int8 (batch=32)", "senvec", "int8", NATIVE_INT8, SV_STUDY_NATIVE_INT8, SV_STUDY_BATCH},
    {"senvec int8 + adaptive batching", SV_STUDY_BATCHER, "int8", BATCHER, SV_STUDY_NATIVE_INT8, 1},
};

const size_t sv_configuration_count = sizeof sv_configurations / sizeof sv_configurations[0];

const char *const sv_peer_names[] = {"torch", "onnxruntime", "openvino", NULL};

senvec_status sv_peers_check(const char *list, senvec_error *err) {
    return sv_word_list_check("--peers", list, sv_peer_names, err);
}

bool sv_peers_include(const char *list, const char *runtime) {
    return strcmp(runtime, "senvec") == 0 || strcmp(runtime, SV_STUDY_BATCHER) == 0 || sv_word_list_has(list, runtime);
}
