/* The choice of wide layers, by measured loss.
 *
 * A layer of the encoder has three parts that can be wide, each of h * inner or 4 h * h multiply-accumulates a token: attention
 * (qkv and attention_out together, since smoothing ties them), up, and down. The loss of a part is the mean of 1 - cosine of an
 * encoder in fp32 with this part alone in int8; such losses add up, nearly. Parts are made wide in the order of loss for work.
 * From the sum it is predicted how many are needed; then the model is measured as it would run, and parts are added until it
 * is accurate enough.
 *
 * What is measured are the products of the encoder itself. Attention and the wide products are those of fp32, so that the
 * choice doesn't depend on which of them the CPU has in bf16. */
#include "int8/widen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"
#include "model/pooling.h"

#define MOST_WIDE 3     /* one part of so many, by multiply-accumulates */
#define BATCH 256       /* tokens of texts that are computed together */
#define PROBE_BATCHES 2 /* batches of texts that the loss of one part is measured on */

enum { ATTENTION, UP, DOWN, PARTS };

static const float in_float = SV_QUANTIZED_FLOAT;

typedef struct widening {
    const sv_config *config; /* with the pooling that is measured */
    const sv_weights *weights;
    sv_kernels kernels;
    const sv_samples *texts;
    sv_team *team;
    const senvec_allocator *allocator;
    size_t *batches; /* (batch_count + 1): batch i is the texts batches[i] .. batches[i + 1] - 1 */
    size_t batch_count, most_tokens, longest;
    size_t width;           /* floats of a vector */
    float *reference;       /* (texts, width): the vectors of fp32 */
    float *vectors;         /* (texts, width) */
    float *tokens;          /* (members, most_tokens, H) */
    sv_sequence *sequences; /* (members, most_tokens) */
} widening;

/* --------------------------------------------------------------------------------------------------------------- measuring */

typedef struct run {
    const widening *w;
    const sv_encoder *encoder;
    sv_workspace *workspaces; /* (members) */
    float *out;               /* (texts, width) */
} run;

static void run_batch(void *context, size_t item, size_t member) {
    const run *r = context;
    const widening *w = r->w;
    const size_t h = w->config->hidden, first = w->batches[item], count = w->batches[item + 1] - first;
    const size_t *begin = w->texts->begin + first;
    float *tokens = w->tokens + member * w->most_tokens * h;
    sv_sequence *sequences = w->sequences + member * w->most_tokens;
    for (size_t i = 0; i < count; i++)
        sequences[i] = (sv_sequence){
            .text = {.ids = w->texts->ids + begin[i], .length = begin[i + 1] - begin[i]},
            .out = tokens + (begin[i] - begin[0]) * h,
        };
    sv_encoder_run(r->encoder, &r->workspaces[member], sequences, count, SV_WANTED_TOKENS, (sv_share){.count = 1});
    for (size_t i = 0; i < count; i++)
        sv_pool(w->config, sequences[i].out, sequences[i].text.length, 0, h, r->out + (first + i) * w->width);
}

/* out <- the vectors of the texts of the first `batches` batches. */
static senvec_status embed(const widening *w, const sv_encoder *encoder, size_t batches, float *out, senvec_error *err) {
    const size_t members = sv_team_size(w->team);
    void *memory;
    SENVEC_TRY(sv_alloc(w->allocator, members, sizeof(sv_workspace), "calibration", &memory, err));
    sv_workspace *workspaces = memory;
    memset(workspaces, 0, members * sizeof *workspaces);
    senvec_status status = SENVEC_OK;
    for (size_t i = 0; i < members && status == SENVEC_OK; i++)
        status = sv_workspace_init(&workspaces[i], encoder, w->most_tokens, w->longest, w->allocator, err);
    run r = {w, encoder, workspaces, out};
    if (status == SENVEC_OK)
        sv_team_each(w->team, batches, run_batch, &r);
    for (size_t i = 0; i < members; i++)
        sv_workspace_release(&workspaces[i], w->allocator);
    sv_free(w->allocator, workspaces, members, sizeof *workspaces);
    return status;
}

