/* A round: wait for sockets or the bell, resume what is done, let the HTTP library do what there is to do. */
#include "server/http_loop.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/exchange.h"
#include "server/helper_thread.h"
#include "server/listen.h"

#define BLOCKED_NS UINT64_C(50000) /* waiting took longer: nothing was there before */
#define SLICE_NS 100000            /* the shortest that there is */
/* Whenever a connection is resumed, the library looks at all that are suspended, for some 0.1 us each: with 4,000 of them that
 * was a third of this thread's time. So where there are many, they are resumed together after a pause in proportion to their
 * number, unless one of them came so lately that the pause would be more than a tenth of its time. */
#define FEW_SUSPENDED 500
#define PAUSE_FOR_EACH_NS 10000
/* TLS 1.2 and newer, with forward secrecy. */
#define TLS_PRIORITIES "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-RSA"
#define DELIVERY_STEP 0.0002 /* of the target; see late_ns in batcher/request_queue.c */
#define DELIVERY_MOST 0.5    /* of the target */

/* -------------------------------------------------------------- callbacks */

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    sv_http_loop *loop = context;
    sv_server *server = loop->server;
    loop->again |= code == MHD_CONNECTION_NOTIFY_CLOSED;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_store(&server->last_used, sv_clock_ns());
        /* From libmicrohttpd 1.0 on, all answers about a connection are in one place: each is read before the next is asked. */
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        uint64_t address = info ? sv_address_hash(server->id_seed, info->client_addr) : 0;
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = info ? sv_links_add(&server->links, info->connect_fd, address) : NULL;
    } else if (*socket_context) {
        sv_links_remove(&server->links, *socket_context);
        *socket_context = NULL;
    }
}

/* The request line is there. */
static void *on_request_line(void *context, const char *uri, struct MHD_Connection *connection) {
    (void)uri;
    sv_server *server = ((sv_http_loop *)context)->server;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context)
        sv_links_enter(&server->links, info->socket_context, SV_PHASE_READING, NULL);
    return NULL; /* the request's state, to begin with */
}

/* ---------------------------------------------------------------- the loop */

static void ring(sv_http_loop *loop) {
    ssize_t written = write(loop->bell, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* it can't fail: the counter would have to be full */
}

/* How long the connections that are done wait before they are resumed. With the lock held. */
static uint64_t pause_ns(const sv_http_loop *loop) {
    uint64_t pause = loop->suspended * PAUSE_FOR_EACH_NS, next = loop->resumed_ns + pause, now = loop->round_ns;
    bool pauses = loop->suspended > FEW_SUSPENDED && atomic_load(&loop->state) == SV_HTTP_LOOP_SERVES;
    return loop->done && pauses && next > now && loop->newest_ns + 10 * pause < now ? next - now : 0;
}

/* After the bell was heard, if it was. In a pause it counts as rung until the pause ends, so nobody rings it in vain. */
static void resume_done(sv_http_loop *loop, bool heard) {
    uint64_t rung;
    sv_exchange *exchange = NULL;
    pthread_mutex_lock(&loop->lock);
    heard = (heard && read(loop->bell, &rung, sizeof rung) > 0) || loop->pauses;
    uint64_t pause = pause_ns(loop);
    loop->pauses = pause > 0 && heard;
    loop->pause_ms = (int)(pause / 1000000) + 1;
    if (pause == 0) {
        exchange = loop->done;
        loop->done = NULL;
        loop->newest_ns = 0;
        loop->rung = loop->rung && !heard;
    }
    pthread_mutex_unlock(&loop->lock);
    if (exchange)
        loop->resumed_ns = loop->round_ns;
    for (sv_exchange *next; exchange; exchange = next) {
        next = exchange->next_done;
        loop->suspended--;
        MHD_resume_connection(exchange->connection);
    }
}

static void wait_for_events(sv_http_loop *loop, struct pollfd ready[2]) {
    MHD_UNSIGNED_LONG_LONG timeout; /* the only one that there is: at once; links.h has the others */
    bool pending = MHD_get_timeout(loop->daemon, &timeout) == MHD_YES || loop->again;
    loop->again = false;
    uint64_t before = sv_clock_ns();
    poll(ready, 2, pending ? 0 : loop->pauses ? loop->pause_ms : -1);
    uint64_t now = sv_clock_ns();
    loop->since_ns = now - before > BLOCKED_NS ? now : loop->round_ns;
    loop->round_ns = now;
}

/* While all CPUs compute, a thread that wakes up waits for a slice of theirs, some 3 ms. This one needs the CPU often and for
 * microseconds; from Linux 6.12 on a thread that asks for short slices interrupts those that have long ones. Else it does
 * nothing. */
static void ask_for_short_slices(void) {
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice_ns, deadline, period;
    } attributes = {sizeof attributes, SCHED_OTHER, 0, getpriority(PRIO_PROCESS, 0), 0, SLICE_NS, 0, 0}; /* struct sched_attr */
    if (sched_getscheduler(0) == SCHED_OTHER)
        syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static void *run_loop(void *context) {
    sv_http_loop *loop = context;
    bool quiet = false;
    ask_for_short_slices();
    struct pollfd ready[2] = {
        {.fd = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN},
        {.fd = loop->bell, .events = POLLIN},
    };
    for (;;) {
        wait_for_events(loop, ready);
        sv_http_loop_state state = atomic_load(&loop->state);
        resume_done(loop, ready[1].revents != 0);
        if (state == SV_HTTP_LOOP_ENDS)
            break;
        if (state == SV_HTTP_LOOP_QUIET && !quiet && !loop->metrics) {
            MHD_quiesce_daemon(loop->daemon);
            quiet = true;
        }
        MHD_run(loop->daemon);
    }
    return NULL;
}

void sv_http_loop_add(sv_http_loop *loop, sv_exchange *exchange) {
    pthread_mutex_lock(&loop->lock);
    exchange->next_done = loop->done;
    loop->done = exchange;
    if (exchange->handed_ns > loop->newest_ns)
        loop->newest_ns = exchange->handed_ns;
    pthread_mutex_unlock(&loop->lock);
}

void sv_http_loops_ring(sv_server *server) {
    for (size_t i = 0; i < server->loop_count; i++) {
        sv_http_loop *loop = &server->loops[i];
        pthread_mutex_lock(&loop->lock);
        bool rings = loop->done && !loop->rung;
        loop->rung |= rings;
        pthread_mutex_unlock(&loop->lock);
        if (rings)
            ring(loop);
    }
}

/* ------------------------------------------------------------------ times */

uint64_t sv_http_loop_outside_ns(const sv_http_loop *loop, uint64_t now) {
    return now - loop->since_ns + (uint64_t)loop->delivery_ns;
}

void sv_http_loop_delivered(sv_http_loop *loop, uint64_t finished_ns, uint64_t now) {
    double target = (double)loop->server->options.batcher.target_ns, took = (double)(now - finished_ns);
    sv_track_quantile(&loop->delivery_ns, took, DELIVERY_STEP * target, DELIVERY_MOST * target);
}

/* ------------------------------------------------------------- life cycle */

static senvec_status start_daemon(sv_http_loop *loop, senvec_error *err) {
    sv_server *server = loop->server;
    const sv_server_options *options = &server->options;
    size_t connections = options->max_connections + SV_SURPLUS_LINKS; /* of all loops: links.c counts them together */
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (server->tls_key ? MHD_USE_TLS : 0);
    struct MHD_OptionItem more[5];
    size_t count = 0;
#if MHD_VERSION >= 0x00097701
    /* No folded headers: a proxy in front may understand them otherwise (framing.h). Older versions can't join them. */
    more[count++] = (struct MHD_OptionItem){MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL};
#endif
    if (server->tls_key) {
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key};
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_certificate};
        more[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES};
    }
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    loop->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, sv_exchange_handle, loop, MHD_OPTION_LISTEN_SOCKET, loop->listener, MHD_OPTION_NOTIFY_COMPLETED,
        sv_exchange_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, loop, MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)SV_CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (!loop->daemon)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: the HTTP library couldn't start%s", server->address,
                       server->tls_key ? "; are the certificate and key valid PEM files that belong together?" : "");
    return SENVEC_OK;
}

