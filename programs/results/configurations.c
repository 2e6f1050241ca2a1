#include "results/configurations.h"

#include <stdio.h>
#include <string.h>

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

/* The next comma-separated word of *list; false at the end. Empty words are words. */
static bool next_word(const char **list, const char **word, size_t *length) {
    if (!*list)
        return false;
    *word = *list;
    *length = strcspn(*list, ",");
    *list = (*list)[*length] ? *list + *length + 1 : NULL;
    return true;
}

static bool is(const char *word, size_t length, const char *name) {
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

senvec_status sv_peers_check(const char *list, senvec_error *err) {
    if (strcmp(list, "none") == 0 || strcmp(list, "all") == 0)
        return SENVEC_OK;
    const char *word;
    size_t length;
    while (next_word(&list, &word, &length)) {
        bool known = false;
        for (size_t i = 0; sv_peer_names[i]; i++)
            known = known || is(word, length, sv_peer_names[i]);
        if (!known) {
            char names[200] = "";
            for (size_t i = 0, used = 0; sv_peer_names[i] && used < sizeof names; i++)
                used += (size_t)snprintf(names + used, sizeof names - used, ", %s", sv_peer_names[i]);
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "unknown peer \"%.*s\"; known are all, none%s",
                           length < 40 ? (int)length : 40, word, names);
        }
    }
    return SENVEC_OK;
}

bool sv_peers_include(const char *list, const char *runtime) {
    if (strcmp(runtime, "senvec") == 0 || strcmp(runtime, SV_STUDY_BATCHER) == 0)
        return true;
    if (strcmp(list, "none") == 0)
        return false;
    if (strcmp(list, "all") == 0)
        return true;
    const char *word;
    size_t length;
    while (next_word(&list, &word, &length))
        if (is(word, length, runtime))
            return true;
    return false;
}
