/* The modules after the transformer in the configuration of a native file. */
#ifndef SV_INT8_NATIVE_MODULES_H
#define SV_INT8_NATIVE_MODULES_H

#include <stdio.h>

#include "common/json_document.h"
#include "model/config.h"

/* Writes the members. Errors of the stream stay in it. */
void sv_native_modules_write(const sv_config *config, FILE *stream);

/* Reads the members from an object of a document into *out, whose other members must be set; false if they are wrong. */
bool sv_native_modules_read(sv_json object, sv_config *out);

#endif
