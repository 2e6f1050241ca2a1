/* Calibration, layer by layer from the embedding on. Each linear layer is quantised for the inputs that it will really get:
 * those that the layers before it give when they are quantised already, rounded to 8 bits as they will be.
 *
 *   Smoothing (Xiao et al. 2022, https://arxiv.org/abs/2211.10438): a row of activations has one range for all of its channels,
 *   so one wide channel takes precision from all others. Channel j is divided by s[j] = |X[j]|^a / |W[j]|^(1 - a), of largest
 *   absolute values, and column j of the weights multiplied by it. After a LayerNorm the division is `multiplier`. What
 *   attention gives is a weighted mean of V's rows, channel by channel, so there the division goes into V's weights; as a row
 *   of weights has a scale of its own, dividing the scale and the bias does it, and the integers stay as they are. The output
 *   of a GELU stays in fixed point unless some channel is so wide (MPNet: 100 in layers 6 to 10) that the others would lose
 * most of their 8 bits to it; then it is computed in float and smoothed like a LayerNorm's, as that of other activations is.
 *
 *   Rounding: gptq.h.
 *
 * All samples go through a step before the next step begins; matrices are (tokens, columns). */
#include "int8/calibrate.h"

#include <math.h>
#include <string.h>

#include "int8/gptq.h"
#include "int8/quantize.h"
#include "model/linear.h"
#include "model/steps.h"

#define SMOOTHING 0.6f
#define ROWS 128           /* of activations: one item of work */
#define COLUMNS 64         /* the same, for what looks at columns */
#define LEAST_RANGE 1e-5f  /* of a channel, relative to the widest: one that hardly moves needs no care */
#define HEADROOM 2         /* GELU of texts to come, relative to the largest of the samples */
#define LARGEST_EXPONENT 1 /* of a GELU that stays in fixed point: values of up to 28, the samples' headroom aside */

typedef struct calibration {
    const sv_config *config;
    const sv_weights *weights;
    const sv_kernels *kernels;
    const sv_samples *samples;
    sv_team *team;
    sv_gptq gptq;
    size_t tokens;
    sv_position_bias bias;
    float *x;       /* (T, H): the residual stream */
    float *input;   /* (T, max(H, I)): what a linear layer reads, as its integers stand for it */
    float *output;  /* (T, max(3H, I, E)): what it gives */
    float *matrix;  /* (n, k): its weights */
    float *packed;  /* the same, packed */
    float *smooth;  /* (max(H, I)): s */
    float *ranges;  /* (2, max(H, I)): largest absolute values of activations and of weights */
    float *scratch; /* (members, scratch_size): of attention */
    size_t scratch_size;
} calibration;

static size_t items_of(size_t count, size_t size) {
    return (count + size - 1) / size;
}

static size_t item_size(size_t count, size_t item, size_t size) {
    size_t left = count - item * size;
    return left < size ? left : size;
}

/* ----------------------------------------------------------------------------------------------------- steps of the network */

static void embed_text(void *context, size_t item, size_t member) {
    (void)member;
    const calibration *c = context;
    const sv_weights *weights = c->weights;
    size_t h = c->config->hidden, first = c->samples->begin[item], n = c->samples->begin[item + 1] - first;
    size_t e = sv_weights_embedding(c->config);
    float *x = c->x + first * h, *sums = c->config->embedding ? c->output + first * e : x;
    sv_sum_embeddings(c->config, weights, &(sv_text_ids){.ids = c->samples->ids + first, .length = n}, 0, n, sums);
    c->kernels->layernorm_f32(sums, e, sums, e, weights->embedding_gamma, weights->embedding_beta, c->config->layernorm_eps, n,
                              e);
    if (c->config->embedding)
        c->kernels->fp32.gemm.run(&(sv_gemm_args){
            .a = sums,
            .lda = e,
            .w = c->packed,
            .panel = c->kernels->fp32.gemm.packed_size(c->kernels->fp32.gemm.nr, e),
            .bias = weights->projection_bias,
            .c = x,
            .ldc = h,
            .m = n,
            .n = h,
            .k = e,
        });
}

/* input (T, H) = attention of output (T, 3H). */
static void attend_text(void *context, size_t item, size_t member) {
    const calibration *c = context;
    size_t h = c->config->hidden, first = c->samples->begin[item], n = c->samples->begin[item + 1] - first;
    const float *qkv = c->output + first * 3 * h;
    sv_attend(&c->kernels->fp32.attention, c->config, &c->bias,
              &(sv_attending){
                  .q = qkv,
                  .k = qkv + h,
                  .v = qkv + 2 * h,
                  .n = n,
                  .queries = n,
                  .heads = c->config->heads,
                  .out = c->input + first * h,
                  .scratch = c->scratch + member * c->scratch_size,
              });
}

