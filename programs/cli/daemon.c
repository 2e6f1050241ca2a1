/* Two locks keep processes apart. The daemon holds PATH.lock while it lives, so that only one has the socket. Whoever wants to
 * start one holds PATH.start meanwhile; of fifty processes that begin at once one does, and the others find it when they get
 * there. */
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sha256.h"
#include "common/utf8.h"
#include "server/http_call.h"

#define START_NS (20 * SV_NS_PER_S) /* from its start until it answers: a model that has to be calibrated takes longer */
#define LOOK_AGAIN_US 2000
#define PATIENCE_NS (600 * SV_NS_PER_S) /* for an answer */
#define IDLE_EXIT "10m"
#define FIRST_DESCRIPTOR 3 /* sd_listen_fds(3) */

extern char **environ;

struct sv_daemon {
    char path[SV_MAX_PATH];
    int socket;    /* -1: none */
    pid_t started; /* the daemon that this process has started; 0: none */
    size_t dimensions;
    sv_bytes out, in;
    sv_http_answer answer;
};

/* -------------------------------------------------------------------- path */

/* A folder that nobody else can write to. */
static senvec_status own_folder(char out[SV_MAX_PATH], senvec_error *err) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat facts;
    if (runtime && *runtime)
        snprintf(out, SV_MAX_PATH, "%s", runtime);
    else
        snprintf(out, SV_MAX_PATH, "/tmp/senvec-%u", (unsigned)geteuid());
    if (!(runtime && *runtime))
        mkdir(out, 0700);
    if (lstat(out, &facts) != 0 || !S_ISDIR(facts.st_mode) || facts.st_uid != geteuid() || facts.st_mode & 022)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: isn't a folder of this user's alone; set XDG_RUNTIME_DIR to one", out);
    return SENVEC_OK;
}

/* Which files: another model in the same place is another one. */
static void add_file(sv_sha256 *hash, const char *folder, const char *name) {
    char path[SV_MAX_PATH + 64];
    struct stat facts = {0};
    snprintf(path, sizeof path, "%s%s", folder, name);
    if (stat(path, &facts) != 0)
        facts = (struct stat){0};
    const int64_t which[] = {(int64_t)facts.st_dev, (int64_t)facts.st_ino, (int64_t)facts.st_size,
                             (int64_t)facts.st_mtim.tv_sec, (int64_t)facts.st_mtim.tv_nsec};
    sv_sha256_add(hash, which, sizeof which);
}

