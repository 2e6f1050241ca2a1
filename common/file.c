/* Files. Atomic writing: the temporary is made with mkstemp in the target's folder (rename only works inside one filesystem),
 * with the permissions and the owner of the file that it replaces, or those that a plain open would have given.
 *
 * A process that is killed leaves its temporary behind. So a writer holds a lock (flock) on its temporary until that is
 * renamed, and who writes the same file next removes the temporaries of it that nobody holds. The remover unlinks under the
 * lock, and a writer looks, once it has the lock, whether its file is still there: so no order of the two loses a file that is
 * in use. Where a filesystem has no such locks, nothing is removed. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"

#define MAX_LINKS 40

/* NOT_FOUND for a missing file, OUT_OF_MEMORY (of addresses, for a mapping), IO for everything else the system may say. */
static senvec_status fail_errno(senvec_error *err, const char *path, const char *doing) {
    int number = errno;
    senvec_status code = number == ENOENT || number == ENOTDIR ? SENVEC_NOT_FOUND
                         : number == ENOMEM                    ? SENVEC_OUT_OF_MEMORY
                                                               : SENVEC_IO;
    return sv_fail(err, code, 0, "%s: %s failed: %s", path, doing, strerror(number));
}

senvec_status sv_file_map_open(const char *path, sv_file_map *out, senvec_error *err) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would have it wait for a writer */
    if (descriptor < 0)
        return fail_errno(err, path, "opening it");
    senvec_status status = SENVEC_OK;
    struct stat facts;
    void *data = NULL;
    if (fstat(descriptor, &facts) != 0)
        status = fail_errno(err, path, "reading its size");
    else if (!S_ISREG(facts.st_mode))
        status = sv_fail(err, SENVEC_IO, 0, "%s: not a regular file", path);
    else if (facts.st_size > 0) {
        data = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED)
            status = fail_errno(err, path, "mapping it");
    }
    close(descriptor);
    if (status == SENVEC_OK)
        *out = (sv_file_map){data, (size_t)facts.st_size};
    return status;
}

void sv_file_map_close(sv_file_map *map) {
    if (map->data)
        munmap((void *)map->data, map->size);
    *map = (sv_file_map){0};
}

senvec_status sv_path_join(const char *directory, const char *name, char out[SV_MAX_PATH], senvec_error *err) {
    size_t length = strlen(directory);
    const char *slash = length && directory[length - 1] != '/' ? "/" : "";
    int written = snprintf(out, SV_MAX_PATH, "%s%s%s", directory, slash, name);
    if (written < 0 || (size_t)written >= SV_MAX_PATH)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "path of over %u bytes: %.60s...", SV_MAX_PATH - 1, directory);
    return SENVEC_OK;
}

uint64_t sv_path_size(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

bool sv_path_is_trusted(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_uid == geteuid() || facts.st_uid == 0) &&
           !(facts.st_mode & (S_IWGRP | S_IWOTH));
}

uint64_t sv_path_stamp(uint64_t seed, const char *path) {
    struct stat facts;
    uint64_t numbers[7] = {0};
    if (stat(path, &facts) == 0) {
        const uint64_t all[7] = {(uint64_t)facts.st_dev,          (uint64_t)facts.st_ino,
                                 (uint64_t)facts.st_size,         (uint64_t)facts.st_mtim.tv_sec,
                                 (uint64_t)facts.st_mtim.tv_nsec, (uint64_t)facts.st_ctim.tv_sec,
                                 (uint64_t)facts.st_ctim.tv_nsec};
        memcpy(numbers, all, sizeof all);
    }
    return sv_hash(seed, numbers, sizeof numbers);
}

