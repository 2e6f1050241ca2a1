/* GPTQ: rounds a matrix of weights such that its outputs for typical inputs change least. */
#ifndef SV_INT8_GPTQ_H
#define SV_INT8_GPTQ_H

#include "common/memory.h"
#include "common/thread.h"
#include "kernels/kernels.h"

/* State for one matrix after the other: call prepare, then round. The result has the same bits for any size of the team. */
typedef struct sv_gptq {
    sv_team *team;
    sv_gemm gemm;
    sv_arena arena;
    size_t capacity; /* the largest k */
    size_t k;        /* inputs of the current matrix */
    float *gram;     /* (k, k): X'X, upper triangle and its blocks on the diagonal */
    float *factor;   /* (k, k): R with R'R = X'X + damping, upper triangle, in the order of `order` */
    float *slab;     /* (k, SV_GPTQ_CHUNK): a chunk of X, or of R, transposed */
    float *packed;   /* the slab, packed for the product */
    float *errors;   /* (members, k, SV_GPTQ_LANES): the rounding errors so far */
    size_t *order;   /* (k): the inputs, the most important one last */
} sv_gptq;

#define SV_GPTQ_CHUNK 512
#define SV_GPTQ_LANES 16

/* Makes room for matrices of up to `capacity` inputs. `gemm` must be a product that the CPU can run. Error: OUT_OF_MEMORY. */
senvec_status sv_gptq_init(sv_gptq *gptq, size_t capacity, sv_team *team, const sv_gemm *gemm,
                           const senvec_allocator *allocator, senvec_error *err);
/* A zeroed struct is accepted, and one whose init failed. */
void sv_gptq_release(sv_gptq *gptq);

/* Begins a matrix of k inputs with x (rows, k), typical inputs, and prepares the order and the factor. */
void sv_gptq_prepare(sv_gptq *gptq, const float *x, size_t rows, size_t k);

/* Rounds rows w (n, k) of the prepared matrix to scale[i] * out[i][j]. */
void sv_gptq_round(sv_gptq *gptq, const float *w, size_t n, int8_t *out, float *scale);

#endif
