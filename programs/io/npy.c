/* The .npy header: magic, version, length, a Python dict as text, spaces up to a newline at the end. */
#include "io/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char MAGIC[] = "\x93NUMPY\x01"; /* and the minor version, 0, which is the terminator */

void sv_npy_header(const char *type, uint64_t rows, uint64_t columns, char out[SV_NPY_HEADER_BYTES]) {
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");
    enum { PREFIX = sizeof MAGIC + 2, TEXT = SV_NPY_HEADER_BYTES - PREFIX };
    char text[TEXT];
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                          type, rows, columns);
    memset(out, ' ', SV_NPY_HEADER_BYTES);
    memcpy(out, MAGIC, sizeof MAGIC);
    out[sizeof MAGIC] = TEXT;
    out[sizeof MAGIC + 1] = 0;
    memcpy(out + PREFIX, text, (size_t)length);
    out[SV_NPY_HEADER_BYTES - 1] = '\n';
}
