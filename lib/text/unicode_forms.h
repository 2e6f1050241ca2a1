/* NFC, NFD, NFKC and NFKD with the reference's data (Unicode 9.0; charclass.c says how). */
#ifndef SV_TEXT_UNICODE_FORMS_H
#define SV_TEXT_UNICODE_FORMS_H

#include "text/work.h"

/* Decomposes the UTF-8 of `in` into work->points, canonically or, if `compatible`, compatibly, with combining marks in order.
 * Returns the number of code points (uint32_t); SIZE_MAX: no memory. */
size_t sv_decompose(sv_work *work, const sv_buffer *in, bool compatible);

/* Composes `count` decomposed code points in place; returns how many are left. */
size_t sv_compose(uint32_t *points, size_t count);

/* Writes `count` code points as UTF-8 into `out`; false: no memory. */
bool sv_write_points(sv_work *work, const uint32_t *points, size_t count, sv_buffer *out);

#endif
