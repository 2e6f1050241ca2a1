/* The safetensors reader.
 *
 *     0        8            8 + n                       end of file
 *     | n (LE) | JSON header | data                     |
 *
 * The header maps each tensor's name to {"dtype", "shape", "data_offsets": [begin, end)}, offsets counted from the data's first
 * byte; "__metadata__" maps strings to strings. It must begin with '{' and may be padded with spaces.
 *
 * The checks are those of the reference implementation (safetensors/src/tensor.rs, SafeTensors::deserialize): sorted by offset,
 * every tensor begins where the one before ended, and the last ends with the file. That forbids overlaps, holes and trailing
 * bytes in one comparison.
 *
 * Names stay where the header's document has them, so that lives as long as the file. */
#include "format/safetensors.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/foreign.h"
#include "common/json_document.h"
#include "common/memory.h"

#define PREFIX 8 /* bytes of the header size */

struct sv_safetensors {
    sv_file_map map;
    sv_json_document header;
    sv_tensor *tensors; /* [capacity] sorted by name */
    size_t count, capacity;
};

/* Bits, since the format has packed types below a byte. */
static const struct {
    const char *name;
    sv_dtype dtype;
    unsigned bits;
} dtypes[] = {
    {"F32", SV_DTYPE_F32, 32},          {"F16", SV_DTYPE_F16, 16},      {"BF16", SV_DTYPE_BF16, 16},
    {"F64", SV_DTYPE_F64, 64},          {"I64", SV_DTYPE_OTHER, 64},    {"U64", SV_DTYPE_OTHER, 64},
    {"C64", SV_DTYPE_OTHER, 64},        {"I32", SV_DTYPE_OTHER, 32},    {"U32", SV_DTYPE_OTHER, 32},
    {"I16", SV_DTYPE_OTHER, 16},        {"U16", SV_DTYPE_OTHER, 16},    {"I8", SV_DTYPE_OTHER, 8},
    {"U8", SV_DTYPE_OTHER, 8},          {"BOOL", SV_DTYPE_OTHER, 8},    {"F8_E5M2", SV_DTYPE_OTHER, 8},
    {"F8_E4M3", SV_DTYPE_OTHER, 8},     {"F8_E8M0", SV_DTYPE_OTHER, 8}, {"F8_E4M3FNUZ", SV_DTYPE_OTHER, 8},
    {"F8_E5M2FNUZ", SV_DTYPE_OTHER, 8}, {"F6_E2M3", SV_DTYPE_OTHER, 6}, {"F6_E3M2", SV_DTYPE_OTHER, 6},
    {"F4", SV_DTYPE_OTHER, 4},
};

/* A JSON integer that is at least 0. */
static bool get_size(sv_json value, uint64_t *out) {
    int64_t size;
    if (!sv_json_integer(value, &size) || size < 0)
        return false;
    *out = (uint64_t)size;
    return true;
}

/* Reads one header entry; its offsets are checked against `data_size` here and against its neighbours later. */
static senvec_status read_tensor(const char *path, const char *name, sv_json entry, const uint8_t *data, uint64_t data_offset,
                                 uint64_t data_size, sv_tensor *out, senvec_error *err) {
    const sv_json dtype = sv_json_member(entry, "dtype"), shape = sv_json_member(entry, "shape");
    const sv_json offsets = sv_json_member(entry, "data_offsets");
    if (dtype.kind != SV_JSON_STRING || shape.kind != SV_JSON_ARRAY || offsets.kind != SV_JSON_ARRAY ||
        sv_json_count(offsets) != 2)
        return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: tensor \"%s\" has no dtype, shape or pair of data_offsets", path, name);

    sv_tensor tensor = {.name = name, .dtype_name = sv_json_text(dtype), .rank = sv_json_count(shape)};
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, tensor.dtype_name) == 0) {
            tensor.dtype = dtypes[i].dtype;
            bits = dtypes[i].bits;
        }
    if (!bits)
        return sv_fail(err, SENVEC_UNSUPPORTED, PREFIX, "%s: tensor \"%s\" has the unknown dtype \"%s\"", path, name,
                       tensor.dtype_name);

    if (tensor.rank > SV_MAX_TENSOR_RANK)
        return sv_fail(err, SENVEC_TOO_LARGE, PREFIX, "%s: tensor \"%s\" has %zu dimensions; the maximum is %u", path, name,
                       tensor.rank, SV_MAX_TENSOR_RANK);
    tensor.count = 1;
    for (size_t i = 0; i < tensor.rank; i++)
        if (!get_size(sv_json_at(shape, i), &tensor.shape[i]))
            return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: tensor \"%s\": dimension %zu of its shape is not a size", path,
                           name, i);
        else if (__builtin_mul_overflow(tensor.count, tensor.shape[i], &tensor.count))
            return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: tensor \"%s\": the product of its shape overflows", path, name);
    uint64_t size_bits;
    if (__builtin_mul_overflow(tensor.count, bits, &size_bits) || size_bits % 8)
        return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: tensor \"%s\": %llu elements of %u bits are not a size in bytes", path,
                       name, (unsigned long long)tensor.count, bits);
    tensor.bytes = size_bits / 8;

    uint64_t begin, end;
    if (!get_size(sv_json_at(offsets, 0), &begin) || !get_size(sv_json_at(offsets, 1), &end) || begin > end)
        return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: tensor \"%s\": its data_offsets are not a range of bytes", path, name);
    if (end > data_size)
        return sv_fail(
            err, SENVEC_FORMAT, data_offset + data_size,
            "%s: the file ends at byte %llu, inside or before tensor \"%s\" (to byte %llu): it was cut; fetch it again", path,
            (unsigned long long)(data_offset + data_size), name, (unsigned long long)(data_offset + end));
    if (end - begin != tensor.bytes)
        return sv_fail(err, SENVEC_FORMAT, data_offset + begin,
                       "%s: tensor \"%s\" has %llu bytes, but its shape and dtype %s need %llu", path, name,
                       (unsigned long long)(end - begin), tensor.dtype_name, (unsigned long long)tensor.bytes);
    tensor.data = data + begin;
    tensor.offset = data_offset + begin;
    *out = tensor;
    return SENVEC_OK;
}

