#include "io/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sv_base64_encode(const void *data, size_t bytes, char *out) {
    const uint8_t *in = data;
    for (; bytes >= 3; bytes -= 3, in += 3, out += 4) {
        uint32_t word = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        out[0] = alphabet[word >> 18];
        out[1] = alphabet[word >> 12 & 63];
        out[2] = alphabet[word >> 6 & 63];
        out[3] = alphabet[word & 63];
    }
    if (bytes) {
        uint32_t word = (uint32_t)in[0] << 16 | (bytes == 2 ? (uint32_t)in[1] << 8 : 0);
        out[0] = alphabet[word >> 18];
        out[1] = alphabet[word >> 12 & 63];
        out[2] = bytes == 2 ? alphabet[word >> 6 & 63] : '=';
        out[3] = '=';
    }
}

/* 0 to 63, or 64 for any other character. */
static uint32_t value_of(char character) {
    if (character >= 'A' && character <= 'Z')
        return (uint32_t)(character - 'A');
    if (character >= 'a' && character <= 'z')
        return (uint32_t)(character - 'a') + 26;
    if (character >= '0' && character <= '9')
        return (uint32_t)(character - '0') + 52;
    return character == '+' ? 62 : character == '/' ? 63 : 64;
}

ssize_t sv_base64_decode(const char *text, size_t length, void *out) {
    uint8_t *to = out;
    if (length % 4)
        return -1;
    for (size_t at = 0; at < length; at += 4) {
        size_t padding = at + 4 < length || text[at + 3] != '=' ? 0 : text[at + 2] == '=' ? 2 : 1;
        uint32_t word = 0;
        for (size_t i = 0; i < 4 - padding; i++) {
            uint32_t value = value_of(text[at + i]);
            if (value > 63)
                return -1;
            word |= value << (18 - 6 * i);
        }
        for (size_t i = 0; i < 3 - padding; i++)
            *to++ = (uint8_t)(word >> (16 - 8 * i));
    }
    return to - (uint8_t *)out;
}
