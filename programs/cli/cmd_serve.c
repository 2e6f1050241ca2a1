/* senvec serve: the HTTP server. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/daemon.h"
#include "cli/option_environment.h"
#include "cli/serve_models.h"
#include "common/clock.h"
#include "server/server.h"
#include "server/starting.h"
#include "server/trace_export.h"

enum { MAX_KEY = 512 };
#define PREFIX "SENVEC_SERVE_"
#define MB ((size_t)1 << 20)

/* A key without the white space around it, which nobody means and no header can carry; refused if it holds anything else that a
 * header can't. `source` is for messages. */
static senvec_status clean_key(const char *source, char *key, senvec_error *err) {
    size_t begin = strspn(key, " \t\r\n"), length = strlen(key + begin);
    memmove(key, key + begin, length + 1);
    while (length > 0 && strchr(" \t\r\n", key[length - 1]))
        key[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)key[i] < 0x20 || (unsigned char)key[i] == 0x7f)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, i, "%s: the API key has a %s in it, which no header can carry", source,
                           key[i] == '\n' || key[i] == '\r' ? "line break" : "control character");
    return SENVEC_OK;
}

static senvec_status read_key_file(const char *path, char key[MAX_KEY], senvec_error *err) {
    FILE *file = fopen(path, "r");
    if (!file)
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: %s", path, strerror(errno));
    size_t length = 0;
    int c;
    while ((c = getc(file)) != EOF && c != '\n' && length < MAX_KEY)
        key[length++] = c ? (char)c : '\1'; /* a NUL would end it; this is refused */
    fclose(file);
    if (length == MAX_KEY)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: its first line must be the API key, of at most %d bytes", path,
                       MAX_KEY - 1);
    key[length] = '\0';
    SENVEC_TRY(clean_key(path, key, err));
    if (!key[0])
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: its first line must be the API key", path);
    return SENVEC_OK;
}

/* The key: the first line of a file, or $SENVEC_API_KEY. Not an option, since anybody may read a command line. */
static senvec_status read_key(const char *path, char key[MAX_KEY], senvec_error *err) {
    if (path)
        return read_key_file(path, key, err);
    const char *given = getenv("SENVEC_API_KEY");
    if (given && strlen(given) >= MAX_KEY)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "SENVEC_API_KEY is longer than %d bytes", MAX_KEY - 1);
    snprintf(key, MAX_KEY, "%s", given ? given : "");
    SENVEC_TRY(clean_key("SENVEC_API_KEY", key, err));
    if (given && !key[0]) /* a secret that is missing: who sets the variable doesn't want to serve everybody */
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "SENVEC_API_KEY is %s; set a key or unset it",
                       *given ? "nothing but white space" : "empty");
    return SENVEC_OK;
}

/* Where spans go where no option says it: what OpenTelemetry's own libraries read. It may be meant for others, so an address
 * that is none for us is said and left alone. */
static void read_otlp(sv_server_options *server, bool quiet) {
    senvec_error err;
    const char *service = getenv("OTEL_SERVICE_NAME"), *url = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    server->otlp_service = service && *service ? service : NULL;
    if (server->otlp || !url || !*url)
        return;
    if (sv_trace_export_check(url, &err) == SENVEC_OK)
        server->otlp = url;
    else if (!quiet)
        sv_cli_say("OTEL_EXPORTER_OTLP_ENDPOINT: %s; no spans are sent", err.message);
}

typedef struct job {
    sv_common common;
    sv_server_options server;
    const char *key_file, *log_file;
    sv_option_texts names, models;
    size_t drain_s;
    uint64_t idle_exit_ns; /* 0: never */
    bool daemon;
} job;

/* "/a/b" of "a/b/"; NULL of "/". */
static senvec_status clean_prefix(const char **prefix, senvec_error *err) {
    static char text[128];
    if (!*prefix)
        return SENVEC_OK;
    int length = snprintf(text, sizeof text, "%s%s", (*prefix)[0] == '/' ? "" : "/", *prefix);
    if (length >= (int)sizeof text ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/") != (size_t)length)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--prefix: '%.100s' isn't a path of at most %zu plain characters",
                       *prefix, sizeof text - 1);
    while (length > 0 && text[length - 1] == '/')
        text[--length] = '\0';
    *prefix = length ? text : NULL;
    return SENVEC_OK;
}

