/* The modules of sentence-transformers after the transformer: Pooling, then Dense, LayerNorm and Normalize in any order, and a
 * cut to the first floats. They turn the vectors of a text's tokens into the text's vector. */
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
    uint64_t parameters, bytes; /* of all modules: number of weights, size of their files */
} sv_modules;

/* Reads the weights of config->modules from model.safetensors in the modules' folders inside `directory`, as floats into
 * `arena`. `config` must outlive the result. Errors: as sv_safetensors_open; FORMAT (a missing or misshapen tensor, a value
 * that isn't finite), UNSUPPORTED (another file format), OUT_OF_MEMORY. */
senvec_status sv_modules_open(const char *directory, const sv_config *config, sv_arena *arena, sv_modules *out,
                              senvec_error *err);

/* sv_modules_open from one file that holds all modules, whose tensors are named by sv_module_tensor_name. `path` is for
 * messages. */
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

/* How the vectors of a text's tokens become the vector that a call asks for. */
typedef struct sv_ending {
    size_t skip;                /* the tokens at the beginning that pooling leaves out (a prompt); fewer than the text has */
    size_t dimensions;          /* floats kept; at most config->dimensions */
    senvec_normalize normalize; /* AUTO: as the modules say, before the cut; ON: after the cut, whatever they say; OFF: not */
} sv_ending;

/* Computes the vector `out` (ending->dimensions) of a text from its token vectors x (n, hidden). `scratch` has room for twice
 * sv_config_widest(config) floats. The same bits in every batch. */
void sv_modules_run(const sv_modules *modules, const float *x, size_t n, const sv_ending *ending, float *scratch, float *out);

#endif
