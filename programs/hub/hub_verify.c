/* Whether a model that was fetched is still what came. senvec's own cache has a stamp with each file's SHA-256; in Hugging
 * Face's a file is a link to a blob that is named by its SHA-256, or, a small one, by its git object id. Files that
 * the registry knows have their pins, wherever they lie. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "hub/hub_internal.h"

static senvec_status compare(const char *path, const char *name, const char *wanted, const sv_hub_known *known,
                             senvec_error *err) {
    sv_digest digest;
    SENVEC_TRY(sv_digest_file(path, &digest, err));
    const char *pin = sv_hub_pin(known, name);
    bool is_git_id = wanted && strlen(wanted) == 40;
    if (wanted && strcmp(wanted, is_git_id ? digest.git_id : digest.sha256) != 0)
        return sv_fail(err, SENVEC_INTEGRITY, 0,
                       "%s: has changed since it was fetched: %s %s, not %s; fetch it again (--force)", path,
                       is_git_id ? "git object" : "SHA-256", is_git_id ? digest.git_id : digest.sha256, wanted);
    if (pin && strcmp(pin, digest.sha256) != 0)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: has SHA-256 %s, the published one %s; fetch it again (--force)", path,
                       digest.sha256, pin);
    return SENVEC_OK;
}

static senvec_status verify_stamped(const char *directory, const json_t *stamp, const sv_hub_known *known, size_t *count,
                                    senvec_error *err) {
    json_t *files = json_object_get(stamp, "files"), *entry;
    const char *name;
    json_object_foreach(files, name, entry) {
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        char path[SV_MAX_PATH];
        if (!sha256)
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: its stamp has no SHA-256 of %.200s; fetch it again (--force)",
                           directory, name);
        SENVEC_TRY(sv_path_join(directory, name, path, err));
        SENVEC_TRY(compare(path, name, sha256, known, err));
        ++*count;
    }
    return SENVEC_OK;
}

/* What the file was called among the blobs, if that tells its content. */
static const char *name_of_blob(const char *path, char target[SV_MAX_PATH]) {
    ssize_t length = readlink(path, target, SV_MAX_PATH - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
    size_t digits = strspn(name, "0123456789abcdef");
    return name[digits] == '\0' && (digits == 40 || digits == 64) ? name : NULL;
}

/* The files of a folder that pull would take, and of the modules' folders in it. */
static senvec_status verify_links(const char *directory, const char *below, const sv_hub_known *known, size_t *count,
                                  senvec_error *err) {
    char folder[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, below, folder, err));
    DIR *entries = opendir(folder);
    if (!entries)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be read: %s", folder, strerror(errno));
    senvec_status status = SENVEC_OK;
    for (struct dirent *entry; status == SENVEC_OK && (entry = readdir(entries));) {
        char name[SV_HUB_FILE_NAME_SIZE], path[SV_MAX_PATH], target[SV_MAX_PATH];
        int length = snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", entry->d_name);
        if (entry->d_name[0] == '.' || length < 0 || (size_t)length >= sizeof name)
            continue;
        status = sv_path_join(directory, name, path, err);
        if (status == SENVEC_OK && !*below && sv_path_is_directory(path))
            status = verify_links(directory, name, known, count, err);
        else if (status == SENVEC_OK && sv_hub_takes(known, name)) {
            const char *blob = name_of_blob(path, target);
            status = compare(path, name, blob, known, err);
            *count += blob || sv_hub_pin(known, name);
        }
    }
    closedir(entries);
    return status;
}

senvec_status sv_hub_verify_directory(const char *directory, const sv_hub_known *known, size_t *count, senvec_error *err) {
    json_t *stamp = sv_stamp_load(directory);
    *count = 0;
    senvec_status status =
        stamp ? verify_stamped(directory, stamp, known, count, err) : verify_links(directory, "", known, count, err);
    json_decref(stamp);
    if (status == SENVEC_OK && *count == 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: nothing is known of what its files must be; fetch it with --force",
                       directory);
    for (size_t i = 0; status == SENVEC_OK && known && known->pins[i].file; i++) {
        char path[SV_MAX_PATH];
        status = sv_path_join(directory, known->pins[i].file, path, err);
        if (status == SENVEC_OK && !sv_path_is_file(path))
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: is missing; fetch it again (--force)", path);
    }
    return status;
}
