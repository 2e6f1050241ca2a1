/* The encoder of BERT and its relatives: packed weights and the forward pass over a ragged batch.
 *
 * Letters: T tokens of a batch laid end to end, H hidden, I inner, A heads, D = H / A head size, L layers. No pad token exists.
 */
#ifndef SV_MODEL_ENCODER_H
#define SV_MODEL_ENCODER_H

#include "common/memory.h"
#include "common/thread.h"
#include "model/config.h"
#include "model/heads.h"
#include "model/linear.h"
#include "model/modules.h"
#include "model/packed_file.h"
#include "model/steps.h"
#include "model/weights.h"

typedef struct sv_encoder_layer {
    sv_linear qkv;                                                              /* (3H, H): query, key, value */
    sv_linear attention_out;                                                    /* (H, H) */
    sv_linear up;                                                               /* (I, H) */
    sv_linear down;                                                             /* (H, I) */
    const float *attention_gamma, *attention_beta, *output_gamma, *output_beta; /* (H) each */
} sv_encoder_layer;

typedef struct sv_encoder {
    sv_config config;
    sv_math math;
    const sv_weights *weights; /* for the embedding tables and LayerNorms */
    const sv_modules *modules; /* the modules after the layers; set by the caller */
    sv_encoder_layer *layers;  /* (L) */
    sv_linear projection;      /* (H, E), in fp32, if the configuration has an `embedding` */
    sv_position_bias bias;
    sv_head_layers head;
    bool all_tokens;      /* for tests: don't use the shortcut for models that need only a text's first token (encoder.c) */
    uint64_t linear_macs; /* for one token, all layers */
} sv_encoder;

/* Packs the linear layers into `arena`: the layers of `weights`, or for int8 the layers of `quantized`, which is NULL otherwise
 * and isn't needed afterwards. If `shared` (may be NULL) asks for it, int8 layers are packed into a file that is mapped and
 * must outlive the encoder; if that fails, they go into `arena`. `weights` must outlive the encoder, without the layers'
 * matrices. Error: OUT_OF_MEMORY.
 */
senvec_status sv_encoder_init(sv_encoder *encoder, const sv_config *config, const sv_weights *weights,
                              const sv_quantized *quantized, const sv_math *math, sv_shared_weights *shared, sv_arena *arena,
                              senvec_error *err);

/* Buffers of one member for forward passes of at most `tokens` tokens. */
typedef struct sv_workspace {
    size_t tokens;             /* capacity */
    float *x;                  /* (T, H): the residual stream */
    float *y;                  /* (T, H): the output of attention, before its projection */
    float *z;                  /* (T, max(H, E)): the residual stream before LayerNorm; the embedding before its projection */
    void *qkv;                 /* (T, 3H), as attention reads it */
    void *inner;               /* (T, I): the activation's output, in the precision's form */
    sv_operand_buffer operand; /* (T, max(H, I)): the input of a linear layer */
    float *scratch;            /* scratch memory of attention */
    float *vectors;            /* (2, sv_config_widest): a text's vector between two modules */
    float *first;              /* (T, H): the residual stream of the first tokens alone, for models that need no others */
    sv_operand_buffer first_operand; /* (T, max(H, I)): the operands made from `first` */
    float *logits;                   /* (T, SV_HEAD_WORDS), of a masked model */
    void *block;                     /* the one block that holds all buffers */
    size_t bytes;
} sv_workspace;

/* Makes room for `tokens` tokens of texts that have at most `longest` tokens each. Error: OUT_OF_MEMORY. */
senvec_status sv_workspace_init(sv_workspace *workspace, const sv_encoder *encoder, size_t tokens, size_t longest,
                                const senvec_allocator *allocator, senvec_error *err);
void sv_workspace_release(sv_workspace *workspace, const senvec_allocator *allocator);

/* The kinds of result for a text. */
typedef enum sv_wanted {
    SV_WANTED_VECTOR, /* its vector (H) */
    SV_WANTED_TOKENS, /* its tokens' vectors (n, H), as the last layer gives them */
    SV_WANTED_SCORES, /* a classifier's logits (labels) */
    SV_WANTED_WORDS,  /* a masked model's weights (V) */
} sv_wanted;

/* One text, or pair of texts, of a batch: its ids and where its result goes. */
typedef struct sv_sequence {
    sv_text_ids text;
    sv_ending ending; /* how the vectors of its tokens become one vector, if a vector is wanted */
    float *out;
} sv_sequence;

/* The threads that do a forward pass: one thread alone (team NULL, 0 of 1), or every member of a team inside one sv_team_run,
 * each of which makes the same call with its own index. */
typedef struct sv_share {
    sv_team *team;
    size_t index, count;
} sv_share;

/* Computes `count` sequences, whose lengths sum up to at most workspace->tokens. `workspaces` has one for each of share.count
 * members, which make the same call except for share.index. The result has the same bits however the work is shared. */
void sv_encoder_run(const sv_encoder *encoder, sv_workspace *workspaces, const sv_sequence *texts, size_t count,
                    sv_wanted wanted, sv_share share);

#endif
