/* The parent's side of a worker. Requests and replies go through one socket pair (not pipes: send() can do without SIGPIPE).
 * Standard error goes to an unnamed file in memory, whose last line says why a worker died: a Python traceback ends in it. */
#include "study/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"

#define QUIT_SECONDS 3.0

struct sv_worker {
    const char *name;
    pid_t process; /* 0: has ended and been waited for */
    int socket;
    int errors; /* what the worker wrote to its standard error */
    json_int_t last_id;
    char *buffer; /* bytes received and not yet used */
    size_t used, capacity;
};

extern char **environ;

/* In the child, between fork and exec: only calls that are safe there. */
static _Noreturn void become_worker(const char *const *argv, char **environment, int channel, int errors, int report,
                                    pid_t parent) {
    /* The study ends its workers itself, in order. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(channel, 0) == 0 && dup2(channel, 1) == 1 && dup2(errors, 2) == 2)
        execve(argv[0], (char *const *)argv, environment);
    int number = errno;
    ssize_t written = write(report, &number, sizeof number);
    _exit(written == sizeof number ? 127 : 126);
}

static bool same_name(const char *left, const char *right) {
    size_t length = strcspn(left, "=");
    return strncmp(left, right, length + 1) == 0;
}

/* environ with `changes` in place of entries of the same name; one malloc'ed block. NULL without memory. */
static char **changed_environment(const char *const *changes) {
    size_t count = 0, change_count = 0;
    while (environ[count])
        count++;
    while (changes && changes[change_count])
        change_count++;
    char **all = calloc(count + change_count + 1, sizeof *all);
    size_t used = 0;
    for (size_t i = 0; all && i < count; i++) {
        bool replaced = false;
        for (size_t c = 0; c < change_count; c++)
            replaced = replaced || same_name(changes[c], environ[i]);
        if (!replaced)
            all[used++] = environ[i];
    }
    for (size_t c = 0; all && c < change_count; c++)
        all[used++] = (char *)changes[c];
    return all;
}

/* Waits for the exec: the close-on-exec end of the report pipe closes, or brings an errno. */
static int exec_failure(int report) {
    int number = 0;
    ssize_t got;
    do
        got = read(report, &number, sizeof number);
    while (got < 0 && errno == EINTR);
    return got == sizeof number ? number : 0;
}

senvec_status sv_worker_start(const char *name, const char *const *argv, const char *const *environment, sv_worker **out,
                              senvec_error *err) {
    int channel[2] = {-1, -1}, report[2] = {-1, -1};
    senvec_status status = SENVEC_OK;
    char **child_environment = changed_environment(environment);
    sv_worker *worker = calloc(1, sizeof *worker);
    if (!worker || !child_environment) {
        free(child_environment);
        free(worker);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for a worker", name);
    }
    *worker = (sv_worker){.name = name, .socket = -1};
    worker->errors = memfd_create("worker errors", MFD_CLOEXEC);
    if (worker->errors < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0 ||
        pipe2(report, O_CLOEXEC) != 0) {
        status = sv_fail(err, SENVEC_SYSTEM, 0, "%s: no channel to a worker: %s", name, strerror(errno));
        goto out;
    }
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        status = sv_fail(err, SENVEC_SYSTEM, 0, "%s: no new process: %s", name, strerror(errno));
        goto out;
    }
    if (child == 0)
        become_worker(argv, child_environment, channel[1], worker->errors, report[1], parent);
    close(report[1]);
    report[1] = -1;
    int failure = exec_failure(report[0]);
    if (failure) {
        waitpid(child, NULL, 0);
        status = sv_fail(err, failure == ENOENT ? SENVEC_NOT_FOUND : SENVEC_SYSTEM, 0, "%s: %s cannot be started: %s", name,
                         argv[0], strerror(failure));
        goto out;
    }
    worker->process = child;
    worker->socket = channel[0];
    channel[0] = -1;
    *out = worker;
out:
    for (int i = 0; i < 2; i++) {
        if (channel[i] >= 0)
            close(channel[i]);
        if (report[i] >= 0)
            close(report[i]);
    }
    free(child_environment);
    if (status != SENVEC_OK)
        sv_worker_stop(worker);
    return status;
}

