/* The result of a calibration, kept in a file so that each model is calibrated once. */
#ifndef SV_INT8_QUANTIZED_CACHE_H
#define SV_INT8_QUANTIZED_CACHE_H

#include "common/log.h"
#include "kernels/kernels.h"
#include "model/quantized.h"
#include "model/weights.h"
#include "text/tokenizer.h"

#define SV_QUANTIZED_CACHE_FILE "senvec-int8.safetensors" /* beside the model's other files */

/* The members of senvec_model_options that concern calibration. */
typedef struct sv_calibration_rules {
    senvec_calibration mode;
    const char *cache_folder; /* NULL: the user's */
} sv_calibration_rules;

/* Gets the model in int8, calibrated on senvec's own texts: from the file in `directory`, else from the cache folder. Either
 * file is used only if it was made from the same weights, sample tokens and recipe, and nobody but this user and root could
 * have written it. Without such a file, and if the rules allow it, the model is calibrated with as many threads as the machine
 * allows, which takes seconds, and the result is written where the rules say. A file of another model or a damaged file is
 * replaced. Other failures to read or write a file are logged; they are no errors. *out lives in `arena`; the matrices must not
 * have been dropped yet. If several processes need the same result at once, one calibrates and the others wait for it. Errors:
 * NOT_FOUND (no file, and the rules forbid calibrating), OUT_OF_MEMORY, SYSTEM (no thread). */
senvec_status sv_quantized_obtain(const char *directory, const sv_config *config, const sv_weights *weights,
                                  const sv_tokenizer *tokenizer, const sv_kernels *kernels, const sv_calibration_rules *rules,
                                  const sv_log *log, sv_arena *arena, sv_quantized *out, senvec_error *err);

/* The SHA-256 of the weights of the Transformer module in `directory` as text: remembered in the cache folder, or computed and
 * remembered from now on. Errors: as sv_weights_digest. */
senvec_status sv_weights_digest_text(const char *directory, const sv_config *config, const sv_weights *weights,
                                     const char *cache_folder, const senvec_allocator *allocator, char out[SV_SHA256_TEXT],
                                     senvec_error *err);

/* Calibrates on the caller's texts; the result is never cached. `texts` must not be empty. Errors: OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_quantized_calibrate(const sv_config *config, const sv_weights *weights, const sv_tokenizer *tokenizer,
                                     const sv_kernels *kernels, const senvec_text *texts, size_t count, sv_arena *arena,
                                     sv_quantized *out, senvec_error *err);

#endif
