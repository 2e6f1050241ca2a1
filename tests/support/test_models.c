#include "support/test_models.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"

static const char *const tiny_files[] = {
    "config.json",           "modules.json", "sentence_bert_config.json", "tokenizer.json",
    "tokenizer_config.json", "vocab.txt",    "1_Pooling/config.json",     "model.safetensors",
};

static char scratch[256];

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *walk) {
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static void remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_scratch(void) {
    remove_tree(scratch);
}

const char *test_scratch(void) {
    if (!*scratch) {
        const char *parent = getenv("TMPDIR");
        snprintf(scratch, sizeof scratch, "%s/senvec-test-XXXXXX", parent ? parent : "/tmp");
        assert_non_null(mkdtemp(scratch));
        atexit(remove_scratch);
    }
    return scratch;
}

const char *test_path(const char *relative) {
    static char paths[8][SV_MAX_PATH];
    static unsigned next;
    char *path = paths[next++ % 8];
    assert_int_equal(sv_path_join(test_scratch(), relative, path, NULL), SENVEC_OK);
    return path;
}

char *test_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    char *data = malloc((size_t)length + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    data[length] = '\0';
    if (size)
        *size = (size_t)length;
    return data;
}

void test_write(const char *path, const void *data, size_t size) {
    char parent[SV_MAX_PATH];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(sv_make_directories(parent, NULL), SENVEC_OK);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void test_write_text(const char *path, const char *text) {
    test_write(path, text, strlen(text));
}

static const char *copy_model(const char *from, const char *name) {
    const char *directory = test_path(name);
    remove_tree(directory);
    for (size_t i = 0; i < sizeof tiny_files / sizeof *tiny_files; i++) {
        char path[SV_MAX_PATH];
        assert_int_equal(sv_path_join(from, tiny_files[i], path, NULL), SENVEC_OK);
        if (!sv_path_is_file(path))
            continue;
        size_t size;
        char *data = test_read(path, &size);
        assert_int_equal(sv_path_join(directory, tiny_files[i], path, NULL), SENVEC_OK);
        test_write(path, data, size);
        free(data);
    }
    return directory;
}

const char *test_copy_tiny(const char *name) {
    return copy_model(TEST_TINY_MODEL, name);
}

const char *test_copy_family(const char *family, const char *name) {
    char from[SV_MAX_PATH];
    assert_int_equal(sv_path_join(TEST_FAMILIES, family, from, NULL), SENVEC_OK);
    return copy_model(from, name);
}

void test_replace(const char *path, const char *old, const char *with) {
    size_t size, old_size = strlen(old), with_size = strlen(with);
    char *data = test_read(path, &size);
    char *at = memmem(data, size, old, old_size);
    assert_non_null(at);
    size_t before = (size_t)(at - data), after = size - before - old_size;
    assert_null(memmem(at + old_size, after, old, old_size));
    char *changed = malloc(size - old_size + with_size + 1);
    assert_non_null(changed);
    memcpy(changed, data, before);
    memcpy(changed + before, with, with_size);
    memcpy(changed + before + with_size, at + old_size, after);
    test_write(path, changed, before + with_size + after);
    free(changed);
    free(data);
}

void test_write_safetensors(const char *path, const char *header, const void *data, size_t size) {
    size_t length = strlen(header);
    uint8_t *all = malloc(8 + length + size + 1);
    assert_non_null(all);
    for (int i = 0; i < 8; i++)
        all[i] = (uint8_t)(length >> 8 * i);
    memcpy(all + 8, header, length);
    if (size)
        memcpy(all + 8 + length, data, size);
    test_write(path, all, 8 + length + size);
    free(all);
}
