/* The header of a NumPy .npy file that holds one matrix in row order; its numbers, little-endian, follow it.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0. */
#ifndef SV_IO_NPY_H
#define SV_IO_NPY_H

#include <stdint.h>

/* The header's length is fixed, so it can be rewritten in place once the number of rows is known. */
#define SV_NPY_HEADER_BYTES 128

/* `type` is NumPy's name of a number's type: "<f4", "|i1", ... */
void sv_npy_header(const char *type, uint64_t rows, uint64_t columns, char out[SV_NPY_HEADER_BYTES]);

#endif
