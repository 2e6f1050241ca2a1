/* Opening what the common options name. */
#include "cli/common.h"

const char *const sv_precision_choices[] = {
#define PRECISION_CHOICE(name, value, text) [value] = text,
    SENVEC_PRECISION_MAP(PRECISION_CHOICE)
#undef PRECISION_CHOICE
        NULL,
};

void sv_common_log(void *context, senvec_log_level level, const char *line) {
    (void)context;
    if (level <= SENVEC_LOG_WARNING)
        sv_cli_say("%s: %s", level == SENVEC_LOG_ERROR ? "error" : "warning", line);
}

senvec_status sv_common_open_model(const sv_common *common, senvec_model **out, senvec_error *err) {
    char directory[SV_MAX_PATH];
    SENVEC_TRY(sv_hub_resolve(common->model, directory, err));
    senvec_model_options options = {
        .precision = (senvec_precision)common->precision,
        .cpu = common->cpu,
        .log = common->quiet ? NULL : sv_common_log,
    };
    return senvec_model_open(directory, &options, out, err);
}

senvec_status sv_common_open_session(const sv_common *common, const senvec_model *model, senvec_session **out,
                                     senvec_error *err) {
    senvec_session_options options = {.threads = common->threads};
    return senvec_session_open(model, &options, out, err);
}

senvec_status sv_text_open(const char *path, const sv_text_options *options, sv_corpus **out, senvec_error *err) {
    sv_corpus_options corpus = {.format = SV_CORPUS_AUTO, .key = options->key, .column = options->column};
    if (options->key && options->column)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--key' is for JSON lines and '--column' for CSV; give one of them");
    return sv_corpus_open(path, &corpus, out, err);
}
