/* fork and exec. Between the two only calls that are safe there are made, since the parent may have threads; a pipe that closes
 * with the exec, or brings an errno, tells whether the program runs. */
#include "system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

enum { DESCRIPTORS_FROM = 64, STEP_US = 10000 };

extern char **environ;

static bool same_name(const char *left, const char *right) {
    size_t length = strcspn(left, "=");
    return strncmp(left, right, length + 1) == 0;
}

/* No program that is started here has a use for keys and tokens: HF_TOKEN, SENVEC_API_KEY, AWS_SECRET_ACCESS_KEY, ... */
static bool is_secret(const char *entry) {
    static const char *const words[] = {"TOKEN", "API_KEY", "ACCESS_KEY", "SECRET", "PASSWORD", "CREDENTIAL"};
    const size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = strcasestr(entry, words[i]);
        if (found && (size_t)(found - entry) < length && strncasecmp(entry, "TOKENIZERS_", 11) != 0)
            return true;
    }
    return false;
}

/* environ with `changes` in place of entries of the same name, without secrets; one malloc'ed block. NULL without memory. */
static char **changed_environment(const char *const *changes) {
    size_t count = 0, change_count = 0;
    while (environ[count])
        count++;
    while (changes && changes[change_count])
        change_count++;
    char **all = calloc(count + change_count + 1, sizeof *all);
    size_t used = 0;
    for (size_t i = 0; all && i < count; i++) {
        bool replaced = is_secret(environ[i]);
        for (size_t c = 0; c < change_count; c++)
            replaced = replaced || same_name(changes[c], environ[i]);
        if (!replaced)
            all[used++] = environ[i];
    }
    for (size_t c = 0; all && c < change_count; c++)
        all[used++] = (char *)changes[c];
    return all;
}

/* In the child. The list's descriptors are moved out of the way first, since one may have the number that another must get. */
static bool take_descriptors(const sv_process_options *options) {
    int moved[DESCRIPTORS_FROM];
    for (size_t i = 0; i < options->descriptor_count; i++) {
        int from = options->descriptors[i] >= 0 ? options->descriptors[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
        moved[i] = fcntl(from, F_DUPFD_CLOEXEC, DESCRIPTORS_FROM);
        if (moved[i] < 0)
            return false;
    }
    for (size_t i = 0; i < options->descriptor_count; i++)
        if (dup2(moved[i], (int)i) != (int)i)
            return false;
    return true;
}

static _Noreturn void become(const sv_process_options *options, char **environment, int report, pid_t parent) {
    if (options->ignores_signals) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    if (options->death_signal)
        prctl(PR_SET_PDEATHSIG, options->death_signal);
    if (options->own_group)
        setpgid(0, 0);
    report = fcntl(report, F_DUPFD_CLOEXEC, DESCRIPTORS_FROM);
    errno = 0;
    if (getppid() == parent && take_descriptors(options) && (!options->directory || chdir(options->directory) == 0))
        execvpe(options->arguments[0], (char *const *)options->arguments, environment);
    int number = errno ? errno : ESRCH;
    ssize_t written = write(report, &number, sizeof number);
    _exit(written == sizeof number ? 127 : 126);
}

/* Waits for the exec. Returns the errno of one that failed, else 0. */
static int exec_failure(int report) {
    int number = 0;
    ssize_t got;
    do
        got = read(report, &number, sizeof number);
    while (got < 0 && errno == EINTR);
    return got == sizeof number ? number : 0;
}

bool sv_process_find(const char *name, char out[SV_MAX_PATH]) {
    if (strchr(name, '/')) {
        snprintf(out, SV_MAX_PATH, "%s", name);
        return access(out, X_OK) == 0;
    }
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t length = strcspn(path, ":");
        int written = snprintf(out, SV_MAX_PATH, "%.*s/%s", (int)(length < SV_MAX_PATH ? length : 0), path, name);
        if (length && written > 0 && written < (int)SV_MAX_PATH && access(out, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

senvec_status sv_process_start(const sv_process_options *options, pid_t *out, senvec_error *err) {
    const char *program = options->arguments[0];
    if (options->descriptor_count > DESCRIPTORS_FROM)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: over %d descriptors", program, DESCRIPTORS_FROM);
    char **environment = changed_environment(options->environment);
    if (!environment)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for its environment", program);
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        int number = errno;
        free(environment);
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: no pipe for a new process: %s", program, strerror(number));
    }
    pid_t parent = getpid(), child = fork();
    int number = errno;
    if (child == 0)
        become(options, environment, report[1], parent);
    close(report[1]);
    free(environment);
    if (child < 0) {
        close(report[0]);
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: no new process: %s", program, strerror(number));
    }
    number = exec_failure(report[0]);
    close(report[0]);
    if (number) {
        sv_process_wait(child);
        return sv_fail(err, number == ENOENT ? SENVEC_NOT_FOUND : SENVEC_SYSTEM, 0, "%s cannot be started: %s", program,
                       strerror(number));
    }
    *out = child;
    return SENVEC_OK;
}

int sv_process_wait(pid_t process) {
    int wait_status;
    while (waitpid(process, &wait_status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return wait_status;
}

bool sv_process_wait_for(pid_t process, double seconds, int *wait_status) {
    const uint64_t end = sv_clock_ns() + (uint64_t)(seconds * SV_NS_PER_S);
    for (;;) {
        *wait_status = -1;
        pid_t gone = waitpid(process, wait_status, WNOHANG);
        if (gone == process || (gone < 0 && errno != EINTR))
            return true;
        if (sv_clock_ns() >= end)
            return false;
        usleep(STEP_US);
    }
}

int sv_process_kill(pid_t process) {
    if (getpgid(process) == process)
        kill(-process, SIGKILL);
    kill(process, SIGKILL);
    return sv_process_wait(process);
}

void sv_process_describe_end(int wait_status, char *out, size_t size) {
    if (WIFSIGNALED(wait_status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else
        snprintf(out, size, "ended with exit code %d", WEXITSTATUS(wait_status));
}

/* ------------------------------------------------------------------------- tail */

void sv_tail_append(sv_tail *tail, const char *bytes, size_t count) {
    const size_t room = sizeof tail->text - 1;
    if (count > room) {
        bytes += count - room;
        count = room;
    }
    const size_t excess = tail->length + count > room ? tail->length + count - room : 0;
    memmove(tail->text, tail->text + excess, tail->length - excess);
    tail->length -= excess;
    memcpy(tail->text + tail->length, bytes, count);
    tail->length += count;
    tail->text[tail->length] = '\0';
}

bool sv_tail_read(sv_tail *tail, int descriptor) {
    char bytes[4096];
    ssize_t count = read(descriptor, bytes, sizeof bytes);
    if (count > 0)
        sv_tail_append(tail, bytes, (size_t)count);
    return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

void sv_tail_last_line(const sv_tail *tail, char *out, size_t size) {
    size_t end = tail->length;
    while (end && strchr("\r\n ", tail->text[end - 1]))
        end--;
    size_t start = end;
    while (start && tail->text[start - 1] != '\n' && tail->text[start - 1] != '\r')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), tail->text + start);
}

uint64_t sv_process_peak_rss(pid_t process) {
    char path[64], line[256];
    unsigned long long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *file = process ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return (uint64_t)kilobytes * 1024;
}
