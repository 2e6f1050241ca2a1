#include "model/model_layout.h"

#include <stdlib.h>
#include <string.h>

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
