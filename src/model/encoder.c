/* The forward pass of BERT (Devlin et al. 2018; docs/MODEL.md has the formulas), readable from top to bottom in sv_encoder_run.
 *
 * A batch is ragged: the tokens of all its texts are laid end to end in matrices of T rows, so linear layers, GELU and
 * LayerNorm see one tall matrix and only attention knows where a text begins and ends.
 *
 * Sharing one batch among the members of a team: each step is cut so that nobody needs what another member writes in the same
 * step: linear layers by output columns (whole panels of the packed weights; every member reads all of the input), attention by
 * heads, the rest by rows. A barrier ends each step. Cutting by columns rather than rows means that each weight is read by one
 * member only, which is what counts when one short text runs alone: its time is that of reading 42 MB of weights. */
#include "model/encoder.h"

#include "model/pooling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------------ packing */

/* `count` floats, rounded up to whole cache lines. */
static size_t whole_lines(size_t count) {
    size_t per_line = SV_CACHE_LINE / sizeof(float);
    return (count + per_line - 1) / per_line * per_line;
}

/* Hands out consecutive pieces of one block, each aligned to a cache line. */
static float *carve(float **next, size_t count) {
    float *piece = *next;
    *next += whole_lines(count);
    return piece;
}

static sv_linear pack_linear(const sv_kernels *kernels, const float *w, const float *bias, size_t n, size_t k, float **next) {
    float *packed = carve(next, kernels->gemm_f32.packed_size(n, k));
    kernels->gemm_f32.pack(packed, w, k, n, k);
    return (sv_linear){.packed = packed, .bias = bias, .n = n, .k = k};
}

/* Query, key and value as one layer of 3H outputs. `joined` is (3H, H) floats of scratch. */
static sv_linear pack_qkv(const sv_kernels *kernels, const sv_layer_weights *from, size_t h, float *joined, float **next) {
    const float *matrices[3] = {from->query, from->key, from->value};
    const float *biases[3] = {from->query_bias, from->key_bias, from->value_bias};
    float *bias = carve(next, 3 * h);
    for (size_t i = 0; i < 3; i++) {
        memcpy(joined + i * h * h, matrices[i], h * h * sizeof(float));
        memcpy(bias + i * h, biases[i], h * sizeof(float));
    }
    return pack_linear(kernels, joined, bias, 3 * h, h, next);
}

/* Floats that one layer takes when it is packed. */
static size_t packed_layer_size(const sv_kernels *kernels, size_t h, size_t inner) {
    size_t (*size)(size_t n, size_t k) = kernels->gemm_f32.packed_size;
    return whole_lines(size(3 * h, h)) + whole_lines(3 * h) + whole_lines(size(h, h)) + whole_lines(size(inner, h)) +
           whole_lines(size(h, inner));
}

