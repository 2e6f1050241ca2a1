/* Status texts, error lines, memory, files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/status.h"

static void status_names_and_texts(void **state) {
    (void)state;
    assert_string_equal(senvec_status_name(SENVEC_OK), "SENVEC_OK");
    assert_string_equal(senvec_status_name(SENVEC_FORMAT), "SENVEC_FORMAT");
    assert_string_equal(senvec_status_text(SENVEC_IO), "input or output failed");
    assert_string_equal(senvec_status_name((senvec_status)-99), "unknown status");
    assert_string_equal(senvec_precision_name(SENVEC_PRECISION_AUTO), "auto");
    assert_string_equal(senvec_precision_name(SENVEC_PRECISION_INT8), "int8");
    assert_string_equal(senvec_precision_name((senvec_precision)9), "unknown precision");
    assert_string_equal(senvec_status_text((senvec_status)7), "unknown status");
    assert_string_equal(senvec_version(), SENVEC_VERSION);
}

static void an_error_is_one_line(void **state) {
    (void)state;
    senvec_error err;
    assert_int_equal(sv_fail(&err, SENVEC_FORMAT, 12, "%s: broken", "a\nb\x1b[0m"), SENVEC_FORMAT);
    assert_string_equal(err.message, "a?b?[0m: broken");
    assert_int_equal(err.code, SENVEC_FORMAT);
    assert_int_equal(err.offset, 12);
    sv_fail(&err, SENVEC_IO, 0, "%s", "\xff.txt \xc3\xa9 \xe2\x82");
    assert_string_equal(err.message, "?.txt \xc3\xa9 ??");
    assert_int_equal(sv_fail(NULL, SENVEC_IO, 0, "nobody listens"), SENVEC_IO);
}

static void a_long_error_is_cut(void **state) {
    (void)state;
    senvec_error err;
    sv_fail(&err, SENVEC_IO, 0, "%2000d", 1);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    sv_fail(&err, SENVEC_IO, 0, "%998d\xc3\xa9", 1); /* the cut is inside of a character */
    assert_string_equal(err.message + sizeof err.message - 3, "1?");
}

static void allocation_overflow_is_refused(void **state) {
    (void)state;
    senvec_error err;
    void *block = &err;
    assert_int_equal(sv_alloc(&sv_default_allocator, SIZE_MAX / 2, 3, "a table", &block, &err), SENVEC_OUT_OF_MEMORY);
    assert_int_equal(sv_alloc(&sv_default_allocator, SIZE_MAX, 1, "a table", &block, &err), SENVEC_OUT_OF_MEMORY);
    assert_ptr_equal(block, &err); /* untouched on failure */
    assert_non_null(strstr(err.message, "a table"));
}

/* Counts what is live, and fails the allocation number `fail_at`. */
typedef struct counter {
    size_t live, calls, fail_at;
} counter;

static void *counting_alloc(void *context, size_t size, size_t alignment) {
    counter *count = context;
    if (++count->calls == count->fail_at)
        return NULL;
    count->live++;
    return sv_default_allocator.alloc(NULL, size, alignment);
}

static void counting_free(void *context, void *block, size_t size) {
    ((counter *)context)->live--;
    sv_default_allocator.free(NULL, block, size);
}

static void an_arena_gives_all_back(void **state) {
    (void)state;
    counter count = {0};
    senvec_allocator allocator = {counting_alloc, counting_free, &count};
    sv_arena arena;
    sv_arena_init(&arena, &allocator);
    for (size_t size = 0; size < 300; size += 7) {
        void *block;
        assert_int_equal(sv_arena_alloc(&arena, size, 3, "test", &block, NULL), SENVEC_OK);
        assert_int_equal((uintptr_t)block % SV_CACHE_LINE, 0);
        for (size_t i = 0; i < size * 3; i++)
            assert_int_equal(((unsigned char *)block)[i], 0);
        memset(block, 0xff, size * 3);
    }
    const char *text;
    assert_int_equal(sv_arena_string(&arena, "abcdef", 3, &text, NULL), SENVEC_OK);
    assert_string_equal(text, "abc");
    assert_true(count.live > 0);
    count.fail_at = count.calls + 1;
    void *block;
    senvec_error err;
    assert_int_equal(sv_arena_alloc(&arena, 1, 1, "the last straw", &block, &err), SENVEC_OUT_OF_MEMORY);
    sv_arena_release(&arena);
    assert_int_equal(count.live, 0);
    assert_int_equal(arena.bytes, 0);
}

