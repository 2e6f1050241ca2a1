/* The forward pass of BERT (Devlin et al. 2018; docs/MODEL.md has the formulas) and of the encoders that differ from it in what
 * the configuration says, readable from top to bottom in sv_encoder_run.
 *
 * A batch is ragged: the tokens of all its texts are laid end to end in matrices of T rows, so linear layers, GELU and
 * LayerNorm see one tall matrix and only attention knows where a text begins and ends.
 *
 * Sharing one batch among the members of a team: linear layers are cut by output columns, so that each weight is read by one
 * member only (a short text alone takes as long as reading the weights does); attention is cut by heads, and a member projects
 * the queries, keys and values of its own heads. These results lie in the first member's workspace, and a barrier ends each
 * such step. Work on whole rows (LayerNorm, the conversion to integers) is cut by rows where there are many. Where there are
 * few, each member does all of it, in its own workspace: that costs less than the barrier which it saves.
 *
 * Where only the first token of each text is wanted (CLS pooling, a classifier), the last layer computes keys and values for
 * all tokens, and the rest for these alone: they take the place of all rows. A row's bits don't depend on the other rows, so
 * the result has the same bits. Attention in int8 is the exception, as it rounds queries by the largest one of the text; so in
 * that layer it is the precision's `rowwise` attention, with the shortcut or without. */
#include "model/encoder.h"

#include "model/modules.h"
#include "model/packed_key.h"
#include "model/steps.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Up to so many tokens, each member does the work on rows for itself: some 2 us, as long as two or three barriers. */
#define FEW_ROWS 24

/* Rows that are still in L1 when the step after LayerNorm reads them again. */
#define ROWS_IN_L1 8

/* ------------------------------------------------------------------------------------------------------------------ packing */

/* What the packing of a layer needs. */
typedef struct packer {
    const sv_gemm *gemm, *wide; /* of the layers of the encoder's precision, and of its wide ones */
    unsigned char *next;        /* memory for it, on a cache line */
    bool filled;                /* with what would be packed into it */
    float *matrix;              /* (3H, H): query, key and value as one layer; unused in int8 */
    float *bias;                /* (3H) */
} packer;

static sv_linear pack(packer *p, const float *w, const float *bias, size_t n, size_t k) {
    sv_linear layer = sv_linear_pack(p->gemm, w, bias, n, k, p->next);
    p->next += sv_linear_size(p->gemm, n, k);
    return layer;
}

static sv_linear pack_quantized(packer *p, const sv_quantized_linear *from) {
    const sv_gemm *gemm = from->wide ? p->wide : p->gemm;
    sv_linear layer = sv_linear_pack_quantized(gemm, from, p->filled, p->next);
    p->next += sv_linear_size(gemm, from->n, from->k);
    return layer;
}

static sv_linear pack_qkv(packer *p, const sv_layer_weights *from, size_t h) {
    const float *matrices[3] = {from->query, from->key, from->value};
    const float *biases[3] = {from->query_bias, from->key_bias, from->value_bias};
    for (size_t i = 0; i < 3; i++) {
        memcpy(p->matrix + i * h * h, matrices[i], h * h * sizeof(float));
        memcpy(p->bias + i * h, biases[i], h * sizeof(float));
    }
    return pack(p, p->matrix, p->bias, 3 * h, h);
}

static void pack_layers(sv_encoder *encoder, const sv_quantized *quantized, packer *p) {
    size_t h = encoder->config.hidden, inner = encoder->config.inner;
    for (size_t i = 0; i < encoder->config.layers; i++) {
        const sv_layer_weights *from = &encoder->weights->layers[i];
        sv_encoder_layer *to = &encoder->layers[i];
        if (quantized) {
            to->qkv = pack_quantized(p, &quantized->layers[i].qkv);
            to->attention_out = pack_quantized(p, &quantized->layers[i].attention_out);
            to->up = pack_quantized(p, &quantized->layers[i].up);
            to->down = pack_quantized(p, &quantized->layers[i].down);
            if (to->up.fixed_point)
                to->down.multiplier = NULL; /* all ones */
        } else {
            to->qkv = pack_qkv(p, from, h);
            to->attention_out = pack(p, from->attention_out, from->attention_out_bias, h, h);
            to->up = pack(p, from->up, from->up_bias, inner, h);
            to->down = pack(p, from->down, from->down_bias, h, inner);
        }
        to->attention_gamma = from->attention_gamma;
        to->attention_beta = from->attention_beta;
        to->output_gamma = from->output_gamma;
        to->output_beta = from->output_beta;
    }
}