typedef struct normalization {
    const calibration *c;
    const float *gamma, *beta;
} normalization;

/* x (T, H) = LayerNorm(output + x). */
static void normalize_rows(void *context, size_t item, size_t member) {
    (void)member;
    const normalization *step = context;
    const calibration *c = step->c;
    size_t h = c->config->hidden, first = item * ROWS, rows = item_size(c->tokens, item, ROWS);
    float *x = c->x + first * h, *output = c->output + first * h;
    for (size_t i = 0; i < rows * h; i++)
        output[i] += x[i];
    c->kernels->layernorm_f32(x, h, output, h, step->gamma, step->beta, c->config->layernorm_eps, rows, h);
}

static void add_and_normalize(calibration *c, const float *gamma, const float *beta) {
    normalization step = {c, gamma, beta};
    sv_team_each(c->team, items_of(c->tokens, ROWS), normalize_rows, &step);
}

/* output (T, n) = input (T, k) W' + b, W and b of a room; W is packed. */
typedef struct product {
    const calibration *c;
    const sv_quantized_room *room;
    bool activate; /* the feed-forward's activation follows */
} product;

static void multiply_rows(void *context, size_t item, size_t member) {
    (void)member;
    const product *p = context;
    const calibration *c = p->c;
    size_t n = p->room->n, k = p->room->k, first = item * ROWS, rows = item_size(c->tokens, item, ROWS);
    const bool gelu = p->activate && c->config->activation == SV_ACTIVATION_GELU;
    c->kernels->fp32.gemm.run(&(sv_gemm_args){
        .a = c->input + first * k,
        .lda = k,
        .w = c->packed,
        .panel = c->kernels->fp32.gemm.packed_size(c->kernels->fp32.gemm.nr, k),
        .bias = p->room->bias,
        .c = c->output + first * n,
        .ldc = n,
        .m = rows,
        .n = n,
        .k = k,
        .output = gelu ? SV_GEMM_GELU : SV_GEMM_FLOAT,
    });
    if (p->activate && !gelu)
        sv_activate(c->kernels, c->config->activation, c->output + first * n, n, rows, n);
}

static void apply(calibration *c, const sv_quantized_room *room, bool activate) {
    for (size_t r = 0; r < room->n; r++)
        for (size_t i = 0; i < room->k; i++)
            c->matrix[r * room->k + i] = room->scale[r] * (float)room->w[r * room->k + i];
    c->kernels->fp32.gemm.pack(c->packed, c->matrix, room->k, room->n, room->k);
    product p = {c, room, activate};
    sv_team_each(c->team, items_of(c->tokens, ROWS), multiply_rows, &p);
}

/* ------------------------------------------------------------------------------------------------------------- quantisation */

/* input (T, k) <- from (T, k), times multiplier, each row to 8 bits and back. */
typedef struct trip {
    const calibration *c;
    const float *from, *multiplier;
    size_t k;
} trip;

/* What `prepare` of an int8 sv_gemm does to a row, and back. */
static void round_trip(float *out, const float *x, const float *multiplier, size_t k) {
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < k; i++) {
        float u = multiplier ? x[i] * multiplier[i] : x[i];
        out[i] = u;
        low = u < low ? u : low;
        high = u > high ? u : high;
    }
    if (high - low < 0x1p-100f)
        return;
    float scale = (high - low) * (1 / 255.0f), inverse = 255 / (high - low);
    for (size_t i = 0; i < k; i++)
        out[i] = low + scale * rintf((out[i] - low) * inverse);
}

static void round_trip_rows(void *context, size_t item, size_t member) {
    (void)member;
    const trip *t = context;
    size_t first = item * ROWS;
    for (size_t row = first; row < first + item_size(t->c->tokens, item, ROWS); row++)
        round_trip(t->c->input + row * t->k, t->from + row * t->k, t->multiplier, t->k);
}

static void make_input(calibration *c, const float *from, const float *multiplier, size_t k) {
    trip t = {c, from, multiplier, k};
    sv_team_each(c->team, items_of(c->tokens, ROWS), round_trip_rows, &t);
}

/* The largest absolute value of each column of a matrix. */
typedef struct columns {
    const float *from; /* (rows, k) */
    size_t rows, k;
    float *largest; /* (k) */
} columns;

static void scan_columns(void *context, size_t item, size_t member) {
    (void)member;
    const columns *all = context;
    size_t first = item * COLUMNS, count = item_size(all->k, item, COLUMNS);
    float *largest = all->largest + first;
    memset(largest, 0, count * sizeof *largest);
    for (size_t row = 0; row < all->rows; row++)
        for (size_t j = 0; j < count; j++) {
            float value = fabsf(all->from[row * all->k + first + j]);
            largest[j] = value > largest[j] ? value : largest[j];
        }
}

