/* The files that a model's weights lie in: model.safetensors, or several that model.safetensors.index.json lists. */
#ifndef SV_MODEL_WEIGHT_FILES_H
#define SV_MODEL_WEIGHT_FILES_H

#include "common/limits.h"
#include "format/safetensors.h"

typedef struct sv_weight_files {
    struct sv_weight_file {
        sv_safetensors *file;
        char *path; /* for messages */
    } * files;      /* (count); NULL: none */
    size_t count;
    senvec_allocator allocator;
} sv_weight_files;

/* Opens the weight files of a folder. A shard has to be an existing file in the folder of the index. Errors: as
 * sv_safetensors_open; NOT_FOUND, FORMAT, TOO_LARGE (of the index), UNSUPPORTED (weights in another format only: says which).
 */
senvec_status sv_weight_files_open(const char *directory, const senvec_allocator *allocator, sv_weight_files *out,
                                   senvec_error *err);

/* Makes weight files of one open file, which the result owns; on failure it is closed. Error: OUT_OF_MEMORY. */
senvec_status sv_weight_files_take(sv_safetensors *file, const char *path, const senvec_allocator *allocator,
                                   sv_weight_files *out, senvec_error *err);

/* A zeroed struct is accepted. */
void sv_weight_files_close(sv_weight_files *files);

/* The tensor of that name, or NULL. If `path` isn't NULL, *path gets the path of the tensor's file. */
const sv_tensor *sv_weight_files_find(const sv_weight_files *files, const char *name, const char **path);

/* sv_safetensors_forget for data of any of the files. */
void sv_weight_files_forget(const sv_weight_files *files, const void *data, size_t bytes);

/* The size of all files together. */
uint64_t sv_weight_files_bytes(const sv_weight_files *files);

/* A hash of the sizes, times and inodes of all files, which differs as soon as one of them is replaced or written to. */
uint64_t sv_weight_files_stamp(const sv_weight_files *files);

#endif
