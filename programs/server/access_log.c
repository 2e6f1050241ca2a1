/* Lines as log collectors want them: time first, one object, stable names. Texts and keys never appear. */
#include "server/access_log.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

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
    sv_bytes_print(&line, ",\"total_ms\":%.3f,\"queue_ms\":%.3f,\"compute_ms\":%.3f}\n",
                   (double)(now - exchange->begin_ns) / 1e6, (double)request->queue_ns / 1e6,
                   (double)request->compute_ns / 1e6);
    pthread_mutex_lock(&server->log_lock);
    if (!line.failed) {
        fwrite(line.data, line.length, 1, server->options.access_log);
        fflush(server->options.access_log);
    }
    pthread_mutex_unlock(&server->log_lock);
    sv_bytes_release(&line);
}
