/* A safetensors file, mapped and checked: every offset, count and product in it is compared with the file before it is used.
 * Format: https://github.com/huggingface/safetensors (8-byte little-endian header size, JSON header, data). An open file is
 * immutable and may be read by any number of threads. */
#ifndef SV_FORMAT_SAFETENSORS_H
#define SV_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/file.h"
#include "common/limits.h"
#include "common/status.h"

typedef enum sv_dtype {
    SV_DTYPE_F32,
    SV_DTYPE_F16,
    SV_DTYPE_BF16,
    SV_DTYPE_F64,
    SV_DTYPE_OTHER, /* present, checked for size, not readable as floats (I64, BOOL, ...) */
} sv_dtype;

typedef struct sv_tensor {
    const char *name;
    const char *dtype_name; /* as the file writes it: "F32", "I64", ... */
    sv_dtype dtype;
    size_t rank;
    uint64_t shape[SV_MAX_TENSOR_RANK];
    uint64_t count;      /* elements: the product of the shape */
    const uint8_t *data; /* inside the mapping; its alignment is the file's, which may be 1 */
    uint64_t bytes;
    uint64_t offset; /* of data in the file, for messages */
} sv_tensor;

typedef struct sv_safetensors sv_safetensors;

/* Maps and checks `path`. The tensors must cover the data exactly, as the format demands: no overlap, no hole, nothing after
 * the last one; each one's size must agree with its shape and dtype. Data is not looked at (nor read from the disk) here.
 * Errors: NOT_FOUND, IO, FORMAT (offset = byte in the file), UNSUPPORTED (a dtype that this reader doesn't know), TOO_LARGE (a
 * header, a rank or a number of tensors over the limit), OUT_OF_MEMORY. */
senvec_status sv_safetensors_open(const char *path, sv_safetensors **out, senvec_error *err);
/* NULL is accepted. */
void sv_safetensors_close(sv_safetensors *file);

/* Tensors, in the order of their names. */
size_t sv_safetensors_count(const sv_safetensors *file);
const sv_tensor *sv_safetensors_at(const sv_safetensors *file, size_t index);
/* The tensor of that name, or NULL. */
const sv_tensor *sv_safetensors_find(const sv_safetensors *file, const char *name);
/* The text that "__metadata__" has for a key, or NULL. */
const char *sv_safetensors_metadata(const sv_safetensors *file, const char *key);
uint64_t sv_safetensors_bytes(const sv_safetensors *file); /* file size */

/* Takes the pages that lie wholly inside [data, data + bytes) out of this process's resident memory. They stay valid: the next
 * read brings them back from the page cache, or the disk. A range that isn't inside the mapping is ignored. */
void sv_safetensors_forget(const sv_safetensors *file, const void *data, size_t bytes);

/* Writes tensors (name, dtype_name, rank, shape, data and bytes of each) in the order given, behind a header that ends on a
 * cache line; for aligned data give those of the widest elements first. `metadata` is pairs of key and text, up to a NULL key.
 * Errors of the stream stay in it. Error: OUT_OF_MEMORY. */
senvec_status sv_safetensors_write(FILE *stream, const sv_tensor *tensors, size_t count, const char *const (*metadata)[2],
                                   senvec_error *err);

/* Converts the elements to float: F16 and BF16 are widened exactly, F64 is rounded. The dtype must be a float one. */
void sv_tensor_to_f32(const sv_tensor *tensor, float *out);

#endif
