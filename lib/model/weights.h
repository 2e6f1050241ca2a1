/* The weights of a BERT encoder by role, as float matrices: views into the mapped file where it holds aligned F32, else copies.
 * Linear weights are (out, in), as PyTorch stores them. */
#ifndef SV_MODEL_WEIGHTS_H
#define SV_MODEL_WEIGHTS_H

#include "common/memory.h"
#include "format/safetensors.h"
#include "model/config.h"

typedef struct sv_layer_weights {
    const float *query, *key, *value;                /* (H, H) each */
    const float *query_bias, *key_bias, *value_bias; /* (H) */
    const float *attention_out, *attention_out_bias; /* (H, H), (H) */
    const float *attention_gamma, *attention_beta;   /* (H): LayerNorm after attention */
    const float *up, *up_bias;                       /* (I, H), (I) */
    const float *down, *down_bias;                   /* (H, I), (H) */
    const float *output_gamma, *output_beta;         /* (H): LayerNorm after the feed-forward */
} sv_layer_weights;

typedef struct sv_weights {
    const float *word, *position, *token_type;     /* (V, H), (positions, H), (token_types, H) */
    const float *embedding_gamma, *embedding_beta; /* (H) */
    sv_layer_weights *layers;                      /* (L) */
    uint64_t parameters;                           /* of everything above; a pooler in the file is not used and not counted */
    uint64_t mapped_bytes;                         /* the file's size if any view points into it, else 0 */
    uint64_t fingerprint;                          /* sv_hash of all of it, as floats */
    sv_safetensors *file;                          /* kept open for the views; NULL if there are none */
    sv_arena matrices;                             /* the layers' matrices, where they are copies */
} sv_weights;

/* Opens model.safetensors in `directory` (the Transformer module's) and binds every tensor by name, with or without a "bert."
 * prefix, with "gamma"/"beta" accepted for "weight"/"bias" of a LayerNorm. Each shape is checked against `config`; NaN and
 * infinity are refused. Copies of tables and vectors are made in `arena`, those of the layers' matrices in an arena of the
 * struct's own. Reading the tables to check them leaves none of their pages resident.
 * Errors: as sv_safetensors_open, FORMAT (a missing or misshapen tensor, a NaN: names it), UNSUPPORTED (weights in another file
 * format, or in several files), OUT_OF_MEMORY. */
senvec_status sv_weights_open(const char *directory, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err);

/* The same from an open file that has the tables and LayerNorms alone; the matrices and their biases are NULL. The file belongs
 * to the result, and is closed on failure. Errors: FORMAT, UNSUPPORTED, OUT_OF_MEMORY. */
senvec_status sv_weights_take(sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err);

/* For a caller that has packed the layers' matrices (query, key, value, attention_out, up, down): frees their copies, takes
 * their views' pages out of resident memory, and sets the pointers to NULL. Vectors and tables stay. */
void sv_weights_drop_matrices(sv_weights *weights, const sv_config *config);

/* A zeroed struct is accepted. The arena is the caller's. */
void sv_weights_close(sv_weights *weights);

#endif
