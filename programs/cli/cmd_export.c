/* senvec export: the model as an ONNX file in fp32. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/write_onnx.h"
#include "hub/hub.h"

int sv_cmd_export(int argc, char **argv) {
    const char *model = SV_DEFAULT_MODEL;
    sv_onnx_options onnx = {.precision = SV_ONNX_FP32};
    bool quiet = false;
    const sv_option options[] = {
        SV_MODEL_OPTION(&model),
        SV_OPTION_FLAG(0, "with-pooling", &onnx.pooling,
                       "pool and normalise as the model does: a second output,\nsentence_embedding"),
        SV_OPTION_FLAG('q', "quiet", &quiet, "no summary"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "export [OPTION]... [DIR]",
        .about = "Writes the model as an ONNX file in fp32 into the folder DIR (default\n"
                 "results/onnx_model). The vectors agree with PyTorch's to about 1e-6.",
        .options = options,
        .notes = SV_ONNX_NOTES,
        .most_operands = 1,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    return sv_cli_write_onnx(model, operands.count ? operands.items[0] : "results/onnx_model", onnx, quiet);
}
