#include "study/forms.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/memory.h"
#include "io/vector_type.h"
#include "study/compare.h"

static sv_vector_type type_of(sv_form form) {
    return form == SV_FORM_INT8 ? SV_VECTOR_INT8 : form == SV_FORM_BINARY ? SV_VECTOR_UBINARY : SV_VECTOR_FLOAT;
}

static size_t kept_of(sv_form form, size_t dimensions) {
    return form == SV_FORM_HALF ? dimensions / 2 : form == SV_FORM_QUARTER ? dimensions / 4 : dimensions;
}

size_t sv_form_bytes(sv_form form, size_t dimensions) {
    return form == SV_FORM_FLOAT16 ? 2 * dimensions : sv_vector_bytes(type_of(form), kept_of(form, dimensions));
}

/* to[0 .. kept) = what the form keeps of from[0 .. dimensions). `packed` has room for a vector of floats. */
static void keep(sv_form form, const float *from, size_t dimensions, void *packed, float *to, size_t kept) {
    if (form == SV_FORM_FLOAT16)
        sv_vector_float16(from, dimensions, packed);
    else
        sv_vector_convert(type_of(form), from, dimensions, packed);
    for (size_t d = 0; d < kept; d++)
        switch (form) {
        case SV_FORM_INT8:
            to[d] = (float)((const int8_t *)packed)[d];
            break;
        case SV_FORM_BINARY:
            to[d] = ((const uint8_t *)packed)[d / 8] >> (7 - d % 8) & 1 ? 1 : -1;
            break;
        case SV_FORM_FLOAT16:
            to[d] = sv_vector_half_to_float(((const uint16_t *)packed)[d]);
            break;
        default:
            to[d] = from[d];
        }
}

senvec_status sv_form_vectors(const float *vectors, size_t count, size_t dimensions, sv_form form, float **out, size_t *kept,
                              senvec_error *err) {
    *kept = kept_of(form, dimensions);
    *out = malloc(count * *kept * sizeof **out + 1);
    void *packed = malloc(dimensions * sizeof(float));
    if (!*out || !packed) {
        free(*out);
        free(packed);
        *out = NULL;
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for vectors in the form %s", sv_form_text(form));
    }
    for (size_t i = 0; i < count; i++) {
        float *to = *out + i * *kept;
        double square = 0;
        keep(form, vectors + i * dimensions, dimensions, packed, to, *kept);
        for (size_t d = 0; d < *kept; d++)
            square += (double)to[d] * (double)to[d];
        for (size_t d = 0; d < *kept && square > 0 && form != SV_FORM_BINARY; d++)
            to[d] = (float)((double)to[d] / sqrt(square));
    }
    free(packed);
    return SENVEC_OK;
}

senvec_status sv_recall_of_forms(const float *vectors, size_t count, size_t dimensions, double recall[SV_FORMS],
                                 senvec_error *err) {
    double found[SV_FORMS] = {[SV_FORM_FLOAT32] = count > 1 ? 1 : NAN};
    void *block;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, 2 * count, SV_NEIGHBOURS * sizeof(size_t), "neighbours", &block, err));
    size_t *exact = block, *shaped = exact + count * SV_NEIGHBOURS;
    senvec_status status = sv_find_neighbours(vectors, count, dimensions, exact, err);
    for (sv_form form = SV_FORM_FLOAT32 + 1; status == SENVEC_OK && form < SV_FORMS; form++) {
        float *own = NULL;
        size_t kept;
        status = sv_form_vectors(vectors, count, dimensions, form, &own, &kept, err);
        if (status == SENVEC_OK)
            status = sv_find_neighbours(own, count, kept, shaped, err);
        if (status == SENVEC_OK)
            found[form] = sv_common_neighbours(shaped, exact, count);
        free(own);
    }
    for (sv_form form = 0; status == SENVEC_OK && form < SV_FORMS; form++)
        recall[form] = found[form];
    sv_free(&sv_default_allocator, block, 2 * count, SV_NEIGHBOURS * sizeof(size_t));
    return status;
}
