/* Replays inputs through a fuzz target without libFuzzer, so that what fuzzing has found stays found in every build.
 *
 * usage: fuzz_NAME [-rounds=N] [FILE|DIRECTORY...]
 *
 * Each file (and each file of a directory) is one input. After each come N (200) random changes of it, from a fixed seed:
 * bytes changed, removed, doubled, or the input cut off. The input lies at the end of its allocation, so that a sanitizer or
 * valgrind sees a byte read too many. Prints how many inputs ran. Built with clang and SENVEC_FUZZERS=ON, the targets are
 * libFuzzer programs instead, and this file isn't used. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUNDS_OPTION "-rounds="

static uint64_t state = 1;
static size_t inputs, rounds = 200;

/* xorshift64*; the quality matters little. */
static size_t random_below(size_t limit) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % limit;
}

static int fail(const char *why) {
    fprintf(stderr, "fuzz driver: %s\n", why);
    return 1;
}

static void run(const uint8_t *data, size_t size) {
    inputs++;
    LLVMFuzzerTestOneInput(data, size);
}

/* One to four changes of `size` bytes; returns the new size, at most size + 4. */
static size_t change(uint8_t *data, size_t size) {
    for (size_t i = random_below(4) + 1; i > 0 && size > 0; i--) {
        size_t at = random_below(size);
        switch (random_below(5)) {
        case 0:
            data[at] = (uint8_t)random_below(256);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << random_below(8));
            break;
        case 2:
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        case 3:
            memmove(data + at + 1, data + at, size - at);
            size++;
            break;
        default:
            size = at;
            break;
        }
    }
    return size;
}

static int replay_file(const char *path) {
    sv_file_map file;
    senvec_error err;
    if (sv_file_map_open(path, &file, &err) != SENVEC_OK)
        return fail(err.message);
    uint8_t *scratch = malloc(file.size + 4);
    if (!scratch)
        return fail("out of memory");
    for (size_t round = 0; round <= rounds; round++) {
        if (file.size > 0)
            memcpy(scratch, file.data, file.size);
        size_t size = round == 0 ? file.size : change(scratch, file.size);
        uint8_t *exact = malloc(size ? size : 1);
        if (!exact)
            return fail("out of memory");
        memcpy(exact, scratch, size);
        run(exact, size);
        free(exact);
    }
    free(scratch);
    sv_file_map_close(&file);
    return 0;
}

static int replay_directory(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return fail("a directory could not be opened");
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));) {
        char file[SV_MAX_PATH];
        if (entry->d_name[0] != '.')
            result =
                sv_path_join(path, entry->d_name, file, NULL) == SENVEC_OK ? replay_file(file) : fail("a path is too long");
    }
    closedir(directory);
    return result;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], ROUNDS_OPTION, strlen(ROUNDS_OPTION)) == 0)
            rounds = strtoul(argv[i] + strlen(ROUNDS_OPTION), NULL, 10);
        if (argv[i][0] == '-')
            continue; /* an option of libFuzzer */
        int result = sv_path_is_directory(argv[i]) ? replay_directory(argv[i]) : replay_file(argv[i]);
        if (result != 0)
            return result;
    }
    printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : fail("no input");
}
