/* Reading a model's JSON files: one line of error for each thing that is wrong, with the file and the member. */
#include "model/document.h"

#include <math.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/limits.h"

senvec_status sv_document_open(const char *directory, const char *folder, const char *name, bool array, sv_document *out,
                               senvec_error *err) {
    out->root = NULL;
    char parent[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, folder, parent, err));
    SENVEC_TRY(sv_path_join(*folder ? parent : directory, name, out->path, err));
    sv_file_map map;
    senvec_error ignored;
    senvec_status status = sv_file_map_open(out->path, &map, err ? err : &ignored);
    if (status != SENVEC_OK)
        return status == SENVEC_NOT_FOUND ? SENVEC_OK : status;
    json_error_t error;
    if (map.size > SV_MAX_JSON_BYTES)
        status = sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes; the maximum is %u", out->path, map.size, SV_MAX_JSON_BYTES);
    else if (map.size == 0)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", out->path);
    /* Integers as reals: model_max_length is often 1e30 written out, which no integer holds. */
    else if (!(out->root =
                   json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error)))
        status = sv_foreign_format(map.data, map.size)
                     ? sv_fail(err, SENVEC_FORMAT, 0, "%s: is %s", out->path, sv_foreign_format(map.data, map.size))
                 : json_error_code(&error) == json_error_out_of_memory
                     ? sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to parse it", out->path)
                     : sv_fail(err, SENVEC_FORMAT, (uint64_t)error.position, "%s: line %d, byte %d: not valid JSON: %s",
                               out->path, error.line, error.position, error.text);
    else if (array ? !json_is_array(out->root) : !json_is_object(out->root))
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: has to be a JSON %s", out->path, array ? "array" : "object");
    sv_file_map_close(&map);
    if (status != SENVEC_OK) {
        json_decref(out->root);
        out->root = NULL;
    }
    return status;
}

void sv_document_close(sv_document *file) {
    json_decref(file->root);
    file->root = NULL;
}

const json_t *sv_document_get(const sv_document *file, const char *key) {
    const json_t *value = json_object_get(file->root, key);
    return json_is_null(value) ? NULL : value;
}

senvec_status sv_document_size(const sv_document *file, const char *key, size_t fallback, size_t minimum, size_t maximum,
                               size_t *out, senvec_error *err) {
    const json_t *value = sv_document_get(file, key);
    if (!value && fallback) {
        *out = fallback;
        return SENVEC_OK;
    }
    double number = json_is_number(value) ? json_number_value(value) : -1;
    if (!(number >= (double)minimum) || number != floor(number))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" %s; it has to be a whole number of at least %zu", file->path, key,
                       value ? "is not right" : "is missing", minimum);
    if (number > (double)maximum)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: \"%s\" is %.0f; the maximum is %zu", file->path, key, number, maximum);
    *out = (size_t)number;
    return SENVEC_OK;
}

senvec_status sv_document_expect_string(const sv_document *file, const char *key, const char *only, senvec_error *err) {
    const json_t *value = sv_document_get(file, key);
    if (!value)
        return SENVEC_OK;
    if (!json_is_string(value))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" has to be a string", file->path, key);
    if (strcmp(json_string_value(value), only) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is \"%s\"; only \"%s\" is supported", file->path, key,
                       json_string_value(value), only);
    return SENVEC_OK;
}

senvec_status sv_document_expect_unset(const sv_document *file, const char *key, senvec_error *err) {
    const json_t *value = sv_document_get(file, key);
    if (!value || json_is_false(value) || (json_is_object(value) && json_object_size(value) == 0))
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is set, which is not supported", file->path, key);
}
