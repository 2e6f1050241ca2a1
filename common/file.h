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

/* Errors: NOT_FOUND, OUT_OF_MEMORY, IO (not a regular file, no permission, ...). */
senvec_status sv_file_map_open(const char *path, sv_file_map *out, senvec_error *err);
/* A zeroed map is accepted. */
void sv_file_map_close(sv_file_map *map);

/* "directory/name" in `out`. Error: TOO_LARGE. */
senvec_status sv_path_join(const char *directory, const char *name, char out[SV_MAX_PATH], senvec_error *err);
/* The size of a file in bytes; 0 if there is no such file. */
uint64_t sv_path_size(const char *path);
bool sv_path_is_file(const char *path);
bool sv_path_is_directory(const char *path);
/* Makes a directory and its parents; an existing one is fine, also a symbolic link to one, unless the link belongs to a user
 * other than the process's and root. Errors: IO, TOO_LARGE. */
senvec_status sv_make_directories(const char *path, senvec_error *err);

/* A hash, seeded with `seed`, of a file's device, inode, size and times, which include the time of the last change of any kind,
 * because no program can set that one. It differs as soon as the file is replaced or written to. A missing file has a stamp as
 * well. */
uint64_t sv_path_stamp(uint64_t seed, const char *path);
/* Whether the path is a regular file that belongs to this user or to root and that nobody else may write. */
bool sv_path_is_trusted(const char *path);

/* The path of `below` in senvec's cache folder: $SENVEC_CACHE, else $XDG_CACHE_HOME/senvec, else ~/.cache/senvec. Creates
 * nothing. Errors: INVALID_ARGUMENT (no $HOME), TOO_LARGE. */
senvec_status sv_cache_path(const char *below, char out[SV_MAX_PATH], senvec_error *err);

/* A file that replaces `path` on commit and leaves no trace otherwise: it is written beside it under a temporary name, then
 * flushed to the disk and renamed. Temporary files that a killed writer of the same file left are removed. Write to `stream`
 * with stdio; write errors are noticed at commit. A file that is replaced keeps its mode and, where the process may give it,
 * its owner. A device or a pipe is written to directly. If the path is a symbolic link, the file that it names is replaced,
 * unless the link belongs to a user other than the process's and root. */
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
/* Removes the temporaries of all files that this process writes, none of which may be committed afterwards: for a process that
 * ends at once. Async-signal-safe. */
void sv_atomic_files_remove(void);
/* Makes `to` a copy of the regular file `from`. Errors: as sv_file_map_open, sv_atomic_file_open and sv_atomic_file_commit. */
senvec_status sv_copy_file(const char *from, const char *to, senvec_error *err);

#endif
