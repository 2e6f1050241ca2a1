/* SHA-256 (FIPS 180-4), for contents that must be told apart even if somebody tries to make two of them collide. The hash of
 * hash.h is faster, but doesn't withstand that. */
#ifndef SV_COMMON_SHA256_H
#define SV_COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SV_SHA256_BYTES 32
#define SV_SHA256_TEXT 65 /* 64 hexadecimal digits and the end */

/* The state of a hash while data is added. */
typedef struct sv_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64]; /* the last bytes, short of a block */
} sv_sha256;

void sv_sha256_init(sv_sha256 *hash);
/* Adds bytes; `data` may be NULL if there are none. */
void sv_sha256_add(sv_sha256 *hash, const void *data, size_t bytes);
/* Finishes the hash. *hash has to be initialised before it is used again. */
void sv_sha256_end(sv_sha256 *hash, uint8_t out[SV_SHA256_BYTES]);
/* Finishes the hash and writes it as lower-case hexadecimal digits. */
void sv_sha256_end_text(sv_sha256 *hash, char out[SV_SHA256_TEXT]);

#endif
