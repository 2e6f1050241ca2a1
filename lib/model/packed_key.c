#include "model/packed_key.h"

#include <string.h>

#include "common/hash.h"
#include "common/memory.h"

enum { PROBE_N = 40, PROBE_K = 72 };

/* A hash of a small layer as it is packed here: another tier, or another version of the packing, gives another one. */
static senvec_status hash_of_form(const sv_gemm *gemm, const senvec_allocator *allocator, uint64_t *out, senvec_error *err) {
    int8_t w[PROBE_N * PROBE_K];
    float wide[PROBE_N * PROBE_K], vector[PROBE_K], exponent = 0;
    for (size_t i = 0; i < sizeof w; i++) {
        w[i] = (int8_t)((int)(i * 37 % 251) - 125);
        wide[i] = w[i];
    }
    for (size_t i = 0; i < PROBE_K; i++)
        vector[i] = 1 / (float)(i + 3);
    const sv_quantized_linear probe = {
        .w = w,
        .scale = vector,
        .bias = vector,
        .multiplier = vector,
        .exponent = &exponent,
        .n = PROBE_N,
        .k = PROBE_K,
        .wide = gemm->ranged ? NULL : wide,
    };
    const size_t size = sv_linear_size(gemm, PROBE_N, PROBE_K);
    void *block;
    SENVEC_TRY(sv_alloc(allocator, size, 1, "a probe of the packing", &block, err));
    memset(block, 0, size);
    sv_linear_pack_quantized(gemm, &probe, false, block);
    *out = sv_hash(0, block, size);
    sv_free(allocator, block, size, 1);
    return SENVEC_OK;
}

static uint64_t add_floats(uint64_t hash, const float *from, size_t count) {
    return from ? sv_hash(hash, from, count * sizeof(float)) : sv_hash(hash, "none", 4);
}

static uint64_t add_linear(uint64_t hash, const sv_quantized_linear *from, uint64_t wide_form) {
    const uint64_t sizes[2] = {from->n, from->k};
    hash = sv_hash(hash, sizes, sizeof sizes);
    if (from->wide) {
        hash = add_floats(hash, from->wide, from->n * from->k);
        hash = sv_hash(hash, &wide_form, sizeof wide_form);
        return add_floats(hash, from->bias, from->n);
    }
    hash = sv_hash(hash, from->w, from->n * from->k);
    hash = add_floats(hash, from->scale, from->n);
    hash = add_floats(hash, from->bias, from->n);
    hash = add_floats(hash, from->multiplier, from->k);
    return add_floats(hash, from->exponent, 1);
}

senvec_status sv_packed_key(const sv_math *math, const sv_quantized *quantized, size_t layers,
                            const senvec_allocator *allocator, uint64_t key[2], senvec_error *err) {
    uint64_t form, wide_form;
    SENVEC_TRY(hash_of_form(&sv_math_precision(math)->gemm, allocator, &form, err));
    SENVEC_TRY(hash_of_form(sv_math_wide(math), allocator, &wide_form, err));
    for (uint64_t half = 0; half < 2; half++) {
        const uint64_t seeds[2] = {half, form};
        uint64_t hash = sv_hash(half, seeds, sizeof seeds);
        for (size_t i = 0; i < layers; i++) {
            const sv_quantized_layer *layer = &quantized->layers[i];
            hash = add_linear(hash, &layer->qkv, wide_form);
            hash = add_linear(hash, &layer->attention_out, wide_form);
            hash = add_linear(hash, &layer->up, wide_form);
            hash = add_linear(hash, &layer->down, wide_form);
        }
        key[half] = hash;
    }
    return SENVEC_OK;
}