/* ---------------------------------------------------------------- serving */

/* Signals that the server acts on; blocked before any thread is started, so that only the main thread takes them. One that was
 * ignored when the program began (nohup) isn't waited for, or it would be taken all the same. */
typedef struct signals {
    sigset_t ending; /* SIGTERM, SIGINT, SIGHUP */
    sigset_t all;    /* and SIGUSR1 */
} signals;

static void hold_signals(signals *held) {
    const int ending[] = {SIGTERM, SIGINT, SIGHUP};
    sigemptyset(&held->ending);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (sv_cli_takes_signal(ending[i]))
            sigaddset(&held->ending, ending[i]);
    held->all = held->ending;
    sigaddset(&held->all, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &held->all, NULL);
}

/* Opens the access log anew, under the name that it had at first, and puts it in the place of the open one: what rotates logs
 * has given that another name. Lines are written whole, so each goes into one of the two. */
static void reopen_log(const char *path, FILE *log) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0 || dup3(descriptor, fileno(log), O_CLOEXEC) < 0)
        sv_cli_say("%s: can't be opened again: %s; logging goes on into the old file", path, strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
}

static void *leave_on_second_signal(void *context) {
    int number;
    sigwait(context, &number);
    _exit(128 + number);
}

/* A signal came while the models are still being opened, which for a first int8 run takes a minute: nothing was accepted, and
 * what a calibration has half written its next writer removes. */
static void leave_while_opening(const sv_server_options *options) {
    if (options->unix_path && !options->activated)
        unlink(options->unix_path);
    _exit(SV_EXIT_DONE);
}

/* sv_server_open, which a signal may end until requests are accepted; later ones stay pending. With `log` SIGHUP doesn't end a
 * server, so it waits until this one is open. */
static senvec_status open_server(job *j, const signals *held, bool log, sv_server **out, senvec_error *err) {
    sigset_t ending = held->ending;
    if (log)
        sigdelset(&ending, SIGHUP);
    SENVEC_TRY(sv_starting_open(&j->server, &ending, leave_while_opening, &j->server.starting, err));
    return sv_server_open(&j->server, out, err);
}

/* The next signal, or SIGTERM when nobody has asked for anything for `idle_exit_ns`. */
static int next_signal(sv_server *server, const sigset_t *wanted, uint64_t idle_exit_ns) {
    int number;
    if (!idle_exit_ns) {
        sigwait(wanted, &number);
        return number;
    }
    for (;;) {
        uint64_t idle = sv_server_idle_ns(server);
        if (idle >= idle_exit_ns)
            return SIGTERM;
        const struct timespec wait = sv_clock_timespec(idle_exit_ns - idle);
        number = sigtimedwait(wanted, NULL, &wait);
        if (number > 0)
            return number;
    }
}

/* `log` NULL: there is none, or none that can be opened again. */
static int serve_until_signal(sv_server *server, const signals *held, const char *log_path, FILE *log, const job *j) {
    const size_t drain_s = j->drain_s;
    const bool quiet = j->common.quiet;
    int number = SIGUSR1;
    pthread_t impatient;
    while (number == SIGUSR1 || (number == SIGHUP && log)) {
        number = next_signal(server, &held->all, j->idle_exit_ns);
        if (log && (number == SIGUSR1 || number == SIGHUP))
            reopen_log(log_path, log);
    }
    if (!quiet)
        sv_cli_say("%s: finishing what was accepted, at most %zu s; again to leave at once", strsignal(number), drain_s);
    if (pthread_create(&impatient, NULL, leave_on_second_signal, (void *)&held->ending) == 0)
        pthread_detach(impatient);
    bool complete = sv_server_drain(server, drain_s * SV_NS_PER_S);
    if (!complete)
        sv_cli_say("some requests weren't finished after %zu s", drain_s);
    sv_server_close(server);
    return complete ? SV_EXIT_DONE : SV_EXIT_FAILED;
}