/* Bytes of the packed layers. */
static size_t size_of_layers(const sv_config *config, const sv_quantized *quantized, const packer *p) {
    const size_t h = config->hidden, inner = config->inner;
    size_t size = config->layers * (sv_linear_size(p->gemm, 3 * h, h) + sv_linear_size(p->gemm, h, h) +
                                    sv_linear_size(p->gemm, inner, h) + sv_linear_size(p->gemm, h, inner));
    for (size_t i = 0; quantized && i < config->layers; i++) {
        const sv_quantized_layer *layer = &quantized->layers[i];
        const sv_quantized_linear *linears[] = {&layer->qkv, &layer->attention_out, &layer->up, &layer->down};
        for (size_t j = 0; j < sizeof linears / sizeof *linears; j++) {
            const size_t n = linears[j]->n, k = linears[j]->k;
            if (linears[j]->wide)
                size = size - sv_linear_size(p->gemm, n, k) + sv_linear_size(p->wide, n, k);
        }
    }
    return size;
}

/* Memory for the packed layers: a file that is shared, else the arena. */
static senvec_status place_layers(const sv_config *config, const sv_quantized *quantized, const sv_math *math,
                                  sv_shared_weights *shared, sv_arena *arena, packer *p, senvec_error *err) {
    const size_t size = size_of_layers(config, quantized, p);
    uint64_t key[2];
    void *block;
    if (shared && shared->wanted && quantized) {
        SENVEC_TRY(sv_packed_key(math, quantized, config->layers, &arena->allocator, key, err));
        if (sv_packed_file_open(shared->cache_folder, key, size, &shared->file, &shared->failure) == SENVEC_OK) {
            p->next = shared->file.data;
            p->filled = shared->file.filled;
            return SENVEC_OK;
        }
    }
    /* One block for all of it: large enough for huge pages, and read from front to back. */
    SENVEC_TRY(sv_arena_alloc(arena, size, 1, "packed weights", &block, err));
    p->next = block;
    return SENVEC_OK;
}

senvec_status sv_encoder_init(sv_encoder *encoder, const sv_config *config, const sv_weights *weights,
                              const sv_quantized *quantized, const sv_math *math, sv_shared_weights *shared, sv_arena *arena,
                              senvec_error *err) {
    size_t h = config->hidden, inner = config->inner;
    const sv_gemm *gemm = &sv_math_precision(math)->gemm, *plain = &math->kernels.fp32.gemm;
    size_t joined = quantized ? 0 : 3 * h * (h + 1);
    size_t projection_size = config->embedding ? sv_linear_size(plain, h, config->embedding) : 0;
    void *layers, *scratch, *projection;
    packer p = {.gemm = gemm, .wide = sv_math_wide(math)};
    assert(!quantized == !gemm->ranged);
    SENVEC_TRY(sv_arena_alloc(arena, config->layers, sizeof(sv_encoder_layer), "layers", &layers, err));
    SENVEC_TRY(place_layers(config, quantized, math, shared, arena, &p, err));
    SENVEC_TRY(sv_arena_alloc(arena, projection_size, 1, "packed weights", &projection, err));
    sv_position_bias bias;
    SENVEC_TRY(sv_position_bias_make(config, weights, arena, &bias, err));
    SENVEC_TRY(sv_alloc(&arena->allocator, joined, sizeof(float), "packing scratch", &scratch, err));
    *encoder = (sv_encoder){
        .config = *config,
        .math = *math,
        .weights = weights,
        .layers = layers,
        .bias = bias,
        .linear_macs = (uint64_t)config->layers * (4 * h * h + 2 * h * inner),
    };
    encoder->math.activation = config->activation;
    if (config->embedding)
        encoder->projection =
            sv_linear_pack(plain, weights->projection, weights->projection_bias, h, config->embedding, projection);
    senvec_status status = sv_head_init(&encoder->head, config, weights, &math->kernels, arena, err);
    if (status == SENVEC_OK) {
        p.matrix = scratch;
        p.bias = quantized ? NULL : p.matrix + 3 * h * h;
        pack_layers(encoder, quantized, &p);
        if (shared && shared->file.data && !shared->file.filled)
            sv_packed_file_keep(&shared->file, &shared->failure);
    }
    sv_free(&arena->allocator, scratch, joined, sizeof(float));
    return status;
}

