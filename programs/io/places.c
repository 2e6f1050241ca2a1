#include "io/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

void sv_place_program(char out[SV_MAX_PATH]) {
    ssize_t length = readlink("/proc/self/exe", out, SV_MAX_PATH - 1);
    out[length > 0 ? length : 0] = '\0';
}

/* Nobody may put a file there but root, this user, and whom the program belongs to. */
static bool is_trusted_folder(const char *path, uid_t program_owner) {
    struct stat facts;
    if (stat(path, &facts) != 0 || (facts.st_uid != 0 && facts.st_uid != geteuid() && facts.st_uid != program_owner))
        return false;
    return !(facts.st_mode & S_IWOTH) && (!(facts.st_mode & S_IWGRP) || facts.st_gid == getegid() || facts.st_gid == 0);
}

/* The folders of a file's path behind its first `from` bytes. */
static bool are_trusted_folders(const char *path, size_t from, uid_t program_owner) {
    char folder[SV_MAX_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strrchr(folder, '/'); slash && slash > folder + from; slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (!is_trusted_folder(folder, program_owner))
            return false;
    }
    return true;
}

void sv_place_beside(const char *name, char out[SV_MAX_PATH]) {
    char folder[SV_MAX_PATH];
    struct stat program;
    sv_place_program(folder);
    const uid_t owner = stat(folder, &program) == 0 ? program.st_uid : geteuid();
    for (char *slash = strrchr(folder, '/'); slash && slash != folder; slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (!is_trusted_folder(folder, owner))
            break;
        if (sv_path_join(folder, name, out, NULL) == SENVEC_OK && access(out, R_OK) == 0 &&
            are_trusted_folders(out, strlen(folder), owner))
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
