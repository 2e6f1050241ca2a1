/* Writing senvec's own model file, which `pack` does and, in its old spelling, `quantize`. */
#ifndef SV_CLI_PACK_H
#define SV_CLI_PACK_H

#include "cli/common.h"

typedef struct sv_pack_options {
    const char *model;
    const char *corpus; /* texts to calibrate on; NULL: senvec's own */
    sv_text_options text;
    bool quiet;
} sv_pack_options;

/* Writes the file and says so unless quiet. Returns an exit code. */
int sv_cli_pack(const sv_pack_options *options, const char *path);

#endif
