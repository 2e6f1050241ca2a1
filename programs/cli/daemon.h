/* The machine's daemon: a `senvec serve --socket` that all processes of a user share, so a model is opened once and later calls
 * don't wait for that. `senvec embed --daemon` asks the daemon and starts one if there is none. If that fails for any reason,
 * the command computes the vectors itself; they are the same. */
#ifndef SV_CLI_DAEMON_H
#define SV_CLI_DAEMON_H

#include "cli/common.h"

/* The socket of the daemon for what `common` says: $SENVEC_SOCKET, or of $XDG_RUNTIME_DIR, else of a folder of the user's own
 * in /tmp, "senvec-KEY.sock". The key is made of the version, of which model files there are, of precision, --cpu (else
 * $SENVEC_CPU) and --threads, as bindings/python/senvec/_daemon.py makes it, so that two that would compute differently never
 * meet. Errors: as sv_hub_resolve; SYSTEM (the folder isn't the user's alone, or the path is too long for a socket). */
senvec_status sv_daemon_path(const sv_common *common, char out[SV_MAX_PATH], senvec_error *err);

/* Makes this process the daemon of `path` until it ends. Errors: SYSTEM: another one is, which had two seconds to end. */
senvec_status sv_daemon_lock(const char *path, senvec_error *err);

/* *out <- the first socket that systemd has opened for this process (LISTEN_FDS), which then is closed to its children; -1:
 * none. Errors: SYSTEM: there is one by LISTEN_FDS, but the descriptor isn't a socket that listens. */
senvec_status sv_daemon_activated(int *out, senvec_error *err);

typedef struct sv_daemon sv_daemon;

/* Connects to the daemon, and starts one if there is none. NULL: it doesn't work. */
sv_daemon *sv_daemon_open(const sv_common *common);
void sv_daemon_close(sv_daemon *daemon); /* NULL is accepted */
/* Floats of a vector, as the model has it. */
size_t sv_daemon_dimensions(const sv_daemon *daemon);
/* As senvec_embed_with; with no texts it looks at the options. False: compute it yourself; `out` and `stats` are as they were.
 */
bool sv_daemon_embed(sv_daemon *daemon, const senvec_text *texts, size_t count, const senvec_embed_options *options, float *out,
                     size_t stride, senvec_embed_stats *stats);

#endif
