/* The BERT encoder: packed weights and the forward pass over a ragged batch.
 *
 * Letters: T tokens of a batch laid end to end, H hidden, I inner, A heads, D = H / A head size, L layers. No pad token exists.
 */
#ifndef SV_MODEL_ENCODER_H
#define SV_MODEL_ENCODER_H

#include "base/memory.h"
#include "base/thread.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/weights.h"

/* A linear layer y = x W' + b as the GEMM of the encoder's tier wants it. */
typedef struct sv_linear {
    const float *packed; /* W (n, k), packed */
    const float *bias;   /* (n) */
    size_t n, k;
} sv_linear;

typedef struct sv_encoder_layer {
    sv_linear qkv;                                                              /* (3H, H): query, key, value */
    sv_linear attention_out;                                                    /* (H, H) */
    sv_linear up;                                                               /* (I, H) */
    sv_linear down;                                                             /* (H, I) */
    const float *attention_gamma, *attention_beta, *output_gamma, *output_beta; /* (H) each */
} sv_encoder_layer;

typedef struct sv_encoder {
    sv_config config;
    sv_kernels kernels;
    const sv_weights *weights; /* for the embedding tables */
    sv_encoder_layer *layers;  /* (L) */
    uint64_t linear_macs;      /* for one token, all layers */
} sv_encoder;

/* Packs the linear layers into `arena`. `weights` must outlive the encoder; the mapped pages of what was packed are released.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_encoder_init(sv_encoder *encoder, const sv_config *config, const sv_weights *weights,
                              const sv_kernels *kernels, sv_arena *arena, senvec_error *err);

/* Buffers for one forward pass of at most `tokens` tokens. */
typedef struct sv_workspace {
    size_t tokens;  /* capacity */
    size_t members; /* attention scratches */
    size_t scratch_size;
    float *x;       /* (T, H): the residual stream */
    float *y;       /* (T, H): what attention gives, before its output projection */
    float *z;       /* (T, H): a projection before it joins the residual stream */
    float *qkv;     /* (T, 3H) */
    float *inner;   /* (T, I) */
    float *scratch; /* (members, scratch_size) */
} sv_workspace;

/* Room for `tokens` tokens, none of whose texts is over `longest` tokens, worked on by `members` threads together.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_workspace_init(sv_workspace *workspace, const sv_encoder *encoder, size_t tokens, size_t longest,
                                size_t members, const senvec_allocator *allocator, senvec_error *err);
void sv_workspace_release(sv_workspace *workspace, const sv_encoder *encoder, const senvec_allocator *allocator);

/* One text of a batch: its ids in, its vector out. */
typedef struct sv_sequence {
    const uint32_t *ids; /* (length), each below the vocabulary */
    size_t length;       /* 1 .. positions */
    float *out;          /* (H) */
} sv_sequence;

/* Who does a forward pass: one thread alone (team NULL, 0 of 1), or every member of a team inside of one sv_team_run, each of
 * which makes the same call with its own index. */
typedef struct sv_share {
    sv_team *team;
    size_t index, count;
} sv_share;

/* Embeds `count` sequences, whose lengths sum up to at most workspace->tokens. Same bits whoever does it. */
void sv_encoder_run(const sv_encoder *encoder, sv_workspace *workspace, const sv_sequence *texts, size_t count, sv_share share);

#endif
