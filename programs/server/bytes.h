/* A growing buffer, with functions that write the parts of JSON answers. A failure (no memory, over the maximum) is remembered,
 * so many puts need one check at the end; after a failure nothing more is added. */
#ifndef SV_SERVER_BYTES_H
#define SV_SERVER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sv_bytes {
    char *data; /* from malloc */
    size_t length, capacity;
    bool failed;
} sv_bytes; /* zeroed: empty */

void sv_bytes_release(sv_bytes *bytes);
/* Makes room for `more` bytes at the end and returns where to write them, or NULL. */
char *sv_bytes_room(sv_bytes *bytes, size_t more);
/* Makes room for `capacity` bytes in all; false: no memory. */
bool sv_bytes_grow(sv_bytes *bytes, size_t capacity);
void sv_bytes_put(sv_bytes *bytes, const void *data, size_t length);
void sv_bytes_text(sv_bytes *bytes, const char *text);
__attribute__((format(printf, 2, 3))) void sv_bytes_print(sv_bytes *bytes, const char *format, ...);

/* A JSON string with its quotes; bytes that aren't UTF-8 become U+FFFD. */
void sv_bytes_string(sv_bytes *bytes, const char *text, size_t length);
/* A JSON array of numbers that read back as the same floats. */
void sv_bytes_floats(sv_bytes *bytes, const float *values, size_t count);
/* A JSON array of bytes as numbers, those above 127 as negative ones where they have a sign. */
void sv_bytes_integers(sv_bytes *bytes, const uint8_t *values, size_t count, bool with_sign);
/* A JSON string: base64 of `size` bytes. */
void sv_bytes_base64(sv_bytes *bytes, const void *data, size_t size);

#endif