static void say_where(const sv_server *server) {
    const char *metrics = sv_server_metrics_address(server);
    sv_cli_say("listening on %s%s%s", sv_server_address(server), *metrics ? " and for /metrics on " : "", metrics);
}

/* The socket that systemd has opened, or that of the daemon. */
static senvec_status find_socket(job *j, senvec_error *err) {
    static char path[SV_MAX_PATH];
    int activated;
    SENVEC_TRY(sv_daemon_activated(&activated, err));
    j->server.activated = activated + 1;
    if (activated >= 0 || !j->daemon)
        return SENVEC_OK;
    sv_common common = j->common;
    if (j->models.count > 0)
        common.model = j->models.items[0];
    SENVEC_TRY(sv_daemon_path(&common, path, err));
    j->server.unix_path = path;
    return sv_daemon_lock(path, err);
}

static int serve(job *j) {
    static char key[MAX_KEY];
    static signals held; /* outlives the thread that waits for a second signal */
    senvec_error err;
    sv_server *server = NULL;
    FILE *log = NULL;
    hold_signals(&held);
    senvec_status status = read_key(j->key_file, key, &err);
    j->server.api_key = key;
    const sv_serve_models models = {&j->common, &j->models, &j->names};
    if (status == SENVEC_OK)
        status = sv_serve_models_read(&models, &j->server.models, &j->server.model_count, &err);
    if (status == SENVEC_OK)
        status = clean_prefix(&j->server.prefix, &err);
    if (status == SENVEC_OK && j->log_file) {
        log = strcmp(j->log_file, "-") == 0 ? stdout : fopen(j->log_file, "ae");
        if (!log)
            status = sv_fail(&err, SENVEC_IO, 0, "%s: %s", j->log_file, strerror(errno));
        j->server.access_log = log;
    }
    read_otlp(&j->server, j->common.quiet);
    if (status == SENVEC_OK)
        status = find_socket(j, &err);
    if (status == SENVEC_OK)
        status = open_server(j, &held, log && log != stdout, &server, &err);
    int code;
    if (status == SENVEC_OK) {
        if (!j->common.quiet)
            say_where(server);
        code = serve_until_signal(server, &held, j->log_file, log == stdout ? NULL : log, j);
    } else {
        code = sv_cli_fail(&err);
    }
    if (log && log != stdout)
        fclose(log);
    return code;
}

/* Three octal digits; the user of the server has to be able to ask. */
static bool parse_mode(const char *text, unsigned *mode) {
    *mode = (unsigned)strtoul(text, NULL, 8);
    return strlen(text) == 3 && strspn(text, "01234567") == 3 && (*mode & 0600) == 0600;
}