static void find_ranges(calibration *c, const float *from, size_t rows, size_t k, float *largest) {
    columns all = {from, rows, k, largest};
    sv_team_each(c->team, items_of(k, COLUMNS), scan_columns, &all);
}

/* smooth (k) for inputs `from` (T, k) of the layer whose weights are in `matrix` (n, k). */
static void find_smoothing(calibration *c, const float *from, size_t n, size_t k) {
    float *activations = c->ranges, *weights = c->ranges + k, widest = 0;
    find_ranges(c, from, c->tokens, k, activations);
    find_ranges(c, c->matrix, n, k, weights);
    for (size_t j = 0; j < k; j++)
        widest = fmaxf(widest, activations[j]);
    for (size_t j = 0; j < k; j++) {
        float range = fmaxf(activations[j], LEAST_RANGE * widest);
        c->smooth[j] = range > 0 && weights[j] > 0 ? powf(range, SMOOTHING) / powf(weights[j], 1 - SMOOTHING) : 1;
    }
}

/* matrix (n, k): column j times smooth[j]. */
static void smooth_matrix(calibration *c, size_t n, size_t k) {
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < k; j++)
            c->matrix[r * k + j] *= c->smooth[j];
}

/* Rows of matrix and bias, from `first` on. */
static void take(calibration *c, sv_quantized_room *room, size_t first, size_t n, const float *w, const float *bias) {
    memcpy(c->matrix + first * room->k, w, n * room->k * sizeof(float));
    memcpy(room->bias + first, bias, n * sizeof(float));
}

/* The layer in `matrix`, which reads `from`: rounds it, and computes what it gives. */
static void quantize(calibration *c, sv_quantized_room *room, const float *from, bool activate) {
    make_input(c, from, room->multiplier, room->k);
    sv_gptq_prepare(&c->gptq, c->input, c->tokens, room->k);
    sv_gptq_round(&c->gptq, c->matrix, room->n, room->w, room->scale);
    apply(c, room, activate);
}

/* A layer behind a GELU in fixed point. */
static void quantize_unsmoothed(calibration *c, sv_quantized_room *room, const float *from) {
    sv_quantized_room plain = *room;
    plain.multiplier = NULL;
    quantize(c, &plain, from, false);
}

/* The same where `from` can be smoothed: behind a LayerNorm, or an activation in float. */
static void quantize_smoothed(calibration *c, sv_quantized_room *room, const float *from, bool activate) {
    find_smoothing(c, from, room->n, room->k);
    smooth_matrix(c, room->n, room->k);
    for (size_t j = 0; j < room->k; j++)
        room->multiplier[j] = 1 / c->smooth[j];
    quantize(c, room, from, activate);
}

/* Divides V, and so what attention made of it, by `smooth`. */
static void fold_into_values(calibration *c, sv_quantized_room *qkv) {
    size_t h = c->config->hidden;
    for (size_t j = 0; j < h; j++) {
        c->smooth[j] = 1 / c->smooth[j];
        qkv->scale[2 * h + j] *= c->smooth[j];
        qkv->bias[2 * h + j] *= c->smooth[j];
    }
}

/* The exponent of GELU's output (T, I): texts to come may have values twice as large. */
static float find_exponent(const calibration *c) {
    float largest = 0, exponent = 0;
    for (size_t i = 0; i < c->tokens * c->config->inner; i++)
        largest = c->output[i] > largest ? c->output[i] : largest;
    while (exponent < SV_GELU_EXPONENT_MAX && HEADROOM * largest * SV_GELU_UNIT > ldexpf(INT16_MAX, (int)exponent))
        exponent++;
    return exponent;
}

