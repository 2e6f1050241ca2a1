/* Calibration: samples, GPTQ, and the whole of it on the tiny model. */
#include "int8/calibrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "int8/calibration_text.h"
#include "int8/gptq.h"
#include "int8/quantize.h"
#include "support/test_models.h"

static sv_kernels best_kernels(void) {
    sv_isa_flags flags;
    senvec_error err;
    assert_int_equal(sv_isa_choose(NULL, &flags, &err), SENVEC_OK);
    return sv_kernels_choose(flags);
}

static sv_team *open_team(size_t size) {
    sv_team *team;
    senvec_error err;
    assert_int_equal(sv_team_open(size, NULL, &team, &err), SENVEC_OK);
    return team;
}

/* -1 .. 1, from a fixed seed. */
static float next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) / 0x1p31f;
}

/* --------------------------------------------------------------------------------------------------------------------- GPTQ */

enum { ROWS = 700, K = 203, N = 37 };

typedef struct problem {
    float x[ROWS * K], w[N * K], scale[N];
    int8_t q[N * K];
} problem;

/* Inputs that hang together, one of which is always zero. */
static problem *make_problem(void) {
    problem *p = malloc(sizeof *p);
    assert_non_null(p);
    uint64_t state = 1;
    for (size_t row = 0; row < ROWS; row++)
        for (size_t j = 0; j < K; j++) {
            float previous = j ? p->x[row * K + j - 1] : 0;
            p->x[row * K + j] = j == 100 ? 0 : 0.8f * previous + next_random(&state) * (j % 7 ? 1 : 10);
        }
    for (size_t i = 0; i < N * K; i++)
        p->w[i] = next_random(&state);
    return p;
}

static void solve(problem *p, size_t threads) {
    sv_kernels kernels = best_kernels();
    sv_team *team = open_team(threads);
    sv_gptq gptq;
    senvec_error err;
    assert_int_equal(sv_gptq_init(&gptq, K + 5, team, &kernels.fp32.gemm, &sv_default_allocator, &err), SENVEC_OK);
    sv_gptq_prepare(&gptq, p->x, ROWS, K);
    sv_gptq_round(&gptq, p->w, N, p->q, p->scale);
    sv_gptq_release(&gptq);
    sv_team_close(team);
}

/* The squared error of all outputs. */
static double output_error(const problem *p) {
    double sum = 0;
    for (size_t row = 0; row < ROWS; row++)
        for (size_t i = 0; i < N; i++) {
            double error = 0;
            for (size_t j = 0; j < K; j++)
                error += (double)p->x[row * K + j] * (p->w[i * K + j] - (double)p->scale[i] * p->q[i * K + j]);
            sum += error * error;
        }
    return sum;
}

static void gptq_beats_rounding(void **state) {
    (void)state;
    problem *p = make_problem();
    solve(p, 1);
    double best = output_error(p);
    for (size_t i = 0; i < N * K; i++) {
        assert_true(p->q[i] >= -SV_INT8_LIMIT && p->q[i] <= SV_INT8_LIMIT);
        p->q[i] = (int8_t)rintf(p->w[i] / p->scale[i / K]);
    }
    assert_true(best < 0.5 * output_error(p));
    free(p);
}

static void gptq_is_the_same_for_all_teams(void **state) {
    (void)state;
    problem *p = make_problem();
    int8_t *first = malloc(sizeof p->q);
    assert_non_null(first);
    solve(p, 1);
    memcpy(first, p->q, sizeof p->q);
    for (size_t threads = 2; threads <= 4; threads++) {
        memset(p->q, 0, sizeof p->q);
        solve(p, threads);
        assert_memory_equal(p->q, first, sizeof p->q);
    }
    free(first);
    free(p);
}

static void zero_rows_have_a_scale(void **state) {
    (void)state;
    const float zeros[4] = {0}, row[4] = {-254, 3, 0, 1};
    assert_true(sv_quantized_scale(zeros, 4) == 1);
    assert_true(sv_quantized_scale(row, 4) == 2);
}

/* ----------------------------------------------------------------------------------------------------------- the tiny model */

typedef struct tiny {
    sv_config config;
    sv_arena arena;
    sv_weights weights;
    sv_tokenizer *tokenizer;
} tiny;

static void open_tiny(tiny *model) {
    senvec_error err;
    sv_arena_init(&model->arena, NULL);
    assert_int_equal(sv_config_load(TEST_TINY_MODEL, &model->config, &err), SENVEC_OK);
    assert_int_equal(sv_weights_open(TEST_TINY_MODEL, &model->config, &model->arena, &model->weights, &err), SENVEC_OK);
    assert_int_equal(sv_tokenizer_load(TEST_TINY_MODEL, NULL, &model->tokenizer, &err), SENVEC_OK);
}

static void close_tiny(tiny *model) {
    sv_tokenizer_free(model->tokenizer);
    sv_weights_close(&model->weights);
    sv_arena_release(&model->arena);
}

