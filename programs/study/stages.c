/* The stages of a study by name, in study.json. */
#include "study/stages.h"

#include <string.h>

#include "common/file.h"

static const struct {
    unsigned stage;
    const char *name;
} stage_names[] = {
    {SV_STAGE_BENCH, "bench"},       {SV_STAGE_SWEEP, "sweep"},       {SV_STAGE_LENGTHS, "lengths"},
    {SV_STAGE_VALIDATE, "validate"}, {SV_STAGE_BATCHING, "batching"}, {SV_STAGE_SERVICES, "services"},
};
enum { STAGE_NAMES = sizeof stage_names / sizeof stage_names[0] };

unsigned sv_stages_in(const sv_results *results, const char *key) {
    unsigned set = 0;
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(results->stages, key), index, entry) {
        for (size_t i = 0; i < STAGE_NAMES; i++)
            if (json_is_string(entry) && strcmp(json_string_value(entry), stage_names[i].name) == 0)
                set |= stage_names[i].stage;
    }
    return set;
}

senvec_status sv_stages_put(sv_results *results, const char *key, unsigned set, senvec_error *err) {
    json_t *list = json_array();
    for (size_t i = 0; i < STAGE_NAMES; i++)
        if (set & stage_names[i].stage)
            json_array_append_new(list, json_string(stage_names[i].name));
    return json_object_set_new(results->stages, key, list) == 0
               ? SENVEC_OK
               : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the study's stages");
}

static bool is_interrupted(const sv_results *results) {
    return sv_stages_in(results, "planned") & ~sv_stages_in(results, "done");
}

senvec_status sv_study_look(const char *out, sv_study_found *found, char model[SV_MAX_PATH], senvec_error *err) {
    sv_results results;
    char path[SV_MAX_PATH];
    *found = SV_STUDY_NONE;
    if (model)
        model[0] = '\0';
    SENVEC_TRY(sv_path_join(out, "study.json", path, err));
    if (!sv_path_is_file(path))
        return SENVEC_OK;
    SENVEC_TRY(sv_results_read(&results, out, err));
    *found = is_interrupted(&results) ? SV_STUDY_INTERRUPTED : SV_STUDY_WHOLE;
    const char *name = json_string_value(json_object_get(json_object_get(results.environment, "settings"), "model"));
    if (model && name)
        snprintf(model, SV_MAX_PATH, "%s", name);
    sv_results_release(&results);
    return SENVEC_OK;
}