/* Whether every layer's activation gives fixed point. */
static bool in_fixed_point(const sv_encoder *encoder) {
    for (size_t i = 0; i < encoder->config.layers; i++)
        if (!encoder->layers[i].up.fixed_point)
            return false;
    return true;
}

/* Whether what is wanted of a text is made of its first token alone. */
static bool needs_first_only(const sv_encoder *encoder, sv_wanted wanted) {
    const sv_config *config = &encoder->config;
    return wanted == SV_WANTED_SCORES ||
           (wanted == SV_WANTED_VECTOR && config->pooling_count == 1 && config->poolings[0] == SV_POOLING_CLS);
}

static bool ever_needs_first_only(const sv_encoder *encoder) {
    return needs_first_only(encoder, SV_WANTED_VECTOR) || encoder->head.dense.n;
}

/* The largest operand of `tokens` rows. */
static size_t largest_operand(const sv_encoder *encoder, size_t tokens) {
    size_t largest = 0;
    for (size_t i = 0; i < encoder->config.layers; i++) {
        const sv_encoder_layer *layer = &encoder->layers[i];
        const sv_linear *linears[] = {&layer->qkv, &layer->attention_out, &layer->up, &layer->down};
        for (size_t j = 0; j < sizeof linears / sizeof *linears; j++) {
            const size_t size = sv_operand_size(linears[j], tokens);
            largest = size > largest ? size : largest;
        }
    }
    return largest;
}

/* ---------------------------------------------------------------------------------------------------------------- workspace */

senvec_status sv_workspace_init(sv_workspace *workspace, const sv_encoder *encoder, size_t tokens, size_t longest,
                                const senvec_allocator *allocator, senvec_error *err) {
    const sv_config *config = &encoder->config;
    const size_t h = config->hidden, operand = largest_operand(encoder, tokens);
    const size_t e = sv_weights_embedding(config);
    const sv_attention *attention = &sv_math_precision(&encoder->math)->attention;
    const bool first = ever_needs_first_only(encoder);
    /* Nothing of it overflows: a text has at most SV_MAX_POSITIONS tokens of SV_MAX_INNER. */
    const size_t sizes[] = {
        tokens * h * sizeof(float),
        tokens * h * sizeof(float),
        tokens * (h > e ? h : e) * sizeof(float),
        tokens * 3 * h * sv_attention_element(attention),
        tokens * config->inner * (in_fixed_point(encoder) ? sizeof(int16_t) : sizeof(float)),
        operand,
        tokens * sizeof(sv_row_range),
        attention->scratch_size(longest, h / config->heads),
        2 * sv_config_widest(config) * sizeof(float),
        first ? tokens * h * sizeof(float) : 0,
        first ? operand : 0,
        first ? tokens * sizeof(sv_row_range) : 0,
        config->task == SENVEC_TASK_SPARSE ? tokens * SV_HEAD_WORDS * sizeof(float) : 0,
    };
    enum { PIECES = sizeof sizes / sizeof *sizes };
    size_t offsets[PIECES], bytes = 0;
    for (size_t i = 0; i < PIECES; i++) {
        offsets[i] = bytes;
        bytes += sv_whole_lines(sizes[i]);
    }
    void *block;
    *workspace = (sv_workspace){0};
    SENVEC_TRY(sv_alloc(allocator, bytes, 1, "a session's workspace", &block, err));
    void *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (unsigned char *)block + offsets[i];
    *workspace = (sv_workspace){
        .tokens = tokens,
        .x = pieces[0],
        .y = pieces[1],
        .z = pieces[2],
        .qkv = pieces[3],
        .inner = pieces[4],
        .operand = {pieces[5], pieces[6]},
        .scratch = pieces[7],
        .vectors = pieces[8],
        .first = pieces[9],
        .first_operand = {pieces[10], pieces[11]},
        .logits = pieces[12],
        .block = block,
        .bytes = bytes,
    };
    return SENVEC_OK;
}

