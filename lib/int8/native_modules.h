/* What a native file's configuration says about the modules after the transformer. */
#ifndef SV_INT8_NATIVE_MODULES_H
#define SV_INT8_NATIVE_MODULES_H

#include <stdio.h>

#include "common/json_document.h"
#include "model/config.h"

/* Writes the members. Errors of the stream stay in it. */
void sv_native_modules_write(const sv_config *config, FILE *stream);

/* Reads them from an object of a document into *out, whose other members are there; false if they aren't right. */
bool sv_native_modules_read(sv_json object, sv_config *out);

#endif
