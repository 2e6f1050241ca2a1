#include "server/http_call.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/clock.h"

#define PART ((size_t)32 << 10)

/* False: the time is over. */
static bool wait_for(int socket, short events, uint64_t until_ns) {
    struct pollfd poller = {.fd = socket, .events = events};
    for (;;) {
        uint64_t now = sv_clock_ns();
        if (now >= until_ns)
            return false;
        const struct timespec left = sv_clock_timespec(until_ns - now);
        int ready = ppoll(&poller, 1, &left, NULL);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static bool send_all(int socket, const sv_bytes *request, uint64_t until_ns) {
    size_t sent = 0;
    while (sent < request->length) {
        ssize_t now = send(socket, request->data + sent, request->length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now > 0)
            sent += (size_t)now;
        else if (errno == EAGAIN ? !wait_for(socket, POLLOUT, until_ns) : errno != EINTR)
            return false;
    }
    return true;
}

bool sv_http_call(int socket, const sv_bytes *request, sv_bytes *in, sv_http_answer *answer, uint64_t until_ns) {
    if (request->failed || !send_all(socket, request, until_ns))
        return false;
    in->length = 0;
    *answer = (sv_http_answer){0};
    sv_http_state state = SV_HTTP_MORE;
    while (state == SV_HTTP_MORE) {
        char *room = sv_bytes_room(in, PART);
        if (!room || !wait_for(socket, POLLIN, until_ns))
            return false;
        ssize_t got = recv(socket, room, PART, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return false;
        in->length += (size_t)got;
        state = sv_http_answer_read(answer, in->data, in->length, got == 0);
    }
    return state == SV_HTTP_COMPLETE;
}
