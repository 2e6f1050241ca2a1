/* nginx calls this lingering_close, Apache a lingering close too, and RFC 9112, section 9.6, asks for it. The thread that looks
 * after connections does it (links.c), so that the HTTP threads have nothing to do with bytes that nobody wants. */
#include "server/lingering.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LINGER_NS (2 * SV_NS_PER_S)
#define LINGER_BYTES ((size_t)256 << 10)
#define PART ((size_t)16 << 10)

static void end(sv_lingering *lingering, size_t i) {
    close(lingering->sockets[i].socket);
    lingering->count--;
    memmove(&lingering->sockets[i], &lingering->sockets[i + 1], (lingering->count - i) * sizeof lingering->sockets[0]);
}

void sv_lingering_add(sv_lingering *lingering, int socket, uint64_t address) {
    int own = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return;
    if (lingering->count == SV_LINGERING_MOST) {
        size_t oldest = 0;
        while (oldest < lingering->count && lingering->sockets[oldest].address != address)
            oldest++;
        end(lingering, oldest < lingering->count ? oldest : 0);
    }
    shutdown(own, SHUT_WR);
    lingering->sockets[lingering->count++] =
        (struct sv_lingering_socket){own, address, sv_clock_ns() + LINGER_NS, LINGER_BYTES};
}

/* True: the client has ended the connection. */
static bool discard(struct sv_lingering_socket *kept) {
    char part[PART];
    while (kept->left > 0) {
        /* On TCP, MSG_TRUNC drops the bytes without copying them. */
        size_t most = kept->left < sizeof part ? kept->left : sizeof part;
        ssize_t got = recv(kept->socket, part, most, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 || errno != EAGAIN;
        kept->left -= (size_t)got;
    }
    return false;
}

void sv_lingering_look(sv_lingering *lingering) {
    uint64_t now = lingering->count > 0 ? sv_clock_ns() : 0;
    for (size_t i = lingering->count; i-- > 0;) {
        struct sv_lingering_socket *kept = &lingering->sockets[i];
        if (discard(kept) || now >= kept->until)
            end(lingering, i);
    }
}

void sv_lingering_close(sv_lingering *lingering) {
    while (lingering->count > 0)
        end(lingering, lingering->count - 1);
}
