#include "model/model_layout.h"

#include "common/file.h"

senvec_status sv_model_layout_open(const char *path, sv_model_layout *out, sv_config *config, senvec_error *err) {
    *out = (sv_model_layout){.form = sv_model_form_at(path)};
    SENVEC_TRY(sv_path_join("", path, out->path, err));
    switch (out->form) {
    case SV_MODEL_MISSING:
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: no such folder or file", path);
    case SV_MODEL_NATIVE:
        return SENVEC_OK;
    case SV_MODEL_FOLDER:
        break;
    }
    SENVEC_TRY(sv_config_load(path, config, err));
    return sv_path_join(path, config->transformer_directory, out->transformer, err);
}

bool sv_model_layout_find(const sv_model_layout *layout, const char *name, char out[SV_MAX_PATH]) {
    return (sv_path_join(layout->transformer, name, out, NULL) == SENVEC_OK && sv_path_is_file(out)) ||
           (sv_path_join(layout->path, name, out, NULL) == SENVEC_OK && sv_path_is_file(out));
}
