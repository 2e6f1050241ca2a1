/* Lines as log collectors want them: time first, one object, stable names. Texts and keys never appear. */
#include "server/access_log.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/exchange.h"

static void put_peer(const sv_exchange *exchange, char *out, size_t size) {
    snprintf(out, size, "-");
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, (socklen_t)size);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out, (socklen_t)size);
}

/* In one call, so that lines of several processes don't mix. A pipe that nobody empties would stop the server, so a line for
 * which there is no room is lost. The flag for that, O_NONBLOCK, would be the other users' of the pipe, too; where poll says
 * that there is room, a line of less than PIPE_BUF fits. */
static bool write_line(int file, const char *line, size_t length) {
    struct pollfd room = {.fd = file, .events = POLLOUT};
    return poll(&room, 1, 0) == 1 && room.revents & POLLOUT && write(file, line, length) == (ssize_t)length;
}

void sv_access_log_write(const struct sv_exchange *exchange, bool taken, uint64_t now) {
    sv_server *server = exchange->server;
    if (!server->options.access_log)
        return;
    char peer[INET6_ADDRSTRLEN], date[32];
    struct timespec wall;
    struct tm utc;
    put_peer(exchange, peer, sizeof peer);
    clock_gettime(CLOCK_REALTIME, &wall);
    gmtime_r(&wall.tv_sec, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    const sv_request *request = &exchange->request;
    sv_bytes line = {0};
    sv_bytes_print(&line, "{\"time\":\"%s.%03ldZ\",\"id\":\"%s\",\"client\":\"%s\",\"method\":\"%s\",\"path\":", date,
                   wall.tv_nsec / 1000000, exchange->id, peer, exchange->method);
    sv_bytes_string(&line, exchange->path, strlen(exchange->path));
    sv_bytes_print(&line, ",\"status\":%u,\"taken\":%s,\"received\":%zu,\"sent\":%zu,\"texts\":%zu,\"tokens\":%llu",
                   exchange->status, taken ? "true" : "false", exchange->received, exchange->sent, exchange->count,
                   (unsigned long long)request->stats.tokens);
    if (exchange->trace.trace_id[0])
        sv_bytes_print(&line, ",\"trace_id\":\"%s\",\"parent_id\":\"%s\"", exchange->trace.trace_id, exchange->trace.parent_id);
    sv_bytes_print(&line, ",\"total_ms\":%.3f,\"queue_ms\":%.3f,\"compute_ms\":%.3f}\n",
                   (double)(now - exchange->begin_ns) / 1e6, (double)request->queue_ns / 1e6,
                   (double)request->compute_ns / 1e6);
    int file = fileno(server->options.access_log);
    pthread_mutex_lock(&server->log_lock);
    if (line.failed || !write_line(file, line.data, line.length))
        atomic_fetch_add(&server->log_lines_lost, 1);
    pthread_mutex_unlock(&server->log_lock);
    sv_bytes_release(&line);
}
