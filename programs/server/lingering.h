/* Closing connections whose client may still be sending what nobody reads.
 *
 * If the server closed such a socket at once, the kernel would answer the bytes that are still to come with a reset, and many
 * systems drop what their program hasn't read when a reset comes: the client would never see why it was refused. So the server
 * ends only its own direction and keeps the socket for a while. It discards a bounded number of bytes; if the client sends
 * more, the window closes and the client has to stop. Inside of the server; the caller locks.
 */
#ifndef SV_SERVER_LINGERING_H
#define SV_SERVER_LINGERING_H

#include <stddef.h>
#include <stdint.h>

/* Sockets that are kept at a time. */
#define SV_LINGERING_MOST 64

typedef struct sv_lingering {
    struct sv_lingering_socket {
        int socket;
        uint64_t address; /* a number that identifies the client's address */
        uint64_t until;   /* sv_clock_ns */
        size_t left;      /* bytes that are still discarded */
    } sockets[SV_LINGERING_MOST];
    size_t count; /* the oldest is the first */
} sv_lingering;

/* Ends the server's direction of `socket` and keeps a duplicate, so the caller closes its own as usual. If there is no room,
 * the oldest one of the same address is closed, or else the oldest of all. Without a free descriptor nothing is kept. */
void sv_lingering_add(sv_lingering *lingering, int socket, uint64_t address);
/* Discards what has come and closes what is over; to be called some times a second. */
void sv_lingering_look(sv_lingering *lingering);
/* Closes all. */
void sv_lingering_close(sv_lingering *lingering);

#endif
