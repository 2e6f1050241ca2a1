/* A part of a JSON file: an object, its members, and its name for error messages ("path: model: ..."). */
#ifndef SV_TEXT_JSON_PART_H
#define SV_TEXT_JSON_PART_H

#include "common/json_document.h"

typedef struct sv_part {
    const char *path;
    const char *name;
    sv_json object; /* an object of a document; any other value has no members */
    sv_json_index members;
    senvec_error *err;
} sv_part;

sv_part sv_part_of(const char *path, const char *name, sv_json object, senvec_error *err);
/* A member, or NONE if it is missing; sv_part_option also gives NONE for null. */
sv_json sv_part_get(const sv_part *part, const char *key);
sv_json sv_part_option(const sv_part *part, const char *key);

/* "path: name: "key" is missing or not `type`". */
senvec_status sv_part_missing(const sv_part *part, const char *key, const char *type);

/* Members that are required. */
senvec_status sv_part_bool(const sv_part *part, const char *key, bool *out);
senvec_status sv_part_string(const sv_part *part, const char *key, const char **out);
senvec_status sv_part_object(const sv_part *part, const char *key, sv_json *out);
senvec_status sv_part_array(const sv_part *part, const char *key, sv_json *out);
/* Members that may be absent or null; *out isn't touched then. */
senvec_status sv_part_option_bool(const sv_part *part, const char *key, bool *out);
senvec_status sv_part_option_string(const sv_part *part, const char *key, const char **out);

/* An id as JSON: a whole number from 0 to below SV_MAX_VOCABULARY. */
bool sv_json_id(sv_json value, uint32_t *out);

#endif
