/* The Python package's command fetches by Python: `python3 -m senvec._fetch` downloads (urllib) and verifies (hashlib) as the
 * package's own classes do, with the pins of the registry. So the wheel carries no TLS and no libcrypto of its own, which would
 * grow old in it: Python has them, and whoever keeps that Python up to date keeps these.
 *
 * What it says comes back as lines of text. The last one is the answer, or "SENVEC_NAME: why"; progress goes to the terminal.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/model_files.h"
#include "hub/hub_internal.h"
#include "io/places.h"
#include "system/process.h"

enum { MAX_ARGUMENTS = 2 * SV_HUB_PINS + 16 };

/* The python3 beside this program, as an environment has both in one folder; else the one of the PATH. */
static void find_python(char out[SV_MAX_PATH]) {
    sv_place_program(out);
    char *slash = strrchr(out, '/');
    if (slash && (size_t)(slash - out) + sizeof "/python3" <= SV_MAX_PATH) {
        memcpy(slash, "/python3", sizeof "/python3");
        if (access(out, X_OK) == 0)
            return;
    }
    memcpy(out, "python3", sizeof "python3");
}

static senvec_status status_of(const char *name, size_t length) {
    for (int code = -1; code > -64; code--) {
        const char *known = senvec_status_name((senvec_status)code);
        if (known && strlen(known) == length && memcmp(known, name, length) == 0)
            return (senvec_status)code;
    }
    return SENVEC_SYSTEM;
}

/* Runs `python3 -c ... ARGUMENT...` and gives its last line. `shows`: standard error goes through. */
static senvec_status ask(const char *const *arguments, bool shows, char *answer, size_t size, senvec_error *err) {
    /* -c puts the current folder first in the path, where anybody may have put a senvec. */
    static const char program[] = "import sys; del sys.path[0]; from senvec._fetch import main; sys.exit(main(sys.argv[1:]))";
    char python[SV_MAX_PATH];
    find_python(python);
    const char *line[MAX_ARGUMENTS] = {python, "-c", program};
    for (size_t i = 0; arguments[i] && i + 4 < MAX_ARGUMENTS; i++)
        line[3 + i] = arguments[i];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "no pipe for Python's answer");
    const sv_process_options options = {.arguments = line,
                                        .descriptors = (int[]){-1, ends[1], shows ? STDERR_FILENO : ends[1]},
                                        .descriptor_count = 3,
                                        .death_signal = SIGTERM};
    pid_t process;
    senvec_error failure;
    senvec_status status = sv_process_start(&options, &process, &failure);
    close(ends[1]);
    sv_tail said = {.length = 0};
    while (status == SENVEC_OK && sv_tail_read(&said, ends[0])) {
    }
    close(ends[0]);
    if (status != SENVEC_OK)
        return sv_fail(err, status == SENVEC_NOT_FOUND ? SENVEC_NETWORK : status, 0,
                       "models are fetched by Python, and %s can't be run: %s", python, failure.message);
    int end = sv_process_wait(process);
    sv_tail_last_line(&said, answer, size);
    if (end == 0)
        return SENVEC_OK;
    const char *colon = strstr(answer, ": ");
    if (strncmp(answer, "SENVEC_", 7) == 0 && colon)
        return sv_fail(err, status_of(answer, (size_t)(colon - answer)), 0, "%s", colon + 2);
    return sv_fail(err, SENVEC_SYSTEM, 0, "models are fetched by Python's package senvec, which %s couldn't run: %s", python,
                   answer);
}

senvec_status sv_digest_file(const char *path, sv_digest *out, senvec_error *err) {
    char answer[SV_MAX_PATH];
    unsigned long long size;
    SENVEC_TRY(ask((const char *[]){"digest", path, NULL}, false, answer, sizeof answer, err));
    sv_digest made = {0};
    if (sscanf(answer, "%llu %64[0-9a-f] %40[0-9a-f]", &size, made.sha256, made.git_id) != 3)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: Python gave no digest of it", path);
    made.size = size;
    *out = made;
    return SENVEC_OK;
}

/* Python showed its own progress; here the caller learns how much came. */
static void count_bytes(const char *directory, const sv_hub_options *options) {
    json_t *stamp = sv_stamp_load(directory), *entry;
    const char *file;
    json_object_foreach(json_object_get(stamp, "files"), file, entry) {
        uint64_t size = (uint64_t)json_integer_value(json_object_get(entry, "size"));
        if (options->progress && size > 0) {
            options->progress(options->context, file, 0, size);
            options->progress(options->context, file, size, size);
        }
    }
    json_decref(stamp);
}

senvec_status sv_sources_pull(const sv_hub_name *name, const sv_hub_known *known, const char *directory,
                              const sv_hub_options *options, bool *fetched, senvec_error *err) {
    char full[2 * SV_HUB_NAME_SIZE], pins[SV_HUB_PINS][SV_HUB_FILE_NAME_SIZE + 72], answer[SV_MAX_PATH];
    const char *arguments[MAX_ARGUMENTS] = {"pull"};
    size_t count = 1;
    if (options->force || sv_model_is_complete(directory)) /* there, but not whole */
        arguments[count++] = "--force";
    if (options->progress)
        arguments[count++] = "--progress";
    for (size_t i = 0; known && i < SV_HUB_PINS && known->pins[i].file; i++) {
        snprintf(pins[i], sizeof pins[i], "%s=%s", known->pins[i].file, known->pins[i].sha256);
        arguments[count++] = "--pin";
        arguments[count++] = pins[i];
    }
    if (known && known->pins[0].file && !known->partial)
        arguments[count++] = "--only-pinned";
    snprintf(full, sizeof full, "%s/%s", name->org, name->repo);
    arguments[count] = full;
    SENVEC_TRY(ask(arguments, options->progress && isatty(STDERR_FILENO), answer, sizeof answer, err));
    if (strcmp(answer, directory) != 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: Python put it into \"%.300s\", not into %.300s", full, answer, directory);
    count_bytes(directory, options);
    *fetched = true;
    return SENVEC_OK;
}
