#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static senvec_status refuse(const char *text, const char *why, senvec_error *err) {
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: %s; expected http://HOST[:PORT][/PATH]", text, why);
}

/* "HOST:PORT", "HOST", "[ADDRESS]:PORT" or "[ADDRESS]" of `length` bytes. */
static const char *split_authority(const char *authority, size_t length, sv_url *url) {
    const char *end = authority + length, *host = authority, *host_end;
    if (length > 0 && *authority == '[') {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end)
            return "a bracket isn't closed";
        authority = host_end + 1;
    } else {
        host_end = memchr(host, ':', length);
        host_end = host_end ? host_end : end;
        authority = host_end;
    }
    size_t host_length = (size_t)(host_end - host), port_length = (size_t)(end - authority);
    if (host_length == 0 || host_length >= sizeof url->host)
        return "no host";
    memcpy(url->host, host, host_length);
    snprintf(url->port, sizeof url->port, "80");
    if (port_length == 0)
        return NULL;
    if (*authority != ':' || port_length < 2 || port_length > 6 || strspn(authority + 1, "0123456789") < port_length - 1)
        return "the port is no number";
    memcpy(url->port, authority + 1, port_length - 1);
    url->port[port_length - 1] = '\0';
    unsigned long number = strtoul(url->port, NULL, 10);
    return number < 1 || number > 65535 ? "the port isn't between 1 and 65535" : NULL;
}

senvec_status sv_url_parse(const char *text, sv_url *out, senvec_error *err) {
    sv_url url = {0};
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c == 127)
            return refuse(text, "a blank or control character", err);
    if (strncmp(text, "https://", 8) == 0)
        return refuse(text, "no TLS is spoken here; give the http address behind it", err);
    if (strncmp(text, "http://", 7) != 0)
        return refuse(text, "not an http address", err);
    const char *authority = text + 7;
    size_t length = strcspn(authority, "/?#");
    if (length >= sizeof url.authority || memchr(authority, '@', length))
        return refuse(text, memchr(authority, '@', length) ? "a user name isn't supported" : "too long", err);
    memcpy(url.authority, authority, length);
    const char *wrong = split_authority(authority, length, &url);
    if (wrong)
        return refuse(text, wrong, err);
    const char *path = authority + length;
    size_t path_length = strcspn(path, "#");
    if (path_length + 2 > sizeof url.path)
        return refuse(text, "too long", err);
    snprintf(url.path, sizeof url.path, "%s%.*s", *path == '/' ? "" : "/", (int)path_length, path);
    *out = url;
    return SENVEC_OK;
}
