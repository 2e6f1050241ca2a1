/* The models of `senvec serve`, as -m and --model-name give them. */
#ifndef SV_CLI_SERVE_MODELS_H
#define SV_CLI_SERVE_MODELS_H

#include "cli/common.h"
#include "server/server.h"

/* What the command line says: the options that all models share, each -m ([NAME[,NAME]...=]MODEL; none: the default model), and
 * the names of --model-name, which are for a single model. */
typedef struct sv_serve_models {
    const sv_common *common;
    const sv_option_texts *models, *names;
} sv_serve_models;

/* The sources that a server opens its models from, at least one; a model without a given name has the names of its own. They
 * are static, so this is called once, and keep pointers into `given`'s texts. SENVEC_INVALID_ARGUMENT for too many models or
 * names, a name of over 255 bytes, or --model-name with several models. */
senvec_status sv_serve_models_read(const sv_serve_models *given, const sv_model_source **out, size_t *out_count,
                                   senvec_error *err);

#endif
