/* Packed weights in a mapped file: made once, found again, never believed when damaged, of another size or not ours. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/packed_file.h"

#define BYTES ((size_t)100000)

static const uint64_t key[2] = {7, 11};
static char cache[] = "/tmp/senvec-packed-XXXXXX";
static char path[SV_MAX_PATH];

static sv_packed_file open_file(size_t bytes) {
    sv_packed_file file;
    senvec_error err;
    if (sv_packed_file_open(cache, key, bytes, &file, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    assert_int_equal((uintptr_t)file.data % ((size_t)2 << 20), 0);
    return file;
}

static unsigned char expected(size_t i) {
    return (unsigned char)(i * 7 + i / 251);
}

/* Opens it; fills it if that is asked for. Returns whether it was filled already. */
static bool use(void) {
    sv_packed_file file = open_file(BYTES);
    const bool found = file.filled;
    for (size_t i = 0; i < BYTES && !found; i++) {
        assert_int_equal(file.data[i], 0);
        file.data[i] = expected(i);
    }
    if (!found)
        assert_int_equal(sv_packed_file_keep(&file, NULL), SENVEC_OK);
    assert_true(file.filled);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(file.data[i], expected(i));
    sv_packed_file_close(&file);
    return found;
}

static void damage(off_t at) {
    unsigned char byte;
    int descriptor = open(path, O_RDWR);
    assert_int_equal(pread(descriptor, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
    close(descriptor);
}

static void test_made_once(void **state) {
    (void)state;
    assert_false(use());
    assert_true(use());
    assert_int_equal(sv_path_size(path), BYTES + 48);
}

static void test_not_believed(void **state) {
    (void)state;
    const off_t places[] = {0, BYTES - 1, BYTES, BYTES + 20, BYTES + 47};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        use();
        damage(places[i]);
        assert_false(use());
        assert_true(use());
    }
    assert_int_equal(truncate(path, BYTES), 0);
    assert_false(use());
    assert_int_equal(chmod(path, 0666), 0); /* somebody else could have written it */
    assert_false(use());
    sv_packed_file other = open_file(BYTES / 2);
    assert_false(other.filled);
    sv_packed_file_close(&other); /* given up: what was there stays */
    assert_true(use());
}

static void test_no_place(void **state) {
    (void)state;
    sv_packed_file file;
    senvec_error err;
    assert_int_not_equal(sv_packed_file_open("/dev/null", key, BYTES, &file, &err), SENVEC_OK);
    assert_non_null(strstr(err.message, "/dev/null"));
    assert_int_equal(sv_packed_file_open(cache, key, (size_t)1 << 55, &file, &err), SENVEC_IO);
    sv_packed_file_close(&(sv_packed_file){0});
}

/* Of several processes one makes it. */
static void test_together(void **state) {
    (void)state;
    unlink(path);
    enum { PROCESSES = 6 };
    int made = 0;
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            _exit(use() ? 0 : 1);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_true(wait(&status) > 0 && WIFEXITED(status));
        made += WEXITSTATUS(status);
    }
    assert_int_equal(made, 1);
}

static int begin(void **state) {
    (void)state;
    if (!mkdtemp(cache))
        return 1;
    snprintf(path, sizeof path, "%s/packed/int8-%016x%016x", cache, 7, 11);
    return 0;
}

static int end(void **state) {
    (void)state;
    char name[SV_MAX_PATH];
    unlink(path);
    snprintf(name, sizeof name, "%s/packed/.lock", cache);
    unlink(name);
    snprintf(name, sizeof name, "%s/packed", cache);
    return rmdir(name) || rmdir(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_not_believed),
        cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
