#include "model/prompts.h"

#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "model/document.h"

static senvec_status read_list(sv_json object, const char *path, sv_arena *arena, sv_prompts *out, senvec_error *err) {
    const sv_json prompts = sv_json_member(object, "prompts");
    if (prompts.kind == SV_JSON_NONE || prompts.kind == SV_JSON_NULL)
        return SENVEC_OK;
    if (prompts.kind != SV_JSON_OBJECT)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"prompts\" has to be an object of strings", path);
    if (sv_json_count(prompts) > SV_MAX_PROMPTS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu prompts; the maximum is %u", path, sv_json_count(prompts),
                       SV_MAX_PROMPTS);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, sv_json_count(prompts), sizeof(senvec_prompt), "prompts", &memory, err));
    senvec_prompt *list = memory;
    sv_json_items items = sv_json_walk(prompts);
    sv_json member, value;
    while (sv_json_step(&items, &member, &value)) {
        const char *name = sv_json_text(member);
        if (value.kind != SV_JSON_STRING && value.kind != SV_JSON_NULL)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: the prompt \"%.100s\" has to be a string", path, name);
        const char *text = value.kind == SV_JSON_STRING ? sv_json_text(value) : "";
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

senvec_status sv_prompts_read(sv_json object, const char *path, sv_arena *arena, sv_prompts *out, senvec_error *err) {
    sv_prompts prompts = {0};
    SENVEC_TRY(read_list(object, path, arena, &prompts, err));
    const sv_json usual = sv_json_member(object, "default_prompt_name");
    if (usual.kind != SV_JSON_NONE && usual.kind != SV_JSON_NULL) {
        const char *name = sv_json_text(usual);
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

void sv_prompts_write(const sv_prompts *prompts, FILE *stream) {
    fputs("\"prompts\":{", stream);
    for (size_t i = 0; i < prompts->count; i++) {
        fputs(i ? "," : "", stream);
        sv_json_write_string(stream, prompts->list[i].name);
        fputc(':', stream);
        sv_json_write_string(stream, prompts->list[i].text);
    }
    fputs("},\"default_prompt_name\":", stream);
    if (prompts->usual)
        sv_json_write_string(stream, prompts->usual->name);
    else
        fputs("null", stream);
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
