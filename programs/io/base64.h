/* base64 (RFC 4648, section 4): the plain alphabet, padded, without line breaks. */
#ifndef SV_IO_BASE64_H
#define SV_IO_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#define SV_BASE64_LENGTH(bytes) (((bytes) + 2) / 3 * 4)

/* Writes SV_BASE64_LENGTH(bytes) characters, no terminator. */
void sv_base64_encode(const void *data, size_t bytes, char *out);

/* Writes the bytes that `length` characters stand for, at most length / 4 * 3, and returns their number; -1 if that isn't
 * base64: a wrong length, a character or padding where none may be. Bits behind the last byte are not looked at. */
ssize_t sv_base64_decode(const char *text, size_t length, void *out);

#endif
