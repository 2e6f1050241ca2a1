#include "system/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum { MOST_FOLDERS = 4 }; /* that are remembered; a program makes two at most */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folders[MOST_FOLDERS][SV_MAX_PATH]; /* "": free */

/* Puts `to` in the place of `from`; one of them is "". */
static void exchange(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MOST_FOLDERS; i++) {
        if (strcmp(folders[i], from) == 0) {
            snprintf(folders[i], sizeof folders[i], "%s", to);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

static const char *base_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : P_tmpdir;
}

senvec_status sv_temporary_folder(const char *label, char out[SV_MAX_PATH], senvec_error *err) {
    char name[64], path[SV_MAX_PATH];
    snprintf(name, sizeof name, "senvec-%s-XXXXXX", label);
    SENVEC_TRY(sv_path_join(base_folder(), name, path, err));
    if (!mkdtemp(path))
        return sv_fail(err, SENVEC_IO, 0, "%s: no folder for temporary files can be made: %s; set TMPDIR", path,
                       strerror(errno));
    exchange("", path);
    memcpy(out, path, sizeof path);
    return SENVEC_OK;
}

FILE *sv_temporary_file(void) {
    char path[SV_MAX_PATH];
    if (sv_path_join(base_folder(), "senvec.XXXXXX", path, NULL) != SENVEC_OK) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    int descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    unlink(path);
    FILE *stream = fdopen(descriptor, "w+");
    if (!stream)
        close(descriptor);
    return stream;
}

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)facts, (void)kind, (void)place;
    return remove(path);
}

senvec_status sv_remove_tree(const char *path, senvec_error *err) {
    exchange(path, "");
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be removed: %s", path, strerror(errno));
    return SENVEC_OK;
}

void sv_temporary_folders_remove(void) {
    char path[SV_MAX_PATH];
    for (size_t i = 0; i < MOST_FOLDERS; i++) {
        pthread_mutex_lock(&lock);
        memcpy(path, folders[i], sizeof path);
        pthread_mutex_unlock(&lock);
        if (path[0])
            sv_remove_tree(path, NULL);
    }
}