senvec_status sv_encoder_init(sv_encoder *encoder, const sv_config *config, const sv_weights *weights,
                              const sv_kernels *kernels, sv_arena *arena, senvec_error *err) {
    size_t h = config->hidden, inner = config->inner;
    void *layers, *block, *joined;
    SENVEC_TRY(sv_arena_alloc(arena, config->layers, sizeof(sv_encoder_layer), "layers", &layers, err));
    /* One block for all of it: large enough for huge pages, and read from front to back. */
    SENVEC_TRY(sv_arena_alloc(arena, config->layers * packed_layer_size(kernels, h, inner), sizeof(float), "packed weights",
                              &block, err));
    SENVEC_TRY(sv_alloc(&arena->allocator, 3 * h * h, sizeof(float), "packing scratch", &joined, err));
    *encoder = (sv_encoder){
        .config = *config,
        .kernels = *kernels,
        .weights = weights,
        .layers = layers,
        .linear_macs = (uint64_t)config->layers * (4 * h * h + 2 * h * inner),
    };
    float *next = block;
    for (size_t i = 0; i < config->layers; i++) {
        const sv_layer_weights *from = &weights->layers[i];
        sv_encoder_layer *to = &encoder->layers[i];
        to->qkv = pack_qkv(kernels, from, h, joined, &next);
        to->attention_out = pack_linear(kernels, from->attention_out, from->attention_out_bias, h, h, &next);
        to->up = pack_linear(kernels, from->up, from->up_bias, inner, h, &next);
        to->down = pack_linear(kernels, from->down, from->down_bias, h, inner, &next);
        to->attention_gamma = from->attention_gamma;
        to->attention_beta = from->attention_beta;
        to->output_gamma = from->output_gamma;
        to->output_beta = from->output_beta;
    }
    sv_free(&arena->allocator, joined, 3 * h * h, sizeof(float));
    return SENVEC_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- workspace */

senvec_status sv_workspace_init(sv_workspace *workspace, const sv_encoder *encoder, size_t tokens, size_t longest,
                                size_t members, const senvec_allocator *allocator, senvec_error *err) {
    const sv_config *config = &encoder->config;
    size_t h = config->hidden;
    /* Whole cache lines for each member, so that all are aligned and none shares a line. */
    size_t scratch = whole_lines(encoder->kernels.attention_f32_scratch(longest, h / config->heads));
    *workspace = (sv_workspace){.tokens = tokens, .members = members, .scratch_size = scratch};
    const struct {
        float **buffer;
        size_t rows, columns;
    } wanted[] = {
        {&workspace->x, tokens, h},
        {&workspace->y, tokens, h},
        {&workspace->z, tokens, h},
        {&workspace->qkv, tokens, 3 * h},
        {&workspace->inner, tokens, config->inner},
        {&workspace->scratch, members, scratch},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *block;
        senvec_status status =
            sv_alloc(allocator, wanted[i].rows * wanted[i].columns, sizeof(float), "a session's workspace", &block, err);
        if (status != SENVEC_OK) {
            sv_workspace_release(workspace, encoder, allocator);
            return status;
        }
        *wanted[i].buffer = block;
    }
    return SENVEC_OK;
}

void sv_workspace_release(sv_workspace *workspace, const sv_encoder *encoder, const senvec_allocator *allocator) {
    size_t tokens = workspace->tokens, h = encoder->config.hidden;
    sv_free(allocator, workspace->x, tokens * h, sizeof(float));
    sv_free(allocator, workspace->y, tokens * h, sizeof(float));
    sv_free(allocator, workspace->z, tokens * h, sizeof(float));
    sv_free(allocator, workspace->qkv, tokens * 3 * h, sizeof(float));
    sv_free(allocator, workspace->inner, tokens * encoder->config.inner, sizeof(float));
    sv_free(allocator, workspace->scratch, workspace->members * workspace->scratch_size, sizeof(float));
    *workspace = (sv_workspace){0};
}

/* --------------------------------------------------------------------------------------------------------- the forward pass */

/* The part [begin, end) of `total` equal pieces of work that falls to a member. */
typedef struct range {
    size_t begin, end;
} range;

static range part_of(size_t total, sv_share share) {
    return (range){total * share.index / share.count, total * (share.index + 1) / share.count};
}

static void end_step(sv_share share) {
    if (share.team)
        sv_team_barrier(share.team);
}

/* y (T, n) = x (T, k) W' + b, then GELU if asked; the share's columns of it. */
static void linear(const sv_encoder *encoder, const sv_linear *layer, const float *x, float *y, size_t t, bool gelu,
                   sv_share share) {
    const sv_gemm_f32 *gemm = &encoder->kernels.gemm_f32;
    size_t panel = layer->k * gemm->nr;
    range panels = part_of((layer->n + gemm->nr - 1) / gemm->nr, share);
    size_t first = panels.begin * gemm->nr;
    size_t last = panels.end * gemm->nr < layer->n ? panels.end * gemm->nr : layer->n;
    if (first >= last)
        return;
    gemm->run(&(sv_gemm_f32_args){
        .a = x,
        .lda = layer->k,
        .w = layer->packed + panels.begin * panel,
        .panel = panel,
        .bias = layer->bias + first,
        .c = y + first,
        .ldc = layer->n,
        .m = t,
        .n = last - first,
        .k = layer->k,
        .gelu = gelu,
    });
}

/* x (T, H) = LayerNorm(word[id] + type[0] + position[i]); the share's rows of it. The order of the sum is PyTorch's. */
static void embed_tokens(const sv_encoder *encoder, const sv_sequence *texts, size_t count, float *x, range rows) {
    const sv_weights *weights = encoder->weights;
    size_t h = encoder->config.hidden;
    size_t row = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < texts[s].length; i++, row++) {
            if (row < rows.begin || row >= rows.end)
                continue;
            assert(texts[s].ids[i] < encoder->config.vocabulary && i < encoder->config.positions);
            const float *word = weights->word + texts[s].ids[i] * h;
            const float *position = weights->position + i * h;
            float *sum = x + row * h;
            for (size_t j = 0; j < h; j++)
                sum[j] = word[j] + weights->token_type[j] + position[j];
        }
    float *out = x + rows.begin * h;
    encoder->kernels.layernorm_f32(out, h, out, h, NULL, 0, weights->embedding_gamma, weights->embedding_beta,
                                   encoder->config.layernorm_eps, rows.end - rows.begin, h);
}

