/* The cache of calibrations: used when it is right, replaced when it isn't, and never in the way. */
#include "int8/quantized_cache.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "int8/quantized_file.h"
#include "support/test_models.h"

/* What was logged during one call. */
static struct {
    int calibrations, warnings, written;
    char last_warning[1000];
} logged;

static void count_line(void *context, senvec_log_level level, const char *line) {
    (void)context;
    if (strstr(line, "calibrating"))
        logged.calibrations++;
    else if (strstr(line, "calibration written"))
        logged.written++;
    else if (level <= SENVEC_LOG_WARNING) {
        logged.warnings++;
        snprintf(logged.last_warning, sizeof logged.last_warning, "%s", line);
    }
}

/* Opens the model in `directory` and obtains it in int8. *hash <- the hash of the result. */
static senvec_status obtain_by(const char *directory, sv_calibration_rules rules, uint64_t *hash, senvec_error *error) {
    sv_config config;
    sv_arena arena;
    sv_weights weights;
    sv_tokenizer *tokenizer;
    sv_isa_flags flags;
    sv_quantized quantized;
    senvec_error err;
    sv_log log = {count_line, NULL};
    sv_arena_init(&arena, NULL);
    assert_int_equal(sv_config_load(directory, &config, &err), SENVEC_OK);
    assert_int_equal(sv_weights_open(directory, &config, &arena, &weights, &err), SENVEC_OK);
    assert_int_equal(sv_tokenizer_load(directory, NULL, &tokenizer, &err), SENVEC_OK);
    assert_int_equal(sv_isa_choose(NULL, &flags, &err), SENVEC_OK);
    sv_kernels kernels = sv_kernels_choose(flags);
    memset(&logged, 0, sizeof logged);
    senvec_status status =
        sv_quantized_obtain(directory, &config, &weights, tokenizer, &kernels, &rules, &log, &arena, &quantized, error);
    if (status == SENVEC_OK)
        *hash = sv_quantized_hash(&config, &quantized);
    sv_tokenizer_free(tokenizer);
    sv_weights_close(&weights);
    sv_arena_release(&arena);
    return status;
}

/* As the command does: the result is kept beside the model. */
static uint64_t obtain(const char *directory) {
    uint64_t hash;
    senvec_error err;
    if (obtain_by(directory, (sv_calibration_rules){.mode = SENVEC_CALIBRATION_BESIDE}, &hash, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return hash;
}

static void expect(int calibrations, int warnings, int written) {
    assert_int_equal(logged.calibrations, calibrations);
    assert_int_equal(logged.warnings, warnings);
    assert_int_equal(logged.written, written);
}

static const char *cache_file(void) {
    return test_path("model/" SV_QUANTIZED_CACHE_FILE);
}

/* Makes an empty folder the user's cache. */
static void fresh_cache(void) {
    static unsigned count;
    char name[32];
    snprintf(name, sizeof name, "cache%u", count++);
    assert_int_equal(setenv("SENVEC_CACHE", test_path(name), 1), 0);
}

/* A copy of the tiny model, and an empty user's cache. */
static const char *fresh_model(void) {
    static char model[SV_MAX_PATH];
    fresh_cache();
    snprintf(model, sizeof model, "%s", test_copy_tiny("model"));
    return model;
}

/* The path of the one file in a user's cache. */
static const char *only_file_below(const char *cache) {
    static char path[SV_MAX_PATH];
    glob_t found;
    assert_int_equal(sv_path_join(cache, "int8/*", path, NULL), SENVEC_OK);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
}

/* Where a tensor begins in a file. */
static size_t offset_of(const char *path, const char *name) {
    sv_safetensors *file;
    senvec_error err;
    assert_int_equal(sv_safetensors_open(path, &file, &err), SENVEC_OK);
    const sv_tensor *tensor = sv_safetensors_find(file, name);
    assert_non_null(tensor);
    size_t offset = tensor->offset;
    sv_safetensors_close(file);
    return offset;
}

static void changed_model_is_calibrated_anew(void **state) {
    (void)state;
    const char *model = fresh_model();
    uint64_t first = obtain(model);
    expect(1, 0, 1);
    assert_true(sv_path_is_file(cache_file()));
    assert_true(obtain(model) == first);
    expect(0, 0, 0);
    /* One bit of one weight, the file's size and times unchanged. */
    char path[SV_MAX_PATH];
    assert_int_equal(sv_path_join(model, "model.safetensors", path, NULL), SENVEC_OK);
    struct stat before;
    assert_int_equal(stat(path, &before), 0);
    size_t size;
    char *bytes = test_read(path, &size);
    bytes[offset_of(path, "encoder.layer.1.output.dense.weight") + 40] ^= 1;
    test_write(path, bytes, size);
    free(bytes);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    obtain(model);
    expect(1, 0, 1);
    obtain(model);
    expect(0, 0, 0);
}

/* A folder in the file's place can't be replaced, not even by root; so the user's cache is used. While the right file is there,
 * to refuse one beside the model costs no calibration, which takes seconds under a sanitizer or an emulator. */
static void users_cache_is_second_and_damaged_files_are_refused(void **state) {
    (void)state;
    const char *model = fresh_model(), *cache = getenv("SENVEC_CACHE");
    assert_int_equal(mkdir(cache_file(), 0777), 0);
    uint64_t right = obtain(model);
    expect(1, 1, 1);
    assert_true(obtain(model) == right);
    expect(0, 1, 0);
    assert_int_equal(rmdir(cache_file()), 0);
    assert_true(obtain(model) == right);
    expect(0, 0, 0);
    size_t size;
    char *bytes = test_read(only_file_below(cache), &size);
    /* Cut anywhere. */
    const size_t cuts[] = {0, 1, 7, 8, 100, size / 2, size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        test_write(cache_file(), bytes, cuts[i]);
        assert_true(obtain(model) == right);
        expect(0, 1, 0);
    }
    /* A flipped bit in the floats, in the weights, in the header. */
    const size_t places[] = {size - 1, size / 2, size / 4, 8, 4};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        bytes[places[i]] ^= 0x20;
        test_write(cache_file(), bytes, size);
        bytes[places[i]] ^= 0x20;
        assert_true(obtain(model) == right);
        expect(0, 1, 0);
    }
    test_write(cache_file(), bytes, size);
    assert_true(obtain(model) == right);
    expect(0, 0, 0);
    /* Without the right file it is replaced. */
    fresh_cache();
    bytes[size / 4] ^= 0x20;
    test_write(cache_file(), bytes, size);
    free(bytes);
    assert_true(obtain(model) == right);
    expect(1, 1, 1);
    assert_true(obtain(model) == right);
    expect(0, 0, 0);
}

static void without_any_cache(void **state) {
    (void)state;
    const char *model = fresh_model();
    test_write_text(test_path("file"), "in the way");
    assert_int_equal(setenv("SENVEC_CACHE", test_path("file"), 1), 0);
    assert_int_equal(mkdir(cache_file(), 0777), 0);
    uint64_t first = obtain(model);
    assert_true(logged.calibrations == 1 && logged.written == 0 && logged.warnings > 0);
    assert_non_null(strstr(logged.last_warning, "SENVEC_CACHE"));
    assert_true(obtain(model) == first);
    assert_int_equal(logged.calibrations, 1);
    assert_int_equal(rmdir(cache_file()), 0);
}

static void processes_at_once(void **state) {
    (void)state;
    const char *model = fresh_model();
    enum { PROCESSES = 2 };
    pid_t children[PROCESSES];
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            uint64_t first = obtain(model);
            int made = logged.calibrations; /* one of all processes */
            _exit(obtain(model) == first && logged.calibrations == 0 ? made : 100);
        }
    }
    int made = 0;
    for (size_t i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        made += WEXITSTATUS(status);
    }
    assert_int_equal(made, 1);
    obtain(model);
    expect(0, 0, 0);
}