static char folder[] = "/tmp/senvec-base-test-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[SV_MAX_PATH];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_content(const char *path, const char *text) {
    sv_file_map map;
    assert_int_equal(sv_file_map_open(path, &map, NULL), SENVEC_OK);
    assert_int_equal(map.size, strlen(text));
    if (map.size)
        assert_memory_equal(map.data, text, map.size);
    sv_file_map_close(&map);
    assert_null(map.data);
}

static void an_atomic_file_appears_whole_or_not_at_all(void **state) {
    (void)state;
    char path[SV_MAX_PATH];
    sv_path_join(folder, "out", path, NULL);
    write_text(path, "old");

    sv_atomic_file file;
    assert_int_equal(sv_atomic_file_open(&file, path, NULL), SENVEC_OK);
    fputs("new", file.stream);
    assert_content(path, "old");
    sv_atomic_file_abort(&file);
    assert_content(path, "old");
    assert_int_equal(access(file.temporary, F_OK), -1);

    assert_int_equal(sv_atomic_file_open(&file, path, NULL), SENVEC_OK);
    fputs("new", file.stream);
    assert_int_equal(sv_atomic_file_commit(&file, NULL), SENVEC_OK);
    sv_atomic_file_abort(&file); /* harmless after a commit */
    assert_content(path, "new");
    struct stat facts;
    stat(path, &facts);
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(facts.st_mode & 0777, 0666 & ~mask);
}

/* What ends at once removes the files that it writes, and nothing that it was given, finished or only reads. */
static void temporaries_go_with_the_process(void **state) {
    (void)state;
    char paths[3][SV_MAX_PATH], other[SV_MAX_PATH];
    sv_atomic_file files[3];
    for (int i = 0; i < 3; i++) {
        sv_path_join(folder, (const char *[]){"one", "two", "three"}[i], paths[i], NULL);
        assert_int_equal(sv_atomic_file_open(&files[i], paths[i], NULL), SENVEC_OK);
    }
    assert_int_equal(sv_atomic_file_commit(&files[2], NULL), SENVEC_OK);
    sv_path_join(folder, "other.tmp.ABCDEF", other, NULL);
    int inherited = open(other, O_CREAT | O_WRONLY, 0600), reading = open(other, O_RDONLY | O_CLOEXEC);
    sv_atomic_files_remove();
    assert_int_equal(access(files[0].temporary, F_OK), -1);
    assert_int_equal(access(files[1].temporary, F_OK), -1);
    assert_content(paths[2], "");
    assert_content(other, "");
    close(inherited);
    close(reading);
    sv_atomic_file_abort(&files[0]);
    sv_atomic_file_abort(&files[1]);
}

static mode_t mode_of(const char *path) {
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_mode & 07777;
}

static void replace(const char *path, const char *text) {
    sv_atomic_file file;
    assert_int_equal(sv_atomic_file_open(&file, path, NULL), SENVEC_OK);
    fputs(text, file.stream);
    assert_int_equal(sv_atomic_file_commit(&file, NULL), SENVEC_OK);
    assert_content(path, text);
}

static void a_replaced_file_keeps_mode_and_owner(void **state) {
    (void)state;
    char path[SV_MAX_PATH];
    sv_path_join(folder, "kept", path, NULL);
    const mode_t modes[] = {0600, 0640, 0400, 0664};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_text(path, "old");
        assert_int_equal(chmod(path, modes[i]), 0);
        replace(path, "new");
        assert_int_equal(mode_of(path), modes[i]);
        assert_int_equal(unlink(path), 0);
    }
    if (geteuid() != 0)
        return;
    struct stat facts;
    write_text(path, "old");
    assert_int_equal(chown(path, 12345, 23456), 0);
    assert_int_equal(chmod(path, 0640), 0);
    replace(path, "new");
    assert_int_equal(stat(path, &facts), 0);
    assert_true(facts.st_uid == 12345 && facts.st_gid == 23456);
    assert_int_equal(mode_of(path), 0640);
}

