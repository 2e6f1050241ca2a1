/* Floats as decimal text, short and fast: a batch of vectors is hundreds of thousands of numbers. */
#ifndef SV_IO_DECIMAL_H
#define SV_IO_DECIMAL_H

#include <stddef.h>

#define SV_DECIMAL_MAX 24

/* Writes `value` with few digits (at most 9, often the fewest) that read back as the same float, as JSON and CSV want them:
 * "-0.0528364", "0", "1.5e-07", "123456790000". Not-a-number and infinities become "nan", "inf" and "-inf", which JSON has no
 * word for. Returns the length; `out` has room for SV_DECIMAL_MAX bytes, gets no terminator. */
size_t sv_decimal_f32(float value, char *out);

#endif