bool sv_path_is_file(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

bool sv_path_is_directory(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* Whether a path is a symbolic link of a user other than the process's and root. */
static bool is_foreign_link(const char *path) {
    struct stat facts;
    return lstat(path, &facts) == 0 && S_ISLNK(facts.st_mode) && facts.st_uid != 0 && facts.st_uid != geteuid();
}

senvec_status sv_make_directories(const char *path, senvec_error *err) {
    char part[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(path, "", part, err));
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return fail_errno(err, part, "making this folder");
        if (!slash[1] && is_foreign_link(part))
            return sv_fail(err, SENVEC_IO, 0,
                           "%s: a symbolic link that belongs to another user isn't followed; name its folder", part);
        *slash = '/';
    }
    if (!sv_path_is_directory(path))
        return sv_fail(err, SENVEC_IO, 0, "%s: is in the way of a folder of that name", path);
    return SENVEC_OK;
}

senvec_status sv_cache_path(const char *below, char out[SV_MAX_PATH], senvec_error *err) {
    static const struct {
        const char *variable, *folder;
    } places[] = {{"SENVEC_CACHE", ""}, {"XDG_CACHE_HOME", "senvec"}, {"HOME", ".cache/senvec"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        if (!value || !*value)
            continue;
        char folder[SV_MAX_PATH];
        SENVEC_TRY(sv_path_join(value, places[i].folder, folder, err));
        return sv_path_join(folder, below, out, err);
    }
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "no place for models: set HOME or SENVEC_CACHE");
}

/* A device or a pipe can't be replaced and is written into; renaming over /dev/null would take it from everybody. */
static senvec_status open_in_place(sv_atomic_file *file, senvec_error *err) {
    int descriptor = open(file->path, O_WRONLY | O_CLOEXEC);
    file->stream = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    if (file->stream)
        return SENVEC_OK;
    senvec_status status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", file->path, strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

#define TEMPORARY_TAIL ".tmp.XXXXXX"

static void remove_unheld(const char *path) {
    int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return;
    struct stat facts;
    if (fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode) && flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    close(descriptor);
}

/* Removes temporaries of `path` whose writers are dead. */
static void remove_leftovers(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[SV_MAX_PATH], found[SV_MAX_PATH];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    size_t length = strlen(name), tail = sizeof TEMPORARY_TAIL - 1, fixed = tail - 6;
    const struct dirent *entry;
    while ((entry = readdir(entries)))
        if (strlen(entry->d_name) == length + tail && memcmp(entry->d_name, name, length) == 0 &&
            memcmp(entry->d_name + length, TEMPORARY_TAIL, fixed) == 0 &&
            sv_path_join(folder, entry->d_name, found, NULL) == SENVEC_OK)
            remove_unheld(found);
    closedir(entries);
}

/* Makes the temporary, whose name is a pattern for mkstemp, and locks it. Returns its descriptor, -1 with errno on failure. */
static int make_temporary(sv_atomic_file *file) {
    char pattern[SV_MAX_PATH];
    memcpy(pattern, file->temporary, sizeof pattern);
    for (;;) {
        memcpy(file->temporary, pattern, sizeof pattern);
        int descriptor = mkostemp(file->temporary, O_CLOEXEC);
        if (descriptor < 0)
            return -1;
        struct stat facts;
        while (flock(descriptor, LOCK_EX) != 0 && errno == EINTR)
            continue;
        if (fstat(descriptor, &facts) != 0 || facts.st_nlink > 0)
            return descriptor;
        close(descriptor); /* it was taken for a leftover before it was locked */
    }
}

/* Follows symbolic links, as long as they are ours or root's: what a link of somebody else's leads to isn't what the caller
 * meant. (The kernel looks at that where a file is opened, not where one is replaced.) A device or pipe is left as it is named.
 */
static senvec_status follow_links(const char *path, char out[SV_MAX_PATH], senvec_error *err) {
    struct stat facts;
    SENVEC_TRY(sv_path_join("", path, out, err));
    bool special = stat(path, &facts) == 0 && !S_ISREG(facts.st_mode);
    for (int links = 0; !special && lstat(out, &facts) == 0 && S_ISLNK(facts.st_mode); links++) {
        char target[SV_MAX_PATH], next[SV_MAX_PATH];
        ssize_t length = links < MAX_LINKS ? readlink(out, target, sizeof target - 1) : -1;
        if (is_foreign_link(out))
            return sv_fail(err, SENVEC_IO, 0, "%s: a symbolic link that belongs to another user isn't followed; name its file",
                           out);
        if (length < 0)
            return sv_fail(err, SENVEC_IO, 0, "%s: a symbolic link that leads nowhere", path);
        target[length] = '\0';
        const char *slash = strrchr(out, '/');
        int folder = target[0] == '/' || !slash ? 0 : (int)(slash - out) + 1;
        int written = snprintf(next, sizeof next, "%.*s%s", folder, out, target);
        if (written < 0 || (size_t)written >= sizeof next)
            return sv_fail(err, SENVEC_TOO_LARGE, 0, "path of over %u bytes: %.60s...", SV_MAX_PATH - 1, path);
        memcpy(out, next, (size_t)written + 1);
    }
    return SENVEC_OK;
}

/* The process's mask. It is asked of the kernel: umask() could only be read by changing it, which other threads would notice.
 */
static mode_t file_mask(void) {
    char text[4096];
    mode_t mask = 077;
    int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor < 0 ? -1 : read(descriptor, text, sizeof text - 1);
    if (descriptor >= 0)
        close(descriptor);
    if (length > 0) {
        text[length] = '\0';
        const char *found = strstr(text, "\nUmask:");
        if (found)
            mask = (mode_t)strtoul(found + 7, NULL, 8);
    }
    return mask;
}

/* As a plain open would make a new file, or as the file is that it replaces; what only root may give stays ours. */
static bool set_permissions(int descriptor, const struct stat *replaced) {
    if (!replaced)
        return fchmod(descriptor, 0666 & ~file_mask()) == 0;
    struct stat own;
    mode_t mode = replaced->st_mode & 07777;
    if (fstat(descriptor, &own) != 0)
        return false;
    bool other = own.st_uid != replaced->st_uid || own.st_gid != replaced->st_gid;
    if (other && fchown(descriptor, replaced->st_uid, replaced->st_gid) != 0 &&
        fchown(descriptor, (uid_t)-1, replaced->st_gid) != 0)
        mode &= ~(mode_t)06000;
    return fchmod(descriptor, mode) == 0;
}

senvec_status sv_atomic_file_open(sv_atomic_file *file, const char *path, senvec_error *err) {
    *file = (sv_atomic_file){0};
    SENVEC_TRY(follow_links(path, file->path, err));
    int length = snprintf(file->temporary, sizeof file->temporary, "%s" TEMPORARY_TAIL, file->path);
    if (length < 0 || (size_t)length >= sizeof file->temporary)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "path of over %u bytes: %.60s...", SV_MAX_PATH - 12, path);
    struct stat facts;
    bool exists = stat(file->path, &facts) == 0;
    if (exists && S_ISDIR(facts.st_mode))
        return sv_fail(err, SENVEC_IO, 0, "%s: is a folder; name a file", path);
    if (exists && !S_ISREG(facts.st_mode)) {
        file->temporary[0] = '\0';
        return open_in_place(file, err);
    }
    remove_leftovers(file->path);
    int descriptor = make_temporary(file);
    if (descriptor < 0)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(errno));
    file->stream = set_permissions(descriptor, exists ? &facts : NULL) ? fdopen(descriptor, "w") : NULL;
    if (!file->stream) {
        senvec_status status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(errno));
        close(descriptor);
        unlink(file->temporary);
        return status;
    }
    return SENVEC_OK;
}

