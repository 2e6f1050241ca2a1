/* Calibration, once for each model: its result is kept in a file. */
#ifndef SV_INT8_QUANTIZED_CACHE_H
#define SV_INT8_QUANTIZED_CACHE_H

#include "common/log.h"
#include "kernels/kernels.h"
#include "model/quantized.h"
#include "model/weights.h"
#include "text/tokenizer.h"

#define SV_QUANTIZED_CACHE_FILE "senvec-int8.safetensors" /* beside the model's other files */

/* The model in int8, calibrated on the project's own texts: from the file in `directory`, else from the user's cache
 * (sv_cache_path), if either was made of the same weights, sample tokens and recipe; else by calibration with as many threads
 * as the machine allows, in seconds, whose result is then written to the first of these places that can be written. A file
 * that is of another model or damaged is replaced. What else hinders reading or writing a file is logged and no error. *out
 * lives in `arena`; the matrices must not have been dropped yet. Safe to call from several processes at once: files appear
 * whole. Errors: OUT_OF_MEMORY, SYSTEM (no thread). */
senvec_status sv_quantized_obtain(const char *directory, const sv_config *config, const sv_weights *weights,
                                  const sv_tokenizer *tokenizer, const sv_kernels *kernels, const sv_log *log, sv_arena *arena,
                                  sv_quantized *out, senvec_error *err);

/* The same, of other texts and never cached. `texts` must not be empty. Errors: as above. */
senvec_status sv_quantized_calibrate(const sv_config *config, const sv_weights *weights, const sv_tokenizer *tokenizer,
                                     const sv_kernels *kernels, const senvec_text *texts, size_t count, sv_arena *arena,
                                     sv_quantized *out, senvec_error *err);

#endif