int sv_cmd_serve(int argc, char **argv) {
    job j = {.common = SV_COMMON_DEFAULTS, .drain_s = 30};
    sv_server_options *server = &j.server;
    const char *unix_mode = NULL;
    int policy = SV_POLICY_SLO;
    double target_s = (double)SV_DEFAULT_TARGET_NS / 1e9, max_wait_s = (double)SV_DEFAULT_MAX_WAIT_NS / 1e9;
    double idle_s = SV_DEFAULT_IDLE_S, read_s = SV_DEFAULT_READ_S, write_s = SV_DEFAULT_WRITE_S, drain_s = 30,
           idle_unload_s = 0, idle_exit_s = 0;
    size_t body_mb = SV_DEFAULT_BODY / MB, memory_mb = 0, cache_mb = SV_DEFAULT_CACHE / MB;
    server->host = "127.0.0.1";
    server->port = SV_DEFAULT_PORT;
    server->http_threads = 1;
    server->max_connections = SV_DEFAULT_CONNECTIONS;
    server->batcher.max_requests = SV_DEFAULT_QUEUE_REQUESTS;
    server->batcher.max_texts = SV_DEFAULT_QUEUE_TEXTS;
    const sv_option options[] = {
        SV_OPTION_TEXT(0, "host", "NAME", &server->host, "address to listen on; 0.0.0.0 or ::: all"),
        SV_OPTION_COUNT(0, "port", "N", &server->port, 0, 65535, "port to listen on; 0: any free one"),
        SV_OPTION_TEXT(0, "unix", "PATH", &server->unix_path, "listen on a unix socket instead"),
        SV_OPTION_TEXT(0, "unix-mode", "MODE", &unix_mode,
                       "rights of that socket in octal: 660 lets its group ask,\n666 everybody; else 600, this user alone"),
        SV_OPTION_FLAG(0, "socket", &j.daemon,
                       "be the daemon of 'senvec embed --daemon': listen on its\nsocket, once for each user"),
        SV_OPTION_DURATION(0, "idle-exit", 1, &idle_exit_s, 0, 864000, "end after this time without requests; 0: never"),
        SV_OPTION_TEXT(0, "tls-cert", "FILE", &server->tls_certificate, "serve HTTPS: certificate chain, PEM"),
        SV_OPTION_TEXT(0, "tls-key", "FILE", &server->tls_key, "and its private key, PEM"),
        SV_OPTION_TEXT(0, "api-key-file", "FILE", &j.key_file,
                       "clients must send the key in the first line of FILE; or\nset $SENVEC_API_KEY"),
        SV_OPTION_TEXT(0, "cors", "ORIGIN", &server->cors_origin, "pages of this origin may call; '*': all"),
        SV_OPTION_TEXTS(
            0, "model-name", "NAME", &j.names,
            "the model's name in answers and lists; for several\nnames, repeat it or put commas between them. Else the\n"
            "name of -m, with and without its organisation"),
        SV_OPTION_TEXT(0, "token-table", "FILE", &server->token_table,
                       "another model's tokens (tiktoken's cl100k_base.tiktoken),\nwhose ids clients send in place of text"),
        SV_OPTION_TEXT(0, "metrics-address", "HOST:PORT", &server->metrics_address,
                       "serve /metrics at this address, without a key, and not\namong the other routes"),
        SV_OPTION_TEXT(0, "prefix", "/PATH", &server->prefix,
                       "serve all routes below this path, too, for a proxy that\nforwards it unchanged"),
        SV_OPTION_CHOICE(0, "policy", &policy, sv_policy_names, "how batches are made"),
        SV_OPTION_DURATION(
            0, "target-p99", 1e-3, &target_s, 1e-3, 60,
            "slo: time within which 99 % of interactive requests should\nbe answered; it sets the size of batches"),
        SV_OPTION_DURATION(
            0, "max-wait", 1, &max_wait_s, 1e-3, 86400,
            "slo: an interactive request that would take longer is\nrefused (429); bulk may take 60 times as long"),
        SV_OPTION_COUNT(0, "sessions", "N", &server->batcher.sessions, 1, SV_MAX_THREADS,
                        "batches at a time, which share the threads; else one\nfor each thread"),
        SV_OPTION_COUNT(0, "http-threads", "N", &server->http_threads, 1, 64, "threads that read requests and write answers"),
        SV_OPTION_COUNT(0, "max-queue", "N", &server->batcher.max_requests, 1, 1000000,
                        "accepted requests at a time; a client or class leaves\nsome to others"),
        SV_OPTION_COUNT(0, "max-queue-texts", "N", &server->batcher.max_texts, 1, 100000000, "texts of these requests"),
        SV_OPTION_COUNT(0, "max-connections", "N", &server->max_connections, 1, 100000,
                        "open connections; one more takes the place of an idle one\nor gets 503"),
        SV_OPTION_COUNT(0, "max-body", "MB", &body_mb, 1, 1000, "size of a request"),
        SV_OPTION_COUNT(
            0, "max-memory", "MB", &memory_mb, 1, 1000000,
            "memory of all requests and answers together; else 512,\nor half of what the machine or control group leaves"),
        SV_OPTION_COUNT(0, "cache", "MB", &cache_mb, 0, 1000000,
                        "memory for vectors of texts that may come again; 0: no\ncache"),
        SV_OPTION_DURATION(0, "idle-timeout", 1, &idle_s, 1, 86400, "close a connection without a request after this time"),
        SV_OPTION_DURATION(0, "read-timeout", 1, &read_s, 1, 86400, "time for a request to arrive completely"),
        SV_OPTION_DURATION(0, "write-timeout", 1, &write_s, 1, 86400, "time for the client to take an answer completely"),
        SV_OPTION_DURATION(0, "drain-timeout", 1, &drain_s, 0, 86400, "time for accepted requests after SIGTERM"),
        SV_OPTION_TEXT(0, "access-log", "FILE", &j.log_file, "append a JSON line for each request; '-' is stdout"),
        SV_OPTION_TEXT(
            0, "otlp", "URL", &server->otlp,
            "OpenTelemetry collector for spans of requests whose\ntraceparent asks for them, http://HOST:4318; or set\n"
            "$OTEL_EXPORTER_OTLP_ENDPOINT"),
        SV_OPTION_TEXTS(
            'm', "model", "[NAME=]MODEL", &j.models,
            "a name that 'senvec pull' knows, a folder, or a file of\n'senvec pack'. Repeat it to serve several models;\n"
            "requests choose one by its name or by NAME[,NAME]..."),
        SV_OPTION_DURATION(0, "idle-unload", 1, &idle_unload_s, 0, 864000,
                           "unload a model after this time without requests; its\nnext request opens it again. 0: never"),
        SV_RUN_OPTIONS(&j.common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "serve [OPTION]...",
        .about = "Serves the model over HTTP with the APIs of OpenAI (/v1/embeddings), text-embeddings-inference (/embed),\n"
                 "Ollama (/api/embed) and Cohere (/v2/embed, /v2/rerank). A page to try it is at /, metrics are at\n"
                 "/metrics, all routes in /openapi.json.",
        .options = options,
        .notes = "Each option can be set in the environment: SENVEC_SERVE_MAX_WAIT=2s is --max-wait 2s; 1 sets a flag.\n"
                 "On SIGTERM and SIGINT the server finishes the accepted requests, refuses new ones and ends. SIGHUP\n"
                 "and SIGUSR1 reopen the access log; without one, SIGHUP acts like SIGTERM.\n"
                 "docs/OPERATIONS.md explains sizing, limits and metrics.",
        .most_operands = 0,
    };
    char *arguments[SV_OPTION_ARGUMENTS + 1] = {NULL};
    int count = sv_option_environment(PREFIX, options, argc, argv, arguments);
    if (count < 0)
        return sv_cli_usage_error("the values of %s* in the environment are too long", PREFIX);
    sv_operands operands;
    int code = sv_options_parse(&usage, count, arguments, &operands);
    if (code != SV_RUN)
        return code;
    if (unix_mode && !parse_mode(unix_mode, &server->unix_mode))
        return sv_cli_usage_error("--unix-mode '%s' isn't three octal digits from 600 on, such as 660", unix_mode);
    if (unix_mode && !server->unix_path)
        return sv_cli_usage_error("--unix-mode goes with --unix; a port has no rights");
    server->port = server->port ? server->port : SIZE_MAX;
    server->batcher.policy = (sv_policy)policy;
    server->batcher.target_ns = (uint64_t)(target_s * 1e9);
    server->batcher.max_wait_ns = (uint64_t)(max_wait_s * 1e9);
    j.idle_exit_ns = (uint64_t)(idle_exit_s * 1e9);
    server->idle_unload_ns = (uint64_t)(idle_unload_s * 1e9);
    server->idle_s = (size_t)ceil(idle_s);
    server->read_s = (size_t)ceil(read_s);
    server->write_s = (size_t)ceil(write_s);
    j.drain_s = (size_t)ceil(drain_s);
    server->batcher.threads = j.common.threads;
    server->max_body = body_mb * MB;
    server->max_memory = memory_mb * MB;
    server->batcher.cache_bytes = cache_mb * MB;
    return serve(&j);
}