/* The last line of the worker's standard error, cut to fit; "" if there is none. */
static void last_error_line(const sv_worker *worker, char *out, size_t size) {
    char tail[2048];
    out[0] = '\0';
    off_t end = lseek(worker->errors, 0, SEEK_END);
    off_t begin = end > (off_t)sizeof tail - 1 ? end - ((off_t)sizeof tail - 1) : 0;
    ssize_t got = end > 0 ? pread(worker->errors, tail, sizeof tail - 1, begin) : 0;
    while (got > 0 && (tail[got - 1] == '\n' || tail[got - 1] == ' '))
        got--;
    if (got <= 0)
        return;
    tail[got] = '\0';
    char *line = tail + got;
    while (line > tail && line[-1] != '\n' && line[-1] != '\r') /* progress bars end their lines with the latter */
        line--;
    snprintf(out, size, "%.*s", (int)size - 1, line);
}

/* Kills and buries the process. Returns its wait status. */
static int bury(sv_worker *worker, bool kill_it) {
    int wait_status = 0;
    if (kill_it)
        kill(worker->process, SIGKILL);
    while (waitpid(worker->process, &wait_status, 0) < 0 && errno == EINTR)
        ;
    worker->process = 0;
    return wait_status;
}

/* The end of the channel: says how the worker ended and its last words. */
static senvec_status fail_ended(sv_worker *worker, const char *op, senvec_error *err) {
    char words[400], how[64];
    /* A worker that closed its output but lives on is as useless as a dead one: it gets a moment to leave by itself. */
    int wait_status = 0;
    pid_t gone = 0;
    for (int i = 0; i < 100 && (gone = waitpid(worker->process, &wait_status, WNOHANG)) == 0; i++)
        usleep(10000);
    if (gone == 0)
        wait_status = bury(worker, true);
    worker->process = 0;
    if (gone == 0)
        snprintf(how, sizeof how, "closed its output");
    else if (WIFSIGNALED(wait_status))
        snprintf(how, sizeof how, "was killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else
        snprintf(how, sizeof how, "ended with exit code %d", WEXITSTATUS(wait_status));
    last_error_line(worker, words, sizeof words);
    return sv_fail(err, SENVEC_SYSTEM, 0, "%s: the worker %s during \"%s\"%s%s", worker->name, how, op, words[0] ? ": " : "",
                   words);
}

static senvec_status send_all(sv_worker *worker, const char *op, const char *line, size_t length, senvec_error *err) {
    while (length) {
        ssize_t sent = send(worker->socket, line, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return fail_ended(worker, op, err);
        line += sent;
        length -= (size_t)sent;
    }
    return SENVEC_OK;
}

/* Makes room for at least one more byte. */
static senvec_status grow(sv_worker *worker, senvec_error *err) {
    if (worker->used < worker->capacity)
        return SENVEC_OK;
    size_t capacity = worker->capacity ? worker->capacity * 2 : 65536;
    if (capacity > SV_MAX_WORKER_REPLY) {
        bury(worker, true);
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: the worker's reply is over %u bytes", worker->name, SV_MAX_WORKER_REPLY);
    }
    char *buffer = realloc(worker->buffer, capacity);
    if (!buffer)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for a reply of over %zu bytes", worker->name, worker->used);
    worker->buffer = buffer;
    worker->capacity = capacity;
    return SENVEC_OK;
}

/* Receives until the buffer holds a line; *length gets its length, without the newline. */
static senvec_status receive_line(sv_worker *worker, const char *op, double timeout_s, size_t *length, senvec_error *err) {
    uint64_t deadline = sv_clock_ns() + (uint64_t)(timeout_s * 1e9);
    size_t searched = 0;
    for (;;) {
        char *newline = worker->used > searched ? memchr(worker->buffer + searched, '\n', worker->used - searched) : NULL;
        if (newline) {
            *length = (size_t)(newline - worker->buffer);
            return SENVEC_OK;
        }
        searched = worker->used;
        SENVEC_TRY(grow(worker, err));
        uint64_t now = sv_clock_ns();
        struct pollfd poller = {worker->socket, POLLIN, 0};
        int ready = now < deadline ? poll(&poller, 1, (int)((deadline - now) / 1000000 + 1)) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            bury(worker, true);
            return sv_fail(err, SENVEC_SYSTEM, 0, "%s: the worker gave no answer to \"%s\" within %g s; it was killed",
                           worker->name, op, timeout_s);
        }
        ssize_t got = recv(worker->socket, worker->buffer + worker->used, worker->capacity - worker->used, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_ended(worker, op, err);
        worker->used += (size_t)got;
    }
}

/* Takes the first line out of the buffer. */
static void drop_line(sv_worker *worker, size_t length) {
    worker->used -= length + 1;
    memmove(worker->buffer, worker->buffer + length + 1, worker->used);
}

static senvec_status read_reply(sv_worker *worker, const char *op, double timeout_s, json_t **reply, senvec_error *err) {
    size_t length = 0;
    SENVEC_TRY(receive_line(worker, op, timeout_s, &length, err));
    json_t *object = json_loadb(worker->buffer, length, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(object, "id"), *ok = json_object_get(object, "ok");
    if (!json_is_integer(id) || json_integer_value(id) != worker->last_id || !json_is_boolean(ok)) {
        json_decref(object);
        bury(worker, true);
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: the worker answered \"%s\" with something else than a reply: %.*s",
                       worker->name, op, length < 80 ? (int)length : 80, worker->buffer);
    }
    drop_line(worker, length);
    if (json_is_true(ok)) {
        *reply = object;
        return SENVEC_OK;
    }
    const char *error = json_string_value(json_object_get(object, "error"));
    bool missing = json_is_true(json_object_get(object, "missing"));
    senvec_status status = sv_fail(err, missing ? SENVEC_UNSUPPORTED : SENVEC_INVALID_ARGUMENT, 0, "%s: %s", worker->name,
                                   error ? error : "the worker refused without a reason");
    json_decref(object);
    return status;
}

senvec_status sv_worker_call(sv_worker *worker, json_t *request, double timeout_s, json_t **reply, senvec_error *err) {
    const char *op = json_string_value(json_object_get(request, "op"));
    char *line =
        json_object_set_new(request, "id", json_integer(++worker->last_id)) == 0 ? json_dumps(request, JSON_COMPACT) : NULL;
    senvec_status status;
    if (!line || !op)
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for a request", worker->name);
    else if (!worker->process)
        status = sv_fail(err, SENVEC_SYSTEM, 0, "%s: the worker has ended", worker->name);
    else {
        size_t length = strlen(line);
        line[length] = '\n'; /* in place of the terminator: the length is known */
        status = send_all(worker, op, line, length + 1, err);
        if (status == SENVEC_OK)
            status = read_reply(worker, op, timeout_s, reply, err);
    }
    free(line);
    json_decref(request);
    return status;
}

static uint64_t peak_rss(pid_t process) {
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

uint64_t sv_worker_peak_rss(const sv_worker *worker) {
    return peak_rss(worker->process);
}

uint64_t sv_own_peak_rss(void) {
    return peak_rss(getpid());
}

void sv_own_peak_rss_reset(void) {
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (!file)
        return;
    fputs("5", file); /* proc(5): the peak becomes what is resident now */
    fclose(file);
}

uint64_t sv_worker_cpu_ns(const sv_worker *worker) {
    char path[64], content[1024];
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)worker->process);
    FILE *file = worker->process ? fopen(path, "re") : NULL;
    size_t got = file ? fread(content, 1, sizeof content - 1, file) : 0;
    if (file)
        fclose(file);
    content[got] = '\0';
    /* The second field is the program's name in parentheses, which may hold anything; utime and stime are fields 14 and 15. */
    const char *rest = strrchr(content, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return 0;
    return (uint64_t)(user + system) * (SV_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

void sv_worker_stop(sv_worker *worker) {
    if (!worker)
        return;
    if (worker->process) {
        json_t *reply = NULL;
        senvec_error ignored;
        if (sv_worker_call(worker, json_pack("{s:s}", "op", "quit"), QUIT_SECONDS, &reply, &ignored) == SENVEC_OK)
            json_decref(reply);
        shutdown(worker->socket, SHUT_RDWR);
        for (int i = 0; worker->process && i < 100; i++) {
            if (waitpid(worker->process, NULL, WNOHANG) == worker->process)
                worker->process = 0;
            else
                usleep(10000);
        }
        if (worker->process)
            bury(worker, true);
    }
    if (worker->socket >= 0)
        close(worker->socket);
    if (worker->errors >= 0)
        close(worker->errors);
    free(worker->buffer);
    free(worker);
}
