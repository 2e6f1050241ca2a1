/* The key of a packed file (packed_file.h): a hash of the int8 layers and of the form in which a tier packs them. */
#ifndef SV_MODEL_PACKED_KEY_H
#define SV_MODEL_PACKED_KEY_H

#include "model/linear.h"

/* Computes the key; takes 2 ms for 10 MB. Error: OUT_OF_MEMORY. */
senvec_status sv_packed_key(const sv_math *math, const sv_quantized *quantized, size_t layers,
                            const senvec_allocator *allocator, uint64_t key[2], senvec_error *err);

#endif
