/* A safetensors file, mapped and checked: every offset, count and product in it is compared with the file before it is used.
 * Format: https://github.com/huggingface/safetensors (8-byte little-endian header size, JSON header, data). */
#ifndef SV_FORMAT_SAFETENSORS_H
#define SV_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/status.h"

typedef enum sv_dtype {
    SV_DTYPE_F32,
    SV_DTYPE_F16,
    SV_DTYPE_BF16,
    SV_DTYPE_OTHER, /* present, checked for size, not readable as floats (I64, BOOL, ...) */
} sv_dtype;

typedef struct sv_tensor {
    const char *name;
    sv_dtype dtype;
    size_t rank;
    uint64_t shape[SV_MAX_TENSOR_RANK];
    uint64_t count;      /* elements: the product of the shape */
    const uint8_t *data; /* inside the mapping; aligned to what the file gives, which may be 1 */
    uint64_t bytes;
    uint64_t offset; /* of data in the file, for messages */
} sv_tensor;

typedef struct sv_safetensors sv_safetensors;

/* Maps and checks `path`. Tensors must not overlap, must lie inside the file, and have sizes that agree with shape and dtype.
 * Errors: NOT_FOUND, IO, FORMAT (offset = byte in the file), TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_safetensors_open(const char *path, sv_safetensors **out, senvec_error *err);
void sv_safetensors_close(sv_safetensors *file);

size_t sv_safetensors_count(const sv_safetensors *file);
const sv_tensor *sv_safetensors_at(const sv_safetensors *file, size_t index);
/* NULL if there is none of that name. */
const sv_tensor *sv_safetensors_find(const sv_safetensors *file, const char *name);
uint64_t sv_safetensors_bytes(const sv_safetensors *file); /* file size */

/* out[i] <- element i as float; F16 and BF16 are widened exactly. The dtype must be a float one. */
void sv_tensor_to_f32(const sv_tensor *tensor, float *out);

#endif