static void calibrate_layer(calibration *c, const sv_layer_weights *from, sv_quantized_room *rooms) {
    size_t h = c->config->hidden, inner = c->config->inner;
    sv_quantized_room *qkv = &rooms[SV_QUANTIZED_QKV], *attention_out = &rooms[SV_QUANTIZED_ATTENTION_OUT];
    sv_quantized_room *up = &rooms[SV_QUANTIZED_UP], *down = &rooms[SV_QUANTIZED_DOWN];

    take(c, qkv, 0, h, from->query, from->query_bias);
    take(c, qkv, h, h, from->key, from->key_bias);
    take(c, qkv, 2 * h, h, from->value, from->value_bias);
    quantize_smoothed(c, qkv, c->x, false);

    sv_team_each(c->team, c->samples->count, attend_text, c);
    take(c, attention_out, 0, h, from->attention_out, from->attention_out_bias);
    find_smoothing(c, c->input, h, h);
    smooth_matrix(c, h, h);
    fold_into_values(c, qkv);
    trip smoothed = {c, c->input, c->smooth, h};
    sv_team_each(c->team, items_of(c->tokens, ROWS), round_trip_rows, &smoothed);
    sv_gptq_prepare(&c->gptq, c->input, c->tokens, h);
    sv_gptq_round(&c->gptq, c->matrix, h, attention_out->w, attention_out->scale);
    apply(c, attention_out, false);
    add_and_normalize(c, from->attention_gamma, from->attention_beta);

    take(c, up, 0, inner, from->up, from->up_bias);
    quantize_smoothed(c, up, c->x, true);
    if (up->exponent) {
        const float exponent = find_exponent(c);
        *up->exponent = exponent > LARGEST_EXPONENT ? SV_QUANTIZED_FLOAT : exponent;
    }
    take(c, down, 0, h, from->down, from->down_bias);
    if (up->exponent && *up->exponent >= 0) {
        for (size_t j = 0; j < inner; j++)
            down->multiplier[j] = 1; /* which nobody reads */
        quantize_unsmoothed(c, down, c->output);
    } else {
        quantize_smoothed(c, down, c->output, false);
    }
    add_and_normalize(c, from->output_gamma, from->output_beta);
}

/* ---------------------------------------------------------------------------------------------------------------- the whole */

static senvec_status make_buffers(calibration *c, sv_arena *arena, senvec_error *err) {
    size_t h = c->config->hidden, inner = c->config->inner, longest = 0;
    size_t widest_in = inner > h ? inner : h, widest_out = inner > 3 * h ? inner : 3 * h, weights = h * widest_out;
    const size_t e = sv_weights_embedding(c->config), widest = widest_out > e ? widest_out : e;
    for (size_t i = 0; i < c->samples->count; i++) {
        size_t length = c->samples->begin[i + 1] - c->samples->begin[i];
        longest = length > longest ? length : longest;
    }
    const sv_gemm *gemm = &c->kernels->fp32.gemm;
    size_t packed = gemm->packed_size(widest_out, h), packed_down = gemm->packed_size(h, inner > e ? inner : e);
    size_t scratch = c->kernels->fp32.attention.scratch_size(longest, h / c->config->heads);
    c->scratch_size = sv_whole_lines(scratch) / sizeof(float);
    const struct {
        float **block;
        size_t rows, columns;
    } wanted[] = {
        {&c->x, c->tokens, h},
        {&c->input, c->tokens, widest_in},
        {&c->output, c->tokens, widest},
        {&c->matrix, 1, weights},
        {&c->packed, 1, (packed > packed_down ? packed : packed_down) / sizeof(float)},
        {&c->smooth, 1, widest_in},
        {&c->ranges, 2, widest_in},
        {&c->scratch, sv_team_size(c->team), c->scratch_size},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *memory;
        SENVEC_TRY(sv_arena_alloc(arena, wanted[i].rows, wanted[i].columns * sizeof(float), "calibration", &memory, err));
        *wanted[i].block = memory;
    }
    return sv_gptq_init(&c->gptq, widest_in, c->team, gemm, &arena->allocator, err);
}

senvec_status sv_calibrate(const sv_config *config, const sv_weights *weights, const sv_kernels *kernels,
                           const sv_samples *samples, sv_team *team, sv_arena *arena, sv_quantized *out, senvec_error *err) {
    sv_quantized_room *rooms;
    SENVEC_TRY(sv_quantized_make(config, true, arena, out, &rooms, err));
    calibration c = {
        .config = config,
        .weights = weights,
        .kernels = kernels,
        .samples = samples,
        .team = team,
        .tokens = samples->begin[samples->count],
    };
    sv_arena buffers;
    sv_arena_init(&buffers, &arena->allocator);
    senvec_status status = make_buffers(&c, &buffers, err);
    if (status == SENVEC_OK)
        status = sv_position_bias_make(config, weights, &buffers, &c.bias, err);
    if (status == SENVEC_OK) {
        if (config->embedding)
            kernels->fp32.gemm.pack(c.packed, weights->projection, config->embedding, config->hidden, config->embedding);
        sv_team_each(team, samples->count, embed_text, &c);
        for (size_t l = 0; l < config->layers; l++)
            calibrate_layer(&c, &weights->layers[l], rooms + l * SV_QUANTIZED_LINEARS);
    }
    sv_gptq_release(&c.gptq);
    sv_arena_release(&buffers);
    return status;
}
