#include "http/http_connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* *out is connected; or what went wrong, and *out is untouched. */
static const char *try_address(const struct addrinfo *info, double timeout_s, int *out) {
    int descriptor = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return strerror(errno);
    int failure = connect(descriptor, info->ai_addr, info->ai_addrlen) == 0 ? 0 : errno;
    if (failure == EINPROGRESS) {
        struct pollfd poller = {.fd = descriptor, .events = POLLOUT};
        socklen_t size = sizeof failure;
        if (poll(&poller, 1, (int)(timeout_s * 1000)) <= 0)
            failure = ETIMEDOUT;
        else
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
    }
    if (failure)
        close(descriptor);
    else
        *out = descriptor;
    return failure ? strerror(failure) : NULL;
}

senvec_status sv_http_connect(const sv_url *url, double timeout_s, int *out, senvec_error *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    int code = getaddrinfo(url->host, url->port, &hints, &found);
    if (code != 0)
        return sv_fail(err, SENVEC_NETWORK, 0, "%s: no such host: %s", url->host, gai_strerror(code));
    const char *failure = "no address";
    for (const struct addrinfo *info = found; info && failure; info = info->ai_next)
        failure = try_address(info, timeout_s, out);
    freeaddrinfo(found);
    if (failure)
        return sv_fail(err, SENVEC_NETWORK, 0, "%s port %s: %s; is the server running?", url->host, url->port, failure);
    return SENVEC_OK;
}
