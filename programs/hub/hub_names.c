/* What a model is called by those who ask a server for it. */
#include <stdio.h>
#include <string.h>

#include "common/model_files.h"
#include "hub/hub.h"

#define DEFAULT_ORG "sentence-transformers" /* as sv_hub_resolve has it */

/* Ollama's names of models that people know by it. */
static const struct {
    const char *name, *ollama;
} ollama_names[] = {
    {"sentence-transformers/all-MiniLM-L6-v2", "all-minilm"},
    {"sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "paraphrase-multilingual"},
    {"BAAI/bge-m3", "bge-m3"},
    {"BAAI/bge-large-en-v1.5", "bge-large"},
    {"mixedbread-ai/mxbai-embed-large-v1", "mxbai-embed-large"},
};

static void add(sv_hub_names *names, const char *begin, size_t length) {
    if (length == 0 || length >= sizeof names->items[0])
        return;
    for (size_t i = 0; i < names->count; i++)
        if (strlen(names->items[i]) == length && memcmp(names->items[i], begin, length) == 0)
            return;
    if (names->count < SV_HUB_NAMES)
        snprintf(names->items[names->count++], sizeof names->items[0], "%.*s", (int)length, begin);
}

void sv_hub_name_model(const char *model, bool typed, sv_hub_names *out) {
    char full[sizeof out->items[0]] = "";
    *out = (sv_hub_names){.count = 0};
    if (model[0] == '/' || model[0] == '.' || sv_model_form_at(model) != SV_MODEL_MISSING) {
        char name[SV_MAX_PATH];
        sv_model_name(model, name);
        add(out, name, strnlen(name, sizeof out->items[0] - 1));
        if (strchr(out->items[0], '/'))
            snprintf(full, sizeof full, "%s", out->items[0]);
    } else {
        if (typed)
            add(out, model, strlen(model));
        snprintf(full, sizeof full, "%s%.*s", strchr(model, '/') ? "" : DEFAULT_ORG "/", (int)sizeof full - 32, model);
    }
    if (!*full)
        return;
    add(out, full, strlen(full));
    add(out, strchr(full, '/') + 1, strlen(strchr(full, '/') + 1));
    for (size_t i = 0; i < sizeof ollama_names / sizeof *ollama_names; i++)
        if (strcmp(full, ollama_names[i].name) == 0)
            add(out, ollama_names[i].ollama, strlen(ollama_names[i].ollama));
}