static double cosine(const float *a, const float *b, size_t count) {
    double product = 0, of_a = 0, of_b = 0;
    for (size_t i = 0; i < count; i++) {
        product += (double)a[i] * b[i];
        of_a += (double)a[i] * a[i];
        of_b += (double)b[i] * b[i];
    }
    return of_a > 0 && of_b > 0 ? product / sqrt(of_a * of_b) : 1;
}

/* The mean and the least cosine of the vectors of the first `batches` batches. */
static senvec_status measure(const widening *w, const sv_encoder *encoder, size_t batches, double *mean, double *least,
                             senvec_error *err) {
    const size_t count = w->batches[batches];
    SENVEC_TRY(embed(w, encoder, batches, w->vectors, err));
    *mean = 0;
    *least = 1;
    for (size_t i = 0; i < count; i++) {
        const double each = cosine(w->vectors + i * w->width, w->reference + i * w->width, w->width);
        *mean += each / (double)count;
        *least = each < *least ? each : *least;
    }
    return SENVEC_OK;
}

/* Stores the cosines of the model as it is. */
static senvec_status measure_model(const widening *w, sv_quantized *quantized, senvec_error *err) {
    const sv_math math = {.kernels = w->kernels, .precision = SENVEC_PRECISION_INT8};
    sv_arena arena;
    sv_encoder encoder;
    double mean, least;
    sv_arena_init(&arena, w->allocator);
    senvec_status status = sv_encoder_init(&encoder, w->config, w->weights, quantized, &math, NULL, &arena, err);
    if (status == SENVEC_OK)
        status = measure(w, &encoder, w->batch_count, &mean, &least, err);
    sv_arena_release(&arena);
    if (status == SENVEC_OK) {
        quantized->cosine_mean = (float)mean;
        quantized->cosine_least = (float)least;
    }
    return status;
}

static bool is_accurate(const sv_quantized *quantized, float mean) {
    return quantized->cosine_mean >= mean && quantized->cosine_least >= SV_WIDEN_LEAST;
}

/* --------------------------------------------------------------------------------------------------------------- the choice */

typedef struct part {
    size_t layer, which;
    double loss, work; /* multiply-accumulates a token */
} part;

/* By loss for work, the largest first. */
static int compare_parts(const void *a, const void *b) {
    const part *first = a, *second = b;
    const double one = first->loss / first->work, other = second->loss / second->work;
    if (one != other)
        return one > other ? -1 : 1;
    const size_t i = first->layer * PARTS + first->which, j = second->layer * PARTS + second->which;
    return (i > j) - (i < j);
}

/* Puts a part of a layer of one encoder into a layer of another one. */
static void put(sv_encoder_layer *to, const sv_encoder_layer *from, size_t which) {
    if (which == ATTENTION) {
        to->qkv = from->qkv;
        to->attention_out = from->attention_out;
    } else if (which == UP) {
        to->up = from->up;
    } else {
        to->down = from->down;
    }
}

/* parts (layers * PARTS) <- the loss of each. `exact` is the encoder in fp32, `rounded` the one in int8 without fixed point. */
static senvec_status find_losses(const widening *w, sv_encoder *exact, const sv_encoder *rounded, part *parts,
                                 senvec_error *err) {
    const double h = (double)w->config->hidden, inner = (double)w->config->inner;
    const size_t batches = w->batch_count < PROBE_BATCHES ? w->batch_count : PROBE_BATCHES;
    for (size_t l = 0; l < w->config->layers; l++)
        for (size_t which = 0; which < PARTS; which++) {
            const sv_encoder_layer kept = exact->layers[l];
            double mean, least;
            put(&exact->layers[l], &rounded->layers[l], which);
            const senvec_status status = measure(w, exact, batches, &mean, &least, err);
            exact->layers[l] = kept;
            if (status != SENVEC_OK)
                return status;
            parts[l * PARTS + which] = (part){l, which, 1 - mean, which == ATTENTION ? 4 * h * h : h * inner};
        }
    return SENVEC_OK;
}

