/* One of a model's JSON files, with functions that check and read its members. */
#ifndef SV_MODEL_DOCUMENT_H
#define SV_MODEL_DOCUMENT_H

#include "common/json_document.h"
#include "common/limits.h"

/* A parsed file and its path for messages. */
typedef struct sv_document {
    sv_json root; /* an object or array; NONE: the file is missing */
    sv_json_document document;
    char path[SV_MAX_PATH];
} sv_document;

/* Reads directory/folder/name (`folder` may be ""). A file that isn't there gives a root of kind NONE. The root has to be an
 * object, or an array if `array`. Errors: IO, FORMAT, TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_document_open(const char *directory, const char *folder, const char *name, bool array, sv_document *out,
                               senvec_error *err);
/* A zeroed document is accepted. */
void sv_document_close(sv_document *file);

/* The member `key`, or NONE if the member is missing or null, or if the file is missing. */
sv_json sv_document_get(const sv_document *file, const char *key);

/* A whole number of minimum .. maximum; missing: `fallback`, or an error if that is 0. Errors: FORMAT, TOO_LARGE. */
senvec_status sv_document_size(const sv_document *file, const char *key, size_t fallback, size_t minimum, size_t maximum,
                               size_t *out, senvec_error *err);

/* Fails unless `key` is missing or the string `only`. Errors: FORMAT, UNSUPPORTED. */
senvec_status sv_document_expect_string(const sv_document *file, const char *key, const char *only, senvec_error *err);

/* Fails unless `key` is missing, null, false, or an empty object. Error: UNSUPPORTED. */
senvec_status sv_document_expect_unset(const sv_document *file, const char *key, senvec_error *err);

#endif
