/* Bodies that come in gzip (or zlib's form, "deflate"), a piece at a time. What they unpack to is bounded by whoever takes it.
 * Inside of the server. */
#ifndef SV_SERVER_GUNZIP_H
#define SV_SERVER_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

#define SV_GUNZIP_BYTES ((size_t)48 << 10) /* memory of one, most of it for the last 32 KB that it unpacked */

typedef struct sv_gunzip sv_gunzip;

/* Takes the next bytes; false: no more are wanted. */
typedef bool sv_gunzip_take(void *context, const char *data, size_t size);

/* NULL: no memory. */
sv_gunzip *sv_gunzip_open(void);
/* NULL is accepted. */
void sv_gunzip_close(sv_gunzip *gunzip);
/* Unpacks the next `size` bytes. False: they are damaged; nothing more may be fed. */
bool sv_gunzip_feed(sv_gunzip *gunzip, const char *data, size_t size, sv_gunzip_take *take, void *context);
/* Nothing is missing at the end. */
bool sv_gunzip_is_complete(const sv_gunzip *gunzip);

#endif
