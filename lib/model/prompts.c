#include "model/prompts.h"

#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "model/document.h"

static senvec_status read_list(const json_t *object, const char *path, sv_arena *arena, sv_prompts *out, senvec_error *err) {
    json_t *prompts = json_object_get(object, "prompts");
    if (!prompts || json_is_null(prompts))
        return SENVEC_OK;
    if (!json_is_object(prompts))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"prompts\" has to be an object of strings", path);
    if (json_object_size(prompts) > SV_MAX_PROMPTS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu prompts; the maximum is %u", path, json_object_size(prompts),
                       SV_MAX_PROMPTS);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, json_object_size(prompts), sizeof(senvec_prompt), "prompts", &memory, err));
    senvec_prompt *list = memory;
    const char *name;
    json_t *value;
    json_object_foreach(prompts, name, value) {
        if (!json_is_string(value) && !json_is_null(value))
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: the prompt \"%.100s\" has to be a string", path, name);
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        senvec_prompt *prompt = &list[out->count++];
        SENVEC_TRY(sv_arena_string(arena, name, strlen(name), &prompt->name, err));
        SENVEC_TRY(sv_arena_string(arena, text, strlen(text), &prompt->text, err));
    }
    out->list = list;
    return SENVEC_OK;
}

static const senvec_prompt *find(const sv_prompts *prompts, const char *name) {
    for (size_t i = 0; i < prompts->count; i++)
        if (strcmp(prompts->list[i].name, name) == 0)
            return &prompts->list[i];
    return NULL;
}

/* Those that sentence-transformers adds to every model. */
static bool is_given(const char *name) {
    return strcmp(name, "query") == 0 || strcmp(name, "document") == 0;
}

senvec_status sv_prompts_read(const json_t *object, const char *path, sv_arena *arena, sv_prompts *out, senvec_error *err) {
    sv_prompts prompts = {0};
    SENVEC_TRY(read_list(object, path, arena, &prompts, err));
    const json_t *usual = json_object_get(object, "default_prompt_name");
    if (usual && !json_is_null(usual)) {
        const char *name = json_string_value(usual);
        prompts.usual = name ? find(&prompts, name) : NULL;
        if (!prompts.usual && !(name && is_given(name)))
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: the default_prompt_name \"%.100s\" is none of its prompts", path,
                           name ? name : "(not a string)");
    }
    *out = prompts;
    return SENVEC_OK;
}

senvec_status sv_prompts_load(const char *directory, sv_arena *arena, sv_prompts *out, senvec_error *err) {
    sv_document file;
    SENVEC_TRY(sv_document_open(directory, "", "config_sentence_transformers.json", false, &file, err));
    senvec_status status = sv_prompts_read(file.root, file.path, arena, out, err);
    sv_document_close(&file);
    return status;
}

bool sv_prompts_write(const sv_prompts *prompts, json_t *object) {
    json_t *list = json_object();
    bool made = list != NULL;
    for (size_t i = 0; i < prompts->count; i++)
        made = made && json_object_set_new(list, prompts->list[i].name, json_string(prompts->list[i].text)) == 0;
    json_t *usual = prompts->usual ? json_string(prompts->usual->name) : json_null();
    made = json_object_set_new(object, "prompts", list) == 0 && made;
    return json_object_set_new(object, "default_prompt_name", usual) == 0 && made;
}

senvec_status sv_prompts_find(const sv_prompts *prompts, const char *name, const char **text, senvec_error *err) {
    const senvec_prompt *prompt = find(prompts, name);
    if (prompt) {
        *text = prompt->text;
        return SENVEC_OK;
    }
    if (is_given(name)) {
        *text = "";
        return SENVEC_OK;
    }
    char names[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < prompts->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%.60s\"", i ? ", " : "", prompts->list[i].name);
    if (!prompts->count)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "the prompt \"%.100s\": this model has no prompts", name);
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "the prompt \"%.100s\" is none of this model's: %s", name, names);
}