static void links_are_followed_unless_they_are_others(void **state) {
    (void)state;
    char target[SV_MAX_PATH], near[SV_MAX_PATH], far[SV_MAX_PATH], dangling[SV_MAX_PATH];
    sv_path_join(folder, "target", target, NULL);
    sv_path_join(folder, "near", near, NULL);
    sv_path_join(folder, "far", far, NULL);
    sv_path_join(folder, "dangling", dangling, NULL);
    write_text(target, "old");
    assert_int_equal(symlink("target", near), 0);
    assert_int_equal(symlink(near, far), 0);
    assert_int_equal(symlink("not-there", dangling), 0);
    struct stat facts;
    replace(far, "new");
    assert_content(target, "new");
    assert_int_equal(lstat(far, &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
    replace(dangling, "made");
    sv_path_join(folder, "not-there", near, NULL);
    assert_content(near, "made");
    sv_atomic_file file;
    senvec_error err;
    char round[SV_MAX_PATH];
    sv_path_join(folder, "round", round, NULL);
    assert_int_equal(symlink("round", round), 0);
    assert_int_equal(sv_atomic_file_open(&file, round, &err), SENVEC_IO);
    if (geteuid() != 0)
        return;
    assert_int_equal(lchown(far, 12345, 12345), 0);
    assert_int_equal(sv_atomic_file_open(&file, far, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "another user"));
    assert_content(target, "new");
}

/* As `write` said when the disk was full, whatever happened since. */
static void an_error_from_long_before_is_told(void **state) {
    (void)state;
    char path[SV_MAX_PATH];
    sv_path_join(folder, "large", path, NULL);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    sv_atomic_file file;
    senvec_error err;
    assert_int_equal(sv_atomic_file_open(&file, path, NULL), SENVEC_OK);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, before.rlim_max});
    for (size_t i = 0; i < 300000; i++)
        putc('x', file.stream);
    errno = 0;
    senvec_status status = sv_atomic_file_commit(&file, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, SENVEC_IO);
    assert_non_null(strstr(err.message, strerror(EFBIG)));
    assert_false(sv_path_is_file(path));
}

static void atomic_file_errors(void **state) {
    (void)state;
    sv_atomic_file file;
    senvec_error err;
    assert_int_equal(sv_atomic_file_open(&file, "/nonexistent/folder/file", &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "/nonexistent/folder/file"));
    assert_int_equal(sv_atomic_file_open(&file, folder, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "is a folder"));
    sv_atomic_file_abort(&file);
    char path[SV_MAX_PATH + 10];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(sv_atomic_file_open(&file, path, &err), SENVEC_TOO_LARGE);
}

static void a_failed_write_is_noticed_and_removed(void **state) {
    (void)state;
    char path[SV_MAX_PATH];
    sv_path_join(folder, "full", path, NULL);
    sv_atomic_file file;
    senvec_error err;
    assert_int_equal(sv_atomic_file_open(&file, path, NULL), SENVEC_OK);
    assert_non_null(freopen("/dev/full", "w", file.stream));
    fputs("lost", file.stream);
    assert_int_equal(sv_atomic_file_commit(&file, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, strerror(ENOSPC)));
    assert_false(sv_path_is_file(path));
    assert_false(sv_path_is_file(file.temporary));
}

static void mapping_errors(void **state) {
    (void)state;
    sv_file_map map = {0};
    senvec_error err;
    assert_int_equal(sv_file_map_open("/nonexistent", &map, &err), SENVEC_NOT_FOUND);
    assert_int_equal(sv_file_map_open(folder, &map, &err), SENVEC_IO);
    char path[SV_MAX_PATH];
    sv_path_join(folder, "empty", path, NULL);
    write_text(path, "");
    assert_content(path, "");
    sv_path_join(folder, "pipe", path, NULL); /* nobody writes into it, and nobody waits */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(sv_file_map_open(path, &map, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "not a regular file"));
}

