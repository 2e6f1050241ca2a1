#include "io/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

void sv_place_program(char out[SV_MAX_PATH]) {
    ssize_t length = readlink("/proc/self/exe", out, SV_MAX_PATH - 1);
    out[length > 0 ? length : 0] = '\0';
}

void sv_place_beside(const char *name, char out[SV_MAX_PATH]) {
    char folder[SV_MAX_PATH];
    sv_place_program(folder);
    for (char *slash = strrchr(folder, '/'); slash && slash != folder; slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (sv_path_join(folder, name, out, NULL) == SENVEC_OK && access(out, R_OK) == 0)
            return;
    }
    out[0] = '\0';
}

void sv_place_python(const char *given, char out[SV_MAX_PATH]) {
    const char *python = given ? given : getenv("SENVEC_PYTHON");
    if (python && python[0])
        snprintf(out, SV_MAX_PATH, "%s", python);
    else
        sv_place_beside(".venv/bin/python", out);
}
