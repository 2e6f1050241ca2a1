/* Recognises files of other formats, for an error message that says what the file is and what to do. */
#ifndef SV_COMMON_FOREIGN_H
#define SV_COMMON_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* "a Git LFS pointer, not the file itself; ...", by the file's first bytes; NULL if it is nothing known. Meant for a file that
 * turned out to be wrong: a right one may begin like some of these. */
const char *sv_foreign_format(const uint8_t *data, size_t size);

#endif
