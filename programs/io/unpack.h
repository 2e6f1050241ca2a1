/* Texts out of gzip and zstd, a piece at a time, in constant memory. */
#ifndef SV_IO_UNPACK_H
#define SV_IO_UNPACK_H

#include "common/status.h"
#include "io/magic.h"

typedef struct sv_unpack sv_unpack;

/* The source of packed bytes: stores up to `size` of them; *count = 0 at the end. */
typedef senvec_status sv_unpack_read_fn(void *context, void *buffer, size_t size, size_t *count, senvec_error *err);

/* A reader of SV_MAGIC_GZIP or SV_MAGIC_ZSTD. `name` is for messages and must outlive it; `head` are the bytes that were read
 * already. Errors: OUT_OF_MEMORY, TOO_LARGE (head). */
senvec_status sv_unpack_open(sv_magic_kind kind, const char *name, const void *head, size_t size, sv_unpack_read_fn *read,
                             void *context, sv_unpack **out, senvec_error *err);
/* Up to `size` (not 0) unpacked bytes; *count = 0 at the end. Parts that were packed one after the other are one text, as
 * gzip -d and zstd -d have it. Errors: FORMAT (damaged, or cut short), and those of `read`. */
senvec_status sv_unpack_next(sv_unpack *unpack, void *buffer, size_t size, size_t *count, senvec_error *err);
/* NULL is accepted. */
void sv_unpack_close(sv_unpack *unpack);

#endif