/* Empty tensors share their offset with the next one, so they sort before it. */
static int by_offset(const void *a, const void *b) {
    const sv_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const sv_tensor *)a)->name, ((const sv_tensor *)b)->name);
}

/* `tensors` must be sorted by offset. */
static senvec_status check_cover(const char *path, const sv_tensor *tensors, size_t count, uint64_t data_offset,
                                 uint64_t file_size, senvec_error *err) {
    uint64_t end = data_offset;
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].offset < end)
            return sv_fail(err, SENVEC_FORMAT, tensors[i].offset, "%s: tensors \"%s\" and \"%s\" overlap at byte %llu", path,
                           tensors[i - 1].name, tensors[i].name, (unsigned long long)tensors[i].offset);
        if (tensors[i].offset > end)
            return sv_fail(err, SENVEC_FORMAT, end, "%s: a hole at byte %llu, before tensor \"%s\"", path,
                           (unsigned long long)end, tensors[i].name);
        end += tensors[i].bytes;
    }
    if (end != file_size)
        return sv_fail(err, SENVEC_FORMAT, end, "%s: %llu bytes that belong to no tensor after byte %llu", path,
                       (unsigned long long)(file_size - end), (unsigned long long)end);
    return SENVEC_OK;
}

static senvec_status read_metadata(const char *path, sv_json metadata, senvec_error *err) {
    bool valid = metadata.kind == SV_JSON_OBJECT;
    sv_json_items items = sv_json_walk(metadata);
    sv_json value;
    while (sv_json_step(&items, NULL, &value))
        valid = valid && value.kind == SV_JSON_STRING;
    return valid ? SENVEC_OK
                 : sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: \"__metadata__\" does not map strings to strings", path);
}

/* Fills *file (mapped already). What it owns on failure is the caller's to close. */
static senvec_status read_header(const char *path, sv_safetensors *file, senvec_error *err) {
    const uint8_t *bytes = file->map.data;
    uint64_t size = file->map.size;
    const char *foreign = size <= PREFIX || bytes[PREFIX] != '{' ? sv_foreign_format(bytes, size) : NULL;
    if (foreign)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: is %s", path, foreign);
    if (size < PREFIX)
        return sv_fail(err, SENVEC_FORMAT, size, "%s: ends at byte %llu, before its header: it was cut; fetch it again", path,
                       (unsigned long long)size);
    uint64_t header_size = 0;
    for (int i = PREFIX - 1; i >= 0; i--)
        header_size = header_size << 8 | bytes[i];
    if (header_size > SV_MAX_SAFETENSORS_HEADER)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: a header of %llu bytes; the maximum is %u: is this a safetensors file?",
                       path, (unsigned long long)header_size, SV_MAX_SAFETENSORS_HEADER);
    if (header_size > size - PREFIX)
        return sv_fail(err, SENVEC_FORMAT, size,
                       "%s: ends at byte %llu, inside its header (to byte %llu): it was cut; fetch it again", path,
                       (unsigned long long)size, (unsigned long long)(PREFIX + header_size));
    if (header_size == 0 || bytes[PREFIX] != '{')
        return sv_fail(err, SENVEC_FORMAT, PREFIX, "%s: its header does not begin with '{'", path);

    senvec_error problem;
    const senvec_status status =
        sv_json_document_read((const char *)bytes + PREFIX, header_size, NULL, &file->header, &problem);
    if (status == SENVEC_FORMAT)
        return sv_fail(err, status, PREFIX + problem.offset, "%s: byte %llu of the header is not right: %s", path,
                       (unsigned long long)problem.offset, problem.message);
    if (status != SENVEC_OK)
        return sv_fail(err, status, 0, "%s: no memory for its header of %llu bytes", path, (unsigned long long)header_size);
    const size_t members = sv_json_count(file->header.root);
    if (members > SV_MAX_TENSORS)
        return sv_fail(err, SENVEC_TOO_LARGE, PREFIX, "%s: %zu tensors; the maximum is %u", path, members, SV_MAX_TENSORS);

    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, members, sizeof(sv_tensor), path, &memory, err));
    file->tensors = memory;
    file->capacity = members;
    uint64_t data_offset = PREFIX + header_size;
    sv_json_items items = sv_json_walk(file->header.root);
    sv_json member, entry;
    while (sv_json_step(&items, &member, &entry)) {
        const char *name = sv_json_text(member);
        if (strcmp(name, "__metadata__") == 0) {
            SENVEC_TRY(read_metadata(path, entry, err));
            continue;
        }
        SENVEC_TRY(read_tensor(path, name, entry, bytes + data_offset, data_offset, size - data_offset,
                               &file->tensors[file->count], err));
        file->count++;
    }
    qsort(file->tensors, file->count, sizeof(sv_tensor), by_offset);
    SENVEC_TRY(check_cover(path, file->tensors, file->count, data_offset, size, err));
    qsort(file->tensors, file->count, sizeof(sv_tensor), by_name);
    return SENVEC_OK;
}