static senvec_status make_key(const sv_common *common, char out[65], senvec_error *err) {
    char given[SV_MAX_PATH], model[SV_MAX_PATH], facts[256];
    SENVEC_TRY(sv_hub_resolve(common->model, given, err));
    if (!realpath(given, model))
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: %s", given, strerror(errno));
    sv_sha256 hash;
    sv_sha256_init(&hash);
    const char *mask = common->cpu ? common->cpu : getenv("SENVEC_CPU");
    int length = snprintf(facts, sizeof facts, "%s %d %zu %.100s ", senvec_version(), common->precision, common->threads,
                          mask ? mask : "");
    sv_sha256_add(&hash, facts, (size_t)length);
    sv_sha256_add(&hash, model, strlen(model));
    /* Of a folder its files: its own time changes with what is calibrated and kept beside them. */
    static const char *const names[] = {"/config.json", "/modules.json", "/tokenizer.json", "/model.safetensors",
                                        "/config_sentence_transformers.json"};
    struct stat kind;
    if (stat(model, &kind) == 0 && S_ISREG(kind.st_mode))
        add_file(&hash, model, "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_file(&hash, model, names[i]);
    sv_sha256_end_text(&hash, out);
    return SENVEC_OK;
}

senvec_status sv_daemon_path(const sv_common *common, char out[SV_MAX_PATH], senvec_error *err) {
    char folder[SV_MAX_PATH], key[65];
    const char *given = getenv("SENVEC_SOCKET");
    int length;
    if (given && *given) {
        length = snprintf(out, SV_MAX_PATH, "%s", given);
    } else {
        SENVEC_TRY(own_folder(folder, err));
        SENVEC_TRY(make_key(common, key, err));
        length = snprintf(out, SV_MAX_PATH, "%s/senvec-%.16s.sock", folder, key);
    }
    if (length >= (int)sizeof((struct sockaddr_un *)0)->sun_path)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: is too long for a socket; set SENVEC_SOCKET to a shorter path", out);
    return SENVEC_OK;
}

/* ------------------------------------------------------------------- locks */

/* The file PATH + `suffix`, locked until it is closed; -1: another process has it, or there can't be one. */
static int lock_file(const char *path, const char *suffix, bool wait) {
    char name[SV_MAX_PATH + 16];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (file >= 0 && flock(file, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0)
        if (errno != EINTR) {
            close(file);
            return -1;
        }
    return file;
}

senvec_status sv_daemon_lock(const char *path, senvec_error *err) {
    uint64_t until = sv_clock_ns() + 2 * SV_NS_PER_S; /* the one before may be ending */
    while (lock_file(path, ".lock", false) < 0) {     /* which the end of the process gives back */
        if (sv_clock_ns() > until)
            return sv_fail(err, SENVEC_SYSTEM, 0, "%s: another daemon has this socket", path);
        usleep(LOOK_AGAIN_US);
    }
    return SENVEC_OK;
}

/* Whether connections can be accepted on it. */
static bool listens(int descriptor) {
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

senvec_status sv_daemon_activated(int *out, senvec_error *err) {
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool ours = process && count && strtol(process, NULL, 10) == (long)getpid() && strtol(count, NULL, 10) >= 1;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *out = ours ? FIRST_DESCRIPTOR : -1;
    if (!ours)
        return SENVEC_OK;
    if (!listens(FIRST_DESCRIPTOR))
        return sv_fail(err, SENVEC_SYSTEM, 0,
                       "LISTEN_FDS promises a socket as descriptor %d, but that isn't one that listens; in a systemd socket "
                       "unit use ListenStream= and Accept=no, or unset LISTEN_FDS",
                       FIRST_DESCRIPTOR);
    if (fcntl(FIRST_DESCRIPTOR, F_SETFD, FD_CLOEXEC) != 0 || fcntl(FIRST_DESCRIPTOR, F_SETFL, O_NONBLOCK) != 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "descriptor %d of LISTEN_FDS: %s", FIRST_DESCRIPTOR, strerror(errno));
    return SENVEC_OK;
}

/* ------------------------------------------------------------------ asking */

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends what stands in `out` and reads the answer to it; false: the connection is of no use any more. */
static bool exchange(sv_daemon *daemon) {
    return sv_http_call(daemon->socket, &daemon->out, &daemon->in, &daemon->answer, sv_clock_ns() + PATIENCE_NS);
}

static bool ask_dimensions(sv_daemon *daemon) {
    static const char member[] = "\"senvec\":{\"dimensions\":";
    daemon->out.length = 0;
    sv_bytes_text(&daemon->out, "GET /info HTTP/1.1\r\nHost: senvec\r\n\r\n");
    if (!exchange(daemon) || daemon->answer.status != 200)
        return false;
    const char *body = daemon->in.data + daemon->answer.body;
    const char *found = memmem(body, daemon->answer.body_length, member, strlen(member));
    if (found)
        sscanf(found + strlen(member), "%zu", &daemon->dimensions);
    return daemon->dimensions > 0 && daemon->dimensions <= SV_MAX_VECTOR;
}

/* ---------------------------------------------------------------- starting */

/* What only a daemon gets that a person starts: it would ask for a key, or listen elsewhere. */
static bool is_for_servers(const char *variable) {
    static const char *const names[] = {"SENVEC_SERVE_", "SENVEC_API_KEY=", "LISTEN_"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* A process of its own, which outlives this one and has none of its files. */
static bool start(sv_daemon *daemon, const sv_common *common) {
    char threads[24], *arguments[20];
    size_t count = 0, kept = 0, all = 0;
    const char *const fixed[] = {"senvec", "serve", "--socket",    "--idle-exit", IDLE_EXIT,
                                 "-q",     "-m",    common->model, "-p",          sv_precision_choices[common->precision]};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        arguments[count++] = (char *)fixed[i];
    if (common->threads) {
        snprintf(threads, sizeof threads, "%zu", common->threads);
        arguments[count++] = "-t";
        arguments[count++] = threads;
    }
    if (common->cpu) {
        arguments[count++] = "--cpu";
        arguments[count++] = (char *)common->cpu;
    }
    arguments[count] = NULL;
    while (environ[all])
        all++;
    char **variables = calloc(all + 1, sizeof *variables);
    for (size_t i = 0; variables && i < all; i++)
        if (!is_for_servers(environ[i]))
            variables[kept++] = environ[i];
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&files);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_addopen(&files, i, "/dev/null", O_RDWR, 0);
    bool started = variables && posix_spawn(&daemon->started, "/proc/self/exe", &files, &attributes, arguments, variables) == 0;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(variables);
    return started;
}

/* Whether the daemon that was started couldn't begin, because of its model for example. */
static bool has_failed(const sv_daemon *daemon) {
    return daemon->started > 0 && waitpid(daemon->started, NULL, WNOHANG) == daemon->started;
}

/* Until there is a daemon that answers; false: it takes too long, or has ended. */
static bool connect_and_ask(sv_daemon *daemon, uint64_t until) {
    for (;;) {
        daemon->socket = connect_to(daemon->path);
        if (daemon->socket >= 0 && ask_dimensions(daemon))
            return true;
        if (daemon->socket >= 0)
            close(daemon->socket);
        daemon->socket = -1;
        if (sv_clock_ns() >= until || has_failed(daemon))
            return false;
        usleep(LOOK_AGAIN_US);
    }
}

static bool reach(sv_daemon *daemon, const sv_common *common) {
    senvec_error err;
    if (sv_daemon_path(common, daemon->path, &err) != SENVEC_OK)
        return false;
    if (connect_and_ask(daemon, 0))
        return true;
    if (getenv("SENVEC_SOCKET") && *getenv("SENVEC_SOCKET")) /* somebody else's to start */
        return false;
    int lock = lock_file(daemon->path, ".start", true);
    bool there = lock >= 0 &&
                 (connect_and_ask(daemon, 0) || (start(daemon, common) && connect_and_ask(daemon, sv_clock_ns() + START_NS)));
    if (lock >= 0)
        close(lock);
    return there;
}

sv_daemon *sv_daemon_open(const sv_common *common) {
    sv_daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return NULL;
    daemon->socket = -1;
    if (reach(daemon, common))
        return daemon;
    sv_daemon_close(daemon);
    return NULL;
}

void sv_daemon_close(sv_daemon *daemon) {
    if (!daemon)
        return;
    if (daemon->socket >= 0)
        close(daemon->socket);
    sv_bytes_release(&daemon->out);
    sv_bytes_release(&daemon->in);
    free(daemon);
}

size_t sv_daemon_dimensions(const sv_daemon *daemon) {
    return daemon->dimensions;
}

/* --------------------------------------------------------------- embedding */

static bool is_utf8(senvec_text text) {
    bool invalid = false;
    uint32_t c;
    const uint8_t *at = (const uint8_t *)text.data, *end = at + text.length;
    while (at < end && !invalid)
        at += sv_utf8_decode(at, end, &c, &invalid);
    return !invalid;
}

/* Whether the interface says the same as these options, and carries the texts as they are. */
static bool can_ask(const sv_daemon *daemon, const senvec_text *texts, size_t count, const senvec_embed_options *options) {
    if (options->prompt || options->dimensions > daemon->dimensions ||
        (options->dimensions && options->normalize == SENVEC_NORMALIZE_ON))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_utf8(texts[i]))
            return false;
    return true;
}

static void write_request(sv_daemon *daemon, const senvec_text *texts, size_t count, const senvec_embed_options *options) {
    sv_bytes *body = &daemon->in, *out = &daemon->out; /* the answer comes later */
    body->length = out->length = 0;
    sv_bytes_text(body, "{\"input\":");
    for (size_t i = 0; i < count; i++) {
        sv_bytes_text(body, i ? "," : "[");
        sv_bytes_string(body, texts[i].length ? texts[i].data : "", texts[i].length);
    }
    sv_bytes_text(body, "]");
    if (options->prompt_name) {
        sv_bytes_text(body, ",\"prompt_name\":");
        sv_bytes_string(body, options->prompt_name, strlen(options->prompt_name));
    }
    if (options->normalize != SENVEC_NORMALIZE_AUTO)
        sv_bytes_print(body, ",\"normalize\":%s", options->normalize == SENVEC_NORMALIZE_ON ? "true" : "false");
    if (options->truncation != SENVEC_TRUNCATION_AUTO)
        sv_bytes_print(body, ",\"truncation_direction\":\"%s\"", sv_truncation_choices[options->truncation]);
    sv_bytes_text(body, "}");
    sv_bytes_print(out,
                   "POST /v1/embeddings HTTP/1.1\r\nHost: senvec\r\nContent-Type: application/json\r\n"
                   "Accept: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                   body->length);
    sv_bytes_put(out, body->data, body->length);
    out->failed |= body->failed;
}

/* The number in a header of the answer; 0: there is none. */
static uint64_t number_in(const sv_daemon *daemon, const char *header) {
    const char *found = memmem(daemon->in.data, daemon->answer.body, header, strlen(header));
    return found ? strtoull(found + strlen(header), NULL, 10) : 0;
}

/* The same request on a new connection: the one before may have been idle for too long. */
static bool again(sv_daemon *daemon) {
    close(daemon->socket);
    daemon->socket = connect_to(daemon->path);
    return daemon->socket >= 0 && exchange(daemon);
}

bool sv_daemon_embed(sv_daemon *daemon, const senvec_text *texts, size_t count, const senvec_embed_options *options, float *out,
                     size_t stride, senvec_embed_stats *stats) {
    size_t size = daemon->dimensions * sizeof(float), kept = options->dimensions ? options->dimensions : daemon->dimensions;
    if (!can_ask(daemon, texts, count, options))
        return false;
    if (count == 0 && !options->prompt_name)
        return true;
    const senvec_text any = {"a", 1};
    write_request(daemon, count ? texts : &any, count ? count : 1, options);
    if (!exchange(daemon) && !again(daemon))
        return false;
    if (daemon->answer.status != 200 || !daemon->answer.keep_alive || (count > 0 && daemon->answer.body_length != count * size))
        return false;
    const char *vectors = daemon->in.data + daemon->answer.body;
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * stride, vectors + i * size, kept * sizeof(float));
    if (stats) {
        stats->tokens += number_in(daemon, "\r\nx-compute-tokens: ");
        stats->truncated += number_in(daemon, "\r\nx-truncated: ");
    }
    return true;
}
