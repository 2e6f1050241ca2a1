/* The modules of sentence-transformers after the transformer: Pooling, then Dense, LayerNorm and Normalize in any order, and a
 * cut to the first floats. They make a text's vector of its token vectors. */
#ifndef SV_MODEL_MODULES_H
#define SV_MODEL_MODULES_H

#include "common/memory.h"
#include "format/safetensors.h"
#include "model/config.h"

/* The weights of one module: Dense's matrix (out, in), its bias (out) or NULL, and the residual's matrix (out, in) or NULL;
 * LayerNorm's gamma and beta (out) are `weight` and `bias`. */
typedef struct sv_module_weights {
    const float *weight, *bias, *residual;
} sv_module_weights;

typedef struct sv_modules {
    const sv_config *config;
    sv_module_weights weights[SV_MAX_MODULES];
    uint64_t parameters, bytes; /* of all weights: floats; bytes of their files */
} sv_modules;

/* Reads the weights of config->modules from model.safetensors in the modules' folders inside `directory`, as floats into
 * `arena`. `config` must outlive the result. Errors: as sv_safetensors_open; FORMAT (a missing or misshapen tensor, a value
 * that isn't finite), UNSUPPORTED (another file format), OUT_OF_MEMORY. */
senvec_status sv_modules_open(const char *directory, const sv_config *config, sv_arena *arena, sv_modules *out,
                              senvec_error *err);

/* The same from one file that holds them all, named as by sv_module_tensor_name. `path` is for messages. */
senvec_status sv_modules_take(const sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena,
                              sv_modules *out, senvec_error *err);

/* One tensor of a module. */
typedef struct sv_module_tensor {
    const float **data;   /* its place in `weights` */
    const char *name;     /* in the module's own file: "linear.weight" */
    size_t rows, columns; /* rows 0: a vector */
} sv_module_tensor;

/* The tensors that a module has, in a fixed order, with their places in *weights; returns how many. */
#define SV_MAX_MODULE_TENSORS 3
size_t sv_module_tensors(const sv_module *module, sv_module_weights *weights, sv_module_tensor out[SV_MAX_MODULE_TENSORS]);

/* "modules.<index>.linear.weight": a tensor's name where all modules are in one file. */
#define SV_MODULE_TENSOR_NAME 64
void sv_module_tensor_name(size_t index, const sv_module_tensor *tensor, char out[SV_MODULE_TENSOR_NAME]);

/* How a text's vector ends. */
typedef struct sv_ending {
    size_t skip;                /* tokens that are left out of pooling: a prompt's; below the number of tokens */
    size_t dimensions;          /* floats kept; at most config->dimensions */
    senvec_normalize normalize; /* AUTO: as the modules say, before the cut; ON: after the cut, whatever they say; OFF: not */
} sv_ending;

/* The vector `out` (ending->dimensions) of a text's token vectors x (n, hidden). `scratch` has room for twice
 * sv_config_widest(config) floats. The same bits in every batch. */
void sv_modules_run(const sv_modules *modules, const float *x, size_t n, const sv_ending *ending, float *scratch, float *out);

#endif
