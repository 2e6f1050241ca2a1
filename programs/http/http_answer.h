/* A strict, incremental reader of HTTP/1.1 answers: framing only, no network. */
#ifndef SV_HTTP_HTTP_ANSWER_H
#define SV_HTTP_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum sv_http_state {
    SV_HTTP_MORE, /* than these bytes is needed */
    SV_HTTP_COMPLETE,
    SV_HTTP_BAD, /* no HTTP, or more than the limits allow; the connection is of no use any more */
} sv_http_state;

/* A zeroed one is ready to read an answer. */
typedef struct sv_http_answer {
    unsigned status;
    bool keep_alive;          /* the connection can be used again */
    size_t body, body_length; /* where the body stands: data[body .. body + body_length) */
    bool head_done, chunked, until_end, has_length;
    size_t position; /* bytes that were understood; all of the answer when it is complete */
    size_t expected; /* of the body, or of the current chunk with its line end */
    bool last_chunk;
    unsigned interim; /* answers that were skipped */
} sv_http_answer;

/* data[0 .. filled) is everything that came since the answer began, and stays as it was between calls, but for a chunked body,
 * which is moved together. `ended`: the server has closed its side. */
sv_http_state sv_http_answer_read(sv_http_answer *answer, char *data, size_t filled, bool ended);

#endif