/* y (T, H) = self-attention within each text, for the share's heads. */
static void attend(const sv_encoder *encoder, const sv_workspace *workspace, const sv_sequence *texts, size_t count,
                   sv_share share) {
    size_t h = encoder->config.hidden, d = h / encoder->config.heads;
    range heads = part_of(encoder->config.heads, share);
    size_t column = heads.begin * d;
    size_t row = 0;
    for (size_t s = 0; s < count; s++) {
        const float *qkv = workspace->qkv + row * 3 * h + column;
        encoder->kernels.attention_f32(&(sv_attention_f32_args){
            .q = qkv,
            .k = qkv + h,
            .v = qkv + 2 * h,
            .ld = 3 * h,
            .out = workspace->y + row * h + column,
            .ld_out = h,
            .n = texts[s].length,
            .heads = heads.end - heads.begin,
            .d = d,
            .scale = 1 / sqrtf((float)d),
            .scratch = workspace->scratch + share.index * workspace->scratch_size,
        });
        row += texts[s].length;
    }
}

/* x (T, H) = LayerNorm(z + x); the share's rows of it. */
static void add_and_normalize(const sv_encoder *encoder, const sv_workspace *workspace, const float *gamma, const float *beta,
                              range rows) {
    size_t h = encoder->config.hidden;
    float *x = workspace->x + rows.begin * h;
    encoder->kernels.layernorm_f32(x, h, workspace->z + rows.begin * h, h, x, h, gamma, beta, encoder->config.layernorm_eps,
                                   rows.end - rows.begin, h);
}

void sv_encoder_run(const sv_encoder *encoder, sv_workspace *workspace, const sv_sequence *texts, size_t count,
                    sv_share share) {
    const sv_config *config = &encoder->config;
    assert(share.index < share.count && share.count <= workspace->members);
    size_t t = 0;
    for (size_t s = 0; s < count; s++)
        t += texts[s].length;
    assert(t <= workspace->tokens);
    range rows = part_of(t, share);

    embed_tokens(encoder, texts, count, workspace->x, rows);
    end_step(share);
    for (size_t i = 0; i < config->layers; i++) {
        const sv_encoder_layer *layer = &encoder->layers[i];
        linear(encoder, &layer->qkv, workspace->x, workspace->qkv, t, false, share);
        end_step(share);
        attend(encoder, workspace, texts, count, share);
        end_step(share);
        linear(encoder, &layer->attention_out, workspace->y, workspace->z, t, false, share);
        end_step(share);
        add_and_normalize(encoder, workspace, layer->attention_gamma, layer->attention_beta, rows);
        end_step(share);
        linear(encoder, &layer->up, workspace->x, workspace->inner, t, true, share);
        end_step(share);
        linear(encoder, &layer->down, workspace->inner, workspace->z, t, false, share);
        end_step(share);
        add_and_normalize(encoder, workspace, layer->output_gamma, layer->output_beta, rows);
        end_step(share);
    }
    size_t row = 0;
    for (size_t s = 0; s < count; s++) {
        if (s % share.count == share.index)
            sv_pool(config->pooling, config->normalize, workspace->x + row * config->hidden, texts[s].length, config->hidden,
                    texts[s].out);
        row += texts[s].length;
    }
}
