/* The cells and the script that runs them are compiled in; Python gets both as arguments, so no file has to be found. */
#include "report/notebook.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "system/process.h"

extern const char sv_notebook_runner[], sv_notebook_cells[], sv_notebook_common[], sv_notebook_comparison[];

static senvec_status run_python(const char *const *arguments, senvec_error *err) {
    int output[2];
    pid_t process;
    if (pipe2(output, O_CLOEXEC) != 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "no pipe for Python's messages: %s", strerror(errno));
    const sv_process_options options = {
        .arguments = arguments, .descriptors = (int[]){-1, output[1], output[1]}, .descriptor_count = 3};
    senvec_status status = sv_process_start(&options, &process, err);
    close(output[1]);
    if (status == SENVEC_OK) {
        sv_tail said = {.length = 0};
        while (sv_tail_read(&said, output[0]))
            ;
        if (sv_process_wait(process) != 0) {
            char line[300];
            sv_tail_last_line(&said, line, sizeof line);
            status = sv_fail(err, SENVEC_SYSTEM, 0, "%s: %s", arguments[0], line[0] ? line : "died");
        }
    }
    close(output[0]);
    return status;
}

senvec_status sv_notebook_write(const char *python, const char *const *directories, size_t count, const char *path,
                                senvec_error *err) {
    if (!python[0])
        return sv_fail(err, SENVEC_NOT_FOUND, 0,
                       "no Python for the notebook; ./run study makes .venv, --python names another one");
    const char *arguments[6 + SV_MAX_REPORT_STUDIES + 1] = {
        python, "-c", sv_notebook_runner, count > 1 ? sv_notebook_comparison : sv_notebook_cells, sv_notebook_common, path};
    assert(count <= SV_MAX_REPORT_STUDIES);
    memcpy(arguments + 6, directories, count * sizeof *directories);
    return run_python(arguments, err);
}
