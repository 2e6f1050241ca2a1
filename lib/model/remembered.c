#include "model/remembered.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"

#define FIRST_LINE "senvec digest 1"

senvec_status sv_cache_below(const char *folder, const char *below, char out[SV_MAX_PATH], senvec_error *err) {
    return folder ? sv_path_join(folder, below, out, err) : sv_cache_path(below, out, err);
}

static bool find_place(const char *cache_folder, const char *kind, uint64_t stamp, char folder[SV_MAX_PATH],
                       char path[SV_MAX_PATH]) {
    char name[64];
    snprintf(name, sizeof name, "%.16s-%016" PRIx64, kind, stamp);
    return sv_cache_below(cache_folder, "digests", folder, NULL) == SENVEC_OK &&
           sv_path_join(folder, name, path, NULL) == SENVEC_OK;
}

bool sv_remembered(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, char out[SV_SHA256_TEXT]) {
    char folder[SV_MAX_PATH], path[SV_MAX_PATH], text[256], wanted[64];
    if (!find_place(cache_folder, kind, stamp, folder, path) || !sv_path_is_trusted(path))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    size_t length = (size_t)snprintf(wanted, sizeof wanted, FIRST_LINE "\n%016" PRIx64 "\n", check);
    if (size != length + SV_SHA256_TEXT || memcmp(text, wanted, length) != 0 || text[size - 1] != '\n' ||
        strspn(text + length, "0123456789abcdef") != SV_SHA256_TEXT - 1)
        return false;
    memcpy(out, text + length, SV_SHA256_TEXT - 1);
    out[SV_SHA256_TEXT - 1] = '\0';
    return true;
}

void sv_remember(const char *cache_folder, const char *kind, uint64_t stamp, uint64_t check, const char *digest) {
    char folder[SV_MAX_PATH], path[SV_MAX_PATH];
    sv_atomic_file file;
    if (!find_place(cache_folder, kind, stamp, folder, path) || sv_make_directories(folder, NULL) != SENVEC_OK ||
        sv_atomic_file_open(&file, path, NULL) != SENVEC_OK)
        return;
    fprintf(file.stream, FIRST_LINE "\n%016" PRIx64 "\n%s\n", check, digest);
    fchmod(fileno(file.stream), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
    sv_atomic_file_commit(&file, NULL);
}
