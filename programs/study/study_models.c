/* The model in the other forms that rows need. */
#include <string.h>

#include "common/file.h"
#include "onnx/onnx_export.h"
#include "study/study_internal.h"

/* A model's other form that couldn't be made: the rows that need it say why. Memory that ran out ends the study. */
static senvec_status mark_rows(sv_results *results, const char *files, senvec_status status, const senvec_error *failure,
                               senvec_error *err) {
    if (status == SENVEC_OUT_OF_MEMORY && err)
        *err = *failure;
    if (status == SENVEC_OK || status == SENVEC_OUT_OF_MEMORY)
        return status;
    for (size_t i = 0; i < results->row_count; i++) {
        const char *own = results->rows[i].files;
        const bool derived = strcmp(files, SV_STUDY_ONNX) == 0 && strcmp(own, SV_STUDY_OPENVINO) == 0;
        if (derived || strcmp(own, files) == 0)
            sv_row_mark(&results->rows[i], SV_ROW_FAILED, "%s", failure->message);
    }
    return SENVEC_OK;
}

/* The native file in int8, in a second; of a model that is one already, a copy. */
static senvec_status export_native(const sv_study_options *options, sv_results *results, const char *model, senvec_error *err) {
    char path[SV_MAX_PATH];
    senvec_error failure;
    const senvec_quantize_options quantize = {.cpu = options->cpu};
    SENVEC_TRY(sv_path_join(options->out, SV_STUDY_NATIVE_INT8, path, err));
    senvec_status status =
        sv_path_is_file(model) ? sv_copy_file(model, path, &failure) : senvec_quantize(model, path, &quantize, &failure);
    return mark_rows(results, SV_STUDY_NATIVE_INT8, status, &failure, err);
}

senvec_status sv_study_export_models(const sv_study_options *options, sv_results *results, const char *model,
                                     senvec_error *err) {
    static const struct {
        const char *files;
        sv_onnx_precision precision;
    } exports[] = {{SV_STUDY_ONNX, SV_ONNX_FP32}, {SV_STUDY_ONNX_INT8, SV_ONNX_INT8}};
    for (size_t e = 0; e < sizeof exports / sizeof exports[0]; e++) {
        bool needed = e == 1 && (strstr(options->ready_services, "onnx") || strcmp(options->ready_services, "all") == 0);
        for (size_t i = 0; i < results->row_count; i++) {
            const char *files = results->rows[i].files;
            bool derived = e == 0 && strcmp(files, SV_STUDY_OPENVINO) == 0;
            needed = needed || derived || strcmp(files, exports[e].files) == 0;
        }
        char path[SV_MAX_PATH];
        senvec_error failure;
        SENVEC_TRY(sv_path_join(options->out, exports[e].files, path, err));
        if (!needed)
            continue;
        const sv_onnx_options onnx = {.precision = exports[e].precision};
        SENVEC_TRY(mark_rows(results, exports[e].files, sv_onnx_export(model, path, onnx, NULL, &failure), &failure, err));
    }
    return export_native(options, results, model, err);
}
