/* A linear layer y = x W' + b: its packed weights, the conversion of its input, and its product.
 *
 * Each layer names its product, a record of kernels.h. In an encoder of one precision all layers have the same product; a layer
 * whose accuracy needs a wider precision has another. The input of a product is an operand: the activations as the product
 * reads them. In fp32 that is the activations themselves; in bf16 and int8 they are converted row by row, once for all threads
 * that read them. */
#ifndef SV_MODEL_LINEAR_H
#define SV_MODEL_LINEAR_H

#include "kernels/kernels.h"
#include "model/quantized.h"
#include "senvec.h"

/* How an encoder computes. */
typedef struct sv_math {
    sv_kernels kernels;
    senvec_precision precision; /* never AUTO */
    sv_activation activation;   /* between the layers of a feed-forward */
} sv_math;

/* The kernels of the precision; the record is valid as long as `math`. */
const sv_precision *sv_math_precision(const sv_math *math);
/* The product of the wide layers of an encoder in int8: bf16's, or fp32's if there is none. It is valid as long as `math`. */
const sv_gemm *sv_math_wide(const sv_math *math);

typedef struct sv_linear {
    sv_gemm gemm;                          /* the product that the weights are packed for */
    const unsigned char *packed;           /* W (n, k) */
    const float *bias;                     /* (n) */
    const float *scale, *sum, *multiplier; /* int8: (n), (n), (k) or NULL; see sv_gemm_args and `prepare` of sv_gemm */
    bool fixed_point;                      /* int8: a GELU in fixed point follows, and scale, sum and bias are in its unit */
    unsigned gelu_exponent;                /* of that unit */
    size_t n, k;
} sv_linear;

/* Bytes that a layer takes when packed; a multiple of the cache line. */
size_t sv_linear_size(const sv_gemm *gemm, size_t n, size_t k);

/* Packs W (n, k), row-major, and the bias into `block`, sv_linear_size bytes on a cache line; fp32 and bf16. Nothing of the
 * arguments is needed afterwards. */
sv_linear sv_linear_pack(const sv_gemm *gemm, const float *w, const float *bias, size_t n, size_t k, void *block);

/* sv_linear_pack for a layer of an encoder in int8. `gemm` is the product of int8, or sv_math_wide's for a wide layer.
 * `filled`: `block` already holds the packed weights and is only read. */
sv_linear sv_linear_pack_quantized(const sv_gemm *gemm, const sv_quantized_linear *from, bool filled, void *block);

/* The columns [first, last) of a layer in fp32 or bf16 as a layer of their own. `first` is a multiple of gemm.nr. */
sv_linear sv_linear_part(const sv_linear *layer, size_t first, size_t last);

typedef struct sv_operand {
    const void *rows;
    size_t ld;                 /* elements */
    const sv_row_range *range; /* int8: one for each row */
} sv_operand;

/* Room for the operands of one forward pass, (T, k) at a time. fp32 needs none. */
typedef struct sv_operand_buffer {
    void *rows;
    sv_row_range *range;
} sv_operand_buffer;

/* Bytes of `rows` for `rows` rows that the layer reads; 0 in fp32. */
size_t sv_operand_size(const sv_linear *layer, size_t rows);

/* Converts the rows [begin, end) of x (.., layer->k), ldx floats from row to row, as an input of `layer`. */
void sv_operand_prepare(const sv_linear *layer, const sv_operand_buffer *buffer, const float *x, size_t ldx, size_t begin,
                        size_t end);

/* sv_operand_prepare for a layer that reads what `from` gave with the activation. */
void sv_operand_prepare_activated(const sv_linear *layer, const sv_linear *from, const sv_operand_buffer *buffer, const void *x,
                                  size_t begin, size_t end);

/* The operand that was prepared from all rows of x. */
sv_operand sv_operand_of(const sv_linear *layer, const sv_operand_buffer *buffer, const float *x, size_t ldx);

/* The forms of a layer's output: float; float with the activation applied, or int16 if the layer is in fixed point (kernels.h);
 * or the elements that the precision's attention reads, float or bfloat16. */
typedef enum sv_linear_output { SV_LINEAR_FLOAT, SV_LINEAR_ACTIVATED, SV_LINEAR_ATTENTION } sv_linear_output;

/* Applies the activation to each element of x (rows, n), ldx. */
void sv_activate(const sv_kernels *kernels, sv_activation activation, float *x, size_t ldx, size_t rows, size_t n);

/* Computes the columns [first, last) of y (rows, n), ldy elements from row to row. `first` is a multiple of gemm.nr.
 * `residual` (rows, n), ldy, is added to float; NULL: none. */
void sv_linear_run(const sv_math *math, const sv_linear *layer, sv_operand x, size_t rows, size_t first, size_t last,
                   sv_linear_output wanted, const float *residual, void *y, size_t ldy);

#endif
