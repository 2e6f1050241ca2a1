#include "common/model_files.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

sv_model_form sv_model_form_at(const char *path) {
    return sv_path_is_file(path) ? SV_MODEL_NATIVE : sv_path_is_directory(path) ? SV_MODEL_FOLDER : SV_MODEL_MISSING;
}

static bool has_file(const char *folder, const char *name) {
    char path[SV_MAX_PATH];
    return sv_path_join(folder, name, path, NULL) == SENVEC_OK && sv_path_is_file(path);
}

bool sv_model_is_described(const char *path) {
    return has_file(path, SV_MODEL_CONFIG) || has_file(path, SV_MODEL_MODULES);
}

bool sv_model_is_complete(const char *path) {
    static const char *const weights[] = {SV_MODEL_WEIGHTS, SV_MODEL_WEIGHTS_INDEX, "0_Transformer/" SV_MODEL_WEIGHTS,
                                          "0_Transformer/" SV_MODEL_WEIGHTS_INDEX};
    bool found = false;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        found = found || has_file(path, weights[i]);
    return found && sv_model_is_described(path);
}

bool sv_model_is_module_folder(const char *name) {
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && name[digits] == '_';
}

bool sv_model_file_decides(const char *name) {
    static const char *const names[] = {SV_MODEL_CONFIG,          SV_MODEL_MODULES,    "sentence_bert_config.json",
                                        SV_MODEL_TOKENIZER,       SV_MODEL_VOCABULARY, "config_sentence_transformers.json",
                                        SV_MODEL_TOKENIZER_CONFIG};
    static const char weights[] = ".safetensors", calibration[] = "senvec-int8.";
    size_t length = strlen(name), suffix = strlen(weights);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return length > suffix && strcmp(name + length - suffix, weights) == 0 &&
           strncmp(name, calibration, strlen(calibration)) != 0;
}

/* Copies the last component of path[0 .. *length) and shortens *length to what is before it. */
static void take_component(const char *path, size_t *length, char out[SV_MAX_PATH]) {
    size_t end = *length;
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    memcpy(out, path + begin, end - begin);
    out[end - begin] = '\0';
    *length = begin;
}

/* "ORG--NAME" becomes "ORG/NAME". */
static void split_organisation(char *name) {
    char *dashes = strstr(name, "--");
    if (!dashes || dashes == name || !dashes[2])
        return;
    *dashes = '/';
    memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
}

void sv_model_name(const char *path, char out[SV_MAX_PATH]) {
    static const char repository[] = "models--", suffix[] = ".safetensors";
    char *real = NULL, parent[SV_MAX_PATH], above[SV_MAX_PATH];
    size_t length = strlen(path);
    if (length >= SV_MAX_PATH)
        length = SV_MAX_PATH - 1;
    take_component(path, &length, out);
    if ((strcmp(out, "") == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0) && (real = realpath(path, NULL))) {
        path = real;
        length = strlen(real) < SV_MAX_PATH ? strlen(real) : SV_MAX_PATH - 1;
        take_component(path, &length, out);
    }
    take_component(path, &length, parent);
    take_component(path, &length, above);
    free(real);
    if (strcmp(parent, "snapshots") == 0 && strncmp(above, repository, strlen(repository)) == 0)
        memmove(out, above + strlen(repository), strlen(above + strlen(repository)) + 1);
    split_organisation(out);
    size_t end = strlen(out);
    if (end > strlen(suffix) && strcmp(out + end - strlen(suffix), suffix) == 0)
        out[end - strlen(suffix)] = '\0';
}
