/* RFC 9112, sections 3.2, 5.1, 6.1 and 6.3, stricter where it leaves a choice. What the HTTP library does itself: a
 * Content-Length that isn't a decimal number ends the connection with 400; of several it uses the first; a Transfer-Encoding
 * goes before it. Versions from 0.9.76 on also refuse bad names, other transfer encodings and a missing Host, and, as strict as
 * http_loop.c asks them to be, folded headers and both a Content-Length and a Transfer-Encoding. */
#include "server/framing.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

typedef struct framing {
    unsigned lengths, encodings, hosts;
    const char *fault;
} framing;

/* Not empty, and of these characters only. */
static bool consists_of(const char *text, size_t length, const char *characters) {
    return length > 0 && strspn(text, characters) == length;
}

static const char *fault_of_encoding(const framing *seen, const char *value, size_t length) {
    if (seen->encodings > 1)
        return "there is more than one Transfer-Encoding";
    return length == strlen("chunked") && strcasecmp(value, "chunked") == 0 ? NULL : "Transfer-Encoding must be chunked";
}

static const char *fault_of_host(const framing *seen, const char *value, size_t length) {
    if (seen->hosts > 1)
        return "there is more than one Host";
    return length == 0 || consists_of(value, length, LETTERS DIGITS "-._~!$&'()*+,;=%:[]")
               ? NULL
               : "Host must be a name or an address, with or without a port";
}

/* libmicrohttpd 0.9.75 joins a line that continues the one before it to that one's name: "Content-Length:", and on the next
 * line " 57", is the header "Content-Length57" without a value, and the request seems to have no body. */
static bool is_longer(const char *name, const char *known) {
    return strncasecmp(name, known, strlen(known)) == 0 && name[strlen(known)];
}

static enum MHD_Result look_at_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                      const char *value, size_t length) {
    (void)kind;
    framing *seen = context;
    value = value ? value : "";
    if (!consists_of(name, name_length, LETTERS DIGITS "!#$%&'*+-.^_`|~"))
        seen->fault = "a header's name has a character that isn't allowed in it";
    else if (strcspn(value, "\r\n") != length)
        seen->fault = "a header's value has a character that isn't allowed in it";
    else if (is_longer(name, "Content-Length") || is_longer(name, "Transfer-Encoding"))
        seen->fault = "a header's name begins like one that says where the request ends (a folded header?)";
    else if (strcasecmp(name, "Content-Length") == 0 && ++seen->lengths > 1)
        seen->fault = "there is more than one Content-Length";
    else if (strcasecmp(name, "Transfer-Encoding") == 0 && ++seen->encodings)
        seen->fault = fault_of_encoding(seen, value, length);
    else if (strcasecmp(name, "Host") == 0 && ++seen->hosts)
        seen->fault = fault_of_host(seen, value, length);
    return seen->fault ? MHD_NO : MHD_YES;
}

const char *sv_framing_fault(struct MHD_Connection *connection, const char *version) {
    framing seen = {0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at_header, &seen);
    if (seen.fault)
        return seen.fault;
    if (seen.lengths && seen.encodings)
        return "there are both Content-Length and Transfer-Encoding";
    bool old = strcmp(version, "HTTP/1.0") == 0;
    if (seen.encodings && old)
        return "HTTP/1.0 has no Transfer-Encoding";
    return seen.hosts || old ? NULL : "the Host header is missing";
}
