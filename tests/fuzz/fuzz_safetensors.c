/* The safetensors reader: any bytes are refused with a message, or give tensors that lie inside the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library never aborts, a broken promise does. */
static void require(int kept) {
    if (!kept)
        abort();
}

static void check_tensor(const sv_safetensors *file, const sv_tensor *tensor) {
    require(tensor->bytes <= sv_safetensors_bytes(file) && tensor->offset <= sv_safetensors_bytes(file) - tensor->bytes);
    require(sv_safetensors_find(file, tensor->name) == tensor);
    if (tensor->dtype == SV_DTYPE_OTHER)
        return;
    float *values = malloc(tensor->count * sizeof(float) + 1);
    require(values != NULL);
    sv_tensor_to_f32(tensor, values);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    require(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    sv_safetensors *file;
    senvec_error err;
    if (sv_safetensors_open(path, &file, &err) == SENVEC_OK) {
        for (size_t i = 0; i < sv_safetensors_count(file); i++)
            check_tensor(file, sv_safetensors_at(file, i));
        sv_safetensors_close(file);
    } else {
        require(strstr(err.message, path) != NULL && err.offset <= size);
    }
    close(descriptor);
    return 0;
}