void sv_workspace_release(sv_workspace *workspace, const senvec_allocator *allocator) {
    sv_free(allocator, workspace->block, workspace->bytes, 1);
    *workspace = (sv_workspace){0};
}

/* --------------------------------------------------------------------------------------------------------- the forward pass */

/* The part [begin, end) of `total` equal pieces of work that falls to a member. */
typedef struct range {
    size_t begin, end;
} range;

/* One member's view of a forward pass. */
typedef struct pass {
    const sv_encoder *encoder;
    const sv_sequence *texts;
    size_t count, t; /* texts and tokens */
    sv_share share;
    const sv_workspace *shared; /* what is cut by columns or heads: y, z, qkv, inner */
    const sv_workspace *own;    /* what is worked on by rows. Its own, or the shared one if rows are cut */
    float *x;                   /* of `own`, as is: */
    sv_operand_buffer operand;
    bool cut_rows;
    bool all_tokens; /* no shortcut: the first token isn't what counts of some text, whose prompt's tokens pooling leaves out */
    range rows;
    float *scratch;
} pass;

/* A member's part, in whole units. */
static range part_of(size_t total, size_t unit, sv_share share) {
    size_t units = (total + unit - 1) / unit;
    size_t begin = units * share.index / share.count * unit, end = units * (share.index + 1) / share.count * unit;
    return (range){begin < total ? begin : total, end < total ? end : total};
}

/* Ends a step that was cut by columns or heads. */
static void end_step(const pass *p) {
    if (p->share.team)
        sv_team_barrier(p->share.team);
}

/* Ends a step on rows. */
static void end_rows(const pass *p) {
    if (p->cut_rows)
        end_step(p);
}

/* x (T, H) = LayerNorm(word[id] + type + position), of the member's rows; through a linear layer where the tables have other
 * than H columns. */
static void embed_tokens(const pass *p) {
    const sv_encoder *encoder = p->encoder;
    const sv_config *config = &encoder->config;
    const sv_weights *weights = encoder->weights;
    const size_t h = config->hidden, e = sv_weights_embedding(config), rows = p->rows.end - p->rows.begin;
    float *x = p->x + p->rows.begin * h, *sums = config->embedding ? p->own->z + p->rows.begin * e : x;
    size_t row = 0;
    for (size_t s = 0; s < p->count; s++) {
        const sv_text_ids *text = &p->texts[s].text;
        const size_t begin = p->rows.begin > row ? p->rows.begin - row : 0, end = p->rows.end > row ? p->rows.end - row : 0;
        if (begin < text->length && begin < end)
            sv_sum_embeddings(config, weights, text, begin, end < text->length ? end : text->length,
                              sums + (row + begin - p->rows.begin) * e);
        row += text->length;
    }
    encoder->math.kernels.layernorm_f32(sums, e, sums, e, weights->embedding_gamma, weights->embedding_beta,
                                        config->layernorm_eps, rows, e);
    if (config->embedding)
        sv_linear_run(&encoder->math, &encoder->projection, (sv_operand){.rows = sums, .ld = e}, rows, 0, h, SV_LINEAR_FLOAT,
                      NULL, x, h);
}

