/* The weights of an encoder by role, as float matrices: views into the mapped file if it holds aligned F32, else copies.
 * Linear weights are (out, in), as PyTorch stores them. */
#ifndef SV_MODEL_WEIGHTS_H
#define SV_MODEL_WEIGHTS_H

#include "common/memory.h"
#include "common/sha256.h"
#include "model/config.h"
#include "model/weight_files.h"

typedef struct sv_layer_weights {
    const float *query, *key, *value;                /* (H, H) each */
    const float *query_bias, *key_bias, *value_bias; /* (H) */
    const float *attention_out, *attention_out_bias; /* (H, H), (H) */
    const float *attention_gamma, *attention_beta;   /* (H): LayerNorm after attention */
    const float *up, *up_bias;                       /* (I, H), (I) */
    const float *down, *down_bias;                   /* (H, I), (H) */
    const float *output_gamma, *output_beta;         /* (H): LayerNorm after the feed-forward */
} sv_layer_weights;

/* The layers of a head (heads.h): a classifier's, or a masked language model's. */
typedef struct sv_head_weights {
    const float *dense, *dense_bias; /* (H, H), (H); NULL: the task needs no head */
    const float *gamma, *beta;       /* (H): a masked model's LayerNorm; NULL for a classifier */
    const float *out, *out_bias;     /* (labels, H) and (labels), or (V, H) and (V) */
} sv_head_weights;

typedef struct sv_weights {
    /* E is the configuration's `embedding`, or H. */
    const float *word, *position;                  /* (V, E), (first_position + positions, E) */
    const float *token_type;                       /* (token_types, E); NULL: there are none */
    const float *embedding_gamma, *embedding_beta; /* (E) */
    const float *projection, *projection_bias;     /* (H, E), (H): E to H; NULL: E is H */
    const float *relative;                         /* (buckets, A): bias by relative position; NULL: there is none */
    sv_layer_weights *layers;                      /* (L) */
    sv_head_weights head;
    uint64_t parameters;   /* the number of all weights above; a pooler in the file is neither used nor counted */
    uint64_t mapped_bytes; /* the files' size if any view points into them, else 0 */
    uint64_t fingerprint;  /* sv_hash of all weights as floats */
    uint64_t stamp;        /* a hash of the files' sizes, times and inodes when they were opened */
    uint64_t file_bytes;   /* of the files */
    sv_weight_files files; /* kept open for the views; none if there are no views */
    sv_arena matrices;     /* the layers' matrices, where they are copies */
} sv_weights;

/* The columns of the embedding tables: E. */
size_t sv_weights_embedding(const sv_config *config);

/* Opens the safetensors in `directory` (the Transformer module's) and binds every tensor by the names of its family, with or
 * without the prefix that a checkpoint with a head has ("bert."), with "gamma"/"beta" accepted for "weight"/"bias" of a
 * LayerNorm. Each shape is checked against `config`; NaN and
 * infinity are refused. Copies of tables and vectors are made in `arena`, those of the layers' matrices in an arena of the
 * struct's own. Reading the tables to check them leaves none of their pages resident.
 * Errors: as sv_weight_files_open, FORMAT (a missing or misshapen tensor, a NaN: names it), UNSUPPORTED (a type of numbers),
 * OUT_OF_MEMORY. */
senvec_status sv_weights_open(const char *directory, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err);

/* Opens the files again and adds every tensor, as floats, to *digest, in the order of the roles. The digest depends on the
 * values alone, not on names, number types or the number of files. Errors: as sv_weights_open; IO (the files have changed since
 * `weights` was opened). */
senvec_status sv_weights_digest(const char *directory, const sv_config *config, const sv_weights *weights, sv_sha256 *digest,
                                const senvec_allocator *allocator, senvec_error *err);

/* sv_weights_open for a file that has only the tables and LayerNorms, under BERT's names for every family; the matrices and
 * biases of the layers are NULL. The result owns the file; on failure the file is closed. Errors: FORMAT, UNSUPPORTED,
 * OUT_OF_MEMORY. */
senvec_status sv_weights_take(sv_safetensors *file, const char *path, const sv_config *config, sv_arena *arena, sv_weights *out,
                              senvec_error *err);

/* For a caller that has packed the layers' matrices (query, key, value, attention_out, up, down): frees their copies, takes
 * their views' pages out of resident memory, and sets the pointers to NULL. Vectors and tables stay. */
void sv_weights_drop_matrices(sv_weights *weights, const sv_config *config);

/* A zeroed struct is accepted. The arena is the caller's. */
void sv_weights_close(sv_weights *weights);

#endif
