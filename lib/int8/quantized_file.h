/* A quantised model as tensors of a safetensors file: layers.<l>.<qkv|attention_out|up|down>.<weight|scale|bias|multiplier|
 * exponent|wide>, weights I8, the rest F32, shapes as in quantized.h; down and attention_out have no multiplier, and only up
 * has an exponent. A wide layer has `bias` and `wide` alone. "cosine" (2) is the loss that calibration measured: cosine_mean,
 * cosine_least. The metadata say what the file is and hold a hash of the data. */
#ifndef SV_INT8_QUANTIZED_FILE_H
#define SV_INT8_QUANTIZED_FILE_H

#include "format/safetensors.h"
#include "model/quantized.h"

#define SV_QUANTIZED_HASH 17 /* 16 hexadecimal digits and the end */

/* Writes a hash as text. */
void sv_quantized_hash_text(uint64_t hash, char out[SV_QUANTIZED_HASH]);

/* A list of tensors to write; their names lie in `arena`. */
typedef struct sv_tensor_list {
    sv_tensor *tensors; /* (capacity) */
    size_t count, capacity;
} sv_tensor_list;

/* Makes room for the tensors of a quantised model and `others` more. Error: OUT_OF_MEMORY. */
senvec_status sv_tensor_list_init(sv_tensor_list *list, const sv_config *config, size_t others, sv_arena *arena,
                                  senvec_error *err);
/* Adds a tensor of 4-byte floats ("F32") or bytes ("I8", "U8"), (rows, columns), or (columns) if rows is 0. The name is copied.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_tensor_list_add(sv_tensor_list *list, const char *name, const char *dtype, size_t rows, size_t columns,
                                 const void *data, sv_arena *arena, senvec_error *err);
/* Adds the floats, or the weights, of a smoothed model. Error: OUT_OF_MEMORY. */
senvec_status sv_tensor_list_floats(sv_tensor_list *list, const sv_config *config, const sv_quantized *quantized,
                                    sv_arena *arena, senvec_error *err);
senvec_status sv_tensor_list_weights(sv_tensor_list *list, const sv_config *config, const sv_quantized *quantized,
                                     sv_arena *arena, senvec_error *err);

/* Writes the tensors to `path`, whole or not at all, with `metadata` as in sv_safetensors_write. Errors: IO, TOO_LARGE,
 * OUT_OF_MEMORY. */
senvec_status sv_tensor_list_write(const sv_tensor_list *list, const char *path, const char *const (*metadata)[2],
                                   senvec_error *err);

/* A hash of all arrays of a quantised model, in the order in which they are listed. */
uint64_t sv_quantized_hash(const sv_config *config, const sv_quantized *quantized);

/* The quantised model in a file, copied into `arena`: every tensor is there with the right shape, weights are in -127 .. 127,
 * floats finite, and their hash is `content`. Errors: FORMAT, INTEGRITY (another hash), OUT_OF_MEMORY. */
senvec_status sv_quantized_read(const sv_safetensors *file, const char *path, const sv_config *config, const char *content,
                                sv_arena *arena, sv_quantized *out, senvec_error *err);

#endif
