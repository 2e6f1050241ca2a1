/* A service writes what it says, to either output, into a file: nobody has to empty a pipe while load is measured. The first
 * "http://127.0.0.1:PORT" in it says that it listens; all services that are started say so, each in its own words. */
#include "study/service_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "study/worker.h"
#include "system/process.h"

#define ADDRESS "http://127.0.0.1:"
enum { MOST_ARGUMENTS = 16 };

struct sv_service_process {
    pid_t process; /* 0: has ended */
    char log[SV_MAX_PATH];
};

/* What a service is started with; `values` holds what isn't elsewhere. */
typedef struct command {
    const char *arguments[MOST_ARGUMENTS];
    char threads[24], port[8], values[2][SV_MAX_PATH];
} command;

bool sv_service_has_llama(void) {
    char path[SV_MAX_PATH];
    return sv_process_find("llama-server", path);
}

/* The first file in the model's folder whose name ends in .gguf. */
static bool find_gguf(const char *folder, char out[SV_MAX_PATH]) {
    DIR *directory = opendir(folder);
    bool found = false;
    for (const struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        const size_t length = strlen(entry->d_name);
        found = length > 5 && strcmp(entry->d_name + length - 5, ".gguf") == 0 &&
                sv_path_join(folder, entry->d_name, out, NULL) == SENVEC_OK;
    }
    if (directory)
        closedir(directory);
    return found;
}

/* A port that was free a moment ago; llama-server takes no 0. */
static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = listener >= 0 && bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
                       getsockname(listener, (struct sockaddr *)&address, &length) == 0
                   ? ntohs(address.sin_port)
                   : 0;
    if (listener >= 0)
        close(listener);
    return port;
}

static senvec_status describe_llama(const sv_service_places *places, command *out, senvec_error *err) {
    if (!sv_process_find("llama-server", out->values[0]))
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "llama-server is not in $PATH");
    if (!find_gguf(places->model, out->values[1]))
        return sv_fail(err, SENVEC_NOT_FOUND, 0,
                       "llama-server needs the model as GGUF, and %s has no such file; put one there, or start llama-server "
                       "yourself and give --service llama=http://HOST:PORT",
                       places->model);
    snprintf(out->port, sizeof out->port, "%d", free_port());
    const char *const arguments[] = {out->values[0], "-m", out->values[1], "--embedding", "--host",     "127.0.0.1", "--port",
                                     out->port,      "-t", out->threads,   "-tb",         out->threads, NULL};
    memcpy(out->arguments, arguments, sizeof arguments);
    return SENVEC_OK;
}

static senvec_status describe(sv_service_kind kind, const sv_service_places *places, command *out, senvec_error *err) {
    *out = (command){0};
    snprintf(out->threads, sizeof out->threads, "%zu", places->threads);
    if (kind == SV_SERVICE_LLAMA)
        return describe_llama(places, out, err);
    if (kind == SV_SERVICE_SENVEC) {
        snprintf(out->values[0], sizeof out->values[0], SV_SERVED_NAME "=%.*s", (int)(sizeof out->values[0] - 16),
                 places->native);
        const char *const arguments[] = {places->program,
                                         "serve",
                                         "--port",
                                         "0",
                                         "--threads",
                                         out->threads,
                                         "-m",
                                         out->values[0],
                                         places->cpu ? "--cpu" : NULL,
                                         places->cpu,
                                         NULL};
        memcpy(out->arguments, arguments, sizeof arguments);
        return SENVEC_OK;
    }
    if (!places->python || !places->script)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s",
                       places->python ? "peers/serve.py is not beside senvec" : "no Python for the peers' services");
    const char *const arguments[] = {places->python,
                                     places->script,
                                     kind == SV_SERVICE_TORCH ? "torch" : "onnx",
                                     places->model,
                                     "--threads",
                                     out->threads,
                                     kind == SV_SERVICE_ONNX ? "--files" : NULL,
                                     places->onnx,
                                     NULL};
    memcpy(out->arguments, arguments, sizeof arguments);
    return SENVEC_OK;
}