static void directories(void **state) {
    (void)state;
    char path[SV_MAX_PATH], file[SV_MAX_PATH];
    senvec_error err;
    sv_path_join(folder, "a/b/c", path, NULL);
    assert_int_equal(sv_make_directories(path, NULL), SENVEC_OK);
    assert_int_equal(sv_make_directories(path, NULL), SENVEC_OK);
    assert_true(sv_path_is_directory(path));
    sv_path_join(path, "file", file, NULL);
    write_text(file, "x");
    assert_int_equal(sv_make_directories(file, &err), SENVEC_IO);
    assert_int_equal(sv_path_join(path, "", file, NULL), SENVEC_OK);
    assert_int_equal(file[strlen(file) - 1], '/');
    assert_int_equal(sv_path_join("", "name", file, NULL), SENVEC_OK);
    assert_string_equal(file, "name");
    char link[SV_MAX_PATH];
    sv_path_join(folder, "link", link, NULL);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sv_make_directories(link, NULL), SENVEC_OK);
    if (geteuid() != 0)
        return;
    assert_int_equal(lchown(link, 12345, 12345), 0);
    assert_int_equal(sv_make_directories(link, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "another user"));
}

static void keep_line(void *context, senvec_log_level level, const char *line) {
    snprintf(context, 100, "%d %s", (int)level, line);
}

static void log_lines(void **state) {
    (void)state;
    char kept[100] = "";
    sv_log silent = {0}, log = {keep_line, kept};
    sv_log_line(&silent, SENVEC_LOG_ERROR, "nobody listens");
    sv_log_line(&log, SENVEC_LOG_WARNING, "%d threads", 3);
    assert_string_equal(kept, "1 3 threads");
}

static void test_foreign(void **state) {
    (void)state;
    static const struct {
        const char *data;
        size_t size;
        const char *word;
    } cases[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", 55, "Git LFS"},
        {"GGUF\3\0\0\0", 8, "GGUF"},
        {"PK\3\4", 4, "pickled"},
        {"\x80\2}q", 4, "pickled"},
        {"\x89HDF\r\n", 6, "HDF5"},
        {"<!doctype HTML><p>", 18, "HTML"},
        {"<html>", 6, "HTML"},
        {"<?xml version", 13, "XML"},
        {"\x08\x0a\x12\7pytorch", 11, "ONNX"},
        {"\x08\x07\x3a\x80", 4, "ONNX"},
        {"\x1f\x8b\x08", 3, "gzip"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *format = sv_foreign_format((const uint8_t *)cases[i].data, cases[i].size);
        assert_non_null(format);
        assert_non_null(strstr(format, cases[i].word));
        assert_null(sv_foreign_format((const uint8_t *)cases[i].data, 1));
    }
    assert_null(sv_foreign_format((const uint8_t *)"{\"a\": 1}", 8));
    assert_null(sv_foreign_format((const uint8_t *)"\x08\x01\0\0\0\0\0\0{", 9));
    assert_null(sv_foreign_format(NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(status_names_and_texts),
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(allocation_overflow_is_refused),
        cmocka_unit_test(an_arena_gives_all_back),
        cmocka_unit_test(an_atomic_file_appears_whole_or_not_at_all),
        cmocka_unit_test(temporaries_go_with_the_process),
        cmocka_unit_test(a_replaced_file_keeps_mode_and_owner),
        cmocka_unit_test(links_are_followed_unless_they_are_others),
        cmocka_unit_test(an_error_from_long_before_is_told),
        cmocka_unit_test(atomic_file_errors),
        cmocka_unit_test(a_failed_write_is_noticed_and_removed),
        cmocka_unit_test(mapping_errors),
        cmocka_unit_test(directories),
        cmocka_unit_test(log_lines),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