static void make_samples(tiny *model, const senvec_text *texts, size_t count, sv_samples *out) {
    senvec_error err;
    assert_int_equal(sv_samples_make(&model->config, model->tokenizer, texts, count, &model->arena, out, &err), SENVEC_OK);
}

/* Every sample is [CLS] words [SEP], of lengths that the model takes, and there are about as many tokens as promised. */
static void check_samples(const tiny *model, const sv_samples *samples) {
    size_t total = samples->begin[samples->count];
    assert_true(total >= SV_SAMPLE_TOKENS && total < SV_SAMPLE_TOKENS + model->config.positions);
    uint32_t cls = samples->ids[0], sep = samples->ids[samples->begin[1] - 1];
    for (size_t i = 0; i < samples->count; i++) {
        size_t length = samples->begin[i + 1] - samples->begin[i];
        assert_true(length >= 2 && length <= model->config.positions);
        assert_int_equal(samples->ids[samples->begin[i]], cls);
        assert_int_equal(samples->ids[samples->begin[i + 1] - 1], sep);
    }
}

static void samples_of_any_texts(void **state) {
    (void)state;
    tiny model;
    sv_samples samples;
    open_tiny(&model);
    const senvec_text nothing = {NULL, 0}, one = {"a word", 6};
    make_samples(&model, &nothing, 1, &samples);
    check_samples(&model, &samples);
    make_samples(&model, &one, 1, &samples);
    check_samples(&model, &samples);
    enum { MANY = 20000 };
    senvec_text *many = malloc(MANY * sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < MANY; i++)
        many[i] = i % 3 ? one : nothing;
    make_samples(&model, many, MANY, &samples);
    check_samples(&model, &samples);
    free(many);
    close_tiny(&model);
}

/* Calibrates the tiny model into an arena of its own. */
static void calibrate(tiny *model, size_t threads, sv_arena *arena, sv_quantized *out) {
    senvec_text *texts = malloc(sv_calibration_text_count * sizeof *texts);
    assert_non_null(texts);
    for (size_t i = 0; i < sv_calibration_text_count; i++)
        texts[i] = (senvec_text){sv_calibration_texts[i], strlen(sv_calibration_texts[i])};
    sv_samples samples;
    make_samples(model, texts, sv_calibration_text_count, &samples);
    check_samples(model, &samples);
    free(texts);
    sv_kernels kernels = best_kernels();
    sv_team *team = open_team(threads);
    senvec_error err;
    sv_arena_init(arena, NULL);
    assert_int_equal(sv_calibrate(&model->config, &model->weights, &kernels, &samples, team, arena, out, &err), SENVEC_OK);
    sv_team_close(team);
}

static void check_equal(const sv_quantized_linear *a, const sv_quantized_linear *b) {
    assert_memory_equal(a->w, b->w, a->n * a->k);
    assert_memory_equal(a->scale, b->scale, a->n * sizeof(float));
    assert_memory_equal(a->bias, b->bias, a->n * sizeof(float));
    assert_true(!a->multiplier == !b->multiplier);
    if (a->multiplier)
        assert_memory_equal(a->multiplier, b->multiplier, a->k * sizeof(float));
}

static void same_bits_for_any_team(void **state) {
    (void)state;
    tiny model;
    sv_arena arenas[2];
    sv_quantized quantized[2];
    open_tiny(&model);
    calibrate(&model, 1, &arenas[0], &quantized[0]);
    calibrate(&model, 3, &arenas[1], &quantized[1]);
    for (size_t l = 0; l < model.config.layers; l++) {
        const sv_quantized_layer *a = &quantized[0].layers[l], *b = &quantized[1].layers[l];
        check_equal(&a->qkv, &b->qkv);
        check_equal(&a->attention_out, &b->attention_out);
        check_equal(&a->up, &b->up);
        check_equal(&a->down, &b->down);
    }
    sv_arena_release(&arenas[0]);
    sv_arena_release(&arenas[1]);
    close_tiny(&model);
}

/* What smoothing takes from the weights is in the multiplier: their product is the original up to a few steps of rounding. */
static void layers_stay_what_they_were(void **state) {
    (void)state;
    tiny model;
    sv_arena arena;
    sv_quantized quantized;
    open_tiny(&model);
    calibrate(&model, 2, &arena, &quantized);
    for (size_t l = 0; l < model.config.layers; l++) {
        const sv_quantized_linear *up = &quantized.layers[l].up;
        const float *w = model.weights.layers[l].up;
        for (size_t r = 0; r < up->n; r++)
            for (size_t j = 0; j < up->k; j++) {
                float step = up->scale[r] * up->multiplier[j];
                assert_true(fabsf(step * (float)up->w[r * up->k + j] - w[r * up->k + j]) < 20 * step);
            }
    }
    sv_arena_release(&arena);
    close_tiny(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gptq_beats_rounding),    cmocka_unit_test(gptq_is_the_same_for_all_teams),
        cmocka_unit_test(zero_rows_have_a_scale), cmocka_unit_test(samples_of_any_texts),
        cmocka_unit_test(same_bits_for_any_team), cmocka_unit_test(layers_stay_what_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