/* The rows of x (T, k) become an input of the layer. */
static void prepare(const pass *p, const sv_linear *layer, const float *x, range rows) {
    sv_operand_prepare(layer, &p->operand, x, layer->k, rows.begin, rows.end);
}

/* x (T, H) = LayerNorm(z), and an input of the layer `next`, unless it is NULL: a few rows at a time, which are in L1 then. */
static void normalize(const pass *p, const float *gamma, const float *beta, const sv_linear *next) {
    const size_t h = p->encoder->config.hidden;
    for (size_t begin = p->rows.begin; begin < p->rows.end; begin += ROWS_IN_L1) {
        const size_t left = p->rows.end - begin, rows = left < ROWS_IN_L1 ? left : ROWS_IN_L1;
        float *x = p->x + begin * h;
        p->encoder->math.kernels.layernorm_f32(x, h, p->shared->z + begin * h, h, gamma, beta, p->encoder->config.layernorm_eps,
                                               rows, h);
        if (next)
            prepare(p, next, p->x, (range){begin, begin + rows});
    }
}

/* `prepare` as a step of its own, as x is what a step by columns or heads gave. In fp32 there is nothing to do. */
static void prepare_shared(const pass *p, const sv_linear *layer, const float *x) {
    if (!layer->gemm.prepare)
        return;
    prepare(p, layer, x, p->rows);
    end_rows(p);
}

/* The same for `layer` after `from` and the activation. */
static void prepare_activated(const pass *p, const sv_linear *layer, const sv_linear *from, const void *x) {
    if (!layer->gemm.prepare)
        return;
    sv_operand_prepare_activated(layer, from, &p->operand, x, p->rows.begin, p->rows.end);
    end_rows(p);
}

/* y (T, n) = x (T, k) W' + b for the columns [first, last); x is what was prepared. */
static void multiply(const pass *p, const sv_linear *layer, const void *x, void *y, sv_linear_output output,
                     const float *residual, size_t first, size_t last) {
    const sv_operand operand = sv_operand_of(layer, &p->operand, x, layer->k);
    sv_linear_run(&p->encoder->math, layer, operand, p->t, first, last, output, residual, y, layer->n);
}

/* The same for the member's share of all columns. */
static void linear(const pass *p, const sv_linear *layer, const void *x, void *y, sv_linear_output output,
                   const float *residual) {
    range columns = part_of(layer->n, layer->gemm.nr, p->share);
    multiply(p, layer, x, y, output, residual, columns.begin, columns.end);
}

/* The heads of a member: its columns of Q, K and V begin where the GEMM's do, or one member has all heads. */
static range heads_of(const pass *p, const sv_linear *projection) {
    const sv_config *config = &p->encoder->config;
    size_t d = config->hidden / config->heads, nr = projection->gemm.nr;
    size_t unit = 1; /* heads */
    if (config->hidden % nr)
        unit = config->heads;
    while (unit < config->heads && unit * d % nr)
        unit++;
    return part_of(config->heads, unit, p->share);
}

/* Queries, keys and values (T, 3H) of the member's heads. */
static void project(const pass *p, const sv_linear *projection, range heads) {
    const size_t h = p->encoder->config.hidden, d = h / p->encoder->config.heads;
    if (heads.end - heads.begin == p->encoder->config.heads)
        multiply(p, projection, p->x, p->shared->qkv, SV_LINEAR_ATTENTION, NULL, 0, 3 * h);
    else
        for (size_t i = 0; i < 3; i++)
            multiply(p, projection, p->x, p->shared->qkv, SV_LINEAR_ATTENTION, NULL, i * h + heads.begin * d,
                     i * h + heads.end * d);
}

/* y (T, H) = self-attention within each text, for the member's heads. `firsts`: y (count, H), for the texts' first tokens,
 * whose queries are in the first rows if `packed`. */
