/* Files are told by device and inode, so that links and other spellings of a path don't matter. A model is read from a folder
 * and the folders in it; what else lies there (vectors that somebody keeps beside the model) is no part of it, so only names
 * that a model's files have count. */
#include "cli/write_target.h"

#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/model_files.h"

enum { MAX_DEPTH = 3 };

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A name that one of a model's files may have. */
static bool is_model_name(const char *name) {
    static const char *const endings[] = {".json", ".safetensors", ".bin", ".model", ".onnx", ".gguf", ".pt", ".jinja", ".txt"};
    static const char *const texts[] = {SV_MODEL_VOCABULARY, "merges.txt"};
    const char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".txt") == 0)
        return strcmp(name, texts[0]) == 0 || strcmp(name, texts[1]) == 0;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* What is looked for in a model's folder. */
typedef struct wanted {
    bool exists;
    struct stat facts;  /* of the file or folder, where it exists */
    struct stat folder; /* that a new file is to be in */
    const char *name;   /* of a new file */
} wanted;

/* Whether the model in `directory` has it. */
static bool has(const char *directory, const wanted *w, int depth) {
    struct stat facts;
    DIR *entries = stat(directory, &facts) == 0 ? opendir(directory) : NULL;
    if (!entries)
        return false;
    bool found = w->exists ? is_same(&facts, &w->facts) : is_same(&facts, &w->folder) && is_model_name(w->name);
    const struct dirent *entry;
    while (!found && (entry = readdir(entries))) {
        char path[SV_MAX_PATH];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            sv_path_join(directory, entry->d_name, path, NULL) != SENVEC_OK || stat(path, &facts) != 0)
            continue;
        if (S_ISDIR(facts.st_mode))
            found = depth < MAX_DEPTH && has(path, w, depth + 1);
        else
            found = w->exists && is_model_name(entry->d_name) && is_same(&facts, &w->facts);
    }
    closedir(entries);
    return found;
}

senvec_status sv_target_file(const char *model, const char *path, senvec_error *err) {
    if (!path || strcmp(path, "-") == 0)
        return SENVEC_OK;
    struct stat facts;
    char folder[SV_MAX_PATH], name[SV_MAX_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    wanted w = {.exists = stat(path, &w.facts) == 0, .name = basename(name)};
    if (!w.exists && stat(dirname(folder), &w.folder) != 0)
        return SENVEC_OK; /* writing will say why not */
    bool own = stat(model, &facts) == 0 && !S_ISDIR(facts.st_mode) ? w.exists && is_same(&facts, &w.facts) : has(model, &w, 0);
    if (own && !(w.exists && S_ISDIR(w.facts.st_mode)))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "%s: a file of the model itself, which would be lost; name another file", path);
    return SENVEC_OK;
}

senvec_status sv_target_folder(const char *model, const char *directory, senvec_error *err) {
    wanted w = {.exists = true};
    if (stat(directory, &w.facts) != 0)
        return SENVEC_OK;
    if (has(model, &w, 0))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: a folder of the model itself; name another folder", directory);
    DIR *entries = opendir(directory);
    if (!entries)
        return SENVEC_OK;
    senvec_status status = SENVEC_OK;
    const struct dirent *entry;
    while (status == SENVEC_OK && (entry = readdir(entries))) {
        char path[SV_MAX_PATH];
        if (is_model_name(entry->d_name) && sv_path_join(directory, entry->d_name, path, NULL) == SENVEC_OK)
            status = sv_target_file(model, path, err);
    }
    closedir(entries);
    return status;
}

senvec_status sv_target_input(const sv_operands *inputs, const char *path, senvec_error *err) {
    struct stat target, facts;
    if (!path || strcmp(path, "-") == 0 || stat(path, &target) != 0 || !S_ISREG(target.st_mode))
        return SENVEC_OK;
    for (size_t i = 0; i < inputs->count; i++) {
        bool standard_input = strcmp(inputs->items[i], "-") == 0;
        if ((standard_input ? fstat(0, &facts) : stat(inputs->items[i], &facts)) == 0 && is_same(&facts, &target))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: is read as well, and would be lost; name another file", path);
    }
    return SENVEC_OK;
}
