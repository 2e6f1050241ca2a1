/* Opening, draining and closing a server. What happens to a request is in exchange.c. */
#include "server/server.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cpu/machine.h"
#include "common/file.h"
#include "server/exchange.h"
#include "server/listen.h"
#include "server/starting.h"

#define LARGE_BLOCK (512 << 10)
#define OTHER_DESCRIPTORS 64 /* than connections' */

/* -------------------------------------------------------------- callbacks */

static void on_left(sv_exchange *exchange) {
    sv_batcher_cancel(exchange->server->batcher, &exchange->request);
}

static void on_some_done(void *context) {
    sv_http_loops_ring(context);
}

/* ---------------------------------------------------------------- options */

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

static void fill_in(sv_server_options *options) {
    sv_batcher_options *batcher = &options->batcher;
    options->host = copy(options->host ? options->host : "127.0.0.1");
    options->port = options->port ? options->port : SV_DEFAULT_PORT;
    options->unix_path = copy(options->unix_path);
    options->api_key = copy(options->api_key && options->api_key[0] ? options->api_key : NULL);
    options->cors_origin = copy(options->cors_origin);
    options->prefix = copy(options->prefix);
    options->models = NULL;
    options->model_count = 0;
    options->token_table = options->otlp = options->otlp_service = NULL;
    options->http_threads = options->http_threads ? options->http_threads : 1;
    options->max_connections = options->max_connections ? options->max_connections : SV_DEFAULT_CONNECTIONS;
    options->max_body = options->max_body ? options->max_body : SV_DEFAULT_BODY;
    options->idle_s = options->idle_s ? options->idle_s : SV_DEFAULT_IDLE_S;
    options->read_s = options->read_s ? options->read_s : SV_DEFAULT_READ_S;
    options->write_s = options->write_s ? options->write_s : SV_DEFAULT_WRITE_S;
    batcher->target_ns = batcher->target_ns ? batcher->target_ns : SV_DEFAULT_TARGET_NS;
    batcher->max_requests = batcher->max_requests ? batcher->max_requests : SV_DEFAULT_QUEUE_REQUESTS;
    batcher->max_texts = batcher->max_texts ? batcher->max_texts : SV_DEFAULT_QUEUE_TEXTS;
}

static senvec_status read_text(const char *path, char **out, senvec_error *err) {
    sv_file_map file;
    SENVEC_TRY(sv_file_map_open(path, &file, err));
    char *text = calloc(1, file.size + 1);
    if (text && file.size)
        memcpy(text, file.data, file.size);
    sv_file_map_close(&file);
    if (!text)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for it", path);
    *out = text;
    return SENVEC_OK;
}

static senvec_status read_certificate(sv_server *server, const sv_server_options *options, senvec_error *err) {
    if (!options->tls_certificate && !options->tls_key)
        return SENVEC_OK;
    if (!options->tls_certificate || !options->tls_key)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "TLS needs both the certificate and its key");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_NO)
        return sv_fail(
            err, SENVEC_UNSUPPORTED, 0,
            "the libmicrohttpd of this senvec is built without TLS, as the Python package's is; put a proxy in front, or "
            "build senvec from its sources");
    SENVEC_TRY(read_text(options->tls_certificate, &server->tls_certificate, err));
    return read_text(options->tls_key, &server->tls_key, err);
}

/* ------------------------------------------------------------- life cycle */

static senvec_status listen_somewhere(sv_server *server, senvec_error *err) {
    sv_starting *starting = server->options.starting;
    server->options.starting = NULL;
    if (starting)
        sv_starting_end(starting, &server->options);
    server->listener = server->options.listener - 1;
    sv_address address = server->options.address;
    if (server->listener < 0)
        SENVEC_TRY(sv_listen(&server->options, &server->listener, &address, err));
    snprintf(server->address, sizeof server->address, "%s", address.text);
    return SENVEC_OK;
}

/* The soft limit on open files is raised as far as is needed; where the hard one is lower, there are fewer places.
 *
 * The kernel makes a process's table of descriptors larger step by step, and with several threads each step takes some 15 ms,
 * in which no new connection is taken. So it gets its size at once, before there are threads. */
static void make_room_for_connections(sv_server *server) {
    rlim_t others = OTHER_DESCRIPTORS + SV_SURPLUS_LINKS + SV_LINGERING_MOST, needed = server->options.max_connections + others;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < needed)
        server->options.max_connections = limit.rlim_cur > 2 * others ? limit.rlim_cur - others : limit.rlim_cur / 4 + 1;
    int any = eventfd(0, EFD_CLOEXEC);
    int last = fcntl(any, F_DUPFD_CLOEXEC, (int)(needed < limit.rlim_cur ? needed : limit.rlim_cur) - 1);
    if (last >= 0)
        close(last);
    if (any >= 0)
        close(any);
}

/* glibc learns from the first large block that is freed to take the next ones from its heap, where a small one behind them
 * keeps them from the system. With a threshold of our own a large block is always the system's, and its again when freed. */
