/* What the files of the ref tier share. */
#ifndef SV_KERNELS_FLOAT_REF_H
#define SV_KERNELS_FLOAT_REF_H

/* The exact one, rounded once. */
float sv_gelu_ref(float x);

#endif
