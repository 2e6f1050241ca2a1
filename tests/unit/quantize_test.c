/* Quantised models: rounding of rows. */
#include "model/quantize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/model_files.h"

/* The tiny model's configuration and weights. */
static void open_tiny(sv_config *config, sv_arena *arena, sv_weights *weights) {
    senvec_error err;
    sv_arena_init(arena, NULL);
    assert_int_equal(sv_config_load(TEST_TINY_MODEL, config, &err), SENVEC_OK);
    assert_int_equal(sv_weights_open(TEST_TINY_MODEL, config, arena, weights, &err), SENVEC_OK);
}

/* Each weight is within half a step of what it was, and each row uses the whole range. */
static void check_rows(const sv_quantized_linear *linear, size_t first, size_t n, const float *w, const float *bias) {
    for (size_t r = 0; r < n; r++) {
        int largest = 0;
        float scale = linear->scale[first + r];
        for (size_t i = 0; i < linear->k; i++) {
            int q = linear->w[(first + r) * linear->k + i];
            largest = q > largest ? q : -q > largest ? -q : largest;
            assert_true(fabsf(scale * (float)q - w[r * linear->k + i]) <= 0.5001f * scale);
        }
        assert_int_equal(largest, SV_INT8_LIMIT);
        assert_true(linear->bias[first + r] == bias[r]);
    }
}

static void plain_rounds_each_row(void **state) {
    (void)state;
    sv_config config;
    sv_arena arena;
    sv_weights weights;
    sv_quantized quantized;
    senvec_error err;
    open_tiny(&config, &arena, &weights);
    assert_int_equal(sv_quantize_plain(&config, &weights, &arena, &quantized, &err), SENVEC_OK);
    size_t h = config.hidden;
    for (size_t l = 0; l < config.layers; l++) {
        const sv_layer_weights *from = &weights.layers[l];
        const sv_quantized_layer *layer = &quantized.layers[l];
        assert_true(layer->qkv.n == 3 * h && layer->qkv.k == h && !layer->qkv.multiplier);
        check_rows(&layer->qkv, 0, h, from->query, from->query_bias);
        check_rows(&layer->qkv, h, h, from->key, from->key_bias);
        check_rows(&layer->qkv, 2 * h, h, from->value, from->value_bias);
        check_rows(&layer->attention_out, 0, h, from->attention_out, from->attention_out_bias);
        check_rows(&layer->up, 0, config.inner, from->up, from->up_bias);
        check_rows(&layer->down, 0, h, from->down, from->down_bias);
    }
    sv_weights_close(&weights);
    sv_arena_release(&arena);
}

static void zero_rows_have_a_scale(void **state) {
    (void)state;
    const float zeros[4] = {0}, row[4] = {-254, 3, 0, 1};
    assert_true(sv_quantized_scale(zeros, 4) == 1);
    assert_true(sv_quantized_scale(row, 4) == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rounds_each_row),
        cmocka_unit_test(zero_rows_have_a_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
