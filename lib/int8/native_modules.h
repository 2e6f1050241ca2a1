/* What a native file's configuration says about the modules after the transformer. */
#ifndef SV_INT8_NATIVE_MODULES_H
#define SV_INT8_NATIVE_MODULES_H

#include <jansson.h>

#include "model/config.h"

/* Sets the members in `object`; false for want of memory. */
bool sv_native_modules_write(const sv_config *config, json_t *object);

/* Reads them into *out, whose other members are there; false if they aren't right. */
bool sv_native_modules_read(const json_t *object, sv_config *out);

#endif
