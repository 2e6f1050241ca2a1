/* Packed int8 weights in a file of senvec's cache. All processes that open the same model map it, so the weights are in memory
 * once. The file's name is a hash of everything that its content depends on. The file appears whole, and it is used only if its
 * digest is right and nobody but this user and root could have written it.
 *
 * The weights lie on huge pages where the kernel gives them to files (ext4 from Linux 6.16 on, XFS, tmpfs), else on small ones.
 */
#ifndef SV_MODEL_PACKED_FILE_H
#define SV_MODEL_PACKED_FILE_H

#include "common/file.h"

/* Zeroed: nothing is mapped. */
typedef struct sv_packed_file {
    unsigned char *data; /* (bytes), on a huge page; read-only once it is filled */
    size_t bytes;
    bool filled; /* else the caller fills it, and then calls sv_packed_file_keep */
    void *reserved;
    size_t reserved_bytes;
    sv_atomic_file file; /* the file while it is being made */
    int lock;            /* the lock that is held while the file is made; else 0 */
    uint64_t key[2];
} sv_packed_file;

/* Maps the file of `key` in the folder "packed" of the cache (`cache_folder`, NULL: the user's), or begins one of `bytes` zeros
 * that waits to be filled; only one process at a time does so, others wait. Errors: IO, NOT_FOUND (no room, no permission),
 * INVALID_ARGUMENT (no cache), TOO_LARGE; nothing is mapped then. */
senvec_status sv_packed_file_open(const char *cache_folder, const uint64_t key[2], size_t bytes, sv_packed_file *out,
                                  senvec_error *err);

/* The data is complete: the file gets its name, and the mapping can't be written any more. On failure the data stays where it
 * is, shared with nobody. Errors: IO. */
senvec_status sv_packed_file_keep(sv_packed_file *file, senvec_error *err);

/* Unmaps the file. A zeroed struct is accepted. */
void sv_packed_file_close(sv_packed_file *file);

/* Whether an encoder's layers are to be packed into such a file, and whether that worked. */
typedef struct sv_shared_weights {
    bool wanted;
    const char *cache_folder; /* NULL: the user's */
    sv_packed_file file;
    senvec_error failure; /* why the layers are in the process's own memory instead; code SENVEC_OK: they are in the file */
} sv_shared_weights;

#endif