/* The end of what it wrote: what a line of an error says. */
static void last_words(const char *path, char *out, size_t size) {
    sv_tail said = {0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    while (descriptor >= 0 && sv_tail_read(&said, descriptor))
        ;
    if (descriptor >= 0)
        close(descriptor);
    sv_tail_last_line(&said, out, size);
}

/* Has it written where it listens? */
static bool find_address(const char *path, sv_url *url) {
    char line[2048], text[64];
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, ADDRESS);
        const size_t digits = at ? strspn(at + strlen(ADDRESS), "0123456789") : 0;
        if (digits == 0 || digits > 5 || !strchr(line, '\n'))
            continue;
        snprintf(text, sizeof text, "%.*s", (int)(strlen(ADDRESS) + digits), at);
        found = sv_url_parse(text, url, NULL) == SENVEC_OK;
    }
    if (file)
        fclose(file);
    return found;
}

static senvec_status wait_until_it_listens(sv_service_process *process, const sv_service_places *places, sv_url *url,
                                           senvec_error *err) {
    const uint64_t deadline = sv_clock_ns() + (uint64_t)(places->timeout_s * (double)SV_NS_PER_S);
    char words[400], how[64];
    int ended;
    while (!find_address(process->log, url)) {
        if (places->cancelled && *places->cancelled)
            return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted");
        if (sv_process_wait_for(process->process, 0.005, &ended)) {
            process->process = 0;
            last_words(process->log, words, sizeof words);
            sv_process_describe_end(ended, how, sizeof how);
            return sv_fail(err, SENVEC_SYSTEM, 0, "it %s before it listened%s%s", how, words[0] ? ": " : "", words);
        }
        if (sv_clock_ns() > deadline)
            return sv_fail(err, SENVEC_SYSTEM, 0, "it didn't listen within %g s", places->timeout_s);
    }
    return SENVEC_OK;
}

senvec_status sv_service_start(const sv_service *service, const sv_service_places *places, sv_service_process **out,
                               sv_url *url, senvec_error *err) {
    static const char *const environment[] = {"HF_HUB_OFFLINE=1", "CI=true", "PYTHONUNBUFFERED=1", NULL};
    command how;
    SENVEC_TRY(describe(service->kind, places, &how, err));
    sv_service_process *process = calloc(1, sizeof *process);
    if (!process)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a service");
    snprintf(process->log, sizeof process->log, "%s/service-XXXXXX", places->scratch);
    int log = mkostemp(process->log, O_CLOEXEC | O_APPEND);
    senvec_status status =
        log >= 0 ? SENVEC_OK
                 : sv_fail(err, SENVEC_IO, 0, "%s: no file for what a service says: %s", places->scratch, strerror(errno));
    if (status == SENVEC_OK) {
        const sv_process_options options = {.arguments = how.arguments,
                                            .environment = environment,
                                            .descriptors = (int[]){-1, log, log},
                                            .descriptor_count = 3,
                                            .ignores_signals = true,
                                            .death_signal = SIGKILL};
        status = sv_process_start(&options, &process->process, err);
        close(log);
    }
    if (status == SENVEC_OK)
        status = wait_until_it_listens(process, places, url, err);
    if (status == SENVEC_OK)
        *out = process;
    else
        sv_service_stop(process);
    return status;
}

void sv_service_stop(sv_service_process *process) {
    if (!process)
        return;
    if (process->process)
        sv_process_kill(process->process);
    unlink(process->log);
    free(process);
}

uint64_t sv_service_peak_rss(const sv_service_process *process) {
    return sv_process_peak_rss(process->process);
}

uint64_t sv_service_pss(const sv_service_process *process) {
    char path[64], line[256];
    unsigned long long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process->process);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %llu", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return (uint64_t)kilobytes * 1024;
}
