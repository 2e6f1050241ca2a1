/* Growing by doubling; JSON written by hand, since an answer is mostly numbers. */
#include "server/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/utf8.h"
#include "io/base64.h"
#include "io/decimal.h"

void sv_bytes_release(sv_bytes *bytes) {
    free(bytes->data);
    *bytes = (sv_bytes){0};
}

bool sv_bytes_grow(sv_bytes *bytes, size_t capacity) {
    if (capacity <= bytes->capacity)
        return !bytes->failed;
    char *data = bytes->failed ? NULL : realloc(bytes->data, capacity);
    bytes->failed |= !data;
    if (!data)
        return false;
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

char *sv_bytes_room(sv_bytes *bytes, size_t more) {
    if (bytes->failed || more > SV_MAX_SERVER_BODY - bytes->length) {
        bytes->failed = true;
        return NULL;
    }
    size_t needed = bytes->length + more;
    if (needed > bytes->capacity && !sv_bytes_grow(bytes, needed > 2 * bytes->capacity ? needed : 2 * bytes->capacity))
        return NULL;
    return bytes->data + bytes->length;
}

void sv_bytes_put(sv_bytes *bytes, const void *data, size_t length) {
    char *to = length ? sv_bytes_room(bytes, length) : NULL; /* nothing may be put where there is no block yet */
    if (!to)
        return;
    memcpy(to, data, length);
    bytes->length += length;
}

void sv_bytes_text(sv_bytes *bytes, const char *text) {
    sv_bytes_put(bytes, text, strlen(text));
}

void sv_bytes_print(sv_bytes *bytes, const char *format, ...) {
    char line[1400];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        bytes->failed = true;
    else
        sv_bytes_put(bytes, line, (size_t)length);
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void sv_bytes_string(sv_bytes *bytes, const char *text, size_t length) {
    const char *at = text, *end = text + length;
    sv_bytes_put(bytes, "\"", 1);
    while (at < end) {
        const char *plain = at;
        while (at < end && is_plain((unsigned char)*at))
            at++;
        sv_bytes_put(bytes, plain, (size_t)(at - plain));
        if (at == end)
            break;
        if ((unsigned char)*at < 0x80) {
            if (*at == '"' || *at == '\\')
                sv_bytes_put(bytes, (char[]){'\\', *at}, 2);
            else
                sv_bytes_print(bytes, "\\u%04x", (unsigned)*at);
            at++;
            continue;
        }
        uint32_t code;
        uint8_t utf8[SV_MAX_UTF8];
        bool invalid = false;
        at += sv_utf8_decode((const uint8_t *)at, (const uint8_t *)end, &code, &invalid);
        sv_bytes_put(bytes, utf8, sv_utf8_encode(code, utf8));
    }
    sv_bytes_put(bytes, "\"", 1);
}

void sv_bytes_floats(sv_bytes *bytes, const float *values, size_t count) {
    char *begin = sv_bytes_room(bytes, count * (SV_DECIMAL_MAX + 1) + 2);
    if (!begin)
        return;
    char *to = begin;
    *to++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i)
            *to++ = ',';
        to += sv_decimal_f32(values[i], to);
    }
    *to++ = ']';
    bytes->length += (size_t)(to - begin);
}

void sv_bytes_integers(sv_bytes *bytes, const uint8_t *values, size_t count, bool with_sign) {
    char *begin = sv_bytes_room(bytes, count * 5 + 2);
    if (!begin)
        return;
    char *to = begin;
    *to++ = '[';
    for (size_t i = 0; i < count; i++)
        to += snprintf(to, 6, "%s%d", i ? "," : "", with_sign ? (int8_t)values[i] : values[i]);
    *to++ = ']';
    bytes->length += (size_t)(to - begin);
}

void sv_bytes_base64(sv_bytes *bytes, const void *data, size_t size) {
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the vectors' bytes are sent as they are");
    char *to = sv_bytes_room(bytes, SV_BASE64_LENGTH(size) + 3);
    if (!to)
        return;
    *to = '"';
    sv_base64_encode(data, size, to + 1);
    size_t length = SV_BASE64_LENGTH(size);
    to[1 + length] = '"';
    bytes->length += length + 2;
}
