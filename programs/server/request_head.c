/* The head of a request: its path, who sends it, whether it may, and how long it has. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/exchange.h"
#include "server/framing.h"

/* The client's own id where it is fit for a header and a log, else a new one. */
static void choose_id(sv_exchange *exchange) {
    const char *given = sv_exchange_header(exchange, "X-Request-Id");
    size_t length = given ? strlen(given) : 0;
    if (length > 0 && length < sizeof exchange->id &&
        strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/=") == length) {
        memcpy(exchange->id, given, length + 1);
        return;
    }
    sv_server *server = exchange->server;
    snprintf(exchange->id, sizeof exchange->id, "%016llx",
             (unsigned long long)((server->id_seed + atomic_fetch_add(&server->last_id, 1)) * UINT64_C(0x9e3779b97f4a7c15)));
}

/* Takes the same time wherever the two differ. */
static bool same_secret(const char *given, const char *secret) {
    size_t given_length = strlen(given), length = strlen(secret);
    unsigned char differs = given_length != length;
    for (size_t i = 0; i < length; i++)
        differs |= (unsigned char)(given[given_length ? i % given_length : 0] ^ secret[i]);
    return !differs;
}

/* Anybody may have it. The figures say who works how much: where only those with a key may use the server, they are for those,
 * or for whom the metrics' own address is for. */
static bool is_open(const sv_exchange *exchange) {
    return exchange->route->use & SV_ROUTE_OPEN && (exchange->loop->metrics || !sv_route_is_metrics(exchange->route));
}

/* The key comes as OpenAI's clients send it, or as Azure's do. */
static bool is_authorized(const sv_exchange *exchange) {
    const char *secret = exchange->server->options.api_key;
    if (!secret || is_open(exchange))
        return true;
    const char *bearer = sv_exchange_header(exchange, "Authorization"), *key = sv_exchange_header(exchange, "api-key");
    return (bearer && strncasecmp(bearer, "Bearer ", 7) == 0 && same_secret(bearer + 7, secret)) ||
           (key && same_secret(key, secret));
}

/* A host, maybe with a port, that can't have been made to lead to this machine by whoever owns the name. */
static bool is_literal_host(const char *host) {
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    return host[0] == '[' || strspn(host, "0123456789.") == length || (length == 9 && strncasecmp(host, "localhost", 9) == 0);
}

/* Browsers say which page's script calls. One of another origin needs --cors. So does one of this origin where only this
 * machine is listened to and the host is a name: anybody may have his name lead to 127.0.0.1 once his page is loaded. */
static bool is_allowed_page(const sv_exchange *exchange) {
    const sv_server *server = exchange->server;
    const char *origin = sv_exchange_header(exchange, "Origin"), *host = sv_exchange_header(exchange, "Host");
    const char *allowed = server->options.cors_origin;
    if (!origin || exchange->route->use & SV_ROUTE_OPEN || (allowed && (!strcmp(allowed, "*") || !strcasecmp(allowed, origin))))
        return true;
    const char *own = strstr(origin, "://"), *address = strstr(server->address, "://");
    if (!own || !host || strcasecmp(own + 3, host) != 0)
        return false;
    return is_literal_host(host) || (address && strncmp(address, "://127.", 7) != 0 && strncmp(address, "://[::1]", 8) != 0);
}

/* The route, or an error as the answer. */
static void find_route(sv_exchange *exchange) {
    const sv_route *route = sv_route_find(exchange->method, exchange->path, &exchange->allowed);
    const bool metrics = route && sv_route_is_metrics(route);
    if (exchange->loop->metrics && route && !metrics && strcmp(route->path, "/health") != 0) {
        sv_exchange_fail(exchange, 404, "only /metrics and /health are here (--metrics-address)");
        return;
    }
    if (metrics && !exchange->loop->metrics && *exchange->server->metrics_address) {
        sv_exchange_fail(exchange, 404, "/metrics has an address of its own (--metrics-address)");
        return;
    }
    exchange->route = route;
    if (route)
        return;
    if (!exchange->allowed)
        sv_exchange_fail(exchange, 404, "there is nothing at %s; /openapi.json lists what there is", exchange->path);
    else if (strcmp(exchange->method, "OPTIONS") == 0) /* a browser asks before it sends; the headers are the answer */
        exchange->status = 204;
    else
        sv_exchange_fail(exchange, 405, "%s takes %s, not %s", exchange->path, exchange->allowed, exchange->method);
}

static void read_encoding(sv_exchange *exchange) {
    const char *encoding = sv_exchange_header(exchange, "Content-Encoding");
    if (!encoding || !*encoding || strcasecmp(encoding, "identity") == 0)
        return;
    if (strcasecmp(encoding, "gzip") != 0 && strcasecmp(encoding, "x-gzip") != 0 && strcasecmp(encoding, "deflate") != 0) {
        sv_exchange_fail(exchange, 415, "Content-Encoding: bodies are taken as they are, in gzip or in deflate, not in '%.40s'",
                         encoding);
        return;
    }
    if (!sv_exchange_reserve(exchange, SV_GUNZIP_BYTES))
        return;
    exchange->gunzip = sv_gunzip_open();
    if (!exchange->gunzip)
        sv_exchange_fail_memory(exchange, "unpacking the body");
}

