/* RFC 9112. Stricter than a browser: a generator that forgives doesn't notice what other clients stumble over. Lines end in
 * CRLF; no folded fields; a length is digits only and, if it is said twice, the same; both a length and chunks are refused.
 * Interim answers (1xx) are skipped. Chunk extensions and trailers are read over. */
#include "http/http_answer.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"

#define MAX_INTERIM 32 /* answers before the one that counts; servers send one or two */

static bool is_token(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The line that begins at data[at], up to its CRLF: its length, or SIZE_MAX if its end isn't there. */
static size_t line_length(const char *data, size_t at, size_t filled) {
    const char *end = memmem(data + at, filled - at, "\r\n", 2);
    return end ? (size_t)(end - data) - at : SIZE_MAX;
}

static bool read_status_line(sv_http_answer *answer, const char *line, size_t length) {
    if (length < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
        !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || (length > 12 && line[12] != ' '))
        return false;
    answer->keep_alive = line[7] == '1';
    answer->status = (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 + (unsigned)(line[11] - '0');
    return answer->status >= 100 && answer->status < 600;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static bool read_length(sv_http_answer *answer, const char *value, size_t length) {
    size_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(value[i]) || number > SV_MAX_LOAD_ANSWER)
            return false;
        number = number * 10 + (size_t)(value[i] - '0');
    }
    if (length == 0 || number > SV_MAX_LOAD_ANSWER || (answer->has_length && answer->expected != number))
        return false;
    answer->has_length = true;
    answer->expected = number;
    return true;
}

static bool read_field(sv_http_answer *answer, const char *line, size_t length) {
    size_t name = 0;
    while (name < length && is_token(line[name]))
        name++;
    if (name == 0 || name == length || line[name] != ':')
        return false;
    const char *value = line + name + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t value_length = (size_t)(end - value);
    for (const char *c = value; c < end; c++)
        if ((unsigned char)*c < ' ' && *c != '\t')
            return false;
    if (is_word(line, name, "content-length"))
        return read_length(answer, value, value_length);
    if (is_word(line, name, "transfer-encoding")) {
        answer->chunked = is_word(value, value_length, "chunked");
        return answer->chunked;
    }
    if (is_word(line, name, "connection") && is_word(value, value_length, "close"))
        answer->keep_alive = false;
    if (is_word(line, name, "connection") && is_word(value, value_length, "keep-alive"))
        answer->keep_alive = true;
    return true;
}

/* data[position ..) begins with the head of an answer. */
static sv_http_state read_head(sv_http_answer *answer, const char *data, size_t filled) {
    size_t begin = answer->position;
    const char *end = memmem(data + begin, filled - begin, "\r\n\r\n", 4);
    size_t seen = filled - begin, prefix = seen < 7 ? seen : 7;
    if (memcmp(data + begin, "HTTP/1.", prefix) != 0 || (end ? (size_t)(end - data) - begin : seen) > SV_MAX_LOAD_HEAD)
        return SV_HTTP_BAD;
    if (!end)
        return SV_HTTP_MORE;
    size_t head_end = (size_t)(end - data) + 2, length = line_length(data, begin, head_end);
    *answer = (sv_http_answer){.interim = answer->interim};
    if (!read_status_line(answer, data + begin, length))
        return SV_HTTP_BAD;
    for (size_t at = begin + length + 2; at < head_end; at += length + 2) {
        length = line_length(data, at, head_end);
        if (!read_field(answer, data + at, length))
            return SV_HTTP_BAD;
    }
    answer->position = answer->body = head_end + 2;
    if (answer->chunked && answer->has_length)
        return SV_HTTP_BAD;
    if (answer->status < 200) /* interim: the head of the next follows */
        return answer->status == 101 || answer->interim++ == MAX_INTERIM ? SV_HTTP_BAD : SV_HTTP_COMPLETE;
    if (answer->status == 204 || answer->status == 304)
        answer->has_length = true, answer->chunked = false, answer->expected = 0;
    answer->until_end = !answer->chunked && !answer->has_length;
    if (answer->until_end)
        answer->keep_alive = false;
    answer->head_done = true;
    return SV_HTTP_COMPLETE;
}

/* The line with a chunk's size. */
static sv_http_state read_chunk_size(sv_http_answer *answer, const char *data, size_t filled) {
    size_t length = line_length(data, answer->position, filled), size = 0, digits = 0;
    if (length == SIZE_MAX)
        return filled - answer->position > SV_MAX_LOAD_HEAD ? SV_HTTP_BAD : SV_HTTP_MORE;
    for (const char *line = data + answer->position; digits < length; digits++) {
        char c = line[digits];
        if (!is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'f'))
            break;
        size = size * 16 + (size_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
        if (size > SV_MAX_LOAD_ANSWER)
            return SV_HTTP_BAD;
    }
    char next = digits < length ? data[answer->position + digits] : ';';
    if (digits == 0 || (next != ';' && next != ' ' && next != '\t'))
        return SV_HTTP_BAD;
    answer->position += length + 2;
    answer->last_chunk = size == 0;
    answer->expected = size + 2;
    return SV_HTTP_COMPLETE;
}

static sv_http_state read_chunks(sv_http_answer *answer, char *data, size_t filled) {
    for (;;) {
        if (answer->last_chunk) { /* trailers, up to an empty line */
            size_t length = line_length(data, answer->position, filled);
            if (length == SIZE_MAX)
                return filled - answer->position > SV_MAX_LOAD_HEAD ? SV_HTTP_BAD : SV_HTTP_MORE;
            answer->position += length + 2;
            if (length == 0)
                return SV_HTTP_COMPLETE;
        } else if (answer->expected == 0) {
            sv_http_state state = read_chunk_size(answer, data, filled);
            if (state != SV_HTTP_COMPLETE)
                return state;
        } else {
            size_t size = answer->expected - 2;
            if (filled - answer->position < answer->expected)
                return SV_HTTP_MORE;
            if (memcmp(data + answer->position + size, "\r\n", 2) != 0 || answer->body_length + size > SV_MAX_LOAD_ANSWER)
                return SV_HTTP_BAD;
            memmove(data + answer->body + answer->body_length, data + answer->position, size);
            answer->body_length += size;
            answer->position += answer->expected;
            answer->expected = 0;
        }
    }
}

sv_http_state sv_http_answer_read(sv_http_answer *answer, char *data, size_t filled, bool ended) {
    while (!answer->head_done) {
        sv_http_state state = read_head(answer, data, filled);
        if (state != SV_HTTP_COMPLETE)
            return state;
    }
    if (answer->chunked)
        return read_chunks(answer, data, filled);
    answer->body_length = filled - answer->body;
    if (answer->until_end) {
        answer->position = filled;
        return answer->body_length > SV_MAX_LOAD_ANSWER ? SV_HTTP_BAD : ended ? SV_HTTP_COMPLETE : SV_HTTP_MORE;
    }
    if (answer->body_length < answer->expected)
        return SV_HTTP_MORE;
    answer->body_length = answer->expected;
    answer->position = answer->body + answer->expected;
    return SV_HTTP_COMPLETE;
}
