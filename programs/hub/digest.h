/* The digests of a file, in the two forms in which hubs publish them. */
#ifndef SV_HUB_DIGEST_H
#define SV_HUB_DIGEST_H

#include <stdint.h>

#include "common/status.h"

typedef struct sv_digest {
    uint64_t size;
    char sha256[65], git_id[41]; /* lower-case hexadecimal; git_id is that of a blob with these bytes */
} sv_digest;

/* Errors: NOT_FOUND, IO, OUT_OF_MEMORY. */
senvec_status sv_digest_file(const char *path, sv_digest *out, senvec_error *err);

#endif
