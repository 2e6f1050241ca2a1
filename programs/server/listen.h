/* Listening sockets and the addresses of peers. */
#ifndef SV_SERVER_LISTEN_H
#define SV_SERVER_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* Listens on the first address of `host` that can be had, at `port` (SIZE_MAX: any free one). `address` gets "127.0.0.1:8080"
 * or "[::1]:8080". Errors: INVALID_ARGUMENT (unknown host), SYSTEM. */
senvec_status sv_listen_tcp(const char *host, size_t port, int *out, char *address, size_t size, senvec_error *err);

/* Listens on a unix socket with the rights `mode`, whatever the umask. A socket at that path on which nobody listens any more
 * is replaced, anything else isn't. Errors: INVALID_ARGUMENT (path too long), SYSTEM. */
senvec_status sv_listen_unix(const char *path, unsigned mode, int *out, senvec_error *err);

struct sv_server_options;
struct sv_address;
/* Listens as the options of a server say, on TCP or a unix socket, or takes the socket that the caller has opened
 * (`activated`); `address` gets "http://..." or "unix:...". Errors: as sv_listen_tcp and sv_listen_unix. */
senvec_status sv_listen(const struct sv_server_options *options, int *out, struct sv_address *address, senvec_error *err);

/* Listens on options->metrics_address, "HOST:PORT" or "[::1]:PORT"; `address` gets "http://..." as for the rest. Errors: as
 * above, and INVALID_ARGUMENT for what isn't a host and a port. */
senvec_status sv_listen_metrics(const struct sv_server_options *options, int *out, char *address, size_t size,
                                senvec_error *err);

struct sockaddr;
/* A number that tells addresses apart: IPv4 addresses, and of IPv6 addresses the first 64 bits, which are one customer's
 * network; 0 for all others, and for NULL. With a secret `seed` nobody can choose an address whose number is close to
 * another's. */
uint64_t sv_address_hash(uint64_t seed, const struct sockaddr *address);

#endif
