/* Model files for tests: read, changed and written again in a scratch folder. Include after cmocka.h's prerequisites; a step
 * that fails ends the test. */
#ifndef TESTS_SUPPORT_TEST_MODELS_H
#define TESTS_SUPPORT_TEST_MODELS_H

#include <stddef.h>
#include <stdint.h>

/* TEST_TINY_MODEL, which CMake defines: the build's copy of the committed tiny model, H 32, A 2, I 64, L 2, 64 positions, V in
 * its config.json. TEST_FAMILIES: that of tests/golden/families. */

/* A new folder under TMPDIR, removed with its content at exit. Static storage for the whole run; one for a program. */
const char *test_scratch(void);

/* A path in the scratch folder: valid until the eighth call after this one. */
const char *test_path(const char *relative);

/* The whole file, NUL-terminated, for free(). `size` may be NULL. */
char *test_read(const char *path, size_t *size);

/* Writes a file; makes the folder that it is in. */
void test_write(const char *path, const void *data, size_t size);
void test_write_text(const char *path, const char *text);

/* Copies the tiny model's files to the folder scratch/`name` (emptied before) and returns its path (as test_path). */
const char *test_copy_tiny(const char *name);

/* The same for the model of an architecture, a folder of TEST_FAMILIES. */
const char *test_copy_family(const char *family, const char *name);

/* In the file at `path`: replaces the one place where `old` stands by `with`. */
void test_replace(const char *path, const char *old, const char *with);

/* Writes a safetensors file: 8 bytes of size, the header text, the data. */
void test_write_safetensors(const char *path, const char *header, const void *data, size_t size);

#endif