static void attend_texts(const pass *p, const sv_attention *attention, range heads, bool firsts, bool packed) {
    const sv_workspace *shared = p->shared;
    const size_t h = p->encoder->config.hidden, column = heads.begin * (h / p->encoder->config.heads);
    const size_t element = sv_attention_element(attention);
    size_t row = 0;
    for (size_t s = 0; s < p->count; s++) {
        const size_t n = p->texts[s].text.length;
        const char *qkv = (const char *)shared->qkv + column * element, *keys = qkv + row * 3 * h * element;
        sv_attend(attention, &p->encoder->config, &p->encoder->bias,
                  &(sv_attending){
                      .q = packed ? qkv + s * 3 * h * element : keys,
                      .k = keys + h * element,
                      .v = keys + 2 * h * element,
                      .n = n,
                      .queries = firsts ? 1 : n,
                      .first = heads.begin,
                      .heads = heads.end - heads.begin,
                      .out = shared->y + (firsts ? s : row) * h + column,
                      .scratch = p->scratch,
                  });
        row += n;
    }
}

/* The rows of the texts' first tokens, in x and in the operand made of it, one after the other. */
static void gather_firsts(const pass *p, const sv_linear *projection) {
    const size_t h = p->encoder->config.hidden, size = sv_operand_size(projection, 1);
    const range texts = p->cut_rows ? part_of(p->count, 1, p->share) : (range){0, p->count};
    size_t row = 0;
    for (size_t s = 0; s < texts.end; row += p->texts[s].text.length, s++) {
        if (s < texts.begin)
            continue;
        memcpy(p->own->first + s * h, p->x + row * h, h * sizeof(float));
        if (size)
            memcpy((char *)p->own->first_operand.rows + s * size, (const char *)p->operand.rows + row * size, size);
        if (projection->gemm.ranged)
            p->own->first_operand.range[s] = p->operand.range[row];
    }
    end_rows(p);
}

/* From here on the rows are the texts' first tokens. */
static void keep_firsts(pass *p) {
    p->t = p->count;
    p->rows = p->cut_rows ? part_of(p->count, 1, p->share) : (range){0, p->count};
    p->x = p->own->first;
    p->operand = p->own->first_operand;
}

/* Attention of a layer whose rest is wanted for the texts' first tokens. */
static void attend_firsts(pass *p, const sv_linear *projection) {
    const sv_attention *attention = &sv_math_precision(&p->encoder->math)->rowwise;
    const size_t h = p->encoder->config.hidden, d = h / p->encoder->config.heads;
    const range heads = heads_of(p, projection);
    if (p->all_tokens) {
        project(p, projection, heads);
        attend_texts(p, attention, heads, false, false);
        return;
    }
    const bool apart = h % projection->gemm.nr == 0; /* queries can be computed without keys */
    gather_firsts(p, projection);
    if (apart)
        for (size_t i = 1; i < 3; i++)
            multiply(p, projection, p->x, p->shared->qkv, SV_LINEAR_ATTENTION, NULL, i * h + heads.begin * d,
                     i * h + heads.end * d);
    else
        project(p, projection, heads);
    keep_firsts(p);
    if (apart)
        multiply(p, projection, p->x, p->shared->qkv, SV_LINEAR_ATTENTION, NULL, heads.begin * d, heads.end * d);
    attend_texts(p, attention, heads, true, apart);
}

static void attend(pass *p, const sv_linear *projection, bool firsts) {
    if (firsts) {
        attend_firsts(p, projection);
        return;
    }
    const range heads = heads_of(p, projection);
    project(p, projection, heads);
    attend_texts(p, &sv_math_precision(&p->encoder->math)->attention, heads, false, false);
}

/* What is wanted of the texts, from x. `firsts`: it has their first tokens only. */
static void finish_texts(const pass *p, sv_wanted wanted, bool firsts, float *scratch, float *vectors) {
    const size_t h = p->encoder->config.hidden;
    size_t row = 0;
    for (size_t s = 0; s < p->count; s++) {
        const sv_sequence *text = &p->texts[s];
        const size_t n = firsts ? 1 : text->text.length;
        const float *x = p->x + row * h;
        row += n;
        if (s % p->share.count != p->share.index)
            continue;
        if (wanted == SV_WANTED_TOKENS)
            memcpy(text->out, x, n * h * sizeof(float));
        else if (wanted == SV_WANTED_SCORES)
            sv_head_score(&p->encoder->head, x, scratch, text->out);
        else
            sv_modules_run(p->encoder->modules, x, n, &text->ending, vectors, text->out);
    }
}

