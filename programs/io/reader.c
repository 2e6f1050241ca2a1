/* One buffer between read(2) and the formats. Records are handed out in place: a line costs a memchr and no copy. Unread bytes
 * move to the front before each read, which is a partial line a chunk. */
#include "io/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"

#define CHUNK (256u << 10)
#define MAX_UNREAD (SV_MAX_LINE_BYTES + 2) /* the longest line and its "\r\n" */

senvec_status sv_reader_open(sv_reader *reader, const char *path, senvec_error *err) {
    bool standard_input = strcmp(path, "-") == 0;
    *reader = (sv_reader){.descriptor = STDIN_FILENO, .line = 1};
    reader->name = strdup(standard_input ? "standard input" : path);
    reader->data = malloc(CHUNK);
    reader->capacity = CHUNK;
    if (!reader->name || !reader->data) {
        sv_reader_close(reader);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to read it", path);
    }
    if (!standard_input) {
        reader->descriptor = open(path, O_RDONLY | O_CLOEXEC);
        reader->owned = reader->descriptor >= 0;
    }
    struct stat facts;
    int number = reader->descriptor < 0 || fstat(reader->descriptor, &facts) != 0 ? errno : 0;
    if (!number && S_ISDIR(facts.st_mode))
        number = EISDIR;
    if (number) {
        senvec_status code = number == ENOENT || number == ENOTDIR ? SENVEC_NOT_FOUND : SENVEC_IO;
        sv_fail(err, code, 0, "%s: cannot be read: %s", reader->name, strerror(number));
        sv_reader_close(reader);
        return code;
    }
    if (S_ISREG(facts.st_mode))
        reader->size = (uint64_t)facts.st_size;
    return SENVEC_OK;
}

void sv_reader_close(sv_reader *reader) {
    if (reader->owned)
        close(reader->descriptor);
    free(reader->data);
    free(reader->name);
    *reader = (sv_reader){0};
}

uint64_t sv_reader_offset(const sv_reader *reader) {
    return reader->received - (reader->filled - reader->start);
}

senvec_status sv_reader_fill(sv_reader *reader, senvec_error *err) {
    if (reader->end)
        return SENVEC_OK;
    size_t unread = reader->filled - reader->start;
    if (unread >= MAX_UNREAD)
        return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: a record of over %u bytes",
                       reader->name, (unsigned long long)reader->line, SV_MAX_LINE_BYTES);
    memmove(reader->data, reader->data + reader->start, unread);
    reader->start = 0;
    reader->filled = unread;
    if (unread == reader->capacity) {
        size_t capacity = reader->capacity * 2 < MAX_UNREAD ? reader->capacity * 2 : MAX_UNREAD;
        char *data = realloc(reader->data, capacity);
        if (!data)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, sv_reader_offset(reader),
                           "%s: line %llu: no memory for a record of over %zu bytes", reader->name,
                           (unsigned long long)reader->line, unread);
        reader->data = data;
        reader->capacity = capacity;
    }
    ssize_t count;
    do
        count = read(reader->descriptor, reader->data + unread, reader->capacity - unread);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return sv_fail(err, SENVEC_IO, sv_reader_offset(reader), "%s: line %llu: reading failed: %s", reader->name,
                       (unsigned long long)reader->line, strerror(errno));
    reader->end = count == 0;
    reader->filled += (size_t)count;
    reader->received += (uint64_t)count;
    return SENVEC_OK;
}

senvec_status sv_reader_peek(sv_reader *reader, int *byte, senvec_error *err) {
    if (reader->start == reader->filled)
        SENVEC_TRY(sv_reader_fill(reader, err));
    *byte = reader->start < reader->filled ? (unsigned char)reader->data[reader->start] : -1;
    return SENVEC_OK;
}

void sv_reader_take(sv_reader *reader, size_t count) {
    const char *at = reader->data + reader->start, *end = at + count;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        reader->line++;
        at++;
    }
    reader->start += count;
}

senvec_status sv_reader_line(sv_reader *reader, senvec_text *line, bool *more, senvec_error *err) {
    size_t searched = 0;
    const char *newline;
    for (;;) {
        const char *at = reader->data + reader->start;
        size_t unread = reader->filled - reader->start;
        newline = memchr(at + searched, '\n', unread - searched);
        if (newline || reader->end)
            break;
        searched = unread;
        SENVEC_TRY(sv_reader_fill(reader, err));
    }
    const char *at = reader->data + reader->start;
    size_t length = newline ? (size_t)(newline - at) : reader->filled - reader->start;
    *more = newline || length;
    reader->line += newline != NULL;
    reader->start += length + (newline != NULL);
    if (newline && length && at[length - 1] == '\r')
        length--;
    if (length > SV_MAX_LINE_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: over %u bytes", reader->name,
                       (unsigned long long)(reader->line - (newline != NULL)), SV_MAX_LINE_BYTES);
    *line = (senvec_text){at, length};
    return SENVEC_OK;
}
