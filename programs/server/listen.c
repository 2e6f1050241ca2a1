/* Sockets are made here rather than by the HTTP library, so that an error says which address and why, names are resolved, and
 * a free port can be asked for. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/hash.h"
#include "server/server.h"

#define BACKLOG 1024

/* `mode`: the rights of a unix socket, which it has from its first moment on. Linux makes the file with those that the socket
 * had when it was bound, less the mask; the mask can't be set for one thread. */
static int open_socket(const struct sockaddr *address, socklen_t size, unsigned mode) {
    int on = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    const char *path = address->sa_family == AF_UNIX ? ((const struct sockaddr_un *)address)->sun_path : NULL;
    if (!path)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool bound = (!path || fchmod(fd, mode) == 0) && bind(fd, address, size) == 0;
    if (bound && (!path || chmod(path, mode) == 0) && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    if (bound && path)
        unlink(path);
    close(fd);
    errno = why;
    return -1;
}

static void print_address(int fd, char *out, size_t size) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    getsockname(fd, (struct sockaddr *)&address, &length);
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
    }
}

senvec_status sv_listen_tcp(const char *host, size_t port, int *out, char *address, size_t size, senvec_error *err) {
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    char service[8];
    snprintf(service, sizeof service, "%u", port == SIZE_MAX ? 0 : (unsigned)(port & 0xffff));
    int error = getaddrinfo(host, service, &hints, &list);
    if (error)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "host '%s': %s", host, gai_strerror(error));
    int fd = -1, why = 0;
    for (const struct addrinfo *item = list; item && fd < 0; item = item->ai_next) {
        fd = open_socket(item->ai_addr, item->ai_addrlen, 0);
        why = errno;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "listening on %s port %s failed: %s", host, service, strerror(why));
    print_address(fd, address, size);
    *out = fd;
    return SENVEC_OK;
}

/* A socket at the path that refuses connections was left behind by a process that is gone. */
static void remove_stale(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

senvec_status sv_listen_unix(const char *path, unsigned mode, int *out, senvec_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "unix socket '%s': its path must have 1 to %zu bytes", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length + 1);
    remove_stale(&address);
    int fd = open_socket((const struct sockaddr *)&address, sizeof address, mode);
    if (fd < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "listening on %s failed: %s", path, strerror(errno));
    *out = fd;
    return SENVEC_OK;
}

uint64_t sv_address_hash(uint64_t seed, const struct sockaddr *address) {
    const void *bytes;
    size_t length;
    if (address && address->sa_family == AF_INET) {
        bytes = &((const struct sockaddr_in *)address)->sin_addr;
        length = sizeof(struct in_addr);
    } else if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(v6);
        bytes = mapped ? &v6->s6_addr[12] : &v6->s6_addr[0];
        length = mapped ? 4 : 8;
    } else {
        return 0;
    }
    return sv_hash(seed, bytes, length);
}

senvec_status sv_listen(const sv_server_options *options, int *out, sv_address *address, senvec_error *err) {
    if (options->activated) {
        char at[128];
        struct sockaddr_un name = {0};
        socklen_t size = sizeof name;
        getsockname(options->activated - 1, (struct sockaddr *)&name, &size);
        print_address(options->activated - 1, at, sizeof at);
        snprintf(address->text, sizeof address->text, "%s", name.sun_family == AF_UNIX ? "the socket of its caller" : at);
        *out = options->activated - 1;
        return SENVEC_OK;
    }
    if (options->unix_path) {
        snprintf(address->text, sizeof address->text, "unix:%.200s", options->unix_path);
        return sv_listen_unix(options->unix_path, options->unix_mode ? options->unix_mode : 0600, out, err);
    }
    char at[128];
    SENVEC_TRY(sv_listen_tcp(options->host ? options->host : "127.0.0.1", options->port ? options->port : SV_DEFAULT_PORT, out,
                             at, sizeof at, err));
    snprintf(address->text, sizeof address->text, "%s://%s", options->tls_key ? "https" : "http", at);
    return SENVEC_OK;
}

senvec_status sv_listen_metrics(const sv_server_options *options, int *out, char *address, size_t size, senvec_error *err) {
    const char *text = options->metrics_address, *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    char host[256], *end, at[128];
    unsigned long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 65536;
    if (port > 65535 || *end || length == 0 || length >= sizeof host)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "--metrics-address '%.100s': it has to be a host and a port, such as 127.0.0.1:9090", text);
    const bool bracketed = text[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(length - 2 * bracketed), text + bracketed);
    SENVEC_TRY(sv_listen_tcp(host, port ? port : SIZE_MAX, out, at, sizeof at, err));
    snprintf(address, size, "%s://%s", options->tls_key ? "https" : "http", at);
    return SENVEC_OK;
}
