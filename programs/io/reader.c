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

/* A sv_unpack_read_fn. */
static senvec_status read_descriptor(void *context, void *buffer, size_t size, size_t *count, senvec_error *err) {
    sv_reader *reader = context;
    ssize_t received;
    do
        received = read(reader->descriptor, buffer, size);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return sv_fail(err, SENVEC_IO, sv_reader_offset(reader), "%s: line %llu: reading failed: %s", reader->name,
                       (unsigned long long)reader->line, strerror(errno));
    reader->taken += (uint64_t)received;
    *count = (size_t)received;
    return SENVEC_OK;
}

/* Of the `count` bytes that came last. Text has no NUL byte; what has one in its head is named. A head that comes in pieces may
 * have been handed out in part, so only what is still in the buffer can be looked at. */
static senvec_status refuse_binary(const sv_reader *reader, size_t count, senvec_error *err) {
    uint64_t before = reader->received - count;
    if (before >= SV_MAGIC_HEAD)
        return SENVEC_OK;
    size_t looked_at = count < SV_MAGIC_HEAD - before ? count : (size_t)(SV_MAGIC_HEAD - before);
    const char *data = reader->data + reader->filled - count;
    const char *nul = memchr(data, 0, looked_at);
    if (!nul)
        return SENVEC_OK;
    size_t known = reader->received == reader->filled ? reader->filled : 0;
    const sv_magic *magic = sv_magic_binary(reader->data, known < SV_MAGIC_HEAD ? known : SV_MAGIC_HEAD);
    return sv_fail(err, SENVEC_FORMAT, before + (uint64_t)(nul - data), "%s: not text but %s; %s", reader->name, magic->name,
                   magic->advice);
}

senvec_status sv_reader_fill(sv_reader *reader, senvec_error *err) {
    if (reader->end)
        return SENVEC_OK;
    size_t unread = reader->filled - reader->start;
    if (unread >= MAX_UNREAD) {
        reader->damage = SV_DAMAGE_LINE;
        return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: a record of over %u bytes",
                       reader->name, (unsigned long long)reader->line, SV_MAX_LINE_BYTES);
    }
    if (reader->start) {
        memmove(reader->data, reader->data + reader->start, unread);
        reader->start = 0;
        reader->filled = unread;
    }
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
    size_t count = 0, room = reader->capacity - unread;
    SENVEC_TRY(reader->unpack ? sv_unpack_next(reader->unpack, reader->data + unread, room, &count, err)
                              : read_descriptor(reader, reader->data + unread, room, &count, err));
    reader->end = count == 0;
    reader->filled += count;
    reader->received += count;
    return reader->identified ? refuse_binary(reader, count, err) : SENVEC_OK;
}

/* Reads until the first bytes say what the file is; a short line decides at its end. */
static senvec_status identify(sv_reader *reader, const sv_magic **magic, senvec_error *err) {
    bool undecided = true;
    *magic = NULL;
    while (undecided && !reader->end) {
        SENVEC_TRY(sv_reader_fill(reader, err));
        *magic = sv_magic_find(reader->data, reader->filled, &undecided);
    }
    return SENVEC_OK;
}

/* Puts a decoder between the descriptor and the buffer, whose bytes become its first ones. */
static senvec_status begin_unpacking(sv_reader *reader, sv_magic_kind kind, senvec_error *err) {
    SENVEC_TRY(sv_unpack_open(kind, reader->name, reader->data, reader->filled, read_descriptor, reader, &reader->unpack, err));
    reader->filled = 0;
    reader->received = 0;
    reader->end = false;
    return SENVEC_OK;
}

static senvec_status begin_text(sv_reader *reader, senvec_error *err) {
    const sv_magic *magic;
    SENVEC_TRY(identify(reader, &magic, err));
    if (magic && (magic->kind == SV_MAGIC_GZIP || magic->kind == SV_MAGIC_ZSTD)) {
        SENVEC_TRY(begin_unpacking(reader, magic->kind, err));
        SENVEC_TRY(identify(reader, &magic, err));
        if (magic && (magic->kind == SV_MAGIC_GZIP || magic->kind == SV_MAGIC_ZSTD))
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: compressed twice; unpack it once", reader->name);
    }
    if (magic)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not text but %s; %s", reader->name, magic->name, magic->advice);
    reader->identified = true;
    SENVEC_TRY(refuse_binary(reader, reader->filled, err));
    static const char mark[] = "\xef\xbb\xbf";
    while (reader->filled < 3 && !reader->end && memcmp(reader->data, mark, reader->filled) == 0)
        SENVEC_TRY(sv_reader_fill(reader, err));
    if (reader->filled >= 3 && memcmp(reader->data, mark, 3) == 0)
        sv_reader_take(reader, 3);
    return SENVEC_OK;
}

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
    senvec_status status = begin_text(reader, err);
    if (status != SENVEC_OK)
        sv_reader_close(reader);
    return status;
}

void sv_reader_close(sv_reader *reader) {
    sv_unpack_close(reader->unpack);
    if (reader->owned)
        close(reader->descriptor);
    free(reader->data);
    free(reader->name);
    *reader = (sv_reader){0};
}

uint64_t sv_reader_offset(const sv_reader *reader) {
    return reader->received - (reader->filled - reader->start);
}

uint64_t sv_reader_position(const sv_reader *reader) {
    return reader->unpack ? reader->taken : sv_reader_offset(reader);
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
    if (length > SV_MAX_LINE_BYTES) {
        reader->damage = SV_DAMAGE_RECORD;
        return sv_fail(err, SENVEC_TOO_LARGE, sv_reader_offset(reader), "%s: line %llu: over %u bytes", reader->name,
                       (unsigned long long)(reader->line - (newline != NULL)), SV_MAX_LINE_BYTES);
    }
    *line = (senvec_text){at, length};
    return SENVEC_OK;
}

senvec_status sv_reader_skip_line(sv_reader *reader, senvec_error *err) {
    for (;;) {
        const char *at = reader->data + reader->start;
        size_t unread = reader->filled - reader->start;
        const char *newline = unread ? memchr(at, '\n', unread) : NULL;
        sv_reader_take(reader, newline ? (size_t)(newline - at) + 1 : unread);
        if (newline || reader->end)
            return SENVEC_OK;
        SENVEC_TRY(sv_reader_fill(reader, err));
    }
}
