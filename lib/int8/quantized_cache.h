/* Calibration, once for each model: its result is kept in a file. */
#ifndef SV_INT8_QUANTIZED_CACHE_H
#define SV_INT8_QUANTIZED_CACHE_H

#include "common/log.h"
#include "kernels/kernels.h"
#include "model/quantized.h"
#include "model/weights.h"
#include "text/tokenizer.h"

#define SV_QUANTIZED_CACHE_FILE "senvec-int8.safetensors" /* beside the model's other files */

/* What of senvec_model_options is said about calibration. */
typedef struct sv_calibration_rules {
    senvec_calibration mode;
    const char *cache_folder; /* NULL: the user's */
} sv_calibration_rules;

/* The model in int8, calibrated on the project's own texts: from the file in `directory`, else from the cache folder, if either
 * was made of the same weights, sample tokens and recipe and nobody but this user and root could have written it; else, if the
 * rules allow it, by calibration with as many threads as the machine allows, in seconds, whose result is then written where the
 * rules say. A file that is of another model or damaged is replaced. What else hinders reading or writing a file is logged and
 * no error. *out lives in `arena`; the matrices must not have been dropped yet. Of several processes at once that have the same
 * cache folder one calibrates and the others wait for it; files appear whole. Errors: NOT_FOUND (no file, and the rules forbid
 * to calibrate), OUT_OF_MEMORY, SYSTEM (no thread). */
senvec_status sv_quantized_obtain(const char *directory, const sv_config *config, const sv_weights *weights,
                                  const sv_tokenizer *tokenizer, const sv_kernels *kernels, const sv_calibration_rules *rules,
                                  const sv_log *log, sv_arena *arena, sv_quantized *out, senvec_error *err);

/* The SHA-256 of the weights of the Transformer module in `directory` as text: remembered in the cache folder, or computed and
 * remembered from now on. Errors: as sv_weights_digest. */
senvec_status sv_weights_digest_text(const char *directory, const sv_config *config, const sv_weights *weights,
                                     const char *cache_folder, const senvec_allocator *allocator, char out[SV_SHA256_TEXT],
                                     senvec_error *err);

/* The same, of other texts and never cached. `texts` must not be empty. Errors: as above. */
senvec_status sv_quantized_calibrate(const sv_config *config, const sv_weights *weights, const sv_tokenizer *tokenizer,
                                     const sv_kernels *kernels, const senvec_text *texts, size_t count, sv_arena *arena,
                                     sv_quantized *out, senvec_error *err);

#endif
