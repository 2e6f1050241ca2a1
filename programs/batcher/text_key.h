/* The key of a text's vector in the cache: SipHash-2-4 with 128 bits of output (J.-P. Aumasson, D. J. Bernstein, "SipHash: a
 * fast short-input PRF", 2012), with a secret of the process. Without the secret nobody can make two texts with the same key,
 * and by chance two of 10^9 texts have the same one with a probability of 10^-21, less than that of a wrong bit in memory. */
#ifndef SV_BATCHER_TEXT_KEY_H
#define SV_BATCHER_TEXT_KEY_H

#include <stddef.h>
#include <stdint.h>

typedef struct sv_text_key {
    uint64_t halves[2];
} sv_text_key;

/* Of `size` bytes at `data`, whatever their alignment. */
sv_text_key sv_text_key_of(const uint64_t secret[2], const void *data, size_t size);

#endif
