/* Connections are answered one after the other: a probe sends its request at once. Whoever is silent for a fifth of a second,
 * or sends for a second, isn't waited for. */
#include "server/starting.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/listen.h"

#define UNIX "unix:"
#define BODY "{\"error\":\"the model is being opened; try again in some seconds\",\"error_type\":\"starting\"}"

struct sv_starting {
    int listener;
    int stop;    /* becomes readable when it is over */
    int signals; /* readable while one of those that end the program is pending */
    const sv_server_options *options;
    sv_starting_leave *leave;
    sv_address address;
    pthread_t thread;
    bool runs; /* the thread is there */
};

static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
                             "Connection: close\r\nContent-Length: 88\r\n\r\n" BODY;
_Static_assert(sizeof BODY - 1 == 88, "Content-Length of the answer");

/* Reads what has come of a request, its end at best, and answers. */
static void serve_one(int connection) {
    const struct timeval patience = {.tv_usec = 200000};
    const uint64_t until = sv_clock_ns() + SV_NS_PER_S;
    char request[4096];
    size_t used = 0;
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (used < sizeof request - 1 && sv_clock_ns() < until) {
        ssize_t got = recv(connection, request + used, sizeof request - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
        request[used] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    if (used) {
        send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL);
        shutdown(connection, SHUT_WR);
        /* A body that is left would turn the close into a reset. */
        while (recv(connection, request, sizeof request, 0) > 0 && sv_clock_ns() < until)
            ;
    }
    close(connection);
}

static void *run(void *context) {
    sv_starting *starting = context;
    struct pollfd waiting[] = {{starting->options->tls_key ? -1 : starting->listener, POLLIN, 0},
                               {starting->stop, POLLIN, 0},
                               {starting->signals, POLLIN, 0}};
    while (poll(waiting, 3, -1) >= 0 || errno == EINTR) {
        if (waiting[1].revents)
            return NULL;
        if (waiting[2].revents)
            starting->leave(starting->options);
        int connection = waiting[0].revents ? accept4(starting->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (connection >= 0)
            serve_one(connection);
    }
    return NULL;
}

senvec_status sv_starting_open(const sv_server_options *options, const sigset_t *ending, sv_starting_leave *leave,
                               sv_starting **out, senvec_error *err) {
    sv_starting *starting = calloc(1, sizeof *starting);
    if (!starting)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a server");
    starting->stop = eventfd(0, EFD_CLOEXEC);
    starting->signals = signalfd(-1, ending, SFD_CLOEXEC);
    starting->listener = -1;
    starting->options = options;
    starting->leave = leave;
    senvec_status status = SENVEC_OK;
    if (starting->stop < 0 || starting->signals < 0)
        status = sv_fail(err, SENVEC_SYSTEM, 0, "no descriptor to wait for signals: %s", strerror(errno));
    if (status == SENVEC_OK)
        status = sv_listen(options, &starting->listener, &starting->address, err);
    if (status == SENVEC_OK)
        starting->runs = pthread_create(&starting->thread, NULL, run, starting) == 0;
    if (status == SENVEC_OK)
        *out = starting;
    else
        sv_starting_end(starting, NULL);
    return status;
}

void sv_starting_end(sv_starting *starting, sv_server_options *options) {
    if (!starting)
        return;
    if (starting->runs) {
        eventfd_write(starting->stop, 1);
        pthread_join(starting->thread, NULL);
    }
    if (options) {
        options->listener = starting->listener + 1;
        options->address = starting->address;
    } else if (starting->listener >= 0) {
        if (strncmp(starting->address.text, UNIX, strlen(UNIX)) == 0)
            unlink(starting->address.text + strlen(UNIX));
        close(starting->listener);
    }
    if (starting->stop >= 0)
        close(starting->stop);
    if (starting->signals >= 0)
        close(starting->signals);
    free(starting);
}