static void give_back_large_blocks(void) {
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

static size_t default_memory(const sv_server *server) {
    sv_machine machine;
    size_t taken = 0;
    sv_machine_describe(&machine);
    for (size_t i = 0; i < server->served.count; i++)
        taken += server->served.items[i].info.memory_bytes + server->options.batcher.cache_bytes;
    return sv_request_memory_default(machine.memory_bytes, taken);
}

static senvec_status open_server(sv_server *server, const sv_server_options *options, senvec_error *err) {
    SENVEC_TRY(read_certificate(server, options, err));
    if (options->token_table)
        SENVEC_TRY(sv_token_table_open(options->token_table, &server->table, err));
    const char *service = options->otlp_service;
    if (options->otlp)
        SENVEC_TRY(sv_trace_export_open(options->otlp, service ? service : "senvec", &server->traces, err));
    make_room_for_connections(server);
    SENVEC_TRY(sv_served_open(server, options, err));
    SENVEC_TRY(listen_somewhere(server, err));
    if (options->metrics_address)
        SENVEC_TRY(sv_listen_metrics(&server->options, &server->metrics_listener, server->metrics_address,
                                     sizeof server->metrics_address, err));
    if (!server->options.max_memory)
        server->options.max_memory = default_memory(server);
    server->memory.most = server->options.max_memory;
    const sv_links_options links = {
        .idle_ns = server->options.idle_s * SV_NS_PER_S,
        .read_ns = server->options.read_s * SV_NS_PER_S,
        .write_ns = server->options.write_s * SV_NS_PER_S,
        .places = server->options.max_connections,
        .on_left = on_left,
    };
    SENVEC_TRY(sv_links_open(&server->links, &links, err));
    SENVEC_TRY(sv_large_bodies_open(&server->large_bodies, sv_exchange_read_large, err));
    SENVEC_TRY(sv_served_start(server, err));
    atomic_store(&server->last_used, sv_clock_ns());
    return sv_http_loops_open(server, err);
}

senvec_status sv_server_open(const sv_server_options *options, sv_server **out, senvec_error *err) {
    sv_server *server = calloc(1, sizeof *server);
    if (!server)
        sv_starting_end(options->starting, NULL);
    if (!server)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a server");
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    server->listener = server->metrics_listener = -1;
    server->options = *options;
    server->opened_ns = sv_clock_ns();
    server->opened_at = (double)wall.tv_sec;
    if (getrandom(&server->id_seed, sizeof server->id_seed, GRND_NONBLOCK) < 0)
        server->id_seed = server->opened_ns;
    fill_in(&server->options);
    server->options.batcher.some_done = on_some_done;
    server->options.batcher.context = server;
    server->options.batcher.cache_bytes /= options->model_count; /* each has its own */
    sv_server_metrics_init(&server->metrics);
    sv_request_memory_init(&server->memory, server->options.max_memory);
    give_back_large_blocks();
    pthread_mutex_init(&server->log_lock, NULL);
    senvec_status status = open_server(server, options, err);
    sv_starting_end(server->options.starting, NULL);
    server->options.starting = NULL;
    if (status != SENVEC_OK) {
        sv_server_close(server);
        return status;
    }
    *out = server;
    return SENVEC_OK;
}

const char *sv_server_address(const sv_server *server) {
    return server->address;
}

const char *sv_server_metrics_address(const sv_server *server) {
    return server->metrics_address;
}

/* New connections are refused from here on. The socket itself is closed when the HTTP library has ended: its threads may look
 * at it until then. */
static void stop_listening(sv_server *server) {
    if (server->listener < 0 || atomic_exchange(&server->draining, true))
        return;
    sv_http_loops_quiesce(server);
    if (!server->options.activated)
        shutdown(server->listener, SHUT_RDWR);
    if (server->options.unix_path)
        unlink(server->options.unix_path);
}

uint64_t sv_server_idle_ns(sv_server *server) {
    struct pollfd waiting = {.fd = server->listener, .events = POLLIN};
    if (poll(&waiting, 1, 0) > 0 || atomic_load(&server->exchanges) > 0)
        return 0;
    uint64_t last = atomic_load(&server->last_used), now = sv_clock_ns();
    return now > last ? now - last : 0;
}

bool sv_server_drain(sv_server *server, uint64_t timeout_ns) {
    uint64_t now = sv_clock_ns(), until = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    stop_listening(server);
    bool empty = sv_batcher_drain(server->batcher, timeout_ns);
    return sv_links_drain(&server->links, until) && empty;
}

void sv_server_close(sv_server *server) {
    if (!server)
        return;
    stop_listening(server);
    sv_links_stop(&server->links);
    /* No connection may be suspended when the HTTP library stops; it may still ask the batcher until then. */
    sv_large_bodies_close(&server->large_bodies);
    sv_served_stop(&server->served);
    if (server->batcher)
        sv_batcher_stop(server->batcher);
    sv_http_loops_close(server);
    sv_trace_export_close(server->traces);
    if (server->listener >= 0)
        close(server->listener);
    if (server->metrics_listener >= 0)
        close(server->metrics_listener);
    sv_batcher_close(server->batcher);
    sv_links_close(&server->links);
    sv_served_close(&server->served);
    sv_token_table_close(&server->table);
    sv_server_metrics_release(&server->metrics);
    sv_request_memory_release(&server->memory);
    pthread_mutex_destroy(&server->log_lock);
    free(server->tls_certificate);
    free(server->tls_key);
    free((char *)server->options.host);
    free((char *)server->options.unix_path);
    free((char *)server->options.api_key);
    free((char *)server->options.cors_origin);
    free((char *)server->options.prefix);
    free(server);
}
