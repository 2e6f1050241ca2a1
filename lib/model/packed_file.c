/* The file:
 *
 *     0        the data, so that huge pages of the file are huge pages of the mapping
 *     bytes    trailer: magic, key, bytes, sv_hash of the data
 */
#include "model/packed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "model/remembered.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define MAGIC "senvec packed 1"

typedef struct trailer {
    char magic[16];
    uint64_t key[2], bytes, digest;
} trailer;

static trailer trailer_of(const sv_packed_file *file) {
    trailer made = {.magic = MAGIC,
                    .key = {file->key[0], file->key[1]},
                    .bytes = file->bytes,
                    .digest = sv_hash(0, file->data, file->bytes)};
    return made;
}

/* Maps data and trailer of a descriptor at an address that begins a huge page. */
static bool map(sv_packed_file *file, int descriptor, int protection) {
    const size_t size = file->bytes + sizeof(trailer);
    if (!file->reserved) {
        file->reserved_bytes = size + 2 * HUGE_PAGE;
        void *reserved = mmap(NULL, file->reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (reserved == MAP_FAILED)
            return false;
        file->reserved = reserved;
    }
    void *address = (void *)(((uintptr_t)file->reserved + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (mmap(address, size, protection, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED)
        return false;
    madvise(address, size, MADV_HUGEPAGE); /* wishes */
    madvise(address, size, MADV_WILLNEED);
    file->data = address;
    return true;
}

/* Maps the file of this name if it is right. */
static bool find(sv_packed_file *file, const char *path) {
    struct stat facts;
    int descriptor = sv_path_is_trusted(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (descriptor < 0)
        return false;
    trailer expected, found;
    bool right = fstat(descriptor, &facts) == 0 && (uint64_t)facts.st_size == file->bytes + sizeof found &&
                 map(file, descriptor, PROT_READ);
    close(descriptor);
    if (right) {
        expected = trailer_of(file);
        memcpy(&found, file->data + file->bytes, sizeof found);
        right = memcmp(&found, &expected, sizeof found) == 0;
    }
    file->filled = right;
    return right;
}

static senvec_status begin(sv_packed_file *file, const char *path, senvec_error *err) {
    if (!sv_path_is_trusted(path))
        unlink(path); /* whose mode a file in its place would keep */
    SENVEC_TRY(sv_atomic_file_open(&file->file, path, err));
    int descriptor = fileno(file->file.stream);
    /* All of its blocks now: a full disk must not be noticed by a store to memory. */
    int failed = posix_fallocate(descriptor, 0, (off_t)(file->bytes + sizeof(trailer)));
    if (!failed && map(file, descriptor, PROT_READ | PROT_WRITE))
        return SENVEC_OK;
    int number = failed ? failed : errno;
    sv_atomic_file_abort(&file->file);
    return sv_fail(err, SENVEC_IO, 0, "%s: %zu bytes cannot be written: %s", path, file->bytes, strerror(number));
}

/* Waits until no other process makes a packed file. */
static int take_lock(const char *folder) {
    char path[SV_MAX_PATH];
    if (sv_path_join(folder, ".lock", path, NULL) != SENVEC_OK)
        return 0;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    while (descriptor >= 0 && flock(descriptor, LOCK_EX) != 0 && errno == EINTR)
        continue;
    return descriptor > 0 ? descriptor : 0;
}

static void give_lock(sv_packed_file *file) {
    if (file->lock)
        close(file->lock);
    file->lock = 0;
}

senvec_status sv_packed_file_open(const char *cache_folder, const uint64_t key[2], size_t bytes, sv_packed_file *out,
                                  senvec_error *err) {
    char folder[SV_MAX_PATH], path[SV_MAX_PATH], name[48];
    sv_packed_file file = {.bytes = bytes, .key = {key[0], key[1]}};
    snprintf(name, sizeof name, "int8-%016" PRIx64 "%016" PRIx64, key[0], key[1]);
    SENVEC_TRY(sv_cache_below(cache_folder, "packed", folder, err));
    SENVEC_TRY(sv_path_join(folder, name, path, err));
    senvec_status status = SENVEC_OK;
    if (!find(&file, path)) {
        status = sv_make_directories(folder, err);
        if (status == SENVEC_OK) {
            file.lock = take_lock(folder);
            if (!find(&file, path))
                status = begin(&file, path, err);
        }
        if (status != SENVEC_OK || file.filled)
            give_lock(&file);
    }
    if (status != SENVEC_OK) {
        sv_packed_file_close(&file);
        return status;
    }
    *out = file;
    return SENVEC_OK;
}

senvec_status sv_packed_file_keep(sv_packed_file *file, senvec_error *err) {
    const trailer end = trailer_of(file);
    memcpy(file->data + file->bytes, &end, sizeof end);
    senvec_status status = sv_atomic_file_commit(&file->file, err); /* fsync writes what the mapping has, too */
    mprotect(file->data, file->bytes + sizeof end, PROT_READ);
    file->filled = status == SENVEC_OK;
    give_lock(file);
    return status;
}

void sv_packed_file_close(sv_packed_file *file) {
    sv_atomic_file_abort(&file->file);
    give_lock(file);
    if (file->reserved)
        munmap(file->reserved, file->reserved_bytes);
    *file = (sv_packed_file){0};
}