senvec_status sv_safetensors_open(const char *path, sv_safetensors **out, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_alloc(&sv_default_allocator, 1, sizeof(sv_safetensors), path, &memory, err));
    sv_safetensors *file = memory;
    *file = (sv_safetensors){0};
    senvec_status status = sv_file_map_open(path, &file->map, err);
    if (status == SENVEC_OK)
        status = read_header(path, file, err);
    if (status == SENVEC_OK)
        *out = file;
    else
        sv_safetensors_close(file);
    return status;
}

void sv_safetensors_close(sv_safetensors *file) {
    if (!file)
        return;
    if (file->tensors)
        sv_free(&sv_default_allocator, file->tensors, file->capacity, sizeof(sv_tensor));
    sv_json_document_close(&file->header);
    sv_file_map_close(&file->map);
    sv_free(&sv_default_allocator, file, 1, sizeof *file);
}

size_t sv_safetensors_count(const sv_safetensors *file) {
    return file->count;
}

const sv_tensor *sv_safetensors_at(const sv_safetensors *file, size_t index) {
    assert(index < file->count);
    return &file->tensors[index];
}

const sv_tensor *sv_safetensors_find(const sv_safetensors *file, const char *name) {
    sv_tensor key = {.name = name};
    return bsearch(&key, file->tensors, file->count, sizeof(sv_tensor), by_name);
}

const char *sv_safetensors_metadata(const sv_safetensors *file, const char *key) {
    return sv_json_text(sv_json_member(sv_json_member(file->header.root, "__metadata__"), key));
}

uint64_t sv_safetensors_bytes(const sv_safetensors *file) {
    return file->map.size;
}

void sv_safetensors_forget(const sv_safetensors *file, const void *data, size_t bytes) {
    uintptr_t start = (uintptr_t)file->map.data, first = (uintptr_t)data;
    if (first < start || first - start > file->map.size || bytes > file->map.size - (first - start))
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = (first + bytes) & ~(page - 1);
    first = (first + page - 1) & ~(page - 1);
    /* Advice: a kernel that declines it costs memory, no answer. */
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

/* IEEE binary16 as float. A subnormal is fraction * 2^-24, exact in binary32. */
static float from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    if (exponent == 0x1f)
        bits = sign | 0x7f800000 | fraction << 13;
    else
        bits = sign | (exponent + 127 - 15) << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void sv_tensor_to_f32(const sv_tensor *tensor, float *out) {
    assert(tensor->dtype != SV_DTYPE_OTHER);
    if (tensor->dtype == SV_DTYPE_F32) {
        if (tensor->bytes)
            memcpy(out, tensor->data, tensor->bytes);
        return;
    }
    for (uint64_t i = 0; tensor->dtype == SV_DTYPE_F64 && i < tensor->count; i++) {
        double value;
        memcpy(&value, tensor->data + 8 * i, sizeof value);
        out[i] = (float)value;
    }
    for (uint64_t i = 0; tensor->dtype != SV_DTYPE_F64 && i < tensor->count; i++) {
        uint16_t half;
        memcpy(&half, tensor->data + 2 * i, sizeof half);
        if (tensor->dtype == SV_DTYPE_F16) {
            out[i] = from_f16(half);
        } else {
            uint32_t bits = (uint32_t)half << 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}
