/* The headers of a request, as lines "name:value": of those that pass, everybody finds the same end of the request. The HTTP
 * library isn't there; its one function that is asked is this file's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 64 };
static struct { char name[64], value[64]; } headers[MOST];
static size_t count;

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind, MHD_KeyValueIteratorN iterator,
                                void *context) {
    (void)connection;
    for (size_t i = 0; i < count; i++)
        if (iterator(context, kind, headers[i].name, strlen(headers[i].name), headers[i].value, strlen(headers[i].value)) ==
            MHD_NO)
            break;
    return (int)count;
}

static void require(int kept) {
    if (!kept)
        abort();
}

static void copy_line(char out[64], const char *text, size_t length) {
    size_t kept = length < 63 ? length : 63;
    memcpy(out, text, kept);
    out[kept] = '\0';
}

/* How many headers have the name, and the last one's value. */
static size_t find(const char *name, const char **value) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(headers[i].name, name) == 0) {
            found++;
            *value = headers[i].value;
        }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data, *end = at + size;
    for (count = 0; at < end && count < MOST; count++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *line_end = stop ? stop : end;
        const char *colon = memchr(at, ':', (size_t)(line_end - at)), *name_end = colon ? colon : line_end;
        copy_line(headers[count].name, at, (size_t)(name_end - at));
        copy_line(headers[count].value, colon ? colon + 1 : line_end, colon ? (size_t)(line_end - colon - 1) : 0);
        at = line_end + 1;
    }
    for (int old = 0; old < 2; old++) {
        const char *value = NULL;
        if (sv_framing_fault(NULL, old ? "HTTP/1.0" : "HTTP/1.1"))
            continue;
        size_t lengths = find("Content-Length", &value), encodings = find("Transfer-Encoding", &value);
        require(lengths + encodings <= 1);
        require(!encodings || (!old && strcasecmp(value, "chunked") == 0));
        require(find("Host", &value) == 1 || (old && find("Host", &value) == 0));
        for (size_t i = 0; i < count; i++)
            require(headers[i].name[0] && !strpbrk(headers[i].name, " \t\r\n:\"(),/") && !strpbrk(headers[i].value, "\r\n"));
    }
    return 0;
}
