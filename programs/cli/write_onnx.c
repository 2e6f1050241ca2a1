#include "cli/write_onnx.h"

#include "cli/cli.h"
#include "cli/human.h"
#include "cli/write_target.h"
#include "common/clock.h"
#include "hub/hub.h"

int sv_cli_write_onnx(const char *model, const char *directory, sv_onnx_options options, bool quiet) {
    uint64_t begin = sv_clock_ns(), bytes;
    char source[SV_MAX_PATH];
    senvec_error err;
    if (sv_hub_resolve(model, source, &err) != SENVEC_OK || sv_target_folder(source, directory, &err) != SENVEC_OK ||
        sv_onnx_export(source, directory, options, &bytes, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    if (!quiet)
        sv_cli_say("%s: %s model.onnx of %s in %s", directory, sv_onnx_precision_name(options.precision),
                   sv_human_bytes((char[SV_HUMAN]){0}, bytes),
                   sv_human_seconds((char[SV_HUMAN]){0}, (double)(sv_clock_ns() - begin) / SV_NS_PER_S));
    return SV_EXIT_DONE;
}