static senvec_status start_loop(sv_http_loop *loop, senvec_error *err) {
    loop->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = loop->bell < 0 ? errno : 0;
    if (!error) {
        SENVEC_TRY(start_daemon(loop, err));
        error = sv_helper_thread_start(&loop->thread, run_loop, loop);
    }
    if (error)
        return sv_fail(err, SENVEC_SYSTEM, 0, "starting a thread for HTTP failed: %s", strerror(error));
    loop->started = true;
    return SENVEC_OK;
}

senvec_status sv_http_loops_open(sv_server *server, senvec_error *err) {
    const size_t serving = server->options.http_threads, count = serving + (server->metrics_listener >= 0);
    server->loops = calloc(count, sizeof *server->loops);
    if (!server->loops)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu threads", count);
    server->loop_count = count;
    for (size_t i = 0; i < count; i++) {
        const bool metrics = i == serving;
        server->loops[i] = (sv_http_loop){.server = server,
                                          .listener = metrics ? server->metrics_listener : server->listener,
                                          .metrics = metrics,
                                          .bell = -1,
                                          .round_ns = sv_clock_ns()};
        pthread_mutex_init(&server->loops[i].lock, NULL);
    }
    for (size_t i = 0; i < count; i++)
        SENVEC_TRY(start_loop(&server->loops[i], err));
    return SENVEC_OK;
}

static void tell(sv_server *server, sv_http_loop_state state) {
    for (size_t i = 0; i < server->loop_count; i++) {
        atomic_store(&server->loops[i].state, state);
        if (server->loops[i].started)
            ring(&server->loops[i]);
    }
}

void sv_http_loops_quiesce(sv_server *server) {
    tell(server, SV_HTTP_LOOP_QUIET);
}

void sv_http_loops_close(sv_server *server) {
    tell(server, SV_HTTP_LOOP_ENDS);
    for (size_t i = 0; i < server->loop_count; i++) {
        sv_http_loop *loop = &server->loops[i];
        if (loop->started)
            pthread_join(loop->thread, NULL);
        if (loop->daemon)
            MHD_stop_daemon(loop->daemon);
        if (loop->bell >= 0)
            close(loop->bell);
        pthread_mutex_destroy(&loop->lock);
    }
    free(server->loops);
    server->loops = NULL;
    server->loop_count = 0;
}