/* Nothing appears but where the rules say. */
static void rules(void **state) {
    (void)state;
    const char *model = fresh_model();
    senvec_error err;
    uint64_t hash, again;
    char folder[SV_MAX_PATH];
    snprintf(folder, sizeof folder, "%s", test_path("given"));
    assert_int_equal(obtain_by(model, (sv_calibration_rules){.mode = SENVEC_CALIBRATION_NEVER}, &hash, &err), SENVEC_NOT_FOUND);
    assert_non_null(strstr(err.message, "senvec info -p int8"));
    expect(0, 0, 0);
    assert_int_equal(obtain_by(model, (sv_calibration_rules){.mode = SENVEC_CALIBRATION_MEMORY}, &hash, &err), SENVEC_OK);
    expect(1, 0, 0);
    assert_false(sv_path_is_file(cache_file()));
    assert_int_equal(obtain_by(model, (sv_calibration_rules){SENVEC_CALIBRATION_CACHE, folder}, &again, &err), SENVEC_OK);
    expect(1, 0, 1);
    assert_true(again == hash);
    assert_false(sv_path_is_file(cache_file()));
    assert_non_null(only_file_below(folder));
    for (int mode = SENVEC_CALIBRATION_CACHE; mode <= SENVEC_CALIBRATION_NEVER; mode++) {
        assert_int_equal(obtain_by(model, (sv_calibration_rules){(senvec_calibration)mode, folder}, &again, &err), SENVEC_OK);
        expect(0, 0, 0);
        assert_true(again == hash);
    }
}

/* A file that others could have written isn't taken. */
static void files_of_others(void **state) {
    (void)state;
    const char *model = fresh_model();
    obtain(model);
    const sv_calibration_rules never = {.mode = SENVEC_CALIBRATION_NEVER};
    const mode_t bad[] = {0664, 0646, 0666};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(chmod(cache_file(), bad[i]), 0);
        assert_int_equal(obtain_by(model, never, &(uint64_t){0}, NULL), SENVEC_NOT_FOUND);
        assert_int_equal(logged.warnings, 1);
    }
    /* It is replaced. */
    obtain(model);
    assert_true(logged.calibrations == 1 && logged.warnings >= 1);
    struct stat facts;
    assert_int_equal(stat(cache_file(), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0644);
    obtain(model);
    expect(0, 0, 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(cache_file(), 12345, 12345), 0);
        assert_int_equal(obtain_by(model, never, &(uint64_t){0}, NULL), SENVEC_NOT_FOUND);
        assert_int_equal(logged.warnings, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_model_is_calibrated_anew),
        cmocka_unit_test(users_cache_is_second_and_damaged_files_are_refused),
        cmocka_unit_test(without_any_cache),
        cmocka_unit_test(processes_at_once),
        cmocka_unit_test(rules),
        cmocka_unit_test(files_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
