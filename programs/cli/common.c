/* Opening what the common options name. */
#include "cli/common.h"

#include <string.h>

#include "cli/write_target.h"

const char *const sv_precision_choices[] = {
#define PRECISION_CHOICE(name, value, text) [value] = text,
    SENVEC_PRECISION_MAP(PRECISION_CHOICE)
#undef PRECISION_CHOICE
        NULL,
};

const char *const sv_truncation_choices[] = {
#define TRUNCATION_CHOICE(name, value, text) [value] = text,
    SENVEC_TRUNCATION_MAP(TRUNCATION_CHOICE)
#undef TRUNCATION_CHOICE
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
        .calibration = SENVEC_CALIBRATION_BESIDE,
        .tokenizer_only = common->tokenizer_only,
    };
    return senvec_model_open(directory, &options, out, err);
}

senvec_status sv_common_check_output(const sv_common *common, const char *path, senvec_error *err) {
    char directory[SV_MAX_PATH];
    SENVEC_TRY(sv_hub_resolve(common->model, directory, err));
    return sv_target_file(directory, path, err);
}

senvec_status sv_common_open_session(const sv_common *common, const senvec_model *model, senvec_session **out,
                                     senvec_error *err) {
    senvec_session_options options = {.threads = common->threads};
    return senvec_session_open(model, &options, out, err);
}

const char *const sv_quoting_choices[] = {
    [SV_QUOTING_AUTO] = "auto", [SV_QUOTING_CSV] = "csv", [SV_QUOTING_NONE] = "none", NULL};

senvec_status sv_text_corpus(const sv_text_options *options, sv_corpus_options *out, senvec_error *err) {
    const char *separator = options->separator;
    if (options->key && (options->column || options->header || separator))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--key' is for JSON lines and '%s' for CSV; give one of them",
                       options->column   ? "--column"
                       : options->header ? "--header"
                                         : "--separator");
    if (separator && (strcmp(separator, "tab") == 0 || strcmp(separator, "\\t") == 0))
        separator = "\t";
    if (separator && (strlen(separator) != 1 || strchr("\"\r\n", *separator)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--separator' takes one character or 'tab', not '%s'", separator);
    *out = (sv_corpus_options){
        .key = options->key,
        .column = options->column,
        .separator = separator ? *separator : '\0',
        .quoting = (sv_quoting)options->quoting,
        .header = options->header,
        .keep = options->keep,
        .keep_count = options->keep_count,
        .skip_bad = options->skip_bad,
    };
    return SENVEC_OK;
}

senvec_status sv_text_open(const char *path, const sv_text_options *options, sv_corpus **out, senvec_error *err) {
    sv_corpus_options corpus;
    SENVEC_TRY(sv_text_corpus(options, &corpus, err));
    return sv_corpus_open(path, &corpus, out, err);
}
