/* What the content of a packed file depends on (packed_file.h): the layers in int8, and the form in which a tier packs them. */
#ifndef SV_MODEL_PACKED_KEY_H
#define SV_MODEL_PACKED_KEY_H

#include "model/linear.h"

/* A hash of both; of 10 MB in 2 ms. Error: OUT_OF_MEMORY. */
senvec_status sv_packed_key(const sv_gemm *gemm, const sv_quantized *quantized, size_t layers,
                            const senvec_allocator *allocator, uint64_t key[2], senvec_error *err);

#endif