/* The same from the model; `exact` is to be packed already. */
static senvec_status probe(const widening *w, sv_encoder *exact, const sv_quantized *quantized, part *parts, sv_arena *arena,
                           senvec_error *err) {
    const sv_math math = {.kernels = w->kernels, .precision = SENVEC_PRECISION_INT8};
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, w->config->layers, sizeof(sv_quantized_layer), "calibration", &memory, err));
    const sv_quantized unfixed = {.layers = memcpy(memory, quantized->layers, w->config->layers * sizeof *quantized->layers)};
    for (size_t l = 0; l < w->config->layers; l++)
        if (unfixed.layers[l].up.exponent)
            unfixed.layers[l].up.exponent = &in_float;
    sv_encoder rounded;
    SENVEC_TRY(sv_encoder_init(&rounded, w->config, w->weights, &unfixed, &math, NULL, arena, err));
    return find_losses(w, exact, &rounded, parts, err);
}

/* Makes `linear` wide: `count` matrices of its weights one below the other, and their biases. */
static senvec_status make_wide(sv_quantized_linear *linear, size_t count, const float *const *matrices,
                               const float *const *biases, sv_arena *arena, senvec_error *err) {
    const size_t n = linear->n / count, k = linear->k;
    void *weights, *bias;
    SENVEC_TRY(sv_arena_alloc(arena, linear->n, k * sizeof(float), "wide weights", &weights, err));
    SENVEC_TRY(sv_arena_alloc(arena, linear->n, sizeof(float), "wide weights", &bias, err));
    for (size_t i = 0; i < count; i++) {
        memcpy((float *)weights + i * n * k, matrices[i], n * k * sizeof(float));
        memcpy((float *)bias + i * n, biases[i], n * sizeof(float));
    }
    *linear = (sv_quantized_linear){.bias = bias, .n = linear->n, .k = k, .wide = weights};
    return SENVEC_OK;
}

static senvec_status widen_part(const sv_layer_weights *from, size_t which, sv_quantized_layer *to, sv_arena *arena,
                                senvec_error *err) {
    const float *const matrices[] = {from->query, from->key, from->value};
    const float *const biases[] = {from->query_bias, from->key_bias, from->value_bias};
    switch (which) {
    case ATTENTION:
        SENVEC_TRY(make_wide(&to->qkv, 3, matrices, biases, arena, err));
        return make_wide(&to->attention_out, 1, &from->attention_out, &from->attention_out_bias, arena, err);
    case UP:
        return make_wide(&to->up, 1, &from->up, &from->up_bias, arena, err);
    default:
        if (to->up.exponent)
            to->up.exponent = &in_float;
        return make_wide(&to->down, 1, &from->down, &from->down_bias, arena, err);
    }
}

/* Makes parts wide, from the first of `parts` on, while the model isn't accurate. */
static senvec_status widen(const widening *w, const part *parts, sv_arena *arena, sv_quantized *quantized, senvec_error *err) {
    const size_t count = w->config->layers * PARTS;
    double all_work = 0, all_loss = 0, work = 0, loss = 0;
    for (size_t i = 0; i < count; i++) {
        all_work += parts[i].work;
        all_loss += parts[i].loss;
    }
    const double needed = all_loss * (1 - (1 - (double)SV_WIDEN_GOAL) / (1 - (double)quantized->cosine_mean));
    for (size_t i = 0; i < count && MOST_WIDE * (work + parts[i].work) <= all_work; i++) {
        SENVEC_TRY(
            widen_part(&w->weights->layers[parts[i].layer], parts[i].which, &quantized->layers[parts[i].layer], arena, err));
        work += parts[i].work;
        loss += parts[i].loss;
        if (loss < needed)
            continue;
        SENVEC_TRY(measure_model(w, quantized, err));
        if (is_accurate(quantized, SV_WIDEN_GOAL))
            return SENVEC_OK;
    }
    return measure_model(w, quantized, err);
}

