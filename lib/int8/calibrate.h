/* Calibration makes the int8 linear layers of a model from its weights and sample texts. docs/CALIBRATION.md has formulas and
 * figures. */
#ifndef SV_INT8_CALIBRATE_H
#define SV_INT8_CALIBRATE_H

#include "common/thread.h"
#include "kernels/kernels.h"
#include "model/quantized.h"
#include "model/weights.h"
#include "text/tokenizer.h"

/* The version of the recipe. It changes whenever the same model and texts would give another result. */
#define SV_CALIBRATION_RECIPE 5

/* Sample texts as tokens, laid end to end. */
typedef struct sv_samples {
    uint32_t *ids;
    size_t *begin; /* (count + 1): text i is ids[begin[i]] .. ids[begin[i + 1] - 1] */
    size_t count;
} sv_samples;

/* Makes samples from texts, in `arena`: each text alone, then neighbouring texts joined to samples of many lengths up to the
 * model's maximum, until there are about SV_SAMPLE_TOKENS tokens. If the texts have more tokens than that, texts at equal
 * distances are taken. Error: OUT_OF_MEMORY. */
#define SV_SAMPLE_TOKENS 24576
senvec_status sv_samples_make(const sv_config *config, const sv_tokenizer *tokenizer, const senvec_text *texts, size_t count,
                              sv_arena *arena, sv_samples *out, senvec_error *err);

/* Makes samples from texts, in `arena`: each text alone, cut to the length that samples have at most. Error: OUT_OF_MEMORY. */
senvec_status sv_samples_alone(const sv_config *config, const sv_tokenizer *tokenizer, const senvec_text *texts, size_t count,
                               sv_arena *arena, sv_samples *out, senvec_error *err);

/* Quantises the linear layers one after the other, each for the inputs that it gets from the samples. The matrices must not
 * have been dropped yet. *out lives in `arena`. Same bits for any size of the team. Error: OUT_OF_MEMORY. */
senvec_status sv_calibrate(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                           const sv_samples *samples, sv_team *team, sv_arena *arena, sv_quantized *out, senvec_error *err);

#endif
