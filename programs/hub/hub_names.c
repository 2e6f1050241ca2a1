/* What a model is called by those who ask a server for it. */
#include <stdio.h>
#include <string.h>

#include "common/file.h"
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

/* "ORG--REPO" as "ORG/REPO". */
static void add_folder(sv_hub_names *names, const char *begin, size_t length) {
    char name[sizeof names->items[0]];
    const char *dashes = memmem(begin, length, "--", 2);
    if (!dashes || dashes == begin || length >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s/%.*s", (int)(dashes - begin), begin, (int)(begin + length - dashes - 2), dashes + 2);
    add(names, name, strlen(name));
}

/* The last part of path[0 .. *length), which then ends before it. */
static const char *last_part(const char *path, size_t *length, size_t *part) {
    size_t end = *length;
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *part = end - begin;
    *length = begin;
    return path + begin;
}

static bool is(const char *part, size_t length, const char *word) {
    return strlen(word) == length && memcmp(part, word, length) == 0;
}

/* models/ORG--REPO of senvec's cache and models--ORG--REPO/snapshots/COMMIT of Hugging Face's. */
static void add_path(sv_hub_names *names, const char *path) {
    size_t rest = strlen(path), own_length, above_length, top_length;
    const char *own = last_part(path, &rest, &own_length);
    const char *above = last_part(path, &rest, &above_length);
    const char *top = last_part(path, &rest, &top_length);
    if (is(above, above_length, "models"))
        add_folder(names, own, own_length);
    if (is(above, above_length, "snapshots") && top_length > 8 && memcmp(top, "models--", 8) == 0)
        add_folder(names, top + 8, top_length - 8);
    if (names->count == 0)
        add(names, own, own_length);
}

void sv_hub_name_model(const char *model, bool typed, sv_hub_names *out) {
    char full[sizeof out->items[0]] = "";
    *out = (sv_hub_names){.count = 0};
    if (model[0] == '/' || model[0] == '.' || sv_path_is_file(model) || sv_path_is_directory(model)) {
        add_path(out, model);
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