bool sv_exchange_suits_model(sv_exchange *exchange) {
    static const char *const kinds[] = {"an embedder", "a reranker", "a classifier", "a sparse embedder (SPLADE)"};
    unsigned wanted = exchange->route->use / SV_ROUTE_EMBEDDER, task = exchange->served->info.task;
    char names[100] = "";
    size_t used = 0;
    if (wanted == 0 || wanted & 1u << task)
        return true;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (wanted & 1u << i)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? " or " : "", kinds[i]);
    sv_exchange_fail(exchange, 424, "%s needs %s; this model is %s", exchange->path, names, kinds[task]);
    return false;
}

static void judge_headers(sv_exchange *exchange, const char *version) {
    sv_server *server = exchange->server;
    const char *fault = sv_framing_fault(exchange->connection, version);
    find_route(exchange);
    if (fault) {
        sv_exchange_fail(exchange, 400, "%s; the connection ends here", fault);
        exchange->closes = true;
    }
    if (exchange->link && !sv_links_has_place(&server->links, exchange->link)) {
        exchange->closes = true;
        if (!exchange->status && !(exchange->route->use & SV_ROUTE_OPEN)) {
            exchange->retry_ns = SV_NS_PER_S;
            sv_exchange_fail(exchange, 503, "all %zu connections are in use (--max-connections); try again later",
                             server->options.max_connections);
        }
    }
    if (exchange->status)
        return;
    if (!is_allowed_page(exchange)) {
        sv_exchange_fail(exchange, 403, "pages of '%.100s' may not use this server; to let them, start it with --cors '%.100s'",
                         sv_exchange_header(exchange, "Origin"), sv_exchange_header(exchange, "Origin"));
        return;
    }
    if (!is_authorized(exchange)) {
        sv_exchange_fail(exchange, 401,
                         "the API key is missing or wrong; send it as \"Authorization: Bearer KEY\" or \"api-key: KEY\"");
        return;
    }
    if (server->served.count == 1 && !sv_exchange_suits_model(exchange))
        return;
    if (exchange->route->use & SV_ROUTE_WORKS && atomic_load(&server->draining)) {
        exchange->retry_ns = SV_NS_PER_S;
        sv_exchange_fail(exchange, 503, "the server is shutting down; try again, another one may be there");
        return;
    }
    const char *length = sv_exchange_header(exchange, "Content-Length");
    if (length && strtoull(length, NULL, 10) > server->options.max_body)
        sv_exchange_fail(exchange, 413, "the body has %s bytes; at most %zu are taken (--max-body), so send the texts in parts",
                         length, server->options.max_body);
    if (!exchange->status && sv_route_takes_body(exchange->route))
        read_encoding(exchange);
    const char *timeout = sv_exchange_header(exchange, "X-Timeout-Ms");
    if (timeout) {
        char *end;
        unsigned long long ms = strtoull(timeout, &end, 10);
        if (*end || end == timeout || *timeout == '-' || ms == 0 || ms > 86400000)
            sv_exchange_fail(exchange, 400, "X-Timeout-Ms: '%.40s' isn't a number of milliseconds from 1 to 86400000", timeout);
        exchange->deadline_ns = exchange->begin_ns + ms * 1000000;
    }
}

/* Of "http://host/path", as a client writes that takes this server for its proxy, "/path" (RFC 9112, 3.2.2). */
static const char *skip_origin(const char *url) {
    const char *origin = strncasecmp(url, "http://", 7) == 0 ? url + 7 : strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    return !origin ? url : strchr(origin, '/') ? strchr(origin, '/') : "/";
}

/* The path behind the prefix, where it has it. */
static const char *skip_prefix(const char *url, const char *prefix) {
    size_t length = prefix ? strlen(prefix) : 0;
    if (length == 0 || strncmp(url, prefix, length) != 0 || (url[length] && url[length] != '/'))
        return url;
    return url[length] ? url + length : "/";
}

/* Cut, and fit for a log. */
static void copy_method(sv_exchange *exchange, const char *method) {
    size_t length = strnlen(method, sizeof exchange->method - 1);
    for (size_t i = 0; i < length; i++)
        exchange->method[i] = (char)(method[i] >= 'A' && method[i] <= 'Z' ? method[i] : '?');
}

/* Without origin, prefix and a slash at its end; cut, and fit for a log. */
static void copy_path(sv_exchange *exchange, const char *url) {
    url = skip_prefix(skip_origin(url), exchange->server->options.prefix);
    size_t length = strlen(url);
    if (length > 1 && url[length - 1] == '/')
        length--;
    if (length >= sizeof exchange->path)
        length = sizeof exchange->path - 1;
    for (size_t i = 0; i < length; i++)
        exchange->path[i] = (char)(url[i] > 0x20 && url[i] < 0x7f ? url[i] : '?');
}

void sv_exchange_read_head(sv_exchange *exchange, const char *url, const char *method, const char *version) {
    exchange->client = exchange->address = exchange->link ? exchange->link->address : 0;
    copy_method(exchange, method);
    copy_path(exchange, url);
    choose_id(exchange);
    const char *trace = sv_exchange_header(exchange, "traceparent");
    if (trace)
        sv_trace_context_read(trace, &exchange->trace);
    judge_headers(exchange, version);
}
