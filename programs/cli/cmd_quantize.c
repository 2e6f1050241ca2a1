/* senvec quantize: the model as an ONNX file in int8. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/pack.h"
#include "cli/write_onnx.h"
#include "hub/hub.h"

int sv_cmd_quantize(int argc, char **argv) {
    const char *model = SV_DEFAULT_MODEL;
    const char *native = NULL;
    sv_pack_options pack = {0};
    bool pooling = false, per_tensor = false, no_smoothing = false, quiet = false;
    const sv_option options[] = {
        SV_MODEL_OPTION(&model),
        SV_OPTION_FLAG(0, "per-tensor", &per_tensor,
                       "one scale for each weight matrix, as ONNX Runtime's quantize_dynamic has it by default"),
        SV_OPTION_FLAG(0, "no-smoothing", &no_smoothing, "leave the activations as they are: a little faster, less accurate"),
        SV_OPTION_FLAG(0, "with-pooling", &pooling,
                       "pool and normalise as the model does: a second output, sentence_embedding"),
        SV_OPTION_TEXT(0, "native", "FILE", &native, NULL), /* the old spelling of 'senvec pack' */
        SV_OPTION_TEXT(0, "corpus", "TEXTS", &pack.corpus, NULL),
        SV_OPTION_TEXT(0, "key", "NAME", &pack.text.key, NULL),
        SV_OPTION_TEXT(0, "column", "NAME|N", &pack.text.column, NULL),
        SV_OPTION_FLAG('q', "quiet", &quiet, "no summary"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "quantize [OPTION]... [DIR]",
        .about = "Writes the model as an ONNX file in int8 into the folder DIR (default results/onnx_model_int8). Weights have "
                 "a scale for each output channel; activations are quantized at run time. For senvec's own file, see "
                 "'senvec pack'.",
        .options = options,
        .notes = SV_ONNX_NOTES,
        .most_operands = 1,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    if (per_tensor && no_smoothing)
        return sv_cli_usage_error("--per-tensor has no smoothing to leave out; give one of --per-tensor, --no-smoothing");
    if (!native && (pack.corpus || pack.text.key || pack.text.column))
        return sv_cli_usage_error("--corpus, --key and --column go with 'senvec pack'");
    if (native && (per_tensor || no_smoothing || pooling || operands.count))
        return sv_cli_usage_error("--native takes -m, --corpus and its columns, and -q alone");
    if (native) {
        if (!quiet)
            sv_cli_say("'quantize --native FILE' is called 'senvec pack FILE' now; this spelling goes with the next release");
        pack.model = model;
        pack.quiet = quiet;
        return sv_cli_pack(&pack, native);
    }
    sv_onnx_options onnx = {.precision = SV_ONNX_INT8, .pooling = pooling};
    if (per_tensor)
        onnx.precision = SV_ONNX_INT8_PER_TENSOR;
    else if (no_smoothing)
        onnx.precision = SV_ONNX_INT8_PER_CHANNEL;
    return sv_cli_write_onnx(model, operands.count ? operands.items[0] : "results/onnx_model_int8", onnx, quiet);
}
