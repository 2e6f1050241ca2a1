/* senvec pack: the whole model in one file that senvec opens, its weights in int8. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/pack.h"
#include "cli/write_target.h"
#include "hub/hub.h"
#include "io/texts.h"

/* Texts of a user's own to calibrate on; of more, a sample. */
#define MOST_TEXTS 20000

static senvec_status write_file(const sv_pack_options *given, const char *path, senvec_error *err) {
    char directory[SV_MAX_PATH];
    SENVEC_TRY(sv_hub_resolve(given->model, directory, err));
    sv_texts texts = {0};
    sv_corpus_options options;
    SENVEC_TRY(sv_target_file(directory, path, err));
    SENVEC_TRY(sv_text_corpus(&given->text, &options, err));
    if (given->corpus)
        SENVEC_TRY(sv_texts_load(&texts, given->corpus, &options, MOST_TEXTS, 1, err));
    const senvec_quantize_options quantize = {
        .texts = texts.texts, .count = texts.count, .log = given->quiet ? NULL : sv_common_log};
    senvec_status status = senvec_quantize(directory, path, &quantize, err);
    sv_texts_release(&texts);
    return status;
}

int sv_cli_pack(const sv_pack_options *options, const char *path) {
    senvec_error err;
    if (write_file(options, path, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    if (!options->quiet)
        sv_cli_say("%s: written, calibrated on %s", path, options->corpus ? options->corpus : "senvec's own texts");
    return SV_EXIT_DONE;
}

int sv_cmd_pack(int argc, char **argv) {
    sv_pack_options pack = {.model = SV_DEFAULT_MODEL};
    const sv_option options[] = {
        SV_OPTION_TEXT('m', "model", "NAME|DIR", &pack.model, "model: a name that 'senvec pull' knows, or a folder"),
        SV_OPTION_TEXT(0, "corpus", "TEXTS", &pack.corpus, "calibrate on the texts of this file; else on senvec's own"),
        SV_TEXT_OPTIONS(&pack.text),
        SV_OPTION_FLAG('q', "quiet", &pack.quiet, "no summary, no warnings"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "pack [OPTION]... FILE",
        .about =
            "Writes the whole model into one file that senvec opens by -m FILE, with its linear layers in int8. The file opens "
            "at once, and the processes of a machine share its memory.",
        .options = options,
        .notes = "Example:\n"
                 "  senvec pack -m all-MiniLM-L6-v2 minilm.senvec\n"
                 "  senvec serve -m minilm.senvec",
        .least_operands = 1,
        .most_operands = 1,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    if (!pack.corpus && (pack.text.key || pack.text.column))
        return sv_cli_usage_error("--key and --column go with --corpus");
    return sv_cli_pack(&pack, operands.items[0]);
}
