#include "cli/serve_models.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hub/hub.h"

/* A model as -m gives it, [NAME[,NAME]...=]MODEL. */
typedef struct source {
    sv_common common;
    char text[SV_MAX_PATH];
    const char *names[SV_SERVER_NAMES];
    sv_hub_names own;
} source;

static senvec_status open_source(const void *context, bool tokenizer_only, senvec_model **out, senvec_error *err) {
    sv_common common = ((const source *)context)->common;
    common.tokenizer_only = tokenizer_only;
    return sv_common_open_model(&common, out, err);
}

/* Adds the names in `list`, commas between, which it writes into. */
static senvec_status add_names(char *list, const char *names[SV_SERVER_NAMES], size_t *count, senvec_error *err) {
    char *name;
    while ((name = strsep(&list, ","))) {
        if (strlen(name) > 255 || *count == SV_SERVER_NAMES)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "a model has at most %d names of at most 255 bytes",
                           SV_SERVER_NAMES);
        if (*name)
            names[(*count)++] = name;
    }
    return SENVEC_OK;
}

/* The names of --model-name, of the only model. */
static senvec_status add_typed_names(const sv_option_texts *typed, const char *names[SV_SERVER_NAMES], size_t *count,
                                     senvec_error *err) {
    static char text[4096];
    size_t used = 0;
    for (size_t i = 0; i < typed->count; i++) {
        int size = snprintf(text + used, sizeof text - used, "%s", typed->items[i]);
        if (size < 0 || (size_t)size >= sizeof text - used)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "the names of --model-name are longer than %zu bytes", sizeof text);
        SENVEC_TRY(add_names(text + used, names, count, err));
        used += (size_t)size + 1;
    }
    return SENVEC_OK;
}

/* A '=' is part of a path where that begins as one does, or is there. A name may have a '/', as those of the hub do. */
static senvec_status read_source(const sv_serve_models *models, const char *given, source *out, sv_model_source *model,
                                 senvec_error *err) {
    size_t count = 0, head = strcspn(given, "=");
    snprintf(out->text, sizeof out->text, "%s", given);
    out->common = *models->common;
    out->common.model = out->text;
    SENVEC_TRY(add_typed_names(models->names, out->names, &count, err));
    if (given[head] && given[0] != '/' && given[0] != '.' && access(given, F_OK) != 0) {
        out->text[head] = '\0';
        out->common.model = out->text + head + 1;
        SENVEC_TRY(add_names(out->text, out->names, &count, err));
    }
    if (count == 0) {
        sv_hub_name_model(out->common.model, models->models->count > 0, &out->own);
        for (; count < out->own.count; count++)
            out->names[count] = out->own.items[count];
    }
    *model = (sv_model_source){out->names, count, open_source, out};
    return SENVEC_OK;
}

senvec_status sv_serve_models_read(const sv_serve_models *given, const sv_model_source **out, size_t *out_count,
                                   senvec_error *err) {
    static source sources[SV_SERVER_MODELS];
    static sv_model_source models[SV_SERVER_MODELS];
    const sv_option_texts *list = given->models;
    size_t count = list->count ? list->count : 1;
    if (count > SV_SERVER_MODELS)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "-m: at most %d models", SV_SERVER_MODELS);
    if (count > 1 && given->names->count)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--model-name is for a single model; with several give -m NAME=MODEL");
    for (size_t i = 0; i < count; i++)
        SENVEC_TRY(read_source(given, list->count ? list->items[i] : SV_DEFAULT_MODEL, &sources[i], &models[i], err));
    *out = models;
    *out_count = count;
    return SENVEC_OK;
}
