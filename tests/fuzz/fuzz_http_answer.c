/* Answers of servers: read whole and a byte at a time, they are the same, and what is said of them lies within them. The first
 * byte tells whether the server closes its side at the end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int kept) {
    if (!kept)
        abort();
}

static sv_http_state read_answer(const uint8_t *data, size_t size, size_t step, bool ended, sv_http_answer *out, char *copy) {
    sv_http_state state = SV_HTTP_MORE;
    memcpy(copy, data, size);
    *out = (sv_http_answer){0};
    for (size_t filled = step; state == SV_HTTP_MORE; filled += step) {
        bool last = filled >= size;
        state = sv_http_answer_read(out, copy, last ? size : filled, last && ended);
        if (last)
            break;
    }
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    bool ended = data[0] & 1;
    data++, size--;
    char *whole = malloc(size), *pieces = malloc(size);
    require(whole && pieces);
    sv_http_answer one, other;
    sv_http_state state = read_answer(data, size, size, ended, &one, whole);
    require(read_answer(data, size, 1, ended, &other, pieces) == state || (state == SV_HTTP_COMPLETE && one.position < size));
    if (state == SV_HTTP_COMPLETE && one.position <= size) {
        require(one.status >= 200 && one.status < 600 && one.body <= size && one.body_length <= size - one.body);
        require(one.status == other.status && one.body_length == other.body_length && one.keep_alive == other.keep_alive);
        require(memcmp(whole + one.body, pieces + other.body, one.body_length) == 0);
    }
    free(whole);
    free(pieces);
    return 0;
}
