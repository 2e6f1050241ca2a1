/* The parent's side of a worker. Requests and replies go through one socket pair (not pipes: send() can do without SIGPIPE).
 * Standard error is a pipe that is read while a reply is awaited. Of what it brings, however much, the end is kept: its last
 * line says why a worker died, since a Python traceback ends in it. */
#include "study/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "system/process.h"

#define QUIT_SECONDS 3.0  /* for the answer to "quit" */
#define LEAVE_SECONDS 1.0 /* for the process to end after its last word */

struct sv_worker {
    const char *name;
    pid_t process; /* 0: has ended and been waited for */
    int socket;
    int errors;   /* the worker's standard error; -1: closed */
    sv_tail said; /* its end */
    json_int_t last_id;
    char *buffer; /* bytes received and not yet used */
    size_t used, capacity;
};

senvec_status sv_worker_start(const char *name, const char *const *argv, const char *const *environment, sv_worker **out,
                              senvec_error *err) {
    int channel[2] = {-1, -1}, errors[2] = {-1, -1};
    sv_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for a worker", name);
    *worker = (sv_worker){.name = name, .socket = -1, .errors = -1};
    senvec_status status = SENVEC_OK;
    if (pipe2(errors, O_CLOEXEC) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0)
        status = sv_fail(err, SENVEC_SYSTEM, 0, "%s: no channel to a worker: %s", name, strerror(errno));
    if (status == SENVEC_OK) {
        senvec_error failure;
        const sv_process_options options = {.arguments = argv,
                                            .environment = environment,
                                            .descriptors = (int[]){channel[1], channel[1], errors[1]},
                                            .descriptor_count = 3,
                                            .ignores_signals = true, /* the study ends its workers itself, in order */
                                            .death_signal = SIGKILL};
        status = sv_process_start(&options, &worker->process, &failure);
        if (status != SENVEC_OK)
            sv_fail(err, status, 0, "%s: %s", name, failure.message);
    }
    worker->socket = channel[0];
    worker->errors = errors[0];
    if (channel[1] >= 0)
        close(channel[1]);
    if (errors[1] >= 0)
        close(errors[1]);
    if (status == SENVEC_OK)
        *out = worker;
    else
        sv_worker_stop(worker);
    return status;
}

/* Whether the worker's standard error has something to be read, or has ended. */
static bool has_said(const sv_worker *worker) {
    struct pollfd errors = {worker->errors, POLLIN, 0};
    return poll(&errors, 1, 0) > 0;
}

/* Kills and buries the process. */
static void bury(sv_worker *worker) {
    sv_process_kill(worker->process);
    worker->process = 0;
}

/* The end of the channel: says how the worker ended and its last words. */
static senvec_status fail_ended(sv_worker *worker, const char *op, senvec_error *err) {
    char words[400], how[64];
    int wait_status;
    /* A worker that closed its output but lives on is as useless as a dead one: it gets a moment to leave by itself. */
    if (sv_process_wait_for(worker->process, LEAVE_SECONDS, &wait_status)) {
        worker->process = 0;
        sv_process_describe_end(wait_status, how, sizeof how);
    } else {
        bury(worker);
        snprintf(how, sizeof how, "closed its output");
    }
    while (has_said(worker) && sv_tail_read(&worker->said, worker->errors))
        ;
    sv_tail_last_line(&worker->said, words, sizeof words);
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
        bury(worker);
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
        struct pollfd pollers[] = {{worker->socket, POLLIN, 0}, {worker->errors, POLLIN, 0}};
        int ready = now < deadline ? poll(pollers, 2, (int)((deadline - now) / 1000000 + 1)) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready > 0 && pollers[1].revents && !sv_tail_read(&worker->said, worker->errors)) {
            close(worker->errors); /* it closed its standard error: poll() passes over -1 */
            worker->errors = -1;
        }
        if (ready > 0 && !pollers[0].revents)
            continue;
        if (ready <= 0) {
            bury(worker);
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
        bury(worker);
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

uint64_t sv_worker_peak_rss(const sv_worker *worker) {
    return sv_process_peak_rss(worker->process);
}

uint64_t sv_own_peak_rss(void) {
    return sv_process_peak_rss(getpid());
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
        int wait_status;
        if (worker->process && !sv_process_wait_for(worker->process, LEAVE_SECONDS, &wait_status))
            bury(worker);
    }
    if (worker->socket >= 0)
        close(worker->socket);
    if (worker->errors >= 0)
        close(worker->errors);
    free(worker->buffer);
    free(worker);
}
