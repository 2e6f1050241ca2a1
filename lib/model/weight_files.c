/* Finding and opening a model's weights.
 *
 *     model.safetensors              all of them; or
 *     model.safetensors.index.json   {"weight_map": {tensor: file, ...}}, as save_pretrained writes it for large models
 *
 * The map is read for the names of its files only: which tensors are in which, the files themselves say. */
#include "model/weight_files.h"

#include <string.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/model_files.h"
#include "model/document.h"

/* Room for `count` files. */
static senvec_status make_room(sv_weight_files *out, size_t count, const senvec_allocator *allocator, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_alloc(allocator, count, sizeof *out->files, "a list of weight files", &memory, err));
    *out = (sv_weight_files){.files = memset(memory, 0, count * sizeof *out->files), .count = count, .allocator = *allocator};
    return SENVEC_OK;
}

static senvec_status set_path(sv_weight_files *files, size_t index, const char *path, senvec_error *err) {
    void *copy;
    const size_t size = strlen(path) + 1;
    SENVEC_TRY(sv_alloc(&files->allocator, size, 1, "a path", &copy, err));
    files->files[index].path = memcpy(copy, path, size);
    return SENVEC_OK;
}

static senvec_status open_one(sv_weight_files *files, size_t index, const char *path, senvec_error *err) {
    SENVEC_TRY(set_path(files, index, path, err));
    return sv_safetensors_open(path, &files->files[index].file, err);
}

/* ---------------------------------------------------------------------------------------------------------------- the index */

static bool is_plain_name(const char *name) {
    return *name && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The files that the index names, each once: pointers into it. */
static senvec_status list_shards(const sv_document *index, const char *names[SV_MAX_SHARDS], size_t *count, senvec_error *err) {
    const sv_json map = sv_json_member(index->root, "weight_map");
    sv_json_items items = sv_json_walk(map);
    sv_json tensor, value;
    *count = 0;
    if (map.kind != SV_JSON_OBJECT || sv_json_count(map) == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"weight_map\" is missing or empty; it has to name the file of each tensor",
                       index->path);
    while (sv_json_step(&items, &tensor, &value)) {
        const char *name = sv_json_text(value);
        if (!name || !is_plain_name(name))
            return sv_fail(err, SENVEC_FORMAT, 0,
                           "%s: the file of tensor \"%.100s\" is \"%.100s\"; it has to be the name of a file in this folder",
                           index->path, sv_json_text(tensor), name ? name : "");
        size_t i = 0;
        while (i < *count && strcmp(names[i], name) != 0)
            i++;
        if (i < *count)
            continue;
        if (*count == SV_MAX_SHARDS)
            return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: names over %u files", index->path, SV_MAX_SHARDS);
        names[(*count)++] = name;
    }
    return SENVEC_OK;
}

static senvec_status open_shards(const char *directory, const sv_document *index, const senvec_allocator *allocator,
                                 sv_weight_files *out, senvec_error *err) {
    const char *names[SV_MAX_SHARDS];
    size_t count;
    SENVEC_TRY(list_shards(index, names, &count, err));
    SENVEC_TRY(make_room(out, count, allocator, err));
    for (size_t i = 0; i < count; i++) {
        char path[SV_MAX_PATH];
        SENVEC_TRY(sv_path_join(directory, names[i], path, err));
        if (!sv_path_is_file(path))
            return sv_fail(err, SENVEC_NOT_FOUND, 0,
                           "%s: \"%.100s\", which it names, isn't in this folder; fetch the model again", index->path,
                           names[i]);
        SENVEC_TRY(open_one(out, i, path, err));
    }
    return SENVEC_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- the files
 */

/* What there is in place of safetensors, if we know it. */
static senvec_status name_others(const char *directory, senvec_error *err) {
    static const struct {
        const char *name, *advice;
    } others[] = {
        {"pytorch_model.bin", "pickled weights are not read; load the model in Python and save_pretrained() it as safetensors"},
        {"pytorch_model.bin.index.json",
         "pickled weights are not read; load the model in Python and save_pretrained() it as safetensors"},
        {"tf_model.h5", "TensorFlow's weights are not read; load the model in Python and save_pretrained() it as safetensors"},
        {"onnx/model.onnx", "ONNX is not read; fetch the model's safetensors too"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char other[SV_MAX_PATH];
        SENVEC_TRY(sv_path_join(directory, others[i].name, other, err));
        if (sv_path_is_file(other))
            return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: %s", other, others[i].advice);
    }
    return SENVEC_OK;
}

static senvec_status open_files(const char *directory, const senvec_allocator *allocator, sv_weight_files *out,
                                senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, SV_MODEL_WEIGHTS, path, err));
    if (!sv_path_is_file(path)) {
        sv_document index;
        SENVEC_TRY(sv_document_open(directory, "", SV_MODEL_WEIGHTS_INDEX, false, &index, err));
        if (index.root.kind != SV_JSON_NONE) {
            senvec_status status = open_shards(directory, &index, allocator, out, err);
            sv_document_close(&index);
            return status;
        }
        SENVEC_TRY(name_others(directory, err));
    }
    SENVEC_TRY(make_room(out, 1, allocator, err));
    return open_one(out, 0, path, err); /* of a missing file, says so */
}

senvec_status sv_weight_files_open(const char *directory, const senvec_allocator *allocator, sv_weight_files *out,
                                   senvec_error *err) {
    sv_weight_files files = {0};
    senvec_status status = open_files(directory, allocator, &files, err);
    if (status != SENVEC_OK)
        sv_weight_files_close(&files);
    else
        *out = files;
    return status;
}

senvec_status sv_weight_files_take(sv_safetensors *file, const char *path, const senvec_allocator *allocator,
                                   sv_weight_files *out, senvec_error *err) {
    sv_weight_files files = {0};
    senvec_status status = make_room(&files, 1, allocator, err);
    if (status == SENVEC_OK)
        status = set_path(&files, 0, path, err);
    if (status != SENVEC_OK) {
        sv_weight_files_close(&files);
        sv_safetensors_close(file);
        return status;
    }
    files.files[0].file = file;
    *out = files;
    return SENVEC_OK;
}

void sv_weight_files_close(sv_weight_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        sv_safetensors_close(files->files[i].file);
        if (files->files[i].path)
            sv_free(&files->allocator, files->files[i].path, strlen(files->files[i].path) + 1, 1);
    }
    if (files->files)
        sv_free(&files->allocator, files->files, files->count, sizeof *files->files);
    *files = (sv_weight_files){0};
}

const sv_tensor *sv_weight_files_find(const sv_weight_files *files, const char *name, const char **path) {
    for (size_t i = 0; i < files->count; i++) {
        const sv_tensor *tensor = sv_safetensors_find(files->files[i].file, name);
        if (tensor) {
            if (path)
                *path = files->files[i].path;
            return tensor;
        }
    }
    return NULL;
}

void sv_weight_files_forget(const sv_weight_files *files, const void *data, size_t bytes) {
    for (size_t i = 0; i < files->count; i++)
        sv_safetensors_forget(files->files[i].file, data, bytes);
}

uint64_t sv_weight_files_bytes(const sv_weight_files *files) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < files->count; i++)
        bytes += sv_safetensors_bytes(files->files[i].file);
    return bytes;
}

uint64_t sv_weight_files_stamp(const sv_weight_files *files) {
    uint64_t stamp = 0;
    for (size_t i = 0; i < files->count; i++)
        stamp = sv_path_stamp(stamp, files->files[i].path);
    return stamp;
}
