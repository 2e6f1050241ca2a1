/* Temporary folders and files, in $TMPDIR or where the system keeps them. */
#ifndef SV_SYSTEM_TEMPORARY_H
#define SV_SYSTEM_TEMPORARY_H

#include <stdio.h>

#include "common/limits.h"
#include "common/status.h"

/* Makes a private folder (mode 0700) whose name begins with "senvec-LABEL-". Error: IO (says to set TMPDIR). */
senvec_status sv_temporary_folder(const char *label, char out[SV_MAX_PATH], senvec_error *err);

/* An unnamed file for reading and writing, which goes with its stream. NULL: it can't be made, and errno says why. */
FILE *sv_temporary_file(void);

/* Removes the folders of sv_temporary_folder that sv_remove_tree hasn't removed, for a program that ends at once. */
void sv_temporary_folders_remove(void);

/* Removes a file, or a folder with everything in it; links are removed, not followed. One that isn't there is fine. Error: IO.
 */
senvec_status sv_remove_tree(const char *path, senvec_error *err);

#endif