senvec_status sv_atomic_file_commit(sv_atomic_file *file, senvec_error *err) {
    bool replaces = file->temporary[0];
    errno = 0;
    bool written = fflush(file->stream) == 0 && !ferror(file->stream);
    if (!written && errno == 0 && replaces) { /* it failed earlier, and errno has changed since: now it fails as then */
        ssize_t again = write(fileno(file->stream), "", 1);
        (void)again;
    }
    written = written && (!replaces || fsync(fileno(file->stream)) == 0);
    int number = errno;
    int held = fcntl(fileno(file->stream), F_DUPFD_CLOEXEC, 0); /* keeps the lock until the file has its name */
    if (fclose(file->stream) != 0 && written) {
        written = false;
        number = errno;
    }
    file->stream = NULL;
    if (written && replaces && rename(file->temporary, file->path) != 0) {
        written = false;
        number = errno;
    }
    if (held >= 0)
        close(held);
    if (written)
        return SENVEC_OK;
    if (replaces)
        unlink(file->temporary);
    return sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s%s", file->path, strerror(number ? number : EIO),
                   replaces ? "; nothing was written" : "");
}

void sv_atomic_file_abort(sv_atomic_file *file) {
    if (!file->stream)
        return;
    fclose(file->stream);
    file->stream = NULL;
    if (file->temporary[0])
        unlink(file->temporary);
}

/* Whether the descriptor is of a temporary that this program opened for writing, and its path. A file that the program was
 * started with isn't closed by exec. Neither snprintf nor malloc may be called in the handler of a signal. */
static bool is_own_temporary(int descriptor, char path[SV_MAX_PATH]) {
    char link[32] = "/proc/self/fd/", digits[12];
    size_t at = strlen(link), count = 0;
    int flags = fcntl(descriptor, F_GETFD), mode = fcntl(descriptor, F_GETFL);
    if (flags < 0 || !(flags & FD_CLOEXEC) || (mode & O_ACCMODE) == O_RDONLY)
        return false;
    for (int rest = descriptor; count == 0 || rest; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count)
        link[at++] = digits[--count];
    link[at] = '\0';
    ssize_t length = readlink(link, path, SV_MAX_PATH - 1);
    size_t tail = sizeof TEMPORARY_TAIL - 1, fixed = tail - 6;
    if (length <= (ssize_t)tail || memcmp(path + length - tail, TEMPORARY_TAIL, fixed) != 0)
        return false;
    path[length] = '\0';
    return true;
}

void sv_atomic_files_remove(void) {
    enum { GAP = 1024 }; /* behind so many numbers that aren't in use there are no more descriptors */
    char path[SV_MAX_PATH];
    for (int descriptor = STDERR_FILENO + 1, unused = 0; unused < GAP; descriptor++) {
        unused = fcntl(descriptor, F_GETFD) < 0 ? unused + 1 : 0;
        if (!unused && is_own_temporary(descriptor, path))
            unlink(path);
    }
}

senvec_status sv_copy_file(const char *from, const char *to, senvec_error *err) {
    sv_file_map map;
    SENVEC_TRY(sv_file_map_open(from, &map, err));
    sv_atomic_file file = {0};
    senvec_status status = sv_atomic_file_open(&file, to, err);
    if (status == SENVEC_OK) {
        if (map.size)
            fwrite(map.data, 1, map.size, file.stream);
        status = sv_atomic_file_commit(&file, err);
    }
    sv_file_map_close(&map);
    return status;
}
