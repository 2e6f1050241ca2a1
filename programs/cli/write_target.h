/* Checks that a command doesn't overwrite the model that it reads or its own input. */
#ifndef SV_CLI_WRITE_TARGET_H
#define SV_CLI_WRITE_TARGET_H

#include "cli/options.h"
#include "common/status.h"

/* Refuses an output file that is one of the model's own files, be it by a symbolic or a hard link, or that would become one: a
 * new config.json in the model's folder. `model` is a folder or file as sv_hub_resolve gives it; `path` NULL or "-" is standard
 * output and fine. Error: INVALID_ARGUMENT. */
senvec_status sv_target_file(const char *model, const char *path, senvec_error *err);

/* The same for a folder that files are written into: it must not be one of the model's, nor lead to the model's files. */
senvec_status sv_target_folder(const char *model, const char *directory, senvec_error *err);

/* Refuses an output file that is one of the files that are read: it would be replaced by what was made of it. Error:
 * INVALID_ARGUMENT. */
senvec_status sv_target_input(const sv_operands *inputs, const char *path, senvec_error *err);

#endif
