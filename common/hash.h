/* A fast hash of bytes, to notice that they changed: about 10 GB/s. Any change of a single word changes it; of other changes
 * one in 2^64 goes unseen. It is no protection against somebody who looks for two contents with one hash. */
#ifndef SV_COMMON_HASH_H
#define SV_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* To hash several pieces, pass the result as the seed of the next call; the hash depends on where the pieces are cut. */
uint64_t sv_hash(uint64_t seed, const void *data, size_t bytes);

#endif
