/* The native file: a whole model with its linear layers in int8, as one safetensors file. It holds the tensors of
 * quantized_file.h, the embedding tables and LayerNorms under their usual names (weights.h), the tokenizer's files as bytes,
 * and in its metadata the configuration. It computes the same bits as the folder that it was made from does in int8. */
#ifndef SV_INT8_NATIVE_H
#define SV_INT8_NATIVE_H

#include "format/safetensors.h"
#include "model/modules.h"
#include "model/prompts.h"
#include "model/quantized.h"
#include "model/weights.h"
#include "text/tokenizer.h"

/* The parts of a model that a native file holds. */
typedef struct sv_native_parts {
    const sv_config *config;
    const sv_prompts *prompts;
    const sv_modules *modules;
    const sv_weights *weights;
    const sv_quantized *quantized;
    const sv_tokenizer_files *tokenizer;
    const char *space; /* the base of the space id (sv_space_base) */
} sv_native_parts;

/* Writes a model to `path`, whole or not at all. Errors: IO, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_native_write(const char *path, const sv_native_parts *parts, const senvec_allocator *allocator,
                              senvec_error *err);

/* Opens a native file and reads its configuration. Errors: as sv_safetensors_open; UNSUPPORTED (not a native file, or one of
 * another version), FORMAT. */
senvec_status sv_native_open(const char *path, sv_safetensors **file, sv_config *config, senvec_error *err);

/* The prompts of an open native file, in `arena`. Errors: as sv_prompts_read. */
senvec_status sv_native_prompts(const sv_safetensors *file, const char *path, sv_arena *arena, sv_prompts *out,
                                senvec_error *err);

/* The tokenizer of an open native file. Errors: as sv_tokenizer_load. */
senvec_status sv_native_tokenizer(const sv_safetensors *file, const char *path, const senvec_allocator *allocator,
                                  sv_tokenizer **out, senvec_error *err);

/* The linear layers of an open native file, copied into `arena`. Errors: FORMAT, INTEGRITY, OUT_OF_MEMORY. */
senvec_status sv_native_quantized(const sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena,
                                  sv_quantized *out, senvec_error *err);

#endif
