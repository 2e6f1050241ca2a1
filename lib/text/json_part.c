/* Members of JSON objects, with an error for each that is missing or of another type. */
#include "text/json_part.h"

#include "common/limits.h"

sv_part sv_part_of(const char *path, const char *name, sv_json object, senvec_error *err) {
    sv_part part = {.path = path, .name = name, .object = object, .err = err};
    sv_json_index_members(object, &part.members);
    return part;
}

sv_json sv_part_get(const sv_part *part, const char *key) {
    return sv_json_look_up(&part->members, key);
}

sv_json sv_part_option(const sv_part *part, const char *key) {
    const sv_json value = sv_part_get(part, key);
    return value.kind == SV_JSON_NULL ? (sv_json){0} : value;
}

senvec_status sv_part_missing(const sv_part *part, const char *key, const char *type) {
    return sv_fail(part->err, SENVEC_FORMAT, 0, "%s: %s: \"%s\" is missing or not %s", part->path, part->name, key, type);
}

senvec_status sv_part_bool(const sv_part *part, const char *key, bool *out) {
    const sv_json value = sv_part_get(part, key);
    if (value.kind != SV_JSON_TRUE && value.kind != SV_JSON_FALSE)
        return sv_part_missing(part, key, "true or false");
    *out = value.kind == SV_JSON_TRUE;
    return SENVEC_OK;
}

senvec_status sv_part_string(const sv_part *part, const char *key, const char **out) {
    const sv_json value = sv_part_get(part, key);
    if (value.kind != SV_JSON_STRING)
        return sv_part_missing(part, key, "a string");
    *out = sv_json_text(value);
    return SENVEC_OK;
}

senvec_status sv_part_object(const sv_part *part, const char *key, sv_json *out) {
    const sv_json value = sv_part_get(part, key);
    if (value.kind != SV_JSON_OBJECT)
        return sv_part_missing(part, key, "an object");
    *out = value;
    return SENVEC_OK;
}

senvec_status sv_part_array(const sv_part *part, const char *key, sv_json *out) {
    const sv_json value = sv_part_get(part, key);
    if (value.kind != SV_JSON_ARRAY)
        return sv_part_missing(part, key, "a list");
    *out = value;
    return SENVEC_OK;
}

senvec_status sv_part_option_bool(const sv_part *part, const char *key, bool *out) {
    return sv_part_option(part, key).kind == SV_JSON_NONE ? SENVEC_OK : sv_part_bool(part, key, out);
}

senvec_status sv_part_option_string(const sv_part *part, const char *key, const char **out) {
    return sv_part_option(part, key).kind == SV_JSON_NONE ? SENVEC_OK : sv_part_string(part, key, out);
}

bool sv_json_id(sv_json value, uint32_t *out) {
    int64_t number;
    if (!sv_json_integer(value, &number) || number < 0 || number >= SV_MAX_VOCABULARY)
        return false;
    *out = (uint32_t)number;
    return true;
}
