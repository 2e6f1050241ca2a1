/* The safetensors writer: the counterpart of safetensors.c, which describes the format. */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "format/safetensors.h"

/* The header's entry of a tensor; NULL for want of memory. */
static json_t *describe(const sv_tensor *tensor, uint64_t begin) {
    json_t *shape = json_array();
    for (size_t i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype_name, "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)(begin + tensor->bytes));
}

/* The header as text, for free(); NULL for want of memory. */
static char *make_header(const sv_tensor *tensors, size_t count, const char *const (*metadata)[2]) {
    json_t *header = json_object(), *texts = json_object();
    bool made = texts != NULL;
    for (; (*metadata)[0]; metadata++)
        made = made && json_object_set_new(texts, (*metadata)[0], json_string((*metadata)[1])) == 0;
    made = json_object_set_new(header, "__metadata__", texts) == 0 && made;
    uint64_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        made = made && json_object_set_new(header, tensors[i].name, describe(&tensors[i], begin)) == 0;
        begin += tensors[i].bytes;
    }
    char *text = made ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    return text;
}

senvec_status sv_safetensors_write(FILE *stream, const sv_tensor *tensors, size_t count, const char *const (*metadata)[2],
                                   senvec_error *err) {
    char *header = make_header(tensors, count, metadata);
    if (!header)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the header of %zu tensors", count);
    size_t length = strlen(header);
    uint8_t prefix[8];
    size_t padded = sv_whole_lines(sizeof prefix + length) - sizeof prefix;
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix[i] = (uint8_t)((uint64_t)padded >> 8 * i);
    fwrite(prefix, 1, sizeof prefix, stream);
    fprintf(stream, "%-*s", (int)padded, header);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].bytes)
            fwrite(tensors[i].data, 1, tensors[i].bytes, stream);
    free(header);
    return SENVEC_OK;
}
