/* Reading a model's JSON files: one line of error for each thing that is wrong, with the file and the member. */
#include "model/document.h"

#include <math.h>
#include <string.h>

#include "common/file.h"

senvec_status sv_document_open(const char *directory, const char *folder, const char *name, bool array, sv_document *out,
                               senvec_error *err) {
    *out = (sv_document){0};
    char parent[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, folder, parent, err));
    SENVEC_TRY(sv_path_join(*folder ? parent : directory, name, out->path, err));
    sv_file_map map;
    senvec_error ignored;
    senvec_status status = sv_file_map_open(out->path, &map, err ? err : &ignored);
    if (status != SENVEC_OK)
        return status == SENVEC_NOT_FOUND ? SENVEC_OK : status;
    status = sv_json_document_open(out->path, map.data, map.size, &out->document, err);
    sv_file_map_close(&map);
    if (status != SENVEC_OK)
        return status;
    out->root = out->document.root;
    if (out->root.kind != (array ? SV_JSON_ARRAY : SV_JSON_OBJECT)) {
        sv_document_close(out);
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: has to be a JSON %s", out->path, array ? "array" : "object");
    }
    return SENVEC_OK;
}

void sv_document_close(sv_document *file) {
    sv_json_document_close(&file->document);
    file->root = (sv_json){0};
}

sv_json sv_document_get(const sv_document *file, const char *key) {
    const sv_json value = sv_json_member(file->root, key);
    return value.kind == SV_JSON_NULL ? (sv_json){0} : value;
}

senvec_status sv_document_size(const sv_document *file, const char *key, size_t fallback, size_t minimum, size_t maximum,
                               size_t *out, senvec_error *err) {
    const sv_json value = sv_document_get(file, key);
    if (value.kind == SV_JSON_NONE && fallback) {
        *out = fallback;
        return SENVEC_OK;
    }
    double number; /* as a real: model_max_length is often 1e30 written out, which no integer holds */
    if (!sv_json_number(value, &number) || !(number >= (double)minimum) || number != floor(number))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" %s; it has to be a whole number of at least %zu", file->path, key,
                       value.kind != SV_JSON_NONE ? "is not right" : "is missing", minimum);
    if (number > (double)maximum)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: \"%s\" is %.0f; the maximum is %zu", file->path, key, number, maximum);
    *out = (size_t)number;
    return SENVEC_OK;
}

senvec_status sv_document_expect_string(const sv_document *file, const char *key, const char *only, senvec_error *err) {
    const sv_json value = sv_document_get(file, key);
    if (value.kind == SV_JSON_NONE)
        return SENVEC_OK;
    if (value.kind != SV_JSON_STRING)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" has to be a string", file->path, key);
    if (strcmp(sv_json_text(value), only) != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is \"%s\"; only \"%s\" is supported", file->path, key,
                       sv_json_text(value), only);
    return SENVEC_OK;
}

senvec_status sv_document_expect_unset(const sv_document *file, const char *key, senvec_error *err) {
    const sv_json value = sv_document_get(file, key);
    if (value.kind == SV_JSON_NONE || value.kind == SV_JSON_FALSE ||
        (value.kind == SV_JSON_OBJECT && sv_json_count(value) == 0))
        return SENVEC_OK;
    return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: \"%s\" is set, which is not supported", file->path, key);
}
