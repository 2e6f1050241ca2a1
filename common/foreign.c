#include "common/foreign.h"

#include <string.h>
#include <strings.h>

#define PICKLED                                                                                                                \
    "pickled weights of PyTorch, which are not read; load the model in Python and save_pretrained() it as safetensors"
#define PAGE "an HTML page, probably an error or a login in place of the file; fetch it again"

static const struct {
    const char *magic, *format;
} formats[] = {
    {"version https://git-lfs.github.com/", "a Git LFS pointer, not the file itself; fetch it with 'git lfs pull', or the "
                                            "model with 'senvec pull ORG/NAME'"},
    {"GGUF",
     "a GGUF file, as llama.cpp has them; senvec reads sentence-transformers folders: give -m the model's folder or name"},
    {"\x80\x02", PICKLED},
    {"\x80\x04", PICKLED},
    {"PK\x03\x04", PICKLED}, /* a zip archive; what else one could be here is rare */
    {"\x89HDF", "HDF5, as TensorFlow keeps weights, which is not read; load the model in Python and save_pretrained() it as "
                "safetensors"},
    {"<!DOCTYPE html", PAGE},
    {"<html", PAGE},
    {"<?xml", "XML, as OpenVINO keeps models, which is not read; give the folder that it was made from"},
    {"\x1f\x8b", "compressed with gzip; decompress it first"},
    {"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first"},
};

/* A protobuf message that begins as ONNX files do: field 1, the version of the format, and field 2, the producer, or the
 * fields that come next. */
static int is_onnx(const uint8_t *data, size_t size) {
    return size > 3 && data[0] == 0x08 && data[1] > 0 && data[1] < 32 &&
           (data[2] == 0x12 || data[2] == 0x3a || data[2] == 0x42);
}

const char *sv_foreign_format(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t length = strlen(formats[i].magic);
        if (size >= length && strncasecmp((const char *)data, formats[i].magic, length) == 0)
            return formats[i].format;
    }
    return is_onnx(data, size) ? "an ONNX file, which is not read; give the folder that it was made from" : NULL;
}
