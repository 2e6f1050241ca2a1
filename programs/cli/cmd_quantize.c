/* senvec quantize: the model with weights of 8-bit integers, as an ONNX file or as senvec's own. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/write_onnx.h"
#include "cli/write_target.h"
#include "hub/hub.h"
#include "io/texts.h"

/* Texts of a user's own to calibrate on; of more, a sample. */
#define MOST_TEXTS 20000

/* The native file; `corpus` NULL: our own texts. */
static senvec_status write_native(const char *model, const char *path, const char *corpus, const sv_text_options *text,
                                  bool quiet, senvec_error *err) {
    char directory[SV_MAX_PATH];
    SENVEC_TRY(sv_hub_resolve(model, directory, err));
    sv_texts texts = {0};
    sv_corpus_options options;
    SENVEC_TRY(sv_target_file(directory, path, err));
    SENVEC_TRY(sv_text_corpus(text, &options, err));
    if (corpus)
        SENVEC_TRY(sv_texts_load(&texts, corpus, &options, MOST_TEXTS, 1, err));
    const senvec_quantize_options quantize = {.texts = texts.texts, .count = texts.count, .log = quiet ? NULL : sv_common_log};
    senvec_status status = senvec_quantize(directory, path, &quantize, err);
    if (status == SENVEC_OK && !quiet)
        sv_cli_say("%s: written, calibrated on %s", path, corpus ? corpus : "senvec's own texts");
    sv_texts_release(&texts);
    return status;
}

int sv_cmd_quantize(int argc, char **argv) {
    const char *model = SV_DEFAULT_MODEL;
    const char *native = NULL, *corpus = NULL;
    sv_text_options text = {0};
    bool pooling = false, per_tensor = false, no_smoothing = false, quiet = false;
    const sv_option options[] = {
        SV_OPTION_TEXT('m', "model", "NAME|DIR", &model, "model: a name that 'senvec pull' knows, or a folder"),
        SV_OPTION_FLAG(0, "per-tensor", &per_tensor,
                       "one scale for each weight matrix, as ONNX Runtime's quantize_dynamic\nhas it by default"),
        SV_OPTION_FLAG(0, "no-smoothing", &no_smoothing, "leave the activations as they are: a little faster, less accurate"),
        SV_OPTION_FLAG(0, "with-pooling", &pooling,
                       "pool and normalise as the model does: a second output,\nsentence_embedding"),
        SV_OPTION_TEXT(0, "native", "FILE", &native,
                       "write senvec's own file instead: the whole model in one file,\nfor -m FILE"),
        SV_OPTION_TEXT(0, "corpus", "TEXTS", &corpus, "with --native: calibrate on the texts of this file"),
        SV_TEXT_OPTIONS(&text),
        SV_OPTION_FLAG('q', "quiet", &quiet, "no summary"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "quantize [OPTION]... [DIR]",
        .about = "Writes the model as an ONNX file in int8 into the folder DIR (default\n"
                 "results/onnx_model_int8): weights with one scale for each output channel, activations\n"
                 "quantized while it runs. With --native, as a file that senvec itself opens.",
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
    if (!native && (corpus || text.key || text.column))
        return sv_cli_usage_error("--corpus, --key and --column go with --native");
    if (native && (per_tensor || no_smoothing || pooling || operands.count))
        return sv_cli_usage_error("--native takes -m, --corpus and its columns, and -q alone");
    if (native) {
        senvec_error err;
        return write_native(model, native, corpus, &text, quiet, &err) == SENVEC_OK ? SV_EXIT_DONE : sv_cli_fail(&err);
    }
    sv_onnx_options onnx = {.precision = SV_ONNX_INT8, .pooling = pooling};
    if (per_tensor)
        onnx.precision = SV_ONNX_INT8_PER_TENSOR;
    else if (no_smoothing)
        onnx.precision = SV_ONNX_INT8_PER_CHANNEL;
    return sv_cli_write_onnx(model, operands.count ? operands.items[0] : "results/onnx_model_int8", onnx, quiet);
}
