/* A C library whose memory runs out, for LD_PRELOAD. The file $FAILING_MALLOC holds a number, 8 bytes, that may be changed
 * meanwhile: 0, nothing fails; N, of the calls that allocate one of N fails, by a generator with a fixed seed; -N, call N fails
 * and no other. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#pragma GCC visibility push(default) /* the project hides what isn't marked */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static const int64_t *of;
static atomic_llong calls;
static atomic_ullong state = 88172645463325252u;

__attribute__((constructor)) static void open_number(void) {
    const char *path = getenv("FAILING_MALLOC");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *of, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0)
        close(file);
    if (map != MAP_FAILED)
        of = map;
}

static int fails(void) {
    int64_t n = of ? *(const volatile int64_t *)of : 0;
    if (!n)
        return 0;
    if (n < 0) {
        if (atomic_fetch_add(&calls, 1) + 1 != -n)
            return 0;
        errno = ENOMEM;
        return 1;
    }
    uint64_t x = atomic_fetch_add(&state, UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    if ((x ^ x >> 31) % (uint64_t)n)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return fails() ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = fails() ? NULL : __libc_memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}