/* A masked model's weights. y (T, H) is free. */
static void finish_words(const pass *p, float *logits) {
    const sv_head_layers *head = &p->encoder->head;
    const size_t h = p->encoder->config.hidden;
    float *t = p->own->y;
    sv_head_transform(head, p->x + p->rows.begin * h, p->rows.end - p->rows.begin, t + p->rows.begin * h);
    end_rows(p);
    const range words = part_of(head->out.n, head->out.gemm.nr, p->share);
    for (size_t first = words.begin; first < words.end; first += SV_HEAD_WORDS) {
        const size_t last = words.end - first < SV_HEAD_WORDS ? words.end : first + SV_HEAD_WORDS;
        sv_head_logits(head, t, p->t, first, last, logits);
        size_t row = 0;
        for (size_t s = 0; s < p->count; s++) {
            sv_head_weigh(head, logits + row * SV_HEAD_WORDS, p->texts[s].text.length, last - first, p->texts[s].out + first);
            row += p->texts[s].text.length;
        }
    }
}

void sv_encoder_run(const sv_encoder *encoder, sv_workspace *workspaces, const sv_sequence *texts, size_t count,
                    sv_wanted wanted, sv_share share) {
    const sv_config *config = &encoder->config;
    assert(share.index < share.count);
    pass p = {.encoder = encoder, .texts = texts, .count = count, .share = share, .shared = &workspaces[0]};
    p.all_tokens = encoder->all_tokens;
    for (size_t s = 0; s < count; s++) {
        p.t += texts[s].text.length;
        p.all_tokens |= wanted == SV_WANTED_VECTOR && texts[s].ending.skip;
    }
    assert(p.t <= workspaces[share.index].tokens);
    p.cut_rows = p.t > FEW_ROWS;
    p.own = p.cut_rows ? p.shared : &workspaces[share.index];
    p.rows = p.cut_rows ? part_of(p.t, 1, share) : (range){0, p.t};
    p.scratch = workspaces[share.index].scratch;
    p.x = p.own->x;
    p.operand = p.own->operand;
    const sv_workspace *shared = p.shared;

    embed_tokens(&p);
    prepare(&p, &encoder->layers[0].qkv, p.x, p.rows);
    for (size_t i = 0; i < config->layers; i++) {
        const sv_encoder_layer *layer = &encoder->layers[i];
        const sv_linear *next = i + 1 < config->layers ? &encoder->layers[i + 1].qkv : NULL;
        const bool firsts = !next && needs_first_only(encoder, wanted);
        end_rows(&p);
        attend(&p, &layer->qkv, firsts);
        end_step(&p);
        prepare_shared(&p, &layer->attention_out, shared->y);
        linear(&p, &layer->attention_out, shared->y, shared->z, SV_LINEAR_FLOAT, p.x);
        end_step(&p);
        normalize(&p, layer->attention_gamma, layer->attention_beta, &layer->up);
        end_rows(&p);
        linear(&p, &layer->up, p.x, shared->inner, SV_LINEAR_ACTIVATED, NULL);
        end_step(&p);
        prepare_activated(&p, &layer->down, &layer->up, shared->inner);
        linear(&p, &layer->down, shared->inner, shared->z, SV_LINEAR_FLOAT, p.x);
        end_step(&p);
        normalize(&p, layer->output_gamma, layer->output_beta, next);
    }
    end_rows(&p);
    if (wanted == SV_WANTED_WORDS)
        finish_words(&p, workspaces[share.index].logits);
    else
        finish_texts(&p, wanted, needs_first_only(encoder, wanted) && !p.all_tokens, workspaces[share.index].y,
                     workspaces[share.index].vectors);
}
