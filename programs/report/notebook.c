/* The cells and the script that runs them are compiled in; Python gets both as arguments, so no file has to be found. */
#include "report/notebook.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/limits.h"

extern const char sv_notebook_runner[], sv_notebook_cells[], sv_notebook_common[], sv_notebook_comparison[];
extern char **environ;

/* The last line of what was written to `file`, cut to fit. */
static void last_line(int file, char *out, size_t size) {
    char tail[2048];
    off_t length = lseek(file, 0, SEEK_END);
    ssize_t got = pread(file, tail, sizeof tail - 1, length > (off_t)sizeof tail - 1 ? length - ((off_t)sizeof tail - 1) : 0);
    while (got > 0 && tail[got - 1] == '\n')
        got--;
    tail[got > 0 ? got : 0] = '\0';
    const char *newline = strrchr(tail, '\n');
    snprintf(out, size, "%.*s", (int)size - 1, newline ? newline + 1 : tail);
}

static senvec_status run_python(const char *python, char *const *arguments, int errors, senvec_error *err) {
    posix_spawn_file_actions_t actions;
    pid_t process;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDOUT_FILENO);
    int failure = posix_spawnp(&process, python, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s cannot be started: %s", python, strerror(failure));
    int state;
    while (waitpid(process, &state, 0) < 0)
        if (errno != EINTR)
            return sv_fail(err, SENVEC_SYSTEM, 0, "%s: %s", python, strerror(errno));
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return SENVEC_OK;
    char line[300];
    last_line(errors, line, sizeof line);
    return sv_fail(err, SENVEC_SYSTEM, 0, "%s: %s", python, line[0] ? line : "died");
}

senvec_status sv_notebook_write(const char *python, const char *const *directories, size_t count, const char *path,
                                senvec_error *err) {
    if (!python[0])
        return sv_fail(err, SENVEC_NOT_FOUND, 0,
                       "no Python for the notebook; ./run study makes .venv, --python names another one");
    int errors = memfd_create("notebook errors", MFD_CLOEXEC);
    if (errors < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "no memory for Python's messages: %s", strerror(errno));
    const char *arguments[6 + SV_MAX_REPORT_STUDIES + 1] = {
        python, "-c", sv_notebook_runner, count > 1 ? sv_notebook_comparison : sv_notebook_cells, sv_notebook_common, path};
    assert(count <= SV_MAX_REPORT_STUDIES);
    memcpy(arguments + 6, directories, count * sizeof *directories);
    senvec_status status = run_python(python, (char *const *)arguments, errors, err);
    close(errors);
    return status;
}