/* ---------------------------------------------------------------------------------------------------------------- the whole */

/* Batches of neighbouring texts. */
static void make_batches(widening *w) {
    const size_t *begin = w->texts->begin;
    for (size_t i = 0, tokens = 0; i < w->texts->count; i++) {
        const size_t length = begin[i + 1] - begin[i];
        if (i == 0 || tokens + length > BATCH) {
            w->batches[w->batch_count++] = i;
            tokens = 0;
        }
        tokens += length;
        w->most_tokens = tokens > w->most_tokens ? tokens : w->most_tokens;
        w->longest = length > w->longest ? length : w->longest;
    }
    w->batches[w->batch_count] = w->texts->count;
}

static senvec_status make_buffers(widening *w, sv_arena *arena, senvec_error *err) {
    const size_t members = sv_team_size(w->team);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, w->texts->count + 1, sizeof(size_t), "calibration", &memory, err));
    w->batches = memory;
    make_batches(w);
    SENVEC_TRY(sv_arena_alloc(arena, w->texts->count, w->width * sizeof(float), "calibration", &memory, err));
    w->reference = memory;
    SENVEC_TRY(sv_arena_alloc(arena, w->texts->count, w->width * sizeof(float), "calibration", &memory, err));
    w->vectors = memory;
    SENVEC_TRY(sv_arena_alloc(arena, members * w->most_tokens, w->config->hidden * sizeof(float), "calibration", &memory, err));
    w->tokens = memory;
    SENVEC_TRY(sv_arena_alloc(arena, members * w->most_tokens, sizeof(sv_sequence), "calibration", &memory, err));
    w->sequences = memory;
    return SENVEC_OK;
}

static senvec_status choose(widening *w, sv_arena *buffers, sv_arena *arena, sv_quantized *quantized, senvec_error *err) {
    const sv_math fp32 = {.kernels = w->kernels, .precision = SENVEC_PRECISION_FP32};
    sv_encoder exact;
    void *parts;
    SENVEC_TRY(make_buffers(w, buffers, err));
    SENVEC_TRY(sv_encoder_init(&exact, w->config, w->weights, NULL, &fp32, NULL, buffers, err));
    SENVEC_TRY(embed(w, &exact, w->batch_count, w->reference, err));
    SENVEC_TRY(measure_model(w, quantized, err));
    if (is_accurate(quantized, SV_WIDEN_MEAN))
        return SENVEC_OK;
    const size_t count = w->config->layers * PARTS;
    SENVEC_TRY(sv_arena_alloc(buffers, count, sizeof(part), "calibration", &parts, err));
    SENVEC_TRY(probe(w, &exact, quantized, parts, buffers, err));
    qsort(parts, count, sizeof(part), compare_parts);
    return widen(w, parts, arena, quantized, err);
}

senvec_status sv_widen(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels, const sv_samples *texts,
                       sv_team *team, sv_arena *arena, sv_quantized *quantized, senvec_error *err) {
    sv_config pooled = *config;
    if (config->task != SENVEC_TASK_EMBEDDING) { /* what a head reads: the first token, or all of them */
        pooled.poolings[0] = config->task == SENVEC_TASK_SPARSE ? SV_POOLING_MEAN : SV_POOLING_CLS;
        pooled.pooling_count = 1;
        pooled.task = SENVEC_TASK_EMBEDDING;
    }
    widening w = {
        .config = &pooled,
        .weights = weights,
        .kernels = *kernels,
        .texts = texts,
        .team = team,
        .allocator = &arena->allocator,
        .width = pooled.pooling_count * config->hidden,
    };
    w.kernels.bf16 = (sv_precision){0};
    w.kernels.int8.attention = w.kernels.int8.rowwise = kernels->fp32.attention;
    sv_arena buffers;
    sv_arena_init(&buffers, &arena->allocator);
    const senvec_status status = choose(&w, &buffers, arena, quantized, err);
    sv_arena_release(&buffers);
    return status;
}
