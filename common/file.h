/* Files: mapped for reading, read whole up to a limit, or written so that they appear whole or not at all. */
#ifndef SV_COMMON_FILE_H
#define SV_COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/limits.h"
#include "common/status.h"

/* A read-only mapping of a regular file. An empty file has data == NULL and size == 0. */
typedef struct sv_file_map {
    const uint8_t *data;
    size_t size;
} sv_file_map;

/* Errors: NOT_FOUND, IO (not a regular file, no permission, ...). */
senvec_status sv_file_map_open(const char *path, sv_file_map *out, senvec_error *err);
/* A zeroed map is accepted. */
void sv_file_map_close(sv_file_map *map);

/* "directory/name" in `out`. Error: TOO_LARGE. */
senvec_status sv_path_join(const char *directory, const char *name, char out[SV_MAX_PATH], senvec_error *err);
/* Bytes of a file; 0 if there is none. */
uint64_t sv_path_size(const char *path);
bool sv_path_is_file(const char *path);
bool sv_path_is_directory(const char *path);
/* Makes a directory and its parents; an existing one is fine. Errors: IO, TOO_LARGE. */
senvec_status sv_make_directories(const char *path, senvec_error *err);

/* A hash, on top of `seed`, of a file's place, size and times (the one of its last change of any kind, too, which nobody can
 * set): it differs as soon as the file is replaced or written to. A missing file has one, too. */
uint64_t sv_path_stamp(uint64_t seed, const char *path);
/* Is it a regular file that belongs to this user or root and that nobody else may write? */
bool sv_path_is_trusted(const char *path);

/* A place in senvec's cache: $SENVEC_CACHE, else $XDG_CACHE_HOME/senvec, else ~/.cache/senvec, and `below` in it. Nothing is
 * made. Errors: INVALID_ARGUMENT (no $HOME), TOO_LARGE. */
senvec_status sv_cache_path(const char *below, char out[SV_MAX_PATH], senvec_error *err);

/* A file that replaces `path` on commit and leaves no trace otherwise: it is written beside it under a temporary name, then
 * flushed to the disk and renamed. What a killed writer of the same file left is removed. Write to `stream` with stdio; write
 * errors are noticed at commit. A file that is replaced keeps its mode and, where the process may give it, its owner. A path
 * that is a device or a pipe is written into as it is; of a symbolic link the file that it names is replaced, unless the link
 * belongs to another user than the process's and root. */
typedef struct sv_atomic_file {
    FILE *stream;
    char path[SV_MAX_PATH];
    char temporary[SV_MAX_PATH]; /* "" where there is none */
} sv_atomic_file;

/* Errors: IO (what the system said, and the path), TOO_LARGE. */
senvec_status sv_atomic_file_open(sv_atomic_file *file, const char *path, senvec_error *err);
/* Closes the file in any case; on failure (a full disk, ...) the temporary is removed and `path` is as it was. */
senvec_status sv_atomic_file_commit(sv_atomic_file *file, senvec_error *err);
/* Removes the temporary. A zeroed or committed file is accepted, so this can stand at one `out:` label. */
void sv_atomic_file_abort(sv_atomic_file *file);
/* `to` becomes a copy of the regular file `from`. Errors: of sv_file_map_open and of the two functions above. */
senvec_status sv_copy_file(const char *from, const char *to, senvec_error *err);

#endif
