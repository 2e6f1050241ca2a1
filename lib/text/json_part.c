/* Members of JSON objects, with an error for each that is missing or of another type. */
#include "text/json_part.h"

#include "common/limits.h"

senvec_status sv_part_missing(const sv_part *part, const char *key, const char *type) {
    return sv_fail(part->err, SENVEC_FORMAT, 0, "%s: %s: \"%s\" is missing or not %s", part->path, part->name, key, type);
}

senvec_status sv_part_bool(const sv_part *part, const char *key, bool *out) {
    const json_t *value = json_object_get(part->object, key);
    if (!json_is_boolean(value))
        return sv_part_missing(part, key, "true or false");
    *out = json_is_true(value);
    return SENVEC_OK;
}

senvec_status sv_part_string(const sv_part *part, const char *key, const char **out) {
    const json_t *value = json_object_get(part->object, key);
    if (!json_is_string(value))
        return sv_part_missing(part, key, "a string");
    *out = json_string_value(value);
    return SENVEC_OK;
}

senvec_status sv_part_object(const sv_part *part, const char *key, json_t **out) {
    json_t *value = json_object_get(part->object, key);
    if (!json_is_object(value))
        return sv_part_missing(part, key, "an object");
    *out = value;
    return SENVEC_OK;
}

senvec_status sv_part_array(const sv_part *part, const char *key, json_t **out) {
    json_t *value = json_object_get(part->object, key);
    if (!json_is_array(value))
        return sv_part_missing(part, key, "a list");
    *out = value;
    return SENVEC_OK;
}

static bool is_absent(const sv_part *part, const char *key) {
    const json_t *value = json_object_get(part->object, key);
    return !value || json_is_null(value);
}

senvec_status sv_part_option_bool(const sv_part *part, const char *key, bool *out) {
    return is_absent(part, key) ? SENVEC_OK : sv_part_bool(part, key, out);
}

senvec_status sv_part_option_string(const sv_part *part, const char *key, const char **out) {
    return is_absent(part, key) ? SENVEC_OK : sv_part_string(part, key, out);
}

bool sv_json_id(const json_t *value, uint32_t *out) {
    double number = json_number_value(value); /* tokenizer_config.json is read with reals for integers */
    if (!json_is_number(value) || number < 0 || number >= SV_MAX_VOCABULARY || number != (double)(uint32_t)number)
        return false;
    *out = (uint32_t)number;
    return true;
}
