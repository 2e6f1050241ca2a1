/* The safetensors writer: the counterpart of safetensors.c, which describes the format. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_document.h"
#include "common/memory.h"
#include "format/safetensors.h"

/* The header's member of a tensor. */
static void describe(FILE *stream, const sv_tensor *tensor, uint64_t begin) {
    sv_json_write_string(stream, tensor->name);
    fprintf(stream, ":{\"dtype\":\"%s\",\"shape\":[", tensor->dtype_name);
    for (size_t i = 0; i < tensor->rank; i++)
        fprintf(stream, "%s%llu", i ? "," : "", (unsigned long long)tensor->shape[i]);
    fprintf(stream, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin, (unsigned long long)(begin + tensor->bytes));
}

/* The header as text, for free(); NULL for want of memory. */
static char *make_header(const sv_tensor *tensors, size_t count, const char *const (*metadata)[2]) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    fputs("{\"__metadata__\":{", stream);
    for (size_t i = 0; metadata[i][0]; i++) {
        fputs(i ? "," : "", stream);
        sv_json_write_string(stream, metadata[i][0]);
        fputc(':', stream);
        sv_json_write_string(stream, metadata[i][1]);
    }
    fputc('}', stream);
    uint64_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        fputc(',', stream);
        describe(stream, &tensors[i], begin);
        begin += tensors[i].bytes;
    }
    fputc('}', stream);
    const bool whole = !ferror(stream);
    if (fclose(stream) == 0 && whole)
        return text;
    free(text);
    return NULL;
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
